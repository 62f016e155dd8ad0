package admin

import (
	"maps"
	"slices"
)

// Spec describes one command, for the API, its document, the command line and the pages.
type Spec struct {
	Action  string
	Summary string
	// Reads says that it changes nothing.
	Reads bool
	// Helps says that the help desk may do it as well as administrators.
	Helps bool
	// Lent says that it can be delegated to people of partners.
	Lent bool
	// Comprises are the actions of other commands that it can do as well: policy asks for
	// at least as much for it as for each of them.
	Comprises []string
	New       func() Command
	// Answer is an empty value of what it answers.
	Answer any
	// Sentences say in plain words what it leaves in the log, by event. In braces stands
	// what an entry fills in: {who} is the account, {by} who did it, {where} the
	// application, and {detail.x} a detail.
	Sentences map[string]string
}

// made is a Command by its type.
type made[T any] interface {
	*T
	Command
}

// Looks describes a command that changes nothing.
func Looks[T any, C made[T]](summary string, answer any) Spec {
	return Spec{Action: C(new(T)).Action(), Summary: summary, Reads: true, New: func() Command { return C(new(T)) }, Answer: answer}
}

// Changes describes a command that changes something.
func Changes[T any, C made[T]](summary string, answer any) Spec {
	s := Looks[T, C](summary, answer)
	s.Reads = false
	return s
}

// Telling adds the sentence of an entry that the command leaves.
func (s Spec) Telling(entry, sentence string) Spec {
	all := maps.Clone(s.Sentences)
	if all == nil {
		all = map[string]string{}
	}
	all[entry] = sentence
	s.Sentences = all
	return s
}

// AlsoHelping has the help desk do the command as well.
func (s Spec) AlsoHelping() Spec {
	s.Helps = true
	return s
}

// AlsoDoing says that the command can do what these do, and has policy ask for as much.
func (s Spec) AlsoDoing(actions ...string) Spec {
	s.Comprises = actions
	return s
}

// List is every command that there is. The API's routes, the OpenAPI document, the pages
// and the policy's known actions are made from one.
type List []Spec

// Find returns the command that does the action, and false if none does.
func (l List) Find(action string) (Spec, bool) {
	i := slices.IndexFunc(l, func(s Spec) bool { return s.Action == action })
	if i < 0 {
		return Spec{}, false
	}
	return l[i], true
}

// Title says in a sentence what an action does; empty for one of nobody's.
func (l List) Title(action string) string {
	s, _ := l.Find(action)
	return s.Summary
}

// Actions are those of all commands.
func (l List) Actions() []string { return l.those(func(Spec) bool { return true }) }

// Helping lists the actions that the help desk may do as well as administrators.
func (l List) Helping() []string { return l.those(func(s Spec) bool { return s.Helps }) }

// Reading lists the actions that only look. Policy lets the session cover them.
func (l List) Reading() []string { return l.those(func(s Spec) bool { return s.Reads }) }

// Comprising are the actions that others do as well, by the action that comprises them.
func (l List) Comprising() map[string][]string {
	out := map[string][]string{}
	for _, s := range l {
		if len(s.Comprises) > 0 {
			out[s.Action] = s.Comprises
		}
	}
	return out
}

func (l List) those(which func(Spec) bool) []string {
	var out []string
	for _, s := range l {
		if which(s) {
			out = append(out, s.Action)
		}
	}
	return out
}

// Sentences are those of all commands, by event.
func (l List) Sentences() map[string]string {
	out := map[string]string{}
	for _, s := range l {
		maps.Copy(out, s.Sentences)
	}
	return out
}

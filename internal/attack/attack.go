// Package attack is mitigation M1032 of MITRE ATT&CK, Multi-factor
// Authentication, as data, and what it takes to say that a row of it holds.
//
// It owns the rows, what ties a row to applications and actions, the five words
// for how far a row is covered, and the ways to show that. It knows no policy,
// no account and no store: admin hands in plain facts ([Input]), drill hands in
// what its attacks met, and everything here is computed from those. It imports
// no other room.
//
// Its one invariant: a row is never called better than what was handed in
// shows. What nobody said anything about is a gap, and the gap has a name.
package attack

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Row is one technique that M1032 addresses.
type Row struct {
	// ID and Name are ATT&CK's: "T1110.003", "Password Spraying".
	ID   string `json:"id"`
	Name string `json:"name"`
	// Founding rows are the 43 of the founding document (M1032 version 1.0);
	// the other five came with ATT&CK v18.
	Founding bool `json:"founding"`
	// Tactics are ATT&CK's short names, the first is where a map shows the row.
	Tactics []string `json:"tactics"`
	// Use is what M1032 says about this technique; it may say nothing.
	Use string `json:"use,omitempty"`
	// Component is what is protected, Duty what must be true of it, in our words.
	Component string `json:"component"`
	Duty      string `json:"duty"`
	// Missing says, without a full stop, that nothing of the duty exists in this
	// program yet, however strong a sign-in is; empty where something does.
	Missing string `json:"missing,omitempty"`
	// Unseen says that accounts and applications do not show whether the row is
	// about anybody here, so that they contradict no declaration.
	Unseen bool `json:"unseen,omitempty"`
	// Dormancy says that the row is about accounts that nobody uses as well.
	Dormancy bool `json:"dormancy,omitempty"`
	// Drill is the name of the drill that attacks this row, or empty.
	Drill string `json:"drill,omitempty"`
	// Ties say which applications the row is about, and what each must demand.
	Ties []Tie `json:"ties"`
}

// Tie is one kind of application that a row is about, and what policy must
// demand there for the row to hold.
type Tie struct {
	// Kinds of applications; "*" is every one. Protocols narrow them down,
	// where set.
	Kinds     []string `json:"kinds"`
	Protocols []string `json:"protocols,omitempty"`
	// Actions that it is about, "account.*" for all that begin so; none means
	// signing in.
	Actions []string `json:"actions,omitempty"`
	// Demand is the least that policy must ask for, and Within how fresh; zero
	// for any time in the session.
	Demand Strength `json:"demand"`
	Within Duration `json:"within,omitzero"`
	// Privileged ties are about privileged accounts only.
	Privileged bool `json:"privileged,omitempty"`
}

// SignIn is the action of a tie that names none.
const SignIn = "sign-in"

//go:embed rows.json
var rowsFile []byte

var rows = func() []Row {
	var out []Row
	dec := json.NewDecoder(strings.NewReader(string(rowsFile)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		panic("attack: rows.json: " + err.Error()) // it is part of the program; a test reads it
	}
	return out
}()

// Rows returns all 48 rows by ID. The caller may change what it gets.
func Rows() []Row {
	out := make([]Row, len(rows))
	for i, r := range rows {
		out[i] = r.clone()
	}
	return out
}

// ByID returns one row.
func ByID(id string) (Row, bool) {
	i, ok := slices.BinarySearchFunc(rows, id, func(r Row, id string) int { return strings.Compare(r.ID, id) })
	if !ok {
		return Row{}, false
	}
	return rows[i].clone(), true
}

func (r Row) clone() Row {
	r.Tactics, r.Ties = slices.Clone(r.Tactics), slices.Clone(r.Ties)
	for i, t := range r.Ties {
		r.Ties[i].Kinds, r.Ties[i].Protocols, r.Ties[i].Actions = slices.Clone(t.Kinds), slices.Clone(t.Protocols), slices.Clone(t.Actions)
	}
	return r
}

// Parent returns the technique that a sub-technique belongs to, and the row's
// own ID for a technique.
func (r Row) Parent() string {
	parent, _, _ := strings.Cut(r.ID, ".")
	return parent
}

// Touches reports whether the row is about this application.
func (r Row) Touches(a Application) bool {
	return slices.ContainsFunc(r.Ties, func(t Tie) bool { return t.touches(a) })
}

func (t Tie) touches(a Application) bool {
	return (slices.Contains(t.Kinds, a.Kind) || slices.Contains(t.Kinds, "*")) &&
		(len(t.Protocols) == 0 || slices.Contains(t.Protocols, a.Protocol))
}

// about reports whether the tie is about this action.
func (t Tie) about(action string) bool {
	if len(t.Actions) == 0 {
		return action == SignIn
	}
	return slices.ContainsFunc(t.Actions, func(want string) bool {
		head, all := strings.CutSuffix(want, "*")
		return action == want || all && strings.HasPrefix(action, head)
	})
}

// deed names the tie's actions for a sentence.
func (t Tie) deed() string {
	if len(t.Actions) == 0 {
		return "signing in"
	}
	return strings.Join(t.Actions, ", ")
}

// Duration is a time.Duration that JSON writes as in "15m".
type Duration time.Duration

// MarshalText writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// String writes it without its zero parts.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// Strength is how much a Requirement asks for, in one word.
type Strength int

// From weak to strong. The zero Strength is nothing, which meets no demand.
const (
	Nothing Strength = iota
	OneFactor
	// Vouched is a pass that another person issued: enough for a first
	// authenticator, and for nothing else.
	Vouched
	TwoFactors
	PhishingResistant
	// Denied lets nobody in.
	Denied
)

var strengthWords = [...]string{"nothing", "one-factor", "vouched", "two-factors", "phishing-resistant", "denied"}

func (s Strength) String() string {
	if s < 0 || int(s) >= len(strengthWords) {
		return strengthWords[Nothing]
	}
	return strengthWords[s]
}

// MarshalText writes the word.
func (s Strength) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word; another is an error.
func (s *Strength) UnmarshalText(b []byte) error {
	i := slices.Index(strengthWords[:], string(b))
	if i < 0 {
		return fmt.Errorf("attack: unknown strength %q; use one of %s", b, strings.Join(strengthWords[:], ", "))
	}
	*s = Strength(i)
	return nil
}

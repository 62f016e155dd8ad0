package attack

import (
	"fmt"
	"slices"
	"strings"
)

// keyGaps are the automation keys that do what the row wants approved, where it is
// about Countersign itself.
func (in *Input) keyGaps(r Row, a Application) []Gap {
	if a.Kind != Self {
		return nil
	}
	var gaps []Gap
	for _, k := range in.Keys {
		if slices.ContainsFunc(k.Actions, r.approves) {
			gaps = append(gaps, Gap{Kind: OpenKey, Application: a.Name, Account: k.Account, Sentence: k.sentence()})
		}
	}
	return gaps
}

// approves reports whether the row demands an approval of this action.
func (r Row) approves(action string) bool {
	return slices.ContainsFunc(r.Ties, func(t Tie) bool {
		return slices.Contains(t.Kinds, Self) && len(t.Actions) > 0 && t.about(action)
	})
}

// opening is the key with what it opens: the rows, and those of its actions alone.
func (k Key) opening() Key {
	var actions []string
	k.Opens = nil
	for _, r := range rows {
		opens := false
		for _, a := range k.Actions {
			if r.approves(a) {
				if opens = true; !slices.Contains(actions, a) {
					actions = append(actions, a)
				}
			}
		}
		if opens {
			k.Opens = append(k.Opens, r.ID)
		}
	}
	slices.Sort(actions)
	k.Actions = actions
	return k
}

// name is which key it is.
func (k Key) name() string {
	note := ""
	if k.Note != "" {
		note = " (" + k.Note + ")"
	}
	return fmt.Sprintf("%d of %s%s, until %s", k.Number, k.Account, note, k.Expires.UTC().Format("2006-01-02 15:04Z"))
}

// line is an opening key in one line.
func (k Key) line() string {
	return k.name() + ": " + strings.Join(k.Opens, ", ") + ", for " + strings.Join(k.Actions, ", ")
}

// sentence is the same in every row, so that a list of causes has each key once.
func (k Key) sentence() string {
	return fmt.Sprintf("The automation key %s, does %s without an approval of its own; end it when its work is done: countersign authenticator revoke %s %d.",
		k.name(), strings.Join(k.opening().Actions, ", "), k.Account, k.Number)
}

// openingKeys are the keys that open any row, those that end first at the top.
func openingKeys(keys []Key) []Key {
	var out []Key
	for _, k := range keys {
		if k = k.opening(); len(k.Opens) > 0 {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b Key) int { return a.Expires.Compare(b.Expires) })
	return out
}

package site

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"countersign/internal/admin/application"
	"countersign/internal/signin"
	words "countersign/internal/text"
)

// What a change is about.
const (
	groupKind       = "group"
	applicationKind = "application"
	policyKind      = "policy"
)

// What happens to it. Extra is here and not in the file, and stays.
const (
	Made    = "make"
	Changed = "change"
	Removed = "remove"
	Extra   = "not in the file"
)

// Change is one thing that a file makes, changes or removes.
type Change struct {
	What   string  `json:"what"`
	Kind   string  `json:"kind"`
	Name   string  `json:"name"`
	Fields []Field `json:"fields,omitempty"`
	// Lines are those that a document gains (+) and loses (-).
	Lines []string `json:"lines,omitempty"`
}

// Field is one value, before and after. Values are JSON where they are settings; of a secret
// both are hidden.
type Field struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Difference is what a file comes to.
type Difference struct {
	// Same says that the installation is as the file says.
	Same    bool     `json:"same"`
	Changes []Change `json:"changes"`
	// Text is what is approved, complete.
	Text string `json:"text"`
}

func (w *work) difference() Difference {
	d := Difference{Changes: w.changes}
	if d.Changes == nil {
		d.Changes = []Change{}
	}
	doing := slices.DeleteFunc(slices.Clone(w.changes), func(c Change) bool { return c.What == Extra })
	d.Same = len(d.Changes) == 0
	d.Text = approved(doing)
	return d
}

// Nothing is the text of a file that changes nothing.
const Nothing = "nothing: the installation is as the file says"

// approved is the text for approval: with all values where that is short enough to be read,
// else with names, else with numbers. A shorter one ends with a digest of the longest, so that
// it stands for exactly these changes.
func approved(changes []Change) string {
	if len(changes) == 0 {
		return Nothing
	}
	whole := join(changes, Change.full)
	if besides+len(whole) <= words.Longest {
		return whole
	}
	sum := sha256.Sum256([]byte(whole))
	digest := "; all values: " + hex.EncodeToString(sum[:16])
	if brief := join(changes, Change.brief); besides+len(brief)+len(digest) <= words.Longest {
		return brief + digest
	}
	return counted(changes) + digest
}

func join(changes []Change, write func(Change) string) string {
	out := make([]string, len(changes))
	for i, c := range changes {
		out[i] = write(c)
	}
	return strings.Join(out, "; ")
}

func (c Change) title() string {
	if c.Kind == policyKind {
		return "change the policy"
	}
	return c.What + " " + c.Kind + " " + words.Name(c.Name)
}

func (c Change) full() string {
	out := c.title()
	for i, f := range c.Fields {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		switch out += sep + words.OneLine(f.Name); {
		case f.Before == "":
			out += " " + words.Quote(f.After)
		case f.Before == f.After: // two secrets
			out += " another secret"
		case f.After == "":
			out += " no longer " + words.Quote(f.Before)
		default:
			out += " from " + words.Quote(f.Before) + " to " + words.Quote(f.After)
		}
	}
	return out
}

func (c Change) brief() string {
	names := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		names[i] = words.OneLine(f.Name)
	}
	if c.What != Changed || len(names) == 0 {
		return c.title()
	}
	return c.title() + ": " + strings.Join(names, ", ")
}

func counted(changes []Change) string {
	count := map[string]int{}
	var order []string
	for _, c := range changes {
		what := c.What + " %d " + c.Kind + "s"
		if c.Kind == policyKind {
			what = "change the policy"
		}
		if count[what]++; count[what] == 1 {
			order = append(order, what)
		}
	}
	for i, what := range order {
		if strings.Contains(what, "%d") {
			order[i] = fmt.Sprintf(what, count[what])
		}
	}
	return strings.Join(order, "; ")
}

// compareTexts are those fields whose two texts differ.
func compareTexts(all ...Field) []Field {
	return slices.DeleteFunc(slices.Clone(all), func(f Field) bool { return f.Before == f.After })
}

// compareSettings lists where two settings differ, by the path of each value.
func compareSettings(secret func(string) bool, before, after json.RawMessage) ([]Field, error) {
	old, err := application.Decoded(before)
	if err != nil {
		return nil, err
	}
	now, err := application.Decoded(after)
	if err != nil {
		return nil, err
	}
	return (&comparer{secret: secret}).compare("settings", old, now, false).out, nil
}

type comparer struct {
	secret func(string) bool
	out    []Field
}

// compare goes down where both are alike in kind. hidden is inside a secret.
func (c *comparer) compare(path string, old, now any, hidden bool) *comparer {
	if reflect.DeepEqual(old, now) {
		return c
	}
	a, wasMap := old.(map[string]any)
	b, isMap := now.(map[string]any)
	if (wasMap || old == nil) && isMap && !hidden {
		for _, k := range keysOf(a, b) {
			c.compare(path+"."+k, a[k], b[k], c.secret(k))
		}
		return c
	}
	x, wasList := old.([]any)
	y, isList := now.([]any)
	if wasList && isList && !hidden && (structured(x) || structured(y)) {
		for i := range max(len(x), len(y)) {
			c.compare(path+"["+strconv.Itoa(i)+"]", at(x, i), at(y, i), false)
		}
		return c
	}
	c.out = append(c.out, Field{path, c.written(old, hidden), c.written(now, hidden)})
	return c
}

// written is a value as JSON, with the secrets in it hidden; empty for none.
func (c *comparer) written(v any, hidden bool) string {
	if v == nil {
		return ""
	}
	if hidden {
		return application.HiddenSecret
	}
	b, err := json.Marshal(application.Hide(c.secret, v))
	if err != nil {
		return "(unreadable)"
	}
	return string(b)
}

func structured(l []any) bool {
	return slices.ContainsFunc(l, func(v any) bool {
		_, ok := v.(map[string]any)
		return ok
	})
}

func at(l []any, i int) any {
	if i < len(l) {
		return l[i]
	}
	return nil
}

func keysOf(a, b map[string]any) []string {
	var out []string
	for _, m := range []map[string]any{a, b} {
		for k := range m {
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	slices.Sort(out)
	return out
}

// policyFields say which document takes which one's place.
func policyFields(now signin.Document, body string) []Field {
	sum := sha256.Sum256([]byte(body))
	return []Field{{"document", fmt.Sprintf("version %d, %d lines", now.Version, len(split(now.Body))), fmt.Sprintf("%d lines, %s", len(split(body)), hex.EncodeToString(sum[:16]))}}
}

package console

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// form is what was typed into a form, and what is wrong with it.
type form struct {
	values url.Values
	// problems are by the name of a field; "" is the form as a whole.
	problems map[string]string
	prefix   string
	// err is what admin said, for a page that can show more of it.
	err error
}

// typed makes a form of what was posted or kept. A nil map is an empty form.
func typed(values url.Values) *form {
	if values == nil {
		values = url.Values{}
	}
	return &form{values: values, problems: map[string]string{}}
}

// filled is a form that nobody has typed in yet: pairs of name and value.
func filled(pairs ...string) *form {
	f := typed(nil)
	for i := 0; i+1 < len(pairs); i += 2 {
		f.values.Set(pairs[i], pairs[i+1])
	}
	return f
}

// as gives the form's fields ids of their own on a page of several forms.
func (f *form) as(prefix string) *form {
	f.prefix = prefix
	return f
}

// Under is the same form with ids of its own, for fields that are on the page a
// second time.
func (f *form) Under(prefix string) *form {
	c := *f
	return c.as(prefix)
}

func (f *form) text(name string) string { return strings.TrimSpace(f.values.Get(name)) }

// lines are the lines of a text area that are not blank.
func (f *form) lines(name string) []string {
	var out []string
	for line := range strings.Lines(f.values.Get(name)) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// wrong notes what is wrong with a field. The first thing stands. A field that
// the form does not show is the form as a whole.
func (f *form) wrong(field, sentence string) {
	if f.problems[field] == "" {
		f.problems[field] = sentence
	}
}

// must notes a field that was left empty.
func (f *form) must(name, sentence string) string {
	s := f.text(name)
	if s == "" {
		f.wrong(name, sentence)
	}
	return s
}

// Bad reports whether something is wrong with it.
func (f *form) Bad() bool { return f.bad() }

func (f *form) bad() bool { return len(f.problems) > 0 }

// problem is the sentence above a page whose form has something wrong: all that
// no field of the page shows, or where to look.
func (f *form) problem(shown ...string) string {
	var loose []string
	for field, sentence := range f.problems {
		if !slices.Contains(shown, field) {
			loose = append(loose, sentence)
		}
	}
	slices.Sort(loose)
	switch {
	case len(loose) > 0:
		return strings.Join(loose, " ")
	case f.bad():
		return "Nothing was changed yet. See what is marked below."
	}
	return ""
}

// Has reports whether one of the values of a field is this one.
func (f *form) Has(name, value string) bool { return slices.Contains(f.values[name], value) }

// Problem is what is wrong with a field, or empty.
func (f *form) Problem(name string) string { return f.problems[name] }

// field is one input, for the template of that name.
type field struct {
	ID, Name, Label, Kind    string
	Help, Value, Wrong, Auto string
	Required, Code, Plain    bool
	Rows, Most               int
	Choices                  []choice
}

// choice is one value of a list.
type choice struct{ Value, Text string }

// Field begins an input with its label and with what was typed.
func (f *form) Field(name, label string) field {
	id := name
	if f.prefix != "" {
		id = f.prefix + "-" + name
	}
	return field{ID: id, Name: name, Label: label, Kind: "text", Value: f.values.Get(name), Wrong: f.problems[name], Auto: "off"}
}

// Says adds a hint.
func (f field) Says(help string) field { f.Help = help; return f }

// Must marks it as required.
func (f field) Must() field { f.Required = true; return f }

// As sets the kind of input: search, email, password, number, datetime-local.
func (f field) As(kind string) field { f.Kind = kind; return f }

// Tall makes it a text area.
func (f field) Tall(rows int) field { f.Rows = rows; return f }

// Mono is for what is code.
func (f field) Mono() field { f.Code = true; return f }

// Bare has no word on whether it may stay empty.
func (f field) Bare() field { f.Plain = true; return f }

// Of makes it a list to choose from.
func (f field) Of(choices []choice) field { f.Choices = choices; return f }

// Describes are the ids of what belongs to it.
func (f field) Describes() string {
	var ids []string
	if f.Wrong != "" {
		ids = append(ids, f.ID+"-wrong")
	}
	if f.Help != "" {
		ids = append(ids, f.ID+"-hint")
	}
	return strings.Join(ids, " ")
}

// choices makes a list of pairs of value and text.
func choices(pairs ...string) []choice {
	var out []choice
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, choice{pairs[i], pairs[i+1]})
	}
	return out
}

// Same is the form itself where a field has this value, and an empty one
// otherwise: which of several like forms was sent.
func (f *form) Same(name string, value any) *form {
	if f.text(name) == fmt.Sprint(value) {
		return f
	}
	return typed(nil).as(f.prefix + "-" + fmt.Sprint(value))
}

// Or gives a field what it begins with.
func (f *form) Or(name, value string) *form {
	if f.values.Get(name) == "" {
		f.values.Set(name, value)
	}
	return f
}

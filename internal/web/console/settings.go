package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"countersign/internal/admin/application"
	"countersign/internal/protocol"
)

// The settings of each protocol are its own: here they are JSON with the fields
// that the protocol's description has, and what it does not have is left as it is.

func decodeNumbers(text string, into any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(into)
}

// rowNumbers counts the rows that the form has of a group: those that were filled in
// or sent, at least one, and one more where that was asked for.
func rowNumbers(f *form, g protocol.Group) []int {
	n := 1
	for i := range mostRows {
		if _, ok := f.values[rowName(g.Row, g.Fields[0].Name, i)]; ok {
			n = max(n, i+1)
		}
	}
	if f.text(moreField) == g.Row {
		n = min(n+1, mostRows)
	}
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// mostRows bounds what one form is read for.
const mostRows = 200

// rowName is the name of an input of a row.
func rowName(row, name string, i int) string { return fmt.Sprint(row, "-", name, "-", i) }

func (f *form) row(kind, name string, i int) string {
	return f.text(rowName(kind, name, i))
}

func (f *form) setRow(kind, name string, i int, value string) {
	f.values.Set(rowName(kind, name, i), value)
}

// Row begins an input of a row.
func (f *form) Row(kind, name string, i int, label string) field {
	return f.Field(rowName(kind, name, i), label)
}

// Text is what was typed into a field.
func (f *form) Text(name string) string { return f.text(name) }

// RowText is what was typed into a field of a row.
func (f *form) RowText(kind, name string, i int) string { return f.row(kind, name, i) }

// words are what is separated by commas or white space.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

// put sets a field, or takes it away where there is nothing to set.
func put(m map[string]any, key string, value any, there bool) {
	if there {
		m[key] = value
		return
	}
	delete(m, key)
}

// fillSettings fills a form in with settings as they are stored, and reports whether
// it could: what cannot be read is for the advanced form alone, and then nothing is
// filled in.
func fillSettings(f *form, groups []protocol.Group, settings json.RawMessage) bool {
	stored := map[string]any{}
	if decodeNumbers(string(settings), &stored) != nil {
		return false
	}
	filled := typed(nil)
	for _, g := range groups {
		if !fillGroup(filled, g, stored) {
			return false
		}
	}
	maps.Copy(f.values, filled.values)
	return true
}

func fillGroup(f *form, g protocol.Group, stored map[string]any) bool {
	if g.List == "" {
		return fillFields(f, g.Fields, stored, func(name string) string { return name })
	}
	objects, ok := stored[g.List].([]any)
	if !ok && stored[g.List] != nil {
		return false
	}
	for i, o := range objects {
		object, ok := o.(map[string]any)
		if !ok || !fillFields(f, g.Fields, object, func(name string) string { return rowName(g.Row, name, i) }) {
			return false
		}
		if g.Remove != "" {
			f.setRow(g.Row, "was", i, f.row(g.Row, "name", i))
		}
	}
	return true
}

func fillFields(f *form, fields []protocol.Field, stored map[string]any, input func(name string) string) bool {
	for _, field := range fields {
		if field.Kind == protocol.Secret || field.Kind == protocol.Vouches || stored[field.Name] == nil {
			continue
		}
		text, ok := written(field.Kind, stored[field.Name])
		if !ok {
			return false
		}
		f.values.Set(input(field.Name), text)
	}
	return true
}

// written is a stored value as it is typed.
func written(kind protocol.Kind, value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, kind == protocol.Text
	case json.Number:
		return value.String(), kind == protocol.Number
	case []any:
		var out []string
		for _, v := range value {
			var text string
			var ok bool
			switch v := v.(type) {
			case string:
				text, ok = v, kind == protocol.Lines || kind == protocol.Words
			case json.Number:
				text, ok = v.String(), kind == protocol.Numbers
			}
			if !ok {
				return "", false
			}
			out = append(out, text)
		}
		if kind == protocol.Lines {
			return strings.Join(out, "\n"), true
		}
		return strings.Join(out, ", "), true
	}
	return "", false
}

// setSettings puts what the form says of the settings into them.
func setSettings(f *form, groups []protocol.Group, base map[string]any) {
	for _, g := range groups {
		if g.List != "" {
			objects := setRows(f, g, base)
			put(base, g.List, objects, len(objects) > 0)
			continue
		}
		setFields(f, g.Fields, base, func(name string) string { return name })
	}
}

// setRows keeps of every stored object of a list what the form does not have, such
// as a client's exceptions, where they are told apart by their names.
func setRows(f *form, g protocol.Group, base map[string]any) []any {
	stored := byName(base[g.List])
	out := []any{}
	for i := range mostRows {
		input := func(name string) string { return rowName(g.Row, name, i) }
		if f.row(g.Row, "gone", i) != "" || empty(f, g.Fields, input) {
			continue
		}
		object := map[string]any{}
		if g.Remove != "" {
			maps.Copy(object, stored[f.row(g.Row, "was", i)])
		}
		setFields(f, g.Fields, object, input)
		out = append(out, object)
	}
	return out
}

func byName(list any) map[string]map[string]any {
	out := map[string]map[string]any{}
	objects, _ := list.([]any)
	for _, o := range objects {
		if object, ok := o.(map[string]any); ok {
			name, _ := object["name"].(string)
			out[name] = object
		}
	}
	return out
}

// empty reports whether nothing was typed into any field of a row.
func empty(f *form, fields []protocol.Field, input func(name string) string) bool {
	return !slices.ContainsFunc(fields, func(field protocol.Field) bool { return f.text(input(field.Name)) != "" })
}

func setFields(f *form, fields []protocol.Field, into map[string]any, input func(name string) string) {
	for _, field := range fields {
		switch field.Kind {
		case protocol.Vouches: // is the application's own
		case protocol.Secret:
			setSecret(f, field, into, input(field.Name))
		default:
			value, there := typedAs(f, field, input(field.Name))
			if !there && field.Missing != "" {
				f.wrong(input(field.Name), field.Missing)
			}
			put(into, field.Name, value, there)
		}
	}
}

// setSecret keeps the stored secret where none was typed: admin puts it back.
func setSecret(f *form, field protocol.Field, into map[string]any, input string) {
	typed := f.text(input)
	if typed == "" && into[field.Name] != nil {
		typed = application.HiddenSecret
	}
	if typed == "" && field.Missing != "" {
		f.wrong(input, field.Missing)
	}
	put(into, field.Name, typed, typed != "")
}

// typedAs is what was typed as the value of a setting, and whether there is any.
func typedAs(f *form, field protocol.Field, input string) (value any, there bool) {
	text := f.text(input)
	if field.Spelled != nil {
		text = field.Spelled(text)
	}
	switch field.Kind {
	case protocol.Number:
		return whole(f, field, input, text), text != ""
	case protocol.Lines:
		lines := f.lines(input)
		return lines, len(lines) > 0
	case protocol.Words:
		return words(text), len(words(text)) > 0
	case protocol.Numbers:
		var out []int
		for _, w := range words(text) {
			out = append(out, whole(f, field, input, w))
		}
		return out, len(out) > 0
	}
	return text, text != ""
}

// whole is a whole number that was typed.
func whole(f *form, field protocol.Field, input, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil && text != "" {
		f.wrong(input, cmp.Or(field.Wrong, "Write a number."))
	}
	return n
}

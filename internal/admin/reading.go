package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/text"
)

// toldAt is a command that says more than its fields do: what stands now, words for a value
// that people do not read, the rows of a document.
type toldAt[D any] interface {
	Tell(ctx context.Context, desk D, s *Sheet) error
}

// saidTo is a command whose exact text holds a digest: what it says without it.
type saidTo interface{ Said() string }

// Sheet is the reading of a command as it is put together. Each field of the command has a
// row, unless the command says what stands there instead: so nothing is left out because
// somebody forgot it.
type Sheet struct {
	before map[string]string
	says   map[string]string
	rows   map[string][]prompt.Field
	added  []prompt.Field
}

// Was says what a field is now, by its name in JSON.
func (s *Sheet) Was(field, value string) { s.before[field] = text.OneLine(value) }

// Says has words stand for the value of a field.
func (s *Sheet) Says(field, words string) { s.says[field] = text.OneLine(words) }

// Rows has rows stand in the place of a field; none leaves it out, which is for what only
// machines compare: it is bound by the exact text all the same.
func (s *Sheet) Rows(field string, rows ...prompt.Field) {
	if rows == nil {
		rows = []prompt.Field{}
	}
	s.rows[field] = rows
}

// Adds adds a row that is no field of the command. Texts of others are escaped before.
func (s *Sheet) Adds(rows ...prompt.Field) { s.added = append(s.added, rows...) }

// Reading is what a person reads before they approve a command. It tells what exists, so it
// is for who may do the command, as [Admin.Preflight] is.
func (a *Admin) Reading(ctx context.Context, c Command) (*prompt.Reading, error) {
	s := &Sheet{before: map[string]string{}, says: map[string]string{}, rows: map[string][]prompt.Field{}}
	if t, ok := a.task(c); ok && t.tell != nil {
		if err := t.tell(ctx, s); err != nil && failure.ClassOf(err) != failure.NotFound {
			return nil, err
		}
	}
	out := &prompt.Reading{Action: c.Action(), Object: c.Object(), Title: a.titles(c.Action()), Text: c.Object()}
	if t, ok := c.(saidTo); ok {
		out.Text = t.Said()
	}
	s.fields(reflect.ValueOf(c).Elem(), &out.Fields)
	out.Fields = append(out.Fields, s.added...)
	return out, nil
}

// fields adds a row for each field, those of an embedded struct among them.
func (s *Sheet) fields(v reflect.Value, out *[]prompt.Field) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			s.fields(v.Field(i), out)
			continue
		}
		if rows, ok := s.rows[name]; ok {
			*out = append(*out, rows...)
			continue
		}
		row := prompt.Field{Name: called(name), Before: s.before[name], After: value(v.Field(i))}
		if says, ok := s.says[name]; ok {
			row.After = says
		}
		if row.Before != "" || row.After != "" {
			*out = append(*out, row)
		}
	}
}

// called is a field's name for people: "at_risk" is "At risk".
func called(name string) string {
	words := strings.ReplaceAll(name, "_", " ")
	if words == "" {
		return words
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// value writes a field's value on one line; what was left out is empty.
func value(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	switch x := v.Interface().(type) {
	case time.Time:
		return x.UTC().Format(time.RFC3339)
	case json.RawMessage:
		return text.OneLine(string(x))
	case []string:
		return Listed(x)
	case string:
		return text.OneLine(x)
	case bool:
		return "yes"
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	}
	return text.OneLine(fmt.Sprint(v.Interface()))
}

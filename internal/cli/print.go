package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	words "countersign/internal/text"
)

// print writes an answer for a person, or as JSON.
func (c connection) print(w io.Writer, raw json.RawMessage) error {
	if c.JSON {
		var b bytes.Buffer
		if err := json.Indent(&b, raw, "", "  "); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, b.String())
		return err
	}
	v, err := parseOrdered(raw)
	if err != nil {
		return err
	}
	return show(w, v)
}

// field is one member of an object, in the order in which it was written.
type field struct {
	name  string
	value any
}

type fields []field

func (f fields) get(name string) any {
	for _, x := range f {
		if x.name == name {
			return x.value
		}
	}
	return nil
}

// parseOrdered reads JSON into fields, []any, string, json.Number, bool and nil.
func parseOrdered(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return parseValue(d)
}

func parseValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		out := fields{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			out = append(out, field{fmt.Sprint(name), v})
		}
		_, err = d.Token()
		return out, err
	case json.Delim('['):
		out := []any{}
		for d.More() {
			v, err := parseValue(d)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err = d.Token()
		return out, err
	}
	return t, nil
}

func show(w io.Writer, v any) error {
	switch v := v.(type) {
	case []any:
		return table(w, v)
	case fields:
		if list, ok := onlyList(v); ok {
			if err := table(w, list); err != nil {
				return err
			}
			switch next := v.get("next").(type) {
			case string:
				fmt.Fprintf(w, "There is more: go on with --after %s\n", words.Seen(next))
			case json.Number:
				fmt.Fprintf(w, "There is more: go on with --before %s\n", next)
			}
			return nil
		}
		return card(w, v)
	}
	_, err := fmt.Fprintln(w, text(v))
	return err
}

// onlyList finds the list that an answer is about, beside a word on where to go
// on.
func onlyList(f fields) ([]any, bool) {
	var list []any
	found := false
	for _, x := range f {
		switch v := x.value.(type) {
		case []any:
			if found {
				return nil, false
			}
			list, found = v, true
		default:
			if x.name != "next" {
				return nil, false
			}
		}
	}
	return list, found
}

// brief are the columns of lists whose rows hold more than fits a line.
var brief = [][]string{
	{"seq", "time", "event", "outcome", "actor", "account_name", "application", "source", "reason"},
	{"number", "host", "source", "agent", "evidence", "seen", "expires"},
	{"name", "display", "state", "ends", "groups", "authenticators", "used"},
}

// columns are the fields of the rows that say anything, in the order of the
// first row that has them.
func columns(rows []any) []string {
	var out []string
	for _, r := range rows {
		f, ok := r.(fields)
		if !ok {
			return nil
		}
		for _, x := range f {
			if text(x.value) != "" && !slices.Contains(out, x.name) {
				out = append(out, x.name)
			}
		}
		if explained(f) != "" && !slices.Contains(out, "reason") {
			out = append(out, "reason")
		}
	}
	for _, b := range brief {
		if len(out) > len(b) && slices.Contains(out, b[0]) && slices.Contains(out, b[2]) {
			return slices.DeleteFunc(slices.Clone(b), func(n string) bool { return !slices.Contains(out, n) })
		}
	}
	return out
}

func table(w io.Writer, rows []any) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "Nothing.")
		return err
	}
	names := columns(rows)
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if names == nil {
		for _, r := range rows {
			fmt.Fprintln(t, text(r))
		}
		return flush(w, t, &b)
	}
	fmt.Fprintln(t, headings(names))
	for _, r := range rows {
		cells := make([]string, len(names))
		for i, n := range names {
			cells[i] = strings.Join(strings.Fields(cell(r.(fields), n, names)), " ")
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return flush(w, t, &b)
}

// cell is one field of a row. A state is told with what keeps an account out
// besides, where that has no column of its own: who has ended or is dormant is not just active.
func cell(f fields, name string, columns []string) string {
	s := text(f.get(name))
	if why := explained(f); name == "reason" && why != "" {
		return strings.TrimPrefix(s+": "+why, ": ")
	}
	if name != "state" {
		return s
	}
	for _, besides := range []string{"ended", "dormant", "at_risk"} {
		if v := f.get(besides); v != nil && v != false && !slices.Contains(columns, besides) {
			s += ", " + title(besides)
		}
	}
	return s
}

// explained is what an entry of the log says beyond its word of why: what is wrong and how to
// mend it, what a server answered, which card it was.
func explained(f fields) string {
	detail, ok := f.get("detail").(fields)
	if !ok || f.get("event") == nil {
		return ""
	}
	for _, name := range []string{"mend", "answer", "detail"} {
		if s := text(detail.get(name)); s != "" {
			return s
		}
	}
	return ""
}

func headings(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToUpper(title(n))
	}
	return strings.Join(out, "\t")
}

// flush writes the lines without the spaces that end them.
func flush(w io.Writer, t *tabwriter.Writer, b *strings.Builder) error {
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// card prints one thing: its plain fields, then its lists, then its long text.
func card(w io.Writer, f fields) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var long []field
	for _, x := range f {
		list, isList := x.value.([]any)
		_, isObject := x.value.(fields)
		switch s := text(x.value); {
		case s == "":
		case isDocument(x), isObject, isList && len(list) > 0 && isRow(list[0]):
			long = append(long, x)
		default:
			fmt.Fprintf(t, "%s\t%s\n", title(x.name), s)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range long {
		if len(long) > 1 || len(long) < len(f) {
			fmt.Fprintf(w, "\n%s:\n", title(x.name))
		}
		if err := showLong(w, x.value); err != nil {
			return err
		}
	}
	return nil
}

// documents are the fields whose text has lines of its own. In every other field a
// line break is something that somebody typed, and is printed as one.
var documents = []string{"body", "text", "checkpoint"}

func isDocument(f field) bool {
	s, ok := f.value.(string)
	return ok && slices.Contains(documents, f.name) && strings.Contains(strings.TrimRight(s, "\n"), "\n")
}

func isRow(v any) bool { _, ok := v.(fields); return ok }

func showLong(w io.Writer, v any) error {
	switch v := v.(type) {
	case string:
		_, err := fmt.Fprintln(w, words.Lines(strings.TrimRight(v, "\n")))
		return err
	case fields:
		return card(w, v)
	}
	return show(w, v)
}

// text writes a value in one line, and a moment in the chosen zone. Nothing that was
// typed somewhere moves this terminal, ends the line or stays unseen.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return moment(t)
		}
		return words.Seen(strings.TrimRight(v, "\n"))
	case bool:
		if !v {
			return "no"
		}
		return "yes"
	case json.Number:
		return v.String()
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, text(x))
		}
		return strings.Join(parts, ", ")
	case fields:
		if name, via := v.get("name"), v.get("via"); len(v) <= 3 && name != nil && (via != nil || len(v) == 1) {
			return text(name) + by(via) // who did something, and by which way
		}
		if kind, traits := v.get("kind"), v.get("traits"); kind != nil && traits != nil {
			return text(kind) // evidence, as people call it
		}
		var parts []string
		for _, x := range v {
			if s := text(x.value); s != "" {
				parts = append(parts, words.Seen(x.name)+"="+quoteIf(s))
			}
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v)
}

// title is the name of a field as people read it; some are made by others.
func title(name string) string { return words.Seen(strings.ReplaceAll(name, "_", " ")) }

func by(via any) string {
	if via == nil {
		return ""
	}
	return " by " + text(via)
}

func quoteIf(s string) string {
	if strings.ContainsAny(s, " =\"") {
		return strconv.Quote(s)
	}
	return s
}

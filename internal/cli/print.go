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

	"countersign/internal/admin"
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
	v, err := admin.Ordered(raw)
	if err != nil {
		return err
	}
	return show(w, v)
}

// fields are those of an answer, in the order in which the server wrote them.
type fields = admin.Object

func show(w io.Writer, v any) error {
	switch v := v.(type) {
	case []any:
		return table(w, v)
	case fields:
		if list, ok := onlyList(v); ok {
			if err := table(w, list); err != nil {
				return err
			}
			switch next := v.Get("next").(type) {
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
		switch v := x.Value.(type) {
		case []any:
			if found {
				return nil, false
			}
			list, found = v, true
		default:
			if x.Name != "next" {
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
			if text(x.Value) != "" && !slices.Contains(out, x.Name) {
				out = append(out, x.Name)
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
	s := text(f.Get(name))
	if why := explained(f); name == "reason" && why != "" {
		return strings.TrimPrefix(s+": "+why, ": ")
	}
	if name != "state" {
		return s
	}
	for _, besides := range []string{"ended", "dormant", "at_risk"} {
		if v := f.Get(besides); v != nil && v != false && !slices.Contains(columns, besides) {
			s += ", " + title(besides)
		}
	}
	return s
}

// explained is what an entry of the log says beyond its word of why: what is wrong and how to
// mend it, what a server answered, which card it was.
func explained(f fields) string {
	detail, ok := f.Get("detail").(fields)
	if !ok || f.Get("event") == nil {
		return ""
	}
	for _, name := range []string{"mend", "answer", "detail"} {
		if s := text(detail.Get(name)); s != "" {
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
	var long fields
	for _, x := range f {
		list, isList := x.Value.([]any)
		_, isObject := x.Value.(fields)
		switch s := text(x.Value); {
		case s == "":
		case isDocument(x), isObject, isList && len(list) > 0 && isRow(list[0]):
			long = append(long, x)
		default:
			fmt.Fprintf(t, "%s\t%s\n", title(x.Name), s)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range long {
		if len(long) > 1 || len(long) < len(f) {
			fmt.Fprintf(w, "\n%s:\n", title(x.Name))
		}
		if err := showLong(w, x.Value); err != nil {
			return err
		}
	}
	return nil
}

// documents are the fields whose text has lines of its own. In every other field a
// line break is something that somebody typed, and is printed as one.
var documents = []string{"body", "text", "checkpoint"}

func isDocument(f admin.Member) bool {
	s, ok := f.Value.(string)
	return ok && slices.Contains(documents, f.Name) && strings.Contains(strings.TrimRight(s, "\n"), "\n")
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
		if name, via := v.Get("name"), v.Get("via"); len(v) <= 3 && name != nil && (via != nil || len(v) == 1) {
			return text(name) + by(via) // who did something, and by which way
		}
		if kind, traits := v.Get("kind"), v.Get("traits"); kind != nil && traits != nil {
			return text(kind) // evidence, as people call it
		}
		var parts []string
		for _, x := range v {
			if s := text(x.Value); s != "" {
				parts = append(parts, words.Seen(x.Name)+"="+quoteIf(s))
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

package store

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// alike are statements of one text, whose arguments have the same types. PostgreSQL is sent one
// statement for all of them: parsing its message, setting up its plan and answering it costs
// more than a row. The text for all is made of the text for one.
type alike struct {
	query string
	kinds string // of each argument: see kindsOf
	write bool
	rows  int64   // that each write is expected to affect
	args  [][]any // of each statement
	touch touched
}

// form is the text for all, or nil if each is sent by itself: there is one, or there is no such
// text.
func (a *alike) form() *form {
	if len(a.args) < 2 || a.kinds == "" {
		return nil
	}
	f := formOf(shape{a.query, a.kinds, a.write, a.rows})
	if f.text == "" || f.refused.Load() {
		return nil
	}
	return f
}

// statements are what is sent for these.
func (a *alike) statements() []Statement {
	if f := a.form(); f != nil {
		return []Statement{{f.text, arrays(a.kinds, a.args)}}
	}
	out := make([]Statement, len(a.args))
	for i, args := range a.args {
		if out[i] = (Statement{a.query, args}); a.write {
			out[i].Query = expecting(a.query, a.rows)
		}
	}
	return out
}

// groups are sent in this order.
type groups []*alike

// place is one of the statements of a group.
type place struct{ group, at int }

// add adds a statement to the group of its like. It is run before what stands behind that
// group, so a write is added only where none of that has to do with it; otherwise a new group
// begins.
func (g *groups) add(one alike, args []any) place {
	for i := len(*g) - 1; i >= 0; i-- {
		is := (*g)[i]
		if is.query == one.query && is.kinds == one.kinds && is.rows == one.rows {
			is.args = append(is.args, args)
			return place{i, len(is.args) - 1}
		}
		if one.write && is.touch.meets(one.touch) {
			break
		}
	}
	one.args = [][]any{args}
	*g = append(*g, &one)
	return place{len(*g) - 1, 0}
}

// statements are what is sent for all groups, and how many for each.
func (g groups) statements() (all []Statement, each []int) {
	each = make([]int, len(g))
	for i, one := range g {
		s := one.statements()
		all, each[i] = append(all, s...), len(s)
	}
	return all, each
}

// answers are those to each statement, of the results of what was sent.
func (a *alike) answers(sent []Result) []Result {
	if len(sent) == len(a.args) {
		return sent
	}
	all := sent[0]
	out := make([]Result, len(a.args))
	for i := range out {
		if len(all.columns) > 0 {
			out[i].columns = all.columns[1:]
		}
	}
	for _, row := range all.rows {
		n, rest := unpack(row)
		i, err := all.columns[0].integer(n)
		if err != nil || i < 1 || i > int64(len(out)) {
			continue // an ordinality that was not asked for: PostgreSQL makes none
		}
		r := &out[i-1]
		r.rows, r.affected = append(r.rows, rest), r.affected+1
	}
	return out
}

// shape is of what the text for several is made.
type shape struct {
	query, kinds string
	write        bool
	rows         int64
}

// form is the text for several statements of one text, empty if none can be made.
type form struct {
	text string
	// proven is set once PostgreSQL has run it, and refused once it does not understand it: then
	// each statement is sent by itself.
	proven, refused atomic.Bool
}

var (
	forms     sync.Map // shape -> *form
	formTexts sync.Map // text -> *form
)

func formOf(s shape) *form {
	if f, ok := forms.Load(s); ok {
		return f.(*form)
	}
	s.query = strings.Clone(s.query)
	f := &form{text: s.read()}
	if s.write {
		f.text = s.written()
	}
	known, _ := forms.LoadOrStore(s, f)
	formTexts.Store(f.text, known)
	return known.(*form)
}

// prove notes that PostgreSQL has run these.
func prove(all []Statement) {
	for _, s := range all {
		if f, ok := formTexts.Load(s.Query); ok && !f.(*form).proven.Load() {
			f.(*form).proven.Store(true)
		}
	}
}

// refuse notes that PostgreSQL did not understand one of these, if it may be one for several:
// all that were never run are refused, since the error does not say which it was.
func refuse(all []Statement) (some bool) {
	for _, s := range all {
		if f, ok := formTexts.Load(s.Query); ok && !f.(*form).proven.Load() {
			f.(*form).refused.Store(true)
			some = true
		}
	}
	return some
}

// from is the table of all arguments, a row for each statement.
func (s shape) from(ordinality string) string {
	arrays, names := make([]string, len(s.kinds)), make([]string, len(s.kinds))
	for i := range s.kinds {
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, columnTypes[s.kinds[i]])
		names[i] = "p" + strconv.Itoa(i+1)
	}
	if ordinality != "" {
		names = append(names, ordinality)
		ordinality = " with ordinality"
	}
	return "unnest(" + strings.Join(arrays, ", ") + ")" + ordinality + " as asked (" + strings.Join(names, ", ") + ")"
}

// read runs the statement for each row of arguments. The offset keeps the planner from making
// a join of it, which could scan the whole of a small table, and so lock it: each is run as it
// is run alone.
func (s shape) read() string {
	if strings.Contains(s.query, "offset") {
		return ""
	}
	return "select asked.n, found.* from " + s.from("n") + ", lateral (" + inRow(s.query) + " offset 0) found"
}

// written is one write for all rows of arguments, which fails where one of them affects another
// number of rows than expected; so it also fails where two of them are about the same row. There
// is none for a write that reads what the others may write, nor for several rows each.
func (s shape) written() string {
	if st, err := parse(s.query); err != nil || !st.alone() || s.rows > 1 {
		return ""
	}
	var text string
	total := fmt.Sprintf("cardinality($1::%s[]) * %d", columnTypes[s.kinds[0]], s.rows)
	returning, expected := "asked.n", "count(*) = "+total+" and count(distinct n) = "+total
	switch verb, rest, _ := strings.Cut(s.query, " "); verb {
	case "insert": // at most a row for each
		text, returning, expected = s.inserted(), "1", "count(*) = "+total
	case "update":
		text = s.updated(rest)
	case "delete":
		text = s.deleted(rest)
	}
	if text == "" {
		return ""
	}
	return fmt.Sprintf("with done as (%s returning %s) select 1 / (%s)::int from done", text, returning, expected)
}

func (s shape) inserted() string {
	head, rest, ok := strings.Cut(s.query, " values (")
	if !ok {
		return ""
	}
	end := closing(rest)
	if end < 0 || strings.HasPrefix(strings.TrimSpace(rest[end+1:]), ",") {
		return ""
	}
	return head + " select " + inRow(rest[:end]) + " from " + s.from("") + inRow(rest[end+1:])
}

func (s shape) updated(rest string) string {
	table, rest, ok := strings.Cut(rest, " set ")
	what, where, some := strings.Cut(rest, " where ")
	if !ok || !some || strings.Contains(table, " ") {
		return ""
	}
	return "update " + table + " set " + inRow(what) + " from " + s.found(table, where)
}

func (s shape) deleted(rest string) string {
	rest, ok := strings.CutPrefix(rest, "from ")
	table, where, some := strings.Cut(rest, " where ")
	if !ok || !some || strings.Contains(table, " ") {
		return ""
	}
	return "delete from " + table + " using " + s.found(table, where)
}

// found finds the rows of a table as read does.
func (s shape) found(table, where string) string {
	return fmt.Sprintf("%s, lateral (select ctid as place from %s where %s offset 0) found where %s.ctid = found.place", s.from("n"), table, inRow(where), table)
}

// inRow writes the column of the arguments' table for each parameter of a statement.
func inRow(query string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(query); i++ {
		if c := query[i]; c == '\'' {
			quoted = !quoted
		} else if c == '$' && !quoted {
			b.WriteString("asked.p")
			continue
		}
		b.WriteByte(query[i])
	}
	return b.String()
}

// closing returns where the bracket closes in which a text begins, or -1.
func closing(text string) int {
	depth, quoted := 0, false
	for i, c := range []byte(text) {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')' && depth == 0:
			return i
		case c == ')':
			depth--
		}
	}
	return -1
}

// columnTypes are PostgreSQL's types of arguments.
var columnTypes = map[byte]string{'i': "bigint", 't': "text", 'b': "bytea"}

// kindsOf returns a letter for each argument: i for an integer, t for text, b for bytes. It is
// empty without arguments, and where one is of another type.
func kindsOf(args []any) string {
	kinds := make([]byte, len(args))
	for i, a := range args {
		switch v := reflect.ValueOf(a); v.Kind() {
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			kinds[i] = 'i'
		case reflect.String:
			kinds[i] = 't'
		case reflect.Slice:
			if kinds[i] = 'b'; v.Type().Elem().Kind() != reflect.Uint8 {
				return ""
			}
		default:
			return ""
		}
	}
	return string(kinds)
}

// arrays turns the arguments of statements into an array for each argument of one.
func arrays(kinds string, all [][]any) []any {
	out := make([]any, len(kinds))
	for k := range kinds {
		switch kinds[k] {
		case 'i':
			out[k] = array(all, k, func(a any) int64 {
				if n, ok := a.(int64); ok {
					return n
				}
				return reflect.ValueOf(a).Int()
			})
		case 't':
			out[k] = array(all, k, func(a any) string {
				if s, ok := a.(string); ok {
					return s
				}
				return reflect.ValueOf(a).String()
			})
		default:
			out[k] = array(all, k, func(a any) []byte {
				if b, ok := a.([]byte); ok {
					return b
				}
				return reflect.ValueOf(a).Bytes()
			})
		}
	}
	return out
}

func array[T any](all [][]any, k int, of func(any) T) []T {
	out := make([]T, len(all))
	for i, args := range all {
		out[i] = of(args[k])
	}
	return out
}

package store

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// duty is the purpose of a transaction, which decides what it may run.
type duty int

const (
	change       duty = iota // with an entry: everything but the log itself
	housekeeping             // without one: only what grants nothing
)

// chores lists what housekeeping may write: the statements allowed on tables that give
// nobody any power, and removals of what has expired.
var chores = map[string][]string{
	"attempt":          {"insert", "update", "delete"},
	"approval":         {"insert", "delete"},           // answering one is a change
	"wake":             {"insert", "update", "delete"}, // at most somebody's own app rings
	"app_count":        {"insert", "update"},           // it only says no
	"prompted":         {"insert", "update", "delete"}, // a statistic
	"counted":          {"insert", "update", "delete"}, // a statistic
	"raised":           {"insert", "delete"},           // a statistic
	"message":          {"update", "delete"},           // to queue one is a change
	"sent":             {"delete"},
	"recovery_request": {"insert", "delete"}, // a number on a page; what it leads to is a change
	"ticket":           {"insert", "update", "delete"},
	"guess":            {"insert", "update", "delete"},
	"known_source":     {"insert", "update", "delete"},
	"notice":           {"insert", "update", "delete"},
	"feed":             {"insert", "delete"},
	"destination":      {"update"},           // how far it has come, with its MAC; to begin is a change
	"signal_position":  {"insert", "update"}, // as destination; one that begins anew sends again
	"audit_checkpoint": {"insert", "delete"},
	"wrapped_key":      {"insert"},                     // the audit log's own keys come before any entry; useless without the root key
	"spent":            {"delete"},                     // by age only, see below
	"participant":      {"update", "delete"},           // when somebody is told; what is told is sealed
	"oauth_grant":      {"delete"},                     // by age only, see below
	"oauth_logout":     {"update", "delete"},           // to queue one is a change; whom it is about is sealed
	"oauth_used":       {"insert", "delete"},           // it only says no; a row that has expired is nothing
	"scim_entry":       {"insert", "update", "delete"}, // what is sent is asked of the directory each time
	"scim_target":      {"update"},                     // when everybody was looked at last
	"scim_worker":      {"insert", "update"},           // how far it has come, with its MAC
	"saml_metadata":    {"update", "delete"},           // how long it holds, sealed; one that is gone is read anew
	"session":          {"delete", "update"},           // an update of seen with its MAC only, see below
}

// closed lists the tables that only this package writes.
var closed = []string{"audit_entry", "audit_inbox", "audit_tree", "audit_checkpoint", "feed", "schema_version"}

var (
	createTable = regexp.MustCompile(`(?m)^create table (\w+)`)
	dropTable   = regexp.MustCompile(`(?m)^drop table (\w+)`)
	renameTable = regexp.MustCompile(`(?m)^alter table (\w+) rename to (\w+)`)
)

// tables lists the tables that exist after all migrations. Any other word in the place of a
// table ("only", "or", a quoted name) is refused.
var tables = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{"schema_version": true}
	steps, _ := loadSteps() // an error has kept the database from opening
	for _, s := range steps {
		for _, text := range s.statements {
			if m := createTable.FindStringSubmatch(text); m != nil {
				known[m[1]] = true
			}
			if m := dropTable.FindStringSubmatch(text); m != nil {
				delete(known, m[1])
			}
			if m := renameTable.FindStringSubmatch(text); m != nil {
				delete(known, m[1])
				known[m[2]] = true
			}
		}
	}
	return known
})

// statements caches which statements may run. Their texts are constants of the program, so
// there are few.
type statements struct {
	known  sync.Map // query -> verdict
	tables sync.Map // query -> touched
}

// touched are the tables that a statement touches.
type touched struct {
	reads  []string // each word that is the name of a table
	writes string   // empty if it only reads
}

// meets reports whether the order of two statements matters: one writes a table that the
// other reads or writes.
func (t touched) meets(other touched) bool {
	return t.writes != "" && slices.Contains(other.reads, t.writes) || other.writes != "" && slices.Contains(t.reads, other.writes)
}

func (s *statements) touches(query string) touched {
	if t, ok := s.tables.Load(query); ok {
		return t.(touched)
	}
	st, err := parse(query)
	if err != nil {
		return touched{} // it is not run either
	}
	t := touched{writes: st.table}
	words := st.words
	if st.alone() {
		words = []string{st.table}
	}
	for _, w := range words {
		if tables()[w] && !slices.Contains(t.reads, w) {
			t.reads = append(t.reads, w)
		}
	}
	s.tables.Store(strings.Clone(query), t)
	return t
}

// alone reports whether a write reads no table but its own: then a word in it that is the name
// of another table is that of a column.
func (st statement) alone() bool {
	return st.verb != "select" && !slices.ContainsFunc(st.words[2:], func(w string) bool { return w == "select" || w == "from" || w == "using" })
}

// verdict is the error for each duty, nil if the statement may run.
type verdict [2]error

func (s *statements) verdict(query string) verdict {
	if v, ok := s.known.Load(query); ok {
		return v.(verdict)
	}
	v := judge(query)
	s.known.Store(strings.Clone(query), v)
	return v
}

func judge(query string) verdict {
	st, err := parse(query)
	if err != nil {
		return verdict{err, err}
	}
	return verdict{change: st.forChange(), housekeeping: st.forHousekeeping()}
}

// statement holds the parts of an SQL statement that decide whether it may run.
type statement struct {
	verb, table string
	words       []string // all of it, in lower case
}

// parse reads the leading words. It refuses comments and several statements in one text,
// because it checks only the beginning.
func parse(query string) (statement, error) {
	for _, bad := range []string{";", "--", "/*"} {
		if strings.Contains(query, bad) {
			return statement{}, fmt.Errorf("store: a statement with %q in it", bad)
		}
	}
	words := strings.FieldsFunc(strings.ToLower(query), func(r rune) bool {
		return strings.ContainsRune(" \t\r\n(),=", r)
	})
	if len(words) < 2 {
		return statement{}, fmt.Errorf("store: not a statement: %q", query)
	}
	st := statement{verb: words[0], words: words}
	switch {
	case st.verb == "select":
		if slices.Contains(words, "into") { // makes a table in PostgreSQL
			return statement{}, errors.New("store: a select into")
		}
	case st.verb == "update":
		st.table = words[1]
	case len(words) > 2 && (st.verb == "insert" && words[1] == "into" || st.verb == "delete" && words[1] == "from"):
		st.table = words[2]
	default:
		return statement{}, fmt.Errorf("store: a statement must begin with select, insert into, update or delete from, not %q", words[0]+" "+words[1])
	}
	if st.verb != "select" && !tables()[st.table] {
		return statement{}, fmt.Errorf("store: %q is not the plain name of a known table", st.table)
	}
	return st, nil
}

func (st statement) forChange() error {
	if slices.Contains(closed, st.table) {
		return fmt.Errorf("store: only the store itself writes %s", st.table)
	}
	return nil
}

func (st statement) forHousekeeping() error {
	if st.verb == "select" {
		return nil
	}
	if !slices.Contains(chores[st.table], st.verb) {
		return fmt.Errorf("store: housekeeping may not %s %s; use Change", st.verb, st.table)
	}
	if st.table == "session" && st.verb == "update" && !st.onlySeen() {
		return errors.New("store: housekeeping may set only seen of a session; use Change")
	}
	if st.table == "spent" && !st.onlyOld("at") {
		return errors.New("store: housekeeping may forget what is spent only by its age; use Change")
	}
	if st.table == "oauth_grant" && !st.onlyOld("expires") {
		return errors.New("store: housekeeping may forget what clients were given only by its age; use Change")
	}
	return nil
}

// onlySeen reports whether an update is "update session set seen = $n, mac = $n where
// id = $n and mac = $n": the time, with the MAC that covers it, of a row that is still
// as it was read.
func (st statement) onlySeen() bool {
	shape := []string{"update", "session", "set", "seen", "$", "mac", "$", "where", "id", "$", "and", "mac", "$"}
	return slices.EqualFunc(st.words, shape, func(word, want string) bool {
		return word == want || want == "$" && strings.HasPrefix(word, "$")
	})
}

// onlyOld reports whether a delete begins "delete from t where column < $n".
func (st statement) onlyOld(column string) bool {
	w := st.words
	return len(w) > 6 && w[3] == "where" && w[4] == column && w[5] == "<" && strings.HasPrefix(w[6], "$") &&
		!slices.Contains(w, "or")
}

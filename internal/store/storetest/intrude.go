package storetest

import (
	"path/filepath"
	"strings"
	"testing"
)

// Intrude runs statements on a database by a connection of its own, as somebody does who
// has got hold of it: "create table kept as select * from session" keeps rows to be put
// back. What stands in braces is bytes, in hexadecimal.
func Intrude(tb testing.TB, dsn string, statements ...string) {
	tb.Helper()
	if strings.HasPrefix(dsn, "postgres") {
		for _, s := range statements {
			statement(tb, dsn, strings.NewReplacer("{", `'\x`, "}", "'").Replace(s))
		}
		return
	}
	raw := File(tb, dsn)
	for _, s := range statements {
		if _, err := raw.Exec(strings.NewReplacer("{", "x'", "}", "'").Replace(s)); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

// Another is the DSN of an empty database of the same engine.
func Another(tb testing.TB, dsn string) string {
	tb.Helper()
	if strings.HasPrefix(dsn, "postgres") {
		return Postgres(tb)
	}
	return filepath.Join(tb.TempDir(), "another.db")
}

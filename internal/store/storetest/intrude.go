package storetest

import (
	"database/sql"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
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
	raw, err := sql.Open("sqlite", "file:"+dsn+"?_pragma=busy_timeout(10000)")
	if err != nil {
		tb.Fatal(err)
	}
	defer raw.Close()
	for _, s := range statements {
		if _, err := raw.Exec(strings.NewReplacer("{", "x'", "}", "'").Replace(s)); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

package lite_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/store/lite"

	_ "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func open(t *testing.T) *lite.Conn {
	t.Helper()
	c, err := lite.Open(filepath.Join(t.TempDir(), "test.db"), []string{"journal_mode(WAL)"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func exec(t *testing.T, c *lite.Conn, query string, args ...any) int64 {
	t.Helper()
	n, err := c.Exec(query, args)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// one scans the only row of a query.
func one(t *testing.T, c *lite.Conn, query string, args []any, dest ...any) error {
	t.Helper()
	rows, err := c.Query(t.Context(), query, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		t.Fatalf("no row of %s: %v", query, rows.Err())
	}
	if err := rows.Scan(dest...); err != nil {
		return err
	}
	if rows.Next() || rows.Err() != nil {
		t.Fatalf("more of %s: %v", query, rows.Err())
	}
	return nil
}

type named string
type number int32

// TestScansAsDatabaseSQL: what a value is scanned into is what database/sql makes of it, and
// what that refuses is refused.
func TestScansAsDatabaseSQL(t *testing.T) {
	c := open(t)
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, value := range []string{"null", "0", "1", "-7", "9007199254740993", "1.5", "2.0", "''", "'a'", "'12'", "'ä\nb'", "x''", "x'00ff'", "x'3132'", "'true'"} {
		for _, into := range []func() any{
			func() any { return new(int64) }, func() any { return new(string) }, func() any { return new([]byte) }, func() any { return new(bool) },
			func() any { return new(int) }, func() any { return new(number) }, func() any { return new(named) },
			func() any { return new(*int64) }, func() any { return new(*string) }, func() any { return new(*[]byte) },
		} {
			ours, theirs := into(), into()
			err := one(t, c, "select "+value, nil, ours)
			want := db.QueryRow("select " + value).Scan(theirs)
			if (err == nil) != (want == nil) {
				t.Errorf("%s into a %T: %v, and database/sql %v", value, ours, err, want)
			} else if a, b := show(ours), show(theirs); err == nil && a != b {
				t.Errorf("%s into a %T: %s, and database/sql %s", value, ours, a, b)
			}
		}
	}
	var f float64
	if err := one(t, c, "select 2.5", nil, &f); err != nil || f != 2.5 {
		t.Error(f, err)
	}
	var ch chan int
	if err := one(t, c, "select 1", nil, &ch); err == nil {
		t.Error("scanned into a channel")
	}
	if err := one(t, c, "select 1", nil, 5); err == nil {
		t.Error("scanned into a number")
	}
	var a, b int64
	if err := one(t, c, "select 1", nil, &a, &b); err == nil {
		t.Error("scanned one column into two")
	}
}

func show(p any) string {
	switch p := p.(type) {
	case *[]byte:
		return fmt.Sprintf("%v %x", *p == nil, *p)
	case **int64:
		if *p != nil {
			return fmt.Sprint(**p)
		}
	case **string:
		if *p != nil {
			return fmt.Sprintf("%q", **p)
		}
	case **[]byte:
		if *p != nil {
			return fmt.Sprintf("%x", **p)
		}
	case *int64:
		return fmt.Sprint(*p)
	case *string:
		return fmt.Sprintf("%q", *p)
	case *bool:
		return fmt.Sprint(*p)
	case *int:
		return fmt.Sprint(*p)
	case *number:
		return fmt.Sprint(*p)
	case *named:
		return fmt.Sprintf("%q", string(*p))
	}
	return "nothing"
}

// TestArguments: each kind of argument comes back as it was given, in any order, also where one
// stands twice, and what has no column is refused.
func TestArguments(t *testing.T) {
	c := open(t)
	exec(t, c, "create table a (id integer primary key, t text, b blob)")
	long := strings.Repeat("long ", 1000)
	for i, v := range []struct {
		text any
		blob []byte
	}{{"", []byte{}}, {"a", []byte{0}}, {long, []byte(long)}, {nil, nil}, {(*string)(nil), nil}, {&long, []byte{}}, {"short again", []byte("x")}} {
		exec(t, c, "insert into a (b, t, id) values ($3, $2, $1)", int64(i), v.text, v.blob)
		var kindT, kindB string
		var text *string
		var blob []byte
		if err := one(t, c, "select typeof(t), t, typeof(b), b from a where id = $1 and $1 = id", []any{i}, &kindT, &text, &kindB, &blob); err != nil {
			t.Fatal(err)
		}
		want := v.text
		if p, ok := want.(*string); ok {
			if want = nil; p != nil {
				want = *p
			}
		}
		if (text == nil) != (want == nil) || text != nil && *text != want {
			t.Errorf("%d: the text came back as %v", i, text)
		}
		if (kindB == "null") != (v.blob == nil) || string(blob) != string(v.blob) {
			t.Errorf("%d: the octets came back as a %s of %d", i, kindB, len(blob))
		}
	}
	for _, v := range []any{named("x"), new(named("x")), json.RawMessage("x"), new("x")} {
		var s string
		if err := one(t, c, "select $1", []any{v}, &s); err != nil || s != "x" {
			t.Errorf("%T: %q, %v", v, s, err)
		}
	}
	for _, v := range []any{number(7), 7, new(int64(7)), new(number(7)), time.Weekday(7)} {
		var n int64
		if err := one(t, c, "select $1", []any{v}, &n); err != nil || n != 7 {
			t.Errorf("%T: %d, %v", v, n, err)
		}
	}
	for _, args := range [][]any{{}, {1, 2}, {struct{}{}}, {1.5}, {true}} {
		if err := one(t, c, "select $1", args, new(string)); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	if _, err := c.Exec("select ?", []any{1}); err == nil {
		t.Error("a parameter without a number was taken")
	}
	if n := exec(t, c, "update a set t = $1 where id < $2", "new", int64(3)); n != 3 {
		t.Errorf("%d rows", n)
	}
	if n := exec(t, c, "delete from a"); n != 7 {
		t.Errorf("%d rows", n)
	}
}

// TestCopies: what was scanned is the caller's, and what is appended to one column of a row does
// not reach the next.
func TestCopies(t *testing.T) {
	c := open(t)
	var a, b []byte
	var s string
	if err := one(t, c, "select x'0102', x'0304', 'text'", nil, &a, &b, &s); err != nil {
		t.Fatal(err)
	}
	_ = append(a, 9, 9, 9)
	if err := one(t, c, "select x'ffff', x'ffff', 'other'", nil, new([]byte), new([]byte), new(string)); err != nil {
		t.Fatal(err)
	}
	if string(a) != "\x01\x02" || string(b) != "\x03\x04" || s != "text" {
		t.Errorf("%x %x %s", a, b, s)
	}
}

// TestErrors: an error has SQLite's extended code and text, and the statement can be run again.
func TestErrors(t *testing.T) {
	c := open(t)
	exec(t, c, "create table a (id integer primary key, t text unique)")
	exec(t, c, "insert into a values ($1, $2)", 1, "x")
	for range 2 {
		_, err := c.Exec("insert into a values ($1, $2)", []any{2, "x"})
		var e *lite.Error
		if !errors.As(err, &e) || e.Code != sqlite3.SQLITE_CONSTRAINT_UNIQUE || !strings.Contains(err.Error(), "a.t") {
			t.Fatal(err)
		}
		if _, err := c.Query(t.Context(), "insert into a values ($1, $2) returning id", []any{2, "x"}); !errors.As(err, &e) || e.Code != sqlite3.SQLITE_CONSTRAINT_UNIQUE {
			t.Fatal(err)
		}
	}
	exec(t, c, "insert into a values ($1, $2)", 2, "y")
	if _, err := c.Exec("select from nothing", nil); err == nil {
		t.Error("a statement that is none was run")
	}
	if _, err := c.Exec("", nil); err == nil {
		t.Error("an empty statement was run")
	}
	if _, err := lite.Open(t.TempDir(), nil); err == nil {
		t.Error("a folder was opened")
	}
}

// TestContextEndsAQuery: a query whose context ends stops, whether it is between two rows or
// looks for the next, and the connection is as good as before.
func TestContextEndsAQuery(t *testing.T) {
	c := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := c.Query(ctx, "with recursive n (i) as (select 1 union all select i+1 from n) select i from n", nil)
	if err != nil || !rows.Next() || !rows.Next() {
		t.Fatal(err)
	}
	cancel()
	if rows.Next() || !errors.Is(rows.Err(), context.Canceled) {
		t.Fatal(rows.Err())
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.Query(ctx, "with recursive n (i) as (select 1 union all select i+1 from n) select count(*) from n", nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err := c.Query(ctx, "select 1", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	var n int64
	if err := one(t, c, "with recursive n (i) as (select 1 union all select i+1 from n where i < 100000) select count(*) from n", nil, &n); err != nil || n != 100000 {
		t.Fatal(n, err)
	}
}

// TestRowsEnd: rows are freed once, by their end, by Close, or by an error.
func TestRowsEnd(t *testing.T) {
	c := open(t)
	freed := 0
	c.Free = func(error) { freed++ }
	for _, most := range []int{0, 1, 5} {
		freed = 0
		rows, err := c.Query(t.Context(), "select 1 union all select 2", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range most {
			rows.Next()
		}
		rows.Close()
		if rows.Close(); freed != 1 || rows.Next() || rows.Scan(new(int64)) == nil {
			t.Errorf("after %d rows they were freed %d times", most, freed)
		}
	}
}

// TestManyStatements: more statements than are kept are run all the same.
func TestManyStatements(t *testing.T) {
	c := open(t)
	for i := range 1200 {
		var n int64
		if err := one(t, c, fmt.Sprintf("select %d + $1", i), []any{1}, &n); err != nil || n != int64(i)+1 {
			t.Fatal(n, err)
		}
	}
}

// TestWatched: a statement that is watched runs when the watcher lets it, and what the watcher
// says is what its caller gets.
func TestWatched(t *testing.T) {
	c := open(t)
	exec(t, c, "create table a (id integer primary key)")
	lost := errors.New("lost")
	c.Watch(func(query string, run func() error) error {
		if strings.HasPrefix(query, "insert") {
			return errors.Join(run(), lost)
		}
		return run()
	})
	if _, err := c.Exec("insert into a values (1)", nil); err != lost && !errors.Is(err, lost) {
		t.Fatal(err)
	}
	var n int64
	if err := one(t, c, "select count(*) from a", nil, &n); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if _, err := c.Query(t.Context(), "insert into a values (2) returning id", nil); !errors.Is(err, lost) {
		t.Fatal(err)
	}
	exec(t, c, "delete from a")
}

package storetest

import (
	"database/sql"
	"strconv"
	"strings"
	"testing"
)

// File opens a database beside the server: without anything of ours.
func File(tb testing.TB, dsn string) *sql.DB {
	tb.Helper()
	driver := "pgx"
	if !strings.HasPrefix(dsn, "postgres") {
		driver, dsn = "sqlite", dsn+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

// Attacker is somebody who can write to the database, and has nothing else.
type Attacker struct {
	tb   testing.TB
	file *sql.DB
	over string // PostgreSQL's word for writing numbers that it gives itself
}

// NewAttacker opens a database beside the server.
func NewAttacker(tb testing.TB, dsn string) *Attacker {
	a := &Attacker{tb: tb, file: File(tb, dsn)}
	if strings.HasPrefix(dsn, "postgres") {
		a.over = " overriding system value"
	}
	return a
}

// Do runs a statement, and fails where it touches nothing.
func (a *Attacker) Do(query string, args ...any) {
	a.tb.Helper()
	res, err := a.file.ExecContext(a.tb.Context(), query, args...)
	if err != nil {
		a.tb.Fatalf("%s: %v", query, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		a.tb.Fatalf("%s: touches nothing, %v", query, err)
	}
}

// Copied is a row as it was.
type Copied struct {
	table  string
	names  []string
	values []any
}

// Copy keeps one row of a table.
func (a *Attacker) Copy(table, where string, args ...any) Copied {
	a.tb.Helper()
	rows, err := a.file.QueryContext(a.tb.Context(), "select * from "+table+" where "+where, args...)
	if err != nil {
		a.tb.Fatal(err)
	}
	defer rows.Close()
	c := Copied{table: table}
	if c.names, err = rows.Columns(); err != nil || !rows.Next() {
		a.tb.Fatalf("no row of %s where %s: %v", table, where, err)
	}
	c.values = make([]any, len(c.names))
	into := make([]any, len(c.names))
	for i := range into {
		into[i] = &c.values[i]
	}
	if err := rows.Scan(into...); err != nil {
		a.tb.Fatal(err)
	}
	return c
}

// PutBack writes a copy, in the place of the row with the same values in these columns.
func (a *Attacker) PutBack(c Copied, key ...string) {
	a.tb.Helper()
	var where []string
	var keys []any
	for i, name := range c.names {
		for _, k := range key {
			if k == name {
				keys = append(keys, c.values[i])
				where = append(where, name+" = $"+strconv.Itoa(len(keys)))
			}
		}
	}
	if _, err := a.file.ExecContext(a.tb.Context(), "delete from "+c.table+" where "+strings.Join(where, " and "), keys...); err != nil {
		a.tb.Fatal(err)
	}
	places := make([]string, len(c.names))
	for i := range places {
		places[i] = "$" + strconv.Itoa(i+1)
	}
	a.Do("insert into "+c.table+" ("+strings.Join(c.names, ", ")+")"+a.over+" values ("+strings.Join(places, ", ")+")", c.values...)
}

// With is the copy with another value in a column.
func (c Copied) With(column string, value any) Copied {
	c.values = append([]any(nil), c.values...)
	for i, name := range c.names {
		if name == column {
			c.values[i] = value
		}
	}
	return c
}

// Of is the copy's value in a column.
func (c Copied) Of(column string) any {
	for i, name := range c.names {
		if name == column {
			return c.values[i]
		}
	}
	return nil
}

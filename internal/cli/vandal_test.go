package cli

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/internal/store/storetest"
)

// vandal is somebody who can write to the database, beside the server or while it is
// stopped: with plain SQL on the same file, or as a user of the same PostgreSQL.
type vandal struct {
	t    *testing.T
	raw  *sql.DB
	lite bool
}

func newVandal(t *testing.T, dsn string) *vandal {
	t.Helper()
	v := &vandal{t: t, lite: !strings.HasPrefix(dsn, "postgres"), raw: storetest.File(t, dsn)}
	v.raw.SetMaxOpenConns(1)
	return v
}

// eachEngine is storetest.EachDSN with a file in a folder that is there.
func eachEngine(t *testing.T, f func(t *testing.T, dsn string)) {
	t.Helper()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		if !strings.HasPrefix(dsn, "postgres") {
			dsn = filepath.Join(t.TempDir(), "countersign.db")
		}
		f(t, dsn)
	})
}

// runs runs a statement, and reports whether the database took it.
func (v *vandal) runs(query string, args ...any) error {
	_, err := v.raw.ExecContext(context.Background(), query, args...)
	return err
}

func (v *vandal) must(query string, args ...any) {
	v.t.Helper()
	if err := v.runs(query, args...); err != nil {
		v.t.Fatalf("%s: %v", query, err)
	}
}

// tables are all tables of the schema, as the engine's own catalogue has them.
func (v *vandal) tables() (names []string) {
	v.t.Helper()
	query := "select table_name from information_schema.tables where table_schema = current_schema() order by 1"
	if v.lite {
		query = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by 1"
	}
	rows, err := v.raw.Query(query)
	if err != nil {
		v.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			v.t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// record is one row, by column.
type record map[string]any

// rows are those of a table that a condition chooses, in the order of their key.
func (v *vandal) rows(table, where string) (all []record) {
	v.t.Helper()
	if where == "" {
		where = "1 = 1"
	}
	rows, err := v.raw.Query("select * from " + table + " where " + where)
	if err != nil {
		v.t.Fatalf("%s: %v", table, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		v.t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			v.t.Fatal(err)
		}
		r := record{}
		for i, n := range names {
			if b, ok := values[i].([]byte); ok {
				values[i] = slices.Clone(b)
			}
			r[n] = values[i]
		}
		all = append(all, r)
	}
	return all
}

// whereKey is the condition that finds a row by its key.
func whereKey(r record, key []string) (where string, args []any) {
	var parts []string
	for _, k := range key {
		args = append(args, r[k])
		parts = append(parts, fmt.Sprintf("%s = $%d", k, len(args)))
	}
	return strings.Join(parts, " and "), args
}

// delete removes a row.
func (v *vandal) delete(table string, r record, key []string) {
	v.t.Helper()
	where, args := whereKey(r, key)
	v.must("delete from "+table+" where "+where, args...)
}

// insert adds a row, under the number that it bears.
func (v *vandal) insert(table string, r record) error {
	names := slices.Sorted(maps.Keys(r))
	marks, args := make([]string, len(names)), make([]any, len(names))
	for i, n := range names {
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), r[n]
	}
	own := ""
	if !v.lite {
		own = "overriding system value "
	}
	return v.runs("insert into "+table+" ("+strings.Join(names, ", ")+") "+own+"values ("+strings.Join(marks, ", ")+")", args...)
}

// set changes one column of a row.
func (v *vandal) set(table string, r record, key []string, column string, value any) error {
	where, args := whereKey(r, key)
	return v.runs(fmt.Sprintf("update %s set %s = $%d where %s", table, column, len(args)+1, where), append(args, value)...)
}

// other is a value of the same type that is not this one.
func other(value any) any {
	switch is := value.(type) {
	case nil:
		return nil
	case int64:
		if is == 0 {
			return int64(1)
		}
		return is - 1
	case string:
		return is + "x"
	case []byte:
		if len(is) == 0 {
			return []byte{1}
		}
		b := slices.Clone(is)
		b[len(b)-1] ^= 1
		return b
	}
	panic(fmt.Sprintf("a value of type %T", value))
}

// columns are those of a table, in alphabetical order.
func (v *vandal) columns(table string) []string {
	v.t.Helper()
	rows, err := v.raw.Query("select * from " + table + " where 1 = 0")
	if err != nil {
		v.t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		v.t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// swap gives a column another value of its type.
func (v *vandal) swap(table string, r record, key []string, column string) error {
	value := other(r[column])
	if value == nil { // the type is not known, so one is tried after the other
		for _, try := range []any{[]byte{1}, int64(1), "x"} {
			if err := v.set(table, r, key, column, try); err == nil {
				return nil
			}
		}
		return fmt.Errorf("%s.%s takes no value", table, column)
	}
	return v.set(table, r, key, column, value)
}

// restore puts a row back as it was before a column was changed, under whichever key it is.
func (v *vandal) restore(table string, r record, key []string, column string) {
	v.t.Helper()
	if slices.Contains(key, column) {
		is := maps.Clone(r)
		is[column] = other(r[column])
		v.delete(table, is, key)
	}
	v.delete(table, r, key)
	v.back(table, r)
}

// back puts a row back as it was.
func (v *vandal) back(table string, r record) {
	v.t.Helper()
	if err := v.insert(table, r); err != nil {
		v.t.Fatalf("%s: %v", table, err)
	}
}

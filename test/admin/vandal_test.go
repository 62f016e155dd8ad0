package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/internal/servertest"
)

// tables are all tables of the schema, as the engine's own catalogue has them.
func tables(v *servertest.Vandal) (names []string) {
	v.T.Helper()
	query := "select table_name from information_schema.tables where table_schema = current_schema() order by 1"
	if v.Lite {
		query = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by 1"
	}
	rows, err := v.Raw.Query(query)
	if err != nil {
		v.T.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			v.T.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// record is one row, by column.
type record map[string]any

// rows are those of a table that a condition chooses, in the order of their key.
func rows(v *servertest.Vandal, table, where string) (all []record) {
	v.T.Helper()
	if where == "" {
		where = "1 = 1"
	}
	rows, err := v.Raw.Query("select * from " + table + " where " + where)
	if err != nil {
		v.T.Fatalf("%s: %v", table, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		v.T.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			v.T.Fatal(err)
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
func delete(v *servertest.Vandal, table string, r record, key []string) {
	v.T.Helper()
	where, args := whereKey(r, key)
	v.Must("delete from "+table+" where "+where, args...)
}

// insert adds a row, under the number that it bears.
func insert(v *servertest.Vandal, table string, r record) error {
	names := slices.Sorted(maps.Keys(r))
	marks, args := make([]string, len(names)), make([]any, len(names))
	for i, n := range names {
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), r[n]
	}
	own := ""
	if !v.Lite {
		own = "overriding system value "
	}
	return v.Runs("insert into "+table+" ("+strings.Join(names, ", ")+") "+own+"values ("+strings.Join(marks, ", ")+")", args...)
}

// set changes one column of a row.
func set(v *servertest.Vandal, table string, r record, key []string, column string, value any) error {
	where, args := whereKey(r, key)
	return v.Runs(fmt.Sprintf("update %s set %s = $%d where %s", table, column, len(args)+1, where), append(args, value)...)
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

// columnsOf are those of a table, in alphabetical order.
func columnsOf(v *servertest.Vandal, table string) []string {
	v.T.Helper()
	rows, err := v.Raw.Query("select * from " + table + " where 1 = 0")
	if err != nil {
		v.T.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		v.T.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// swap gives a column another value of its type.
func swap(v *servertest.Vandal, table string, r record, key []string, column string) error {
	value := other(r[column])
	if value == nil { // the type is not known, so one is tried after the other
		for _, try := range []any{[]byte{1}, int64(1), "x"} {
			if err := set(v, table, r, key, column, try); err == nil {
				return nil
			}
		}
		return fmt.Errorf("%s.%s takes no value", table, column)
	}
	return set(v, table, r, key, column, value)
}

// restore puts a row back as it was before a column was changed, under whichever key it is.
func restore(v *servertest.Vandal, table string, r record, key []string, column string) {
	v.T.Helper()
	if slices.Contains(key, column) {
		is := maps.Clone(r)
		is[column] = other(r[column])
		delete(v, table, is, key)
	}
	delete(v, table, r, key)
	back(v, table, r)
}

// back puts a row back as it was.
func back(v *servertest.Vandal, table string, r record) {
	v.T.Helper()
	if err := insert(v, table, r); err != nil {
		v.T.Fatalf("%s: %v", table, err)
	}
}

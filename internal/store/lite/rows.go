package lite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unsafe"

	sqlite3 "modernc.org/sqlite/lib"
)

// Rows are the rows of a query, as [database/sql.Rows] gives them: Next, Scan, Err, Close.
type Rows struct {
	c      *Conn
	s      *stmt
	asked  context.Context
	ahead  bool // the next row was found already
	there  bool // there is a row to scan
	closed bool
	err    error
}

// begin looks for the first row, so that what fails fails now.
func (r *Rows) begin(args []any) error {
	if err := r.s.bind(args); err != nil {
		return err
	}
	var err error
	r.ahead, err = r.step()
	return err
}

// step looks for the next row.
func (r *Rows) step() (bool, error) {
	switch rc := sqlite3.Xsqlite3_step(r.c.tls, r.s.p); rc {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		return false, nil
	case sqlite3.SQLITE_INTERRUPT:
		if r.asked != nil && r.asked.Err() != nil {
			return false, r.asked.Err()
		}
		return false, r.c.failed(rc)
	default:
		return false, r.c.failed(rc)
	}
}

// Next moves to the next row. It returns false at the end, and closes the rows.
func (r *Rows) Next() bool {
	if r.closed {
		return false
	}
	if r.there {
		if r.there = false; r.asked != nil && r.asked.Err() != nil {
			r.err = r.asked.Err()
		} else {
			r.ahead, r.err = r.step()
		}
	}
	if r.there, r.ahead = r.ahead && r.err == nil, false; !r.there {
		r.Close()
	}
	return r.there
}

// Err returns the error that ended the rows, or nil.
func (r *Rows) Err() error { return r.err }

// Close ends the rows. It may be called again.
func (r *Rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed, r.there = true, false
	r.s.reset()
	if r.c.asked = nil; r.c.Free != nil {
		r.c.Free(r.err)
	}
	return nil
}

// Scan copies the columns of a row into what dest points to: integers, texts, octets, booleans,
// floats, types made of those, or a pointer to one of them where the column may be null. Texts and
// octets of a row share one piece of memory, which is the caller's.
func (r *Rows) Scan(dest ...any) error {
	if !r.there {
		return errors.New("lite: Scan without a row")
	}
	if len(dest) != r.s.cols {
		return fmt.Errorf("lite: a row of %d columns is scanned into %d", r.s.cols, len(dest))
	}
	size := 0
	for i := range dest {
		if t := r.kind(i); t == sqlite3.SQLITE_TEXT || t == sqlite3.SQLITE_BLOB {
			size += int(sqlite3.Xsqlite3_column_bytes(r.c.tls, r.s.p, int32(i)))
		}
	}
	room := make([]byte, 0, size)
	for i, d := range dest {
		if err := r.assign(i, d, &room); err != nil {
			return fmt.Errorf("lite: column %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *Rows) kind(i int) int32 { return sqlite3.Xsqlite3_column_type(r.c.tls, r.s.p, int32(i)) }

// assign copies a column into what dest points to.
func (r *Rows) assign(i int, dest any, room *[]byte) error {
	kind := r.kind(i)
	switch d := dest.(type) {
	case *int64:
		if kind == sqlite3.SQLITE_INTEGER {
			*d = sqlite3.Xsqlite3_column_int64(r.c.tls, r.s.p, int32(i))
			return nil
		}
	case *string:
		if kind == sqlite3.SQLITE_TEXT {
			*d = text(r.octets(i, room))
			return nil
		}
	case *[]byte:
		if kind == sqlite3.SQLITE_BLOB || kind == sqlite3.SQLITE_TEXT {
			if *d = r.octets(i, room); *d == nil && kind == sqlite3.SQLITE_TEXT {
				*d = []byte{}
			}
			return nil
		}
	}
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("a value cannot be scanned into a %T", dest)
	}
	return set(p.Elem(), r.value(i, kind, room))
}

// octets copies a column into the row's room. No octets are nil.
func (r *Rows) octets(i int, room *[]byte) []byte {
	p := sqlite3.Xsqlite3_column_blob(r.c.tls, r.s.p, int32(i))
	n := int(sqlite3.Xsqlite3_column_bytes(r.c.tls, r.s.p, int32(i)))
	if p == 0 || n == 0 {
		return nil
	}
	from := len(*room)
	*room = append(*room, memory(p, n)...)
	return (*room)[from:len(*room):len(*room)]
}

// text is the text of octets that nobody changes any more.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// value is a column: an int64, a float64, a string, octets, or nil for null.
func (r *Rows) value(i int, kind int32, room *[]byte) any {
	switch kind {
	case sqlite3.SQLITE_INTEGER:
		return sqlite3.Xsqlite3_column_int64(r.c.tls, r.s.p, int32(i))
	case sqlite3.SQLITE_FLOAT:
		return sqlite3.Xsqlite3_column_double(r.c.tls, r.s.p, int32(i))
	case sqlite3.SQLITE_TEXT:
		return text(r.octets(i, room))
	case sqlite3.SQLITE_BLOB:
		return r.octets(i, room)
	}
	return nil
}

// set copies a value into what is not one of the usual types.
func set(to reflect.Value, value any) error {
	if to.Kind() == reflect.Pointer {
		if value == nil {
			to.SetZero()
			return nil
		}
		to.Set(reflect.New(to.Type().Elem()))
		return set(to.Elem(), value)
	}
	if to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Uint8 {
		if value == nil {
			to.SetZero()
			return nil
		}
		to.SetBytes([]byte(written(value)))
		return nil
	}
	if value == nil {
		return errors.New("it is null")
	}
	switch {
	case to.Kind() == reflect.String:
		if _, ok := value.(string); !ok && to.Type() != reflect.TypeFor[string]() && reflect.TypeOf(value).Kind() != reflect.Slice {
			return fmt.Errorf("a number cannot be scanned into a %s", to.Type())
		}
		to.SetString(written(value))
	case to.CanInt():
		n, err := strconv.ParseInt(written(value), 10, to.Type().Bits())
		to.SetInt(n)
		return err
	case to.Kind() == reflect.Bool:
		yes, err := strconv.ParseBool(written(value))
		to.SetBool(yes)
		return err
	case to.CanFloat():
		f, err := strconv.ParseFloat(written(value), to.Type().Bits())
		to.SetFloat(f)
		return err
	default:
		return fmt.Errorf("a value cannot be scanned into a %s", to.Type())
	}
	return nil
}

// written is a value as text.
func written(value any) string {
	switch v := value.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []byte:
		return string(v)
	}
	return value.(string)
}

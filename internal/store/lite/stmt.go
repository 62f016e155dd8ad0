package lite

import (
	"fmt"
	"reflect"
	"strconv"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// stmt is a prepared statement.
type stmt struct {
	c      *Conn
	p      uintptr // sqlite3_stmt*
	order  []int   // which argument each parameter takes, from 0; nil if in order
	params int
	args   int // how many arguments it takes
	cols   int
	// room holds the texts and the octets of its arguments, until the next ones.
	room uintptr
	size int
}

func newStmt(c *Conn, p uintptr) (*stmt, error) {
	s := &stmt{c: c, p: p}
	if p == 0 {
		return nil, fmt.Errorf("lite: an empty statement")
	}
	s.params, s.cols = int(sqlite3.Xsqlite3_bind_parameter_count(c.tls, p)), int(sqlite3.Xsqlite3_column_count(c.tls, p))
	order, same := make([]int, s.params), true
	for i := range order {
		name := libc.GoString(sqlite3.Xsqlite3_bind_parameter_name(c.tls, p, int32(i+1)))
		n, err := strconv.Atoi(name[min(1, len(name)):])
		if err != nil || n < 1 || name[0] != '$' {
			s.close()
			return nil, fmt.Errorf("lite: the parameter %q is not $1, $2 and so on", name)
		}
		order[i], s.args, same = n-1, max(s.args, n), same && n == i+1
	}
	if !same {
		s.order = order
	}
	return s, nil
}

func (s *stmt) close() {
	sqlite3.Xsqlite3_finalize(s.c.tls, s.p)
	sqlite3.Xsqlite3_free(s.c.tls, s.room)
	s.p, s.room = 0, 0
}

// reset makes it ready for the next time. What failed has been told.
func (s *stmt) reset() { sqlite3.Xsqlite3_reset(s.c.tls, s.p) }

func (s *stmt) exec(args []any) (int64, error) {
	defer s.reset()
	if err := s.bind(args); err != nil {
		return 0, err
	}
	for {
		switch rc := sqlite3.Xsqlite3_step(s.c.tls, s.p); rc {
		case sqlite3.SQLITE_ROW: // a write that returns rows is only done at its end
		case sqlite3.SQLITE_DONE:
			return sqlite3.Xsqlite3_changes64(s.c.tls, s.c.db), nil
		default:
			return 0, s.c.failed(rc)
		}
	}
}

// bind sets the parameters.
func (s *stmt) bind(args []any) error {
	if len(args) != s.args {
		return fmt.Errorf("lite: %d arguments for a statement that takes %d", len(args), s.args)
	}
	if err := s.make(args); err != nil {
		return err
	}
	used := 0
	for i := range s.params {
		if err := s.one(int32(i+1), args[s.arg(i)], &used); err != nil {
			return err
		}
	}
	return nil
}

// make makes room for the arguments. A parameter that stands twice has them twice.
func (s *stmt) make(args []any) error {
	size := 0
	for i := range s.params {
		switch v := args[s.arg(i)].(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		case int64, nil:
		default:
			switch v := plain(v).(type) {
			case string:
				size += len(v)
			case []byte:
				size += len(v)
			}
		}
	}
	if size <= s.size {
		return nil
	}
	sqlite3.Xsqlite3_free(s.c.tls, s.room)
	size = max(64, size+size/2)
	if s.room = sqlite3.Xsqlite3_malloc(s.c.tls, int32(size)); s.room == 0 {
		s.size = 0
		return noMemory
	}
	s.size = size
	return nil
}

// arg is which argument a parameter takes, both from 0.
func (s *stmt) arg(parameter int) int {
	if s.order == nil {
		return parameter
	}
	return s.order[parameter]
}

// one sets one parameter.
func (s *stmt) one(i int32, arg any, used *int) error {
	tls, rc := s.c.tls, int32(sqlite3.SQLITE_OK)
	switch v := arg.(type) {
	case int64:
		rc = sqlite3.Xsqlite3_bind_int64(tls, s.p, i, v)
	case string:
		rc = sqlite3.Xsqlite3_bind_text(tls, s.p, i, s.put(v, used), int32(len(v)), sqlite3.SQLITE_STATIC)
	case []byte:
		if len(v) == 0 && v != nil {
			rc = sqlite3.Xsqlite3_bind_zeroblob(tls, s.p, i, 0)
			break
		}
		rc = sqlite3.Xsqlite3_bind_blob(tls, s.p, i, s.putBytes(v, used), int32(len(v)), sqlite3.SQLITE_STATIC)
	case nil:
		rc = sqlite3.Xsqlite3_bind_null(tls, s.p, i)
	case unusual:
		return fmt.Errorf("lite: argument %d is a %s", i, v)
	default:
		return s.one(i, plain(arg), used)
	}
	if rc != sqlite3.SQLITE_OK {
		return s.c.failed(rc)
	}
	return nil
}

// unusual names a type that no column has.
type unusual string

// plain is an argument of a type made of the usual ones, or of a pointer to one, as one of those.
func plain(arg any) any {
	v := reflect.ValueOf(arg)
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return nil
	case v.Kind() == reflect.Pointer:
		return plain(v.Elem().Interface())
	case v.CanInt():
		return v.Int()
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		return v.Bytes()
	}
	return unusual(v.Type().String())
}

// put copies a text behind what the statement's room has. An empty one has an address too: without
// one it would be null.
func (s *stmt) put(v string, used *int) uintptr {
	if len(v) == 0 {
		return s.c.cell
	}
	p := s.room + uintptr(*used)
	*used += copy(memory(p, len(v)), v)
	return p
}

func (s *stmt) putBytes(v []byte, used *int) uintptr {
	if len(v) == 0 {
		return 0 // null
	}
	p := s.room + uintptr(*used)
	*used += copy(memory(p, len(v)), v)
	return p
}

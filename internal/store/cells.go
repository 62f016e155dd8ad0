package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// column is the type of a column and the format in which its values come.
type column struct {
	oid    uint32
	binary bool
}

func columnsOf(fields []pgconn.FieldDescription) []column {
	out := make([]column, len(fields))
	for i, f := range fields {
		out[i] = column{f.DataTypeOID, f.Format == pgtype.BinaryFormatCode}
	}
	return out
}

// packRow copies the columns of a row into one piece of memory, each behind its length as the
// protocol writes it; -1 is null.
func packRow(values [][]byte) []byte {
	size := 0
	for _, v := range values {
		size += 4 + len(v)
	}
	row := make([]byte, 0, size)
	for _, v := range values {
		n := int32(len(v))
		if v == nil {
			n = -1
		}
		row = append(binary.BigEndian.AppendUint32(row, uint32(n)), v...)
	}
	return row
}

// unpack returns the first column of a packed row and the rest; nil is null.
func unpack(row []byte) (value, rest []byte) {
	n := int32(binary.BigEndian.Uint32(row))
	if row = row[4:]; n < 0 {
		return nil, row
	}
	return row[:n:n], row[n:]
}

// resultRows reads the rows of a result as [sql.Rows] does.
type resultRows struct {
	Result
	next int
}

func (r *resultRows) Next() bool {
	if r.next < len(r.rows) {
		r.next++
		return true
	}
	return false
}

func (r *resultRows) Err() error { return nil }

func (r *resultRows) Close() error {
	r.next = len(r.rows) + 1
	return nil
}

func (r *resultRows) Scan(dest ...any) error {
	if r.next == 0 || r.next > len(r.rows) {
		return errors.New("store: Scan without a row")
	}
	if len(dest) != len(r.columns) {
		return fmt.Errorf("store: a row of %d columns is scanned into %d", len(r.columns), len(dest))
	}
	row := r.rows[r.next-1]
	for i, d := range dest {
		var value []byte
		value, row = unpack(row)
		if err := r.columns[i].assign(d, value); err != nil {
			return fmt.Errorf("store: column %d: %w", i+1, err)
		}
	}
	return nil
}

// assign copies a value into what dest points to.
func (c column) assign(dest any, value []byte) error {
	switch d := dest.(type) {
	case *[]byte:
		b, err := c.bytes(value)
		*d = b
		return err
	case *int64:
		n, err := c.integer(value)
		*d = n
		return err
	case *string:
		s, err := c.text(value)
		*d = s
		return err
	}
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("a value cannot be scanned into a %T", dest)
	}
	return c.set(p.Elem(), value)
}

// set is assign for types made of those, and for pointers where a column may be null.
func (c column) set(to reflect.Value, value []byte) error {
	switch to.Kind() {
	case reflect.Pointer:
		if value == nil {
			to.SetZero()
			return nil
		}
		to.Set(reflect.New(to.Type().Elem()))
		return c.set(to.Elem(), value)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := c.integer(value)
		if err == nil && to.OverflowInt(n) {
			err = fmt.Errorf("%d does not fit into a %s", n, to.Type())
		}
		if err == nil {
			to.SetInt(n)
		}
		return err
	case reflect.String:
		s, err := c.text(value)
		to.SetString(s)
		return err
	case reflect.Bool:
		n, err := c.integer(value)
		to.SetBool(n != 0)
		return err
	case reflect.Float32, reflect.Float64:
		f, err := c.float(value)
		to.SetFloat(f)
		return err
	case reflect.Slice:
		if to.Type().Elem().Kind() == reflect.Uint8 {
			b, err := c.bytes(value)
			to.SetBytes(b)
			return err
		}
	}
	return fmt.Errorf("a value cannot be scanned into a %s", to.Type())
}

var errNull = errors.New("it is null")

func (c column) unfit(what string) error { return fmt.Errorf("its type %d is no %s", c.oid, what) }

func (c column) integer(v []byte) (int64, error) {
	switch {
	case v == nil:
		return 0, errNull
	case c.oid == pgtype.BoolOID && c.binary:
		return int64(v[0]), nil
	case c.oid == pgtype.BoolOID:
		return map[string]int64{"t": 1}[string(v)], nil
	case c.oid != pgtype.Int8OID && c.oid != pgtype.Int4OID && c.oid != pgtype.Int2OID:
		return 0, c.unfit("integer")
	case !c.binary:
		return strconv.ParseInt(string(v), 10, 64)
	}
	switch len(v) {
	case 8:
		return int64(binary.BigEndian.Uint64(v)), nil
	case 4:
		return int64(int32(binary.BigEndian.Uint32(v))), nil
	}
	return int64(int16(binary.BigEndian.Uint16(v))), nil
}

func (c column) float(v []byte) (float64, error) {
	switch {
	case v == nil:
		return 0, errNull
	case c.oid == pgtype.Float8OID && c.binary:
		return math.Float64frombits(binary.BigEndian.Uint64(v)), nil
	case c.oid == pgtype.Float8OID:
		return strconv.ParseFloat(string(v), 64)
	}
	n, err := c.integer(v)
	return float64(n), err
}

func (c column) text(v []byte) (string, error) {
	switch c.oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.NameOID, pgtype.BPCharOID, pgtype.UnknownOID:
		if v == nil {
			return "", errNull
		}
		return string(v), nil
	case pgtype.ByteaOID:
		b, err := c.bytes(v)
		return string(b), err
	}
	n, err := c.integer(v)
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(n, 10), nil
}

// bytes returns a copy; nil is null.
func (c column) bytes(v []byte) ([]byte, error) {
	switch {
	case v == nil:
		return nil, nil
	case c.oid == pgtype.ByteaOID && !c.binary:
		if len(v) < 2 || v[0] != '\\' || v[1] != 'x' {
			return nil, errors.New("its bytes are not in hexadecimal; set bytea_output to hex")
		}
		return hex.AppendDecode(make([]byte, 0, len(v)/2), v[2:])
	case c.oid == pgtype.ByteaOID:
		return append(make([]byte, 0, len(v)), v...), nil
	}
	s, err := c.text(v)
	return []byte(s), err
}

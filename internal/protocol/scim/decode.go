package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// object is a JSON object. Its names are in lower case: those of SCIM do not tell case apart
// (RFC 7643, section 2.1).
type object map[string]any

// What a body may have at most.
const (
	maxDepth  = 12
	maxDigits = 32
	maxValues = 200_000
)

// decode reads one JSON value: objects as [object], arrays, texts, [json.Number], booleans and nil.
// It refuses what parsers read differently: a name twice in one object, in whatever case, text that
// is not UTF-8, a NUL; and what is too deep or has too many digits.
func decode(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, bad("invalidSyntax", "The request is not UTF-8.")
	}
	d := &decoder{Decoder: json.NewDecoder(bytes.NewReader(b))}
	d.UseNumber()
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("invalidSyntax", "Something follows the JSON object.")
	}
	return v, nil
}

type decoder struct {
	*json.Decoder
	values int // so far
}

var noJSON = bad("invalidSyntax", "The request is not JSON.")

func (d *decoder) value(depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, noJSON
	}
	if d.values++; d.values > maxValues {
		return nil, bad("invalidSyntax", "The request has more than %d values; send it in parts.", maxValues)
	}
	switch t := t.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, bad("invalidSyntax", "The request is more than %d levels deep.", maxDepth)
		}
		if t == '{' {
			return d.object(depth + 1)
		}
		return d.array(depth + 1)
	case json.Number:
		if len(t) > maxDigits {
			return nil, bad("invalidValue", "A number has more than %d digits.", maxDigits)
		}
	case string:
		if strings.ContainsRune(t, 0) {
			return nil, bad("invalidValue", "A text has a NUL in it.")
		}
	}
	return t, nil
}

func (d *decoder) object(depth int) (any, error) {
	out := object{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, noJSON
		}
		name = strings.ToLower(name)
		if _, twice := out[name]; twice {
			return nil, bad("invalidSyntax", "An object has the same name twice.")
		}
		if out[name], err = d.value(depth); err != nil {
			return nil, err
		}
	}
	return out, d.end()
}

func (d *decoder) array(depth int) (any, error) {
	out := []any{}
	for d.More() {
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, d.end()
}

func (d *decoder) end() error {
	if _, err := d.Token(); err != nil {
		return noJSON
	}
	return nil
}

// declares reports whether a message says that it is one of these.
func (o object) declares(schema string) bool {
	all, _ := o["schemas"].([]any)
	for _, one := range all {
		if s, ok := one.(string); ok && strings.EqualFold(s, schema) {
			return true
		}
	}
	return false
}

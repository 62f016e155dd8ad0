package scim

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// check says what is wrong with a filter of a type of resources: that it orders booleans, or compares
// what is complex. An attribute that a resource has not is no fault: it has no value.
func (k kind) check(f *filter) error {
	switch f.op {
	case "and", "or":
		if err := k.check(f.left); err != nil {
			return err
		}
		return k.check(f.right)
	case "not":
		return k.check(f.left)
	case "has":
		a, ok := k.find(f.path)
		if ok && a.Type != "complex" {
			return bad("invalidFilter", "%s has no sub-attributes.", a.Name)
		}
		return k.within(a).check(f.left)
	case "pr":
		return nil
	}
	a, ok := k.find(k.simple(f.path))
	if !ok {
		return nil
	}
	return compares(a, f)
}

// compares says what is wrong with comparing an attribute.
func compares(a attribute, f *filter) error {
	ordered := f.op == "gt" || f.op == "ge" || f.op == "lt" || f.op == "le"
	partly := f.op == "co" || f.op == "sw" || f.op == "ew"
	_, text := literalText(f.value)
	switch {
	case a.Type == "complex":
		return bad("invalidFilter", "%s is complex; compare one of its sub-attributes.", a.Name)
	case a.Type == "boolean" && (ordered || partly):
		return bad("invalidFilter", "%s is true or false; compare it by eq or ne.", a.Name)
	case f.value == nil && f.op != "eq" && f.op != "ne":
		return bad("invalidFilter", "null is compared by eq or ne.")
	case a.Type == "dateTime" && f.value != nil && !partly:
		if s, ok := f.value.(string); !ok || !isTime(s) {
			return bad("invalidFilter", "%s is compared with a moment such as 2026-12-31T18:00:00Z.", a.Name)
		}
	case f.value != nil && !text:
		return bad("invalidFilter", "%s is compared with a text.", a.Name)
	}
	return nil
}

// simple is the sub-attribute value of a multi-valued attribute where none is named (RFC 7643,
// section 2.4).
func (k kind) simple(p attrPath) attrPath {
	if a, ok := k.find(p); ok && p.sub == "" && a.MultiValued && a.Type == "complex" {
		p.sub = "value"
	}
	return p
}

// within is a kind of resources whose attributes are the sub-attributes of one.
func (k kind) within(a attribute) kind {
	return kind{name: k.name, schema: k.schema, attributes: a.SubAttrs}
}

// matches reports whether a resource, or a value of an attribute, is chosen by a filter.
func (k kind) matches(f *filter, from map[string]any) bool {
	switch f.op {
	case "and":
		return k.matches(f.left, from) && k.matches(f.right, from)
	case "or":
		return k.matches(f.left, from) || k.matches(f.right, from)
	case "not":
		return !k.matches(f.left, from)
	case "has":
		a, _ := k.find(f.path)
		for _, v := range k.values(f.path, from) {
			if o, ok := v.(map[string]any); ok && k.within(a).matches(f.left, o) {
				return true
			}
		}
		return false
	case "pr":
		return len(k.values(f.path, from)) > 0
	}
	path := k.simple(f.path)
	a, _ := k.find(path)
	values := k.values(path, from)
	if f.value == nil {
		return (len(values) == 0) == (f.op == "eq")
	}
	if f.op == "ne" {
		for _, v := range values {
			if compare(a, "eq", v, f.value) {
				return false
			}
		}
		return true
	}
	for _, v := range values {
		if compare(a, f.op, v, f.value) {
			return true
		}
	}
	return false
}

// values are those of an attribute: none where it has none or is empty.
func (k kind) values(p attrPath, from map[string]any) []any {
	parent, ok := k.find(attrPath{schema: p.schema, name: p.name})
	if !ok {
		return nil
	}
	all := each(from[parent.Name])
	if p.sub == "" {
		return all
	}
	sub, ok := named(parent.SubAttrs, p.sub)
	if !ok {
		return nil
	}
	var out []any
	for _, v := range all {
		if o, ok := v.(map[string]any); ok {
			out = append(out, each(o[sub.Name])...)
		}
	}
	return out
}

// each are the values of what may be one, several or none.
func each(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		if v == "" {
			return nil
		}
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
	case []map[string]any:
		out := make([]any, len(v))
		for i, one := range v {
			out[i] = one
		}
		return out
	case []string:
		out := make([]any, len(v))
		for i, one := range v {
			out[i] = one
		}
		return out
	}
	return []any{v}
}

func compare(a attribute, op string, is, with any) bool {
	x, ok := literalText(is)
	y, also := literalText(with)
	if !ok || !also {
		return false
	}
	if a.Type == "dateTime" && op != "co" && op != "sw" && op != "ew" {
		return moments(op, x, y)
	}
	if !a.CaseExact {
		x, y = strings.ToLower(x), strings.ToLower(y)
	}
	switch op {
	case "co":
		return strings.Contains(x, y)
	case "sw":
		return strings.HasPrefix(x, y)
	case "ew":
		return strings.HasSuffix(x, y)
	}
	return holds(op, strings.Compare(x, y))
}

func moments(op, x, y string) bool {
	a, err := time.Parse(time.RFC3339, x)
	b, also := time.Parse(time.RFC3339, y)
	return err == nil && also == nil && holds(op, a.Compare(b))
}

func isTime(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil
}

func holds(op string, order int) bool {
	switch op {
	case "eq":
		return order == 0
	case "gt":
		return order > 0
	case "ge":
		return order >= 0
	case "lt":
		return order < 0
	case "le":
		return order <= 0
	}
	return false
}

// sortKey is what resources are sorted by; those without a value have none (RFC 7644, section
// 3.4.2.3).
type sortKey struct {
	id    int64
	text  string
	there bool
}

func (k kind) sortKey(id int64, by attrPath, from map[string]any) sortKey {
	by = k.simple(by)
	a, _ := k.find(by)
	values := k.values(by, from)
	if len(values) == 0 {
		return sortKey{id: id}
	}
	s, ok := literalText(values[0])
	if a.Name == "id" {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return sortKey{id: n}
		}
	}
	if !a.CaseExact {
		s = strings.ToLower(s)
	}
	return sortKey{id, s, ok}
}

// order compares two keys; those without a value come last when it goes up.
func (x sortKey) order(y sortKey) int {
	switch {
	case x.there != y.there && x.there:
		return -1
	case x.there != y.there:
		return 1
	}
	return cmp.Or(strings.Compare(x.text, y.text), cmp.Compare(x.id, y.id))
}

// number reads an id; false is of nothing here.
func number(id string) (int64, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == id
}

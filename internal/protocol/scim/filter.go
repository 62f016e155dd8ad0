package scim

import (
	"encoding/json"
	"strings"
)

// What a filter may have at most: octets, levels, and comparisons.
const (
	maxFilter      = 4096
	maxFilterDepth = 16
	maxFilterTerms = 64
)

// filter is a node of a filter (RFC 7644, section 3.4.2.2). Its op is and, or, not, has (a filter
// over the values of an attribute, in square brackets), pr, or a comparison.
type filter struct {
	op          string
	left, right *filter // and, or; left alone for not and has
	path        attrPath
	value       any // string, json.Number, bool or nil
}

// attrPath names an attribute, in lower case: its schema or empty, its name, and that of its
// sub-attribute or empty.
type attrPath struct{ schema, name, sub string }

func (p attrPath) String() string {
	out := p.name
	if p.schema != "" {
		out = p.schema + ":" + out
	}
	if p.sub != "" {
		out += "." + p.sub
	}
	return out
}

// comparisons are the operators that compare with a value.
var comparisons = map[string]bool{"eq": true, "ne": true, "co": true, "sw": true, "ew": true, "gt": true, "ge": true, "lt": true, "le": true}

// parser reads a filter or a path. The kind is the word for what is wrong with it.
type parser struct {
	rest  string
	kind  string // invalidFilter or invalidPath
	depth int
	terms int
}

// parseFilter reads a whole filter.
func parseFilter(s string) (*filter, error) {
	if len(s) > maxFilter {
		return nil, bad("invalidFilter", "The filter is longer than %d octets.", maxFilter)
	}
	p := &parser{rest: s, kind: "invalidFilter"}
	f, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.space(); p.rest != "" {
		return nil, p.wrong("something follows it")
	}
	return f, nil
}

// wrong says what is wrong; it quotes nothing of what came.
func (p *parser) wrong(what string) *fault {
	noun := map[string]string{"invalidFilter": "filter", "invalidPath": "path"}[p.kind]
	return bad(p.kind, "The %s cannot be read: %s (RFC 7644, section 3.4.2.2).", noun, what)
}

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " ") }

// word takes a keyword away if it is next.
func (p *parser) word(w string) bool {
	p.space()
	if len(p.rest) < len(w) || !strings.EqualFold(p.rest[:len(w)], w) {
		return false
	}
	if next := p.rest[len(w):]; next != "" && !strings.ContainsRune(" ()]", rune(next[0])) {
		return false
	}
	p.rest = p.rest[len(w):]
	return true
}

// sign takes a sign away if it is next.
func (p *parser) sign(c byte) bool {
	if p.space(); p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *parser) or() (*filter, error) {
	if p.depth++; p.depth > maxFilterDepth {
		return nil, p.wrong("it is too deep")
	}
	defer func() { p.depth-- }()
	left, err := p.and()
	for err == nil && p.word("or") {
		var right *filter
		right, err = p.and()
		left = &filter{op: "or", left: left, right: right}
	}
	return left, err
}

func (p *parser) and() (*filter, error) {
	left, err := p.term()
	for err == nil && p.word("and") {
		var right *filter
		right, err = p.term()
		left = &filter{op: "and", left: left, right: right}
	}
	return left, err
}

func (p *parser) term() (*filter, error) {
	if p.terms++; p.terms > maxFilterTerms {
		return nil, p.wrong("it has too many comparisons")
	}
	if p.word("not") {
		if !p.sign('(') {
			return nil, p.wrong("a bracket is missing after not")
		}
		f, err := p.within(')')
		return &filter{op: "not", left: f}, err
	}
	if p.sign('(') {
		return p.within(')')
	}
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	if p.rest != "" && p.rest[0] == '[' {
		p.rest = p.rest[1:]
		f, err := p.within(']')
		return &filter{op: "has", path: path, left: f}, err
	}
	return p.comparison(path)
}

// within reads a filter up to a closing bracket.
func (p *parser) within(end byte) (*filter, error) {
	f, err := p.or()
	if err == nil && !p.sign(end) {
		err = p.wrong("a bracket is not closed")
	}
	return f, err
}

func (p *parser) comparison(path attrPath) (*filter, error) {
	if p.word("pr") {
		return &filter{op: "pr", path: path}, nil
	}
	p.space()
	op, rest, ok := strings.Cut(p.rest, " ")
	if op = strings.ToLower(op); !ok || !comparisons[op] {
		return nil, p.wrong("an operator is missing or unknown")
	}
	p.rest = rest
	value, err := p.literal()
	return &filter{op: op, path: path, value: value}, err
}

// literal reads a text, a number, true, false or null, as JSON writes them.
func (p *parser) literal() (any, error) {
	p.space()
	n := len(p.rest)
	if strings.HasPrefix(p.rest, `"`) {
		n = closing(p.rest)
	} else if i := strings.IndexAny(p.rest, " )]"); i >= 0 {
		n = i
	}
	v, err := decode([]byte(p.rest[:n]))
	if err != nil {
		return nil, p.wrong("a value is missing or is none")
	}
	switch v.(type) {
	case object, []any:
		return nil, p.wrong("a value is missing or is none")
	}
	p.rest = p.rest[n:]
	return v, nil
}

// closing returns the length of a text with its quotation marks.
func closing(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// path reads the name of an attribute.
func (p *parser) path() (attrPath, error) {
	p.space()
	n := strings.IndexFunc(p.rest, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-$:.", r)
	})
	if n < 0 {
		n = len(p.rest)
	}
	name := p.rest[:n]
	p.rest = p.rest[n:]
	out, ok := readPath(name)
	if !ok {
		return attrPath{}, p.wrong("the name of an attribute is missing or is none")
	}
	return out, nil
}

// readPath reads the name of an attribute, with its schema and its sub-attribute where it has
// them.
func readPath(s string) (attrPath, bool) {
	var p attrPath
	s = strings.ToLower(s)
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		p.schema, s = s[:i], s[i+1:]
	}
	p.name, p.sub, _ = strings.Cut(s, ".")
	return p, attrName(p.name) && (p.sub == "" && !strings.HasSuffix(s, ".") || attrName(p.sub))
}

// attrName reports whether s is an ATTRNAME of RFC 7644, or $ref.
func attrName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r == '$' && i == 0
		if !letter && (i == 0 || r != '-' && r != '_' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != "" && s != "$"
}

// patchPath is where an operation of PATCH changes something: an attribute; those of its values that
// a filter chooses; a sub-attribute.
type patchPath struct {
	attrPath
	where *filter // nil is all values
}

// parsePath reads the path of an operation of PATCH (RFC 7644, section 3.5.2).
func parsePath(s string) (patchPath, error) {
	if len(s) > maxFilter {
		return patchPath{}, bad("invalidPath", "The path is longer than %d octets.", maxFilter)
	}
	p := &parser{rest: s, kind: "invalidPath"}
	at, err := p.path()
	out := patchPath{attrPath: at}
	if err != nil {
		return out, err
	}
	if p.sign('[') {
		if at.sub != "" {
			return out, p.wrong("a sub-attribute has no filter")
		}
		if out.where, err = p.within(']'); err != nil {
			return out, err
		}
		if sub, ok := strings.CutPrefix(p.rest, "."); ok {
			if out.sub, p.rest = strings.ToLower(sub), ""; !attrName(out.sub) {
				return out, p.wrong("the name of a sub-attribute is none")
			}
		}
	}
	if p.space(); p.rest != "" {
		return out, p.wrong("something follows it")
	}
	return out, nil
}

// mentions reports whether a filter compares an attribute.
func (f *filter) mentions(name string) bool { return f.count(name) > 0 }

// count is how often a filter compares an attribute.
func (f *filter) count(name string) int {
	if f == nil {
		return 0
	}
	n := f.left.count(name) + f.right.count(name)
	if f.path.name == name {
		n++
	}
	return n
}

// text returns a value as a text, and whether it is one or a boolean.
func literalText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

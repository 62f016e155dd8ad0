package policy

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// reader walks a YAML tree and collects what is wrong with it. YAML's own
// conveniences (anchors, merges, several documents) are refused: a policy is
// read by people, and says everything in its own place.
type reader struct {
	problems Problems
	rule     string
}

// maxDocument is how long a document may be, in bytes.
const maxDocument = 1 << 18

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, Problem{Line: max(n.Line, 1), Column: n.Column, Rule: r.rule, Sentence: fmt.Sprintf(format, args...)})
}

// tree parses the text into its root node, or nil and a problem.
func (r *reader) tree(text []byte) *yaml.Node {
	if len(text) > maxDocument {
		r.fail(&yaml.Node{Line: 1}, "the document has %d bytes; %d is the most", len(text), maxDocument)
		return nil
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	if err := dec.Decode(&doc); err != nil {
		if err == io.EOF {
			r.fail(&yaml.Node{Line: 1}, "the document is empty; write at least one rule")
		} else {
			r.syntax(err)
		}
		return nil
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == io.EOF:
	case err != nil:
		r.syntax(err)
		return nil
	default:
		r.fail(&second, "a second document begins here; a policy is one document, without ---")
		return nil
	}
	if len(doc.Content) != 1 {
		r.fail(&yaml.Node{Line: 1}, "the document is empty; write at least one rule")
		return nil
	}
	return doc.Content[0]
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// syntax turns the parser's own error into a problem with its line.
func (r *reader) syntax(err error) {
	what, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = strings.Replace(what, m[0], "", 1)
	}
	r.fail(&yaml.Node{Line: line}, "this is not YAML (%s); check the indentation, the colons and the quotes", what)
}

// field is one key of a mapping and what reads its value.
type field struct {
	key  string
	read func(*yaml.Node)
}

// mapping reads a mapping that may have exactly these keys, each once.
func (r *reader) mapping(n *yaml.Node, what string, fields ...field) {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	r.entries(n, what, func(key, value *yaml.Node) {
		for _, f := range fields {
			if f.key == key.Value {
				f.read(value)
				return
			}
		}
		r.fail(key, "%s has no %q; %s", what, key.Value, mend(key.Value, keys))
	})
}

// entries calls f for each entry of a mapping with keys of text, in order. A
// repeated key is a problem and its value is not read.
func (r *reader) entries(n *yaml.Node, what string, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s must be a block of \"key: value\" lines, not %s", what, kindOf(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			r.fail(key, "a key of %s must be a plain word", what)
			continue
		}
		if line, dup := seen[key.Value]; dup {
			r.fail(key, "%s says %q twice; the first is on line %d, so remove one", what, key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		f(key, value)
	}
}

// items calls f for each item of a list.
func (r *reader) items(n *yaml.Node, what string, f func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%s must be a list, not %s", what, kindOf(n))
		return
	}
	for _, item := range n.Content {
		f(item)
	}
}

// word reads a scalar of text, as it is written.
func (r *reader) word(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		r.fail(n, "%s must be a text, not %s", what, kindOf(n))
		return "", false
	}
	switch tag := n.ShortTag(); {
	case tag == "!!null" || n.Value == "":
		r.fail(n, "%s is empty; write its value or remove the line", what)
		return "", false
	case tag != "!!str":
		r.fail(n, "%s must be a text, not %s; put it in quotes if you mean a text", what, kindOf(n))
		return "", false
	case strings.ContainsRune(n.Value, 0):
		r.fail(n, "%s holds a NUL character; remove it", what)
		return "", false
	}
	return n.Value, true
}

// name reads one line of text that people will see in logs and pages.
func (r *reader) name(n *yaml.Node, what string) string {
	s, ok := r.word(n, what)
	if !ok {
		return ""
	}
	if len(s) > maxName || !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) || s != strings.TrimSpace(s) {
		r.fail(n, "%s must be one line of at most %d printable characters", what, maxName)
		return ""
	}
	return s
}

// words reads a text or a list of texts, none twice.
func (r *reader) words(n *yaml.Node, what string, f func(*yaml.Node, string)) {
	if n.Kind == yaml.ScalarNode {
		if s, ok := r.word(n, what); ok {
			f(n, s)
		}
		return
	}
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		r.fail(n, "%s is an empty list; write a value or remove the line", what)
	}
	seen := map[string]bool{}
	r.items(n, what, func(item *yaml.Node) {
		s, ok := r.word(item, what)
		if ok && seen[s] {
			r.fail(item, "%s says %q twice; remove one", what, s)
		} else if ok {
			seen[s] = true
			f(item, s)
		}
	})
}

// flag reads true or false.
func (r *reader) flag(n *yaml.Node, what string) bool {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		return strings.EqualFold(n.Value, "true")
	}
	r.fail(n, "%s must be true or false, not %s", what, kindOf(n))
	return false
}

// kindOf names a node's kind for a sentence.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a block of keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "a reference to an anchor, which policies do not use"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	}
	return "a text"
}

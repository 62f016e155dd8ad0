package language

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
)

// maxFile is the most that a catalogue has, in bytes.
const maxFile = 1 << 20

//go:embed de.yaml
var german []byte

// German is the German of this program, which is complete.
func German() *Language {
	l, err := read("de.yaml", german)
	if err != nil {
		panic(err)
	}
	return l
}

// Parse reads a catalogue strictly: what is unknown, missing or twice is an error that begins
// with the name of the file and the line. Texts that it lacks are none: see [Language.Lacks].
func Parse(name string, data []byte) (*Language, error) {
	l, err := read(name, data)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// reader reads one catalogue. Known is what has texts; nil knows all.
type reader struct {
	name  string
	known *Language
	out   *Language
}

func read(name string, data []byte) (*Language, error) {
	r := &reader{name: name, out: &Language{texts: map[string]string{}, plurals: map[string]map[string]string{}}}
	if name != "de.yaml" || !slices.Equal(data, german) {
		r.known = German()
	}
	var doc yaml.Node
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: the file is larger than %d bytes", name, maxFile)
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(doc.Content) != 1 {
		return nil, fmt.Errorf("%s: the file is empty; countersign language new writes one to fill in", name)
	}
	if err := r.top(doc.Content[0]); err != nil {
		return nil, err
	}
	return r.out, nil
}

func (r *reader) fail(at *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s line %d: %s", r.name, at.Line, fmt.Sprintf(format, args...))
}

// pairs calls take for each key of a mapping, in order; a key is there once.
func (r *reader) pairs(n *yaml.Node, what string, take func(key string, k, v *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return r.fail(n, "%s is not a list of KEY: VALUE", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || seen[k.Value] {
			return r.fail(k, "%q is there twice, or is no text", k.Value)
		}
		seen[k.Value] = true
		if err := take(k.Value, k, v); err != nil {
			return err
		}
	}
	return nil
}

// top reads the four settings of a file. The texts are last: their plural forms depend on the
// language.
func (r *reader) top(n *yaml.Node) error {
	var texts *yaml.Node
	err := r.pairs(n, "the file", func(key string, k, v *yaml.Node) (err error) {
		if key == "texts" {
			texts = v
			return nil
		}
		if v.Kind != yaml.ScalarNode || v.Value == "" {
			return r.fail(v, "%q is one word or line", key)
		}
		switch key {
		case "language":
			r.out.tag, err = language.Parse(v.Value)
			if err != nil {
				return r.fail(v, "%q is no language tag of BCP 47, such as fr or pt-BR", v.Value)
			}
		case "name":
			r.out.name = v.Value
			return r.clean(v, false)
		case "direction":
			r.out.rtl = v.Value == "rtl"
			if v.Value != "ltr" && !r.out.rtl {
				return r.fail(v, "the direction is ltr or rtl, and not %q", v.Value)
			}
		default:
			return r.fail(k, "%q is unknown here; there are language, name, direction and texts", key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range []string{"language", "name", "direction", "texts"} {
		if !has(n, key) {
			return r.fail(n, "%q is missing", key)
		}
	}
	r.out.forms = formsOf(r.out.tag)
	return r.pairs(texts, "texts", r.text)
}

func has(n *yaml.Node, key string) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// text reads the text for one English text. An empty one is not there.
func (r *reader) text(english string, k, v *yaml.Node) error {
	if r.known != nil {
		_, plain := r.known.texts[english]
		forms := r.known.plurals[english]
		switch {
		case !plain && forms == nil:
			return r.fail(k, "no page, mail or message has the text %q; copy it from what countersign language new writes", english)
		case plain && v.Kind == yaml.MappingNode:
			return r.fail(v, "the text %q has no plural forms", english)
		case forms != nil && v.Kind != yaml.MappingNode:
			return r.fail(v, "the text %q counts something: give its plural forms, %s", english, strings.Join(r.out.forms, ", "))
		}
	}
	if v.Kind == yaml.MappingNode {
		return r.forms(english, v)
	}
	if v.Kind == yaml.ScalarNode && v.Value == "" {
		return nil
	}
	if err := r.one(english, v); err != nil {
		return err
	}
	r.out.texts[english] = v.Value
	return nil
}

// forms reads the plural forms of a text: all of the language's, or all empty. The number may
// be left out where a form stands for one number alone.
func (r *reader) forms(english string, n *yaml.Node) error {
	forms := map[string]string{}
	err := r.pairs(n, "a text with plural forms", func(form string, k, v *yaml.Node) error {
		if !slices.Contains(r.out.forms, form) {
			return r.fail(k, "this language has no plural form %q; it has %s", form, strings.Join(r.out.forms, ", "))
		}
		if v.Kind != yaml.ScalarNode {
			return r.fail(v, "the plural form %q of %q is no text", form, english)
		}
		if v.Value == "" {
			return nil
		}
		forms[form] = v.Value
		if len(verbs(v.Value)) == 0 && standsForOne(r.out.tag, form) {
			return r.clean(v, false)
		}
		return r.one(english, v)
	})
	if err != nil || len(forms) == 0 {
		return err
	}
	for _, form := range r.out.forms {
		if forms[form] == "" {
			return r.fail(n, "the plural form %q of %q is missing", form, english)
		}
	}
	r.out.plurals[english] = forms
	return nil
}

// one checks one text against the English one.
func (r *reader) one(english string, v *yaml.Node) error {
	if v.Kind != yaml.ScalarNode {
		return r.fail(v, "the text for %q is no text", english)
	}
	if err := r.clean(v, strings.Contains(english, "\n")); err != nil {
		return err
	}
	if err := sameVerbs(english, v.Value); err != nil {
		return r.fail(v, "the text for %q: %s", english, err)
	}
	return nil
}

// clean refuses what no text for people has. Lines are for texts that have lines in English.
func (r *reader) clean(v *yaml.Node, lines bool) error {
	for _, c := range v.Value {
		if unicode.IsControl(c) && !(lines && c == '\n') || c == unicode.ReplacementChar {
			return r.fail(v, "the text has the character %U, which is not for texts", c)
		}
	}
	if strings.TrimSpace(v.Value) == "" {
		return r.fail(v, "%s", errors.New("the text is blank"))
	}
	return nil
}

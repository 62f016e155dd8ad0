// Package language is the texts that people read, in their languages.
//
// The English text in the sources is the key, as in gettext: a catalogue has a text of its
// language for each, and what it lacks stays English. The package owns the catalogues'
// form, the German one, which language a browser gets, and how numbers and dates are
// written. It does not own which texts there are: they stand in the sources, and
// TestGermanIsComplete compares them with the German catalogue. Its neighbour is web/look, which
// renders pages. Invariant: a catalogue is text and never markup: whoever renders escapes it
// like any other value, and its placeholders are exactly those of the English text.
package language

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// Language is one language with its texts. It does not change, so it is safe for concurrent use.
type Language struct {
	tag  language.Tag
	name string
	rtl  bool
	// forms are the plural categories of CLDR that its integers have, "other" at the end.
	forms   []string
	texts   map[string]string
	plurals map[string]map[string]string
}

// English is the language of the sources, which needs no catalogue.
func English() *Language {
	return &Language{tag: language.English, name: "English", forms: formsOf(language.English)}
}

// Tag is the BCP 47 tag, such as "de" or "pt-BR".
func (l *Language) Tag() string { return l.tag.String() }

// Name is what the language calls itself.
func (l *Language) Name() string { return l.name }

// Direction is "ltr" or "rtl", for the HTML attribute dir.
func (l *Language) Direction() string {
	if l.rtl {
		return "rtl"
	}
	return "ltr"
}

// Format is the text of this language for an English one, still with its placeholders; the
// English one where there is none.
func (l *Language) Format(english string) string {
	if s, ok := l.texts[english]; ok {
		return s
	}
	return english
}

// Text is the text of this language for an English one. With arguments it is formatted as by
// [fmt.Sprintf]; without, nothing in it is a placeholder.
func (l *Language) Text(english string, args ...any) string {
	if len(args) == 0 {
		return l.Format(english)
	}
	return fmt.Sprintf(l.Format(english), l.Args(args)...)
}

// Count is the text for a number of things: one and many are the English forms, with the
// number as %d, and many is the key.
func (l *Language) Count(n int, one, many string) string {
	format := l.countFormat(n, one, many)
	if len(verbs(format)) == 0 {
		return strings.ReplaceAll(format, "%%", "%")
	}
	return fmt.Sprintf(format, n)
}

func (l *Language) countFormat(n int, one, many string) string {
	if forms, ok := l.plurals[many]; ok {
		if s, ok := forms[form(l.tag, n)]; ok {
			return s
		}
		return forms[other]
	}
	if n == 1 {
		return one
	}
	return many
}

// Lacks are the texts of another language that this one does not have, sorted.
func (l *Language) Lacks(of *Language) []string {
	var out []string
	for k := range of.texts {
		if _, ok := l.texts[k]; !ok {
			out = append(out, k)
		}
	}
	for k := range of.plurals {
		if _, ok := l.plurals[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// Keys are the English texts that the language has texts for, sorted, and those with plural
// forms among them.
func (l *Language) Keys() (all []string, counted map[string]bool) {
	counted = map[string]bool{}
	for k := range l.plurals {
		counted[k] = true
	}
	all = slices.Concat(slices.Collect(maps.Keys(l.texts)), slices.Collect(maps.Keys(l.plurals)))
	slices.Sort(all)
	return all, counted
}

const other = "other"

var categories = map[plural.Form]string{plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: other}

// form is the plural category of an integer (CLDR, cardinal).
func form(tag language.Tag, n int) string {
	// MatchPlural takes the integer modulo 10,000,000 (golang.org/x/text/feature/plural).
	return categories[plural.Cardinal.MatchPlural(tag, max(n, -n)%10_000_000, 0, 0, 0, 0)]
}

// counted is up to which number the categories of a language are looked for. All that
// CLDR has for integers are there by then but those for millions, which nobody counts here.
const counted = 1000

func formsOf(tag language.Tag) []string {
	seen := map[string]bool{}
	for n := range counted {
		seen[form(tag, n)] = true
	}
	var out []string
	for _, f := range []string{"zero", "one", "two", "few", "many"} {
		if seen[f] {
			out = append(out, f)
		}
	}
	return append(out, other)
}

// standsForOne reports whether a form is that of one number alone, which a text may then have
// in words.
func standsForOne(tag language.Tag, of string) bool {
	n := 0
	for i := range counted {
		if form(tag, i) == of {
			n++
		}
	}
	return n == 1
}

// Forms are the plural categories that a text with a number has in this language, by
// CLDR: "one" and "other" in German; "other" is always the last.
func (l *Language) Forms() []string { return slices.Clone(l.forms) }

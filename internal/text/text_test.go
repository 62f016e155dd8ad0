package text

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// TestPlainSpelling: what is plain is spelled as Unicode spells it, and has nothing in it that a name may
// not have.
func TestPlainSpelling(t *testing.T) {
	for c := range rune(256) {
		for _, name := range []string{string(c), "a" + string(c), string(c) + "Z", "Dave" + string(c) + "Smith"} {
			want := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.TrimSpace(name))))
			if got := Spelling(name); got != want {
				t.Errorf("%q is spelled %q and not %q", name, got, want)
			}
		}
		bad := Blank(c) || unicode.IsControl(c) || unicode.IsSpace(c) || unicode.In(c, unicode.Cf, unicode.Co, unicode.Cs)
		if c > ' ' && c <= '~' && bad {
			t.Errorf("%q may not stand in a name", c)
		}
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"ada":                         "ada",
		"Grace Hopper":                "Grace Hopper",
		"two\nlines":                  `two\nlines`,
		strings.Repeat("\n", 3) + "x": `\n\n\nx`,
		"a\tb\rc":                     `a\tb\u{D}c`,
		"\x1b[2Jgone":                 `\u{1B}[2Jgone`,
		"\u009b2J":                    `\u{9B}2J`,
		"abc\u202Edcba":               `abc\u{202E}dcba`,
		"a\u2066b\u2069":              `a\u{2066}b\u{2069}`,
		"a\u2068b\u2069":              `a\u{2068}b\u{2069}`,
		"zero\u200Bwidth\u200D\uFEFF": `zero\u{200B}width\u{200D}\u{FEFF}`,
		"line\u2028sep\u2029":         `line\u{2028}sep\u{2029}`,
		"no\u00A0break\u3000":         `no\u{A0}break\u{3000}`,
		"fill\u3164\u115F\u2800":      `fill\u{3164}\u{115F}\u{2800}`,
		"v\uFE0F\U000E0101":           `v\u{FE0F}\u{E0101}`,
		"two  spaces":                 `two \u{20}spaces`,
		" outer ":                     `\u{20}outer\u{20}`,
		`back\slash`:                  `back\\slash`,
		`\n`:                          `\\n`,
		"bad\xffutf8":                 `bad\xFFutf8`,
		"replaced \uFFFD":             "replaced \uFFFD",
		"Zoë Ångström, 京都, Ὀδυσσεύς": "Zoë Ångström, 京都, Ὀδυσσεύς",
		"e\u0301":                   "e\u0301",
		"\u0301x":                   `\u{301}x`,
		"e\u0301\u0301\u0301\u0301": "e\u0301\u0301\u0301" + `\u{301}`,
		"שלום":                      "\u2068שלום\u2069",
		"x) in [administrators]":    "x) in [administrators]",
	} {
		if got := OneLine(in); got != want {
			t.Errorf("%q is written %q, not %q", in, got, want)
		}
		if got := OneLine(in); !Clean(got) {
			t.Errorf("%q is not clean", got)
		}
	}
	if got := Quote(`a" of "b`); got != `"a\" of \"b"` {
		t.Error(got)
	}
	for in, want := range map[string]string{"ada.l-1@x.org": "ada.l-1@x.org", "Ada": `"Ada"`, "": `""`, "-x": `"-x"`, "a b": `"a b"`, "аda": `"аda"`} {
		if got := Name(in); got != want {
			t.Errorf("the name %q is written %s", in, got)
		}
	}
}

func TestClean(t *testing.T) {
	for s, want := range map[string]bool{"": true, "ada: gone": true, "\u2068שלום\u2069 x": true, "\u2068x": false, "x\u2069": false, "\u2068\u2068x\u2069\u2069": false,
		"\u202Ex": false, "a\nb": false, "\x1b": false, "a\u200Bb": false, "\xff": false} {
		if Clean(s) != want {
			t.Errorf("%q is clean: %t", s, !want)
		}
	}
	if got := Lines("a  b\n\x1b[2J\u202Ex\r\n\tend"); got != "a  b\n\\u{1B}[2J\\u{202E}x\n\\tend" {
		t.Errorf("%q", got)
	}
	if got := Seen("a\\b \x1b x"); got != `a\b \u{1B} x` {
		t.Errorf("%q", got)
	}
}

// What differs is never written alike, and what is written is one clean line.
func FuzzOneLine(f *testing.F) {
	for _, s := range []string{"a", "\n", `\n`, "\\u{A}", "  ", "\u202E", "\xff", `\xFF`, "\u2068x\u2069", "שלום \" x"} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if a != b && (OneLine(a) == OneLine(b) || Quote(a) == Quote(b) || Name(a) == Name(b)) {
			t.Errorf("%q and %q are written alike", a, b)
		}
		for _, s := range []string{OneLine(a), Quote(a), Name(a)} {
			if !Clean(s) || strings.ContainsAny(s, "\n\r\t\x1b") || !utf8.ValidString(s) {
				t.Errorf("%q is written %q", a, s)
			}
		}
	})
}

// What differs by case, by the spaces around it or by how Unicode writes it is one name.
func TestSpelling(t *testing.T) {
	for _, alike := range [][]string{{"bob", "BOB", " Bob ", "ｂｏｂ"}, {"straße", "STRASSE"}, {"é", "e\u0301", "É"}} {
		for _, name := range alike {
			if got := Spelling(name); got != Spelling(alike[0]) || Spelling(got) != got {
				t.Errorf("%q is %q, and %q is %q", name, got, alike[0], Spelling(alike[0]))
			}
		}
	}
	if Spelling("bob") == Spelling(`corp\bob`) || Spelling("bob") == Spelling("b ob") {
		t.Error("two names are one")
	}
}

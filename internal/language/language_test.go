package language

import (
	"strings"
	"testing"
	"time"
)

const head = "language: fr\nname: Français\ndirection: ltr\ntexts:\n"

// A file that is wrong is refused with its line, and a file with gaps is not.
func TestFilesAreReadStrictly(t *testing.T) {
	for _, c := range []struct{ what, file, want string }{
		{"an unknown text", head + `  "No such text": "Rien"`, `fr.yaml line 5: no page, mail or message has the text "No such text"`},
		{"an unknown setting", "language: fr\nplural: one\n", `line 2: "plural" is unknown here`},
		{"a text twice", head + "  \"Sign in\": a\n  \"Sign in\": b", "line 6"},
		{"no language", "name: x\ndirection: ltr\ntexts: {}", `"language" is missing`},
		{"no texts", "language: fr\nname: x\ndirection: ltr", `"texts" is missing`},
		{"a tag that is none", "language: '12'\nname: x\n", `line 1: "12" is no language tag`},
		{"a direction that is none", "language: fr\nname: x\ndirection: up\n", "line 3: the direction is ltr or rtl"},
		{"a placeholder missing", head + `  "as %s": "comme"`, "line 5: the text for \"as %s\": the placeholder %[1]s is missing"},
		{"a placeholder too many", head + `  "as %s": "comme %s %s"`, "placeholder 2 is too many: the English text has 1"},
		{"another verb", head + `  "as %s": "comme %d"`, "placeholder 1 is %s in English"},
		{"a verb that is none", head + `  "as %s": "comme %s à 5%x"`, `"%x" is no placeholder`},
		{"the same argument twice in place of both", head + `  "%s on %s": "%[1]s %[1]s"`, "the placeholder %[2]s is missing"},
		{"a numbered per cent sign", head + `  "%s on %s": "%s 5 %[1]% %s"`, `"%[" is no placeholder`},
		{"a width", head + `  "as %s": "comme %99999999s"`, `"%9" is no placeholder`},
		{"a width that is an argument", head + `  "%s on %s": "%s %*s"`, `"%*" is no placeholder`},
		{"an argument far away", head + `  "as %s": "comme %[9]s"`, "the placeholder %[1]s is missing"},
		{"a number of an argument that is none", head + `  "as %s": "comme %s %[0]s"`, `"%[" is no placeholder`},
		{"a pointer", head + `  "as %s": "comme %s %p"`, `"%p" is no placeholder`},
		{"a per cent sign at the end", head + `  "as %s": "comme %s %"`, `"%" is no placeholder`},
		{"a text from elsewhere", head + "  \"Sign in\": &a Rien\n  \"as %s\": *a", "is no text"},
		{"a plural form from elsewhere", "language: es\nname: x\ndirection: ltr\ntexts:\n  \"Sign in\": &a Rien\n  \"%d minutes ago\": {one: *a, other: \"il y a %d minutes\"}", `the plural form "one" of "%d minutes ago" is no text`},
		{"a plural form that is a list", head + `  "%d minutes ago": {one: [a], other: "il y a %d minutes"}`, `the plural form "one" of "%d minutes ago" is no text`},
		{"a text merged in", head + "  <<: {\"Sign in\": a}", `has the text "<<"`},
		{"no plural forms", head + `  "%d minutes ago": "il y a %d minutes"`, "give its plural forms, one, other"},
		{"a plural form missing", head + `  "%d minutes ago": {one: "il y a %d minute"}`, `the plural form "other" of "%d minutes ago" is missing`},
		{"a plural form that the language has not", head + `  "%d minutes ago": {two: "%d", other: "%d"}`, `this language has no plural form "two"`},
		{"a number left out where the form stands for two", head + `  "%d minutes ago": {one: "il y a une minute", other: "il y a %d minutes"}`, "the placeholder %[1]d is missing"},
		{"plural forms of what counts nothing", head + `  "Sign in": {one: a, other: b}`, `has no plural forms`},
		{"a list", head + `  "Sign in": [a]`, `is no text`},
		{"a line where English has none", head + `  "Sign in": "a\nb"`, "U+000A, which is not for texts"},
		{"a control character", head + `  "Sign in": "a\u0007"`, "U+0007"},
		{"a list as a text of English", head + "  ? [\"Sign in\"]\n  : a", "is no text"},
		{"what stands for a byte that is none", head + `  "Sign in": "a\ufffd"`, "U+FFFD"},
		{"a control character in a form for one", "language: es\nname: x\ndirection: ltr\ntexts:\n  \"%d minutes ago\": {one: \"a\\u0007\", other: \"%d\"}", "U+0007"},
		{"a control character in its name", "language: fr\nname: \"a\\u001b\"\n", "U+001B"},
		{"blank", head + `  "Sign in": " "`, "the text is blank"},
		{"empty", "", "the file is empty"},
		{"no YAML", "a: [", "fr.yaml: yaml"},
		{"too large", head + strings.Repeat("#", maxFile), "larger than"},
	} {
		_, err := Parse("fr.yaml", []byte(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
	l, err := Parse("fr.yaml", []byte(head+"  \"Sign in\": \"\"\n  \"%d minutes ago\": {one: '', other: ''}\n  \"%s on %s\": \"sous %[2]s, %[1]s\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Text("Sign in"); got != "Sign in" {
		t.Errorf("a gap reads %q", got)
	}
	if got := l.Text("%s on %s", "Firefox", "Linux"); got != "sous Linux, Firefox" {
		t.Errorf("in another order: %q", got)
	}
	if got := l.Count(2, "%d minute ago", "%d minutes ago"); got != "2 minutes ago" {
		t.Errorf("a gap that counts reads %q", got)
	}
	all, _ := German().Keys()
	if got := len(l.Lacks(German())); got != len(all)-1 {
		t.Errorf("it lacks %d of %d", got, len(all))
	}
}

// Each language has the plural forms of CLDR, and a number takes its own.
func TestPlurals(t *testing.T) {
	for tag, want := range map[string]string{"de": "one other", "fr": "one other", "ar": "zero one two few many other", "ja": "other", "pl": "one few many other", "ru": "one few many other", "sl": "one two few other"} {
		l, err := Parse("x.yaml", []byte("language: "+tag+"\nname: x\ndirection: ltr\ntexts: {}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(l.Forms(), " "); got != want {
			t.Errorf("%s: %s, want %s", tag, got, want)
		}
	}
	ar, err := Parse("ar.yaml", []byte("language: ar\nname: x\ndirection: rtl\ntexts:\n  \"%d minutes ago\": {zero: Z, one: O, two: T, few: F %d, many: M %d, other: X %d}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{0: "Z", 1: "O", 2: "T", 3: "F 3", 11: "M 11", 100: "X 100", 103: "F 103"} {
		if got := ar.Count(n, "%d minute ago", "%d minutes ago"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if ar.Direction() != "rtl" {
		t.Error("Arabic runs from the left")
	}
}

func TestGermanTimes(t *testing.T) {
	now := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{German().Ago(now.Add(-3*time.Minute), now), "vor 3 Minuten"},
		{German().Ago(now.Add(-time.Minute), now), "vor 1 Minute"},
		{German().Ago(now.AddDate(0, -3, 0), now), "9. Dezember 2025"},
		{English().Ago(now.AddDate(0, -3, 0), now), "9 December 2025"},
		{German().Until(now.Add(90*time.Hour), now), "am 13. März 2026"},
		{German().Until(now.Add(5*time.Hour), now), "in 5 Stunden"},
		{German().Moment(now), "9. März 2026, 12:00 UTC"},
		{English().Moment(now), "9 March 2026, 12:00 UTC"},
		{German().Tell(Listed([]string{"a", "b", "c"})), "a, b und c"}, {Listed([]string{"a", "b", "c"}).String(), "a, b and c"}, {Listed([]string{"a"}).String(), "a"},
		{German().Tell(Together(Sentence{}, Say("as %s", At(now)), Say("Sign in"), Counted(2, "%d day ago", "%d days ago"))), "als 9. März 2026, 12:00 UTC Anmelden vor 2 Tagen"},
		{Say("as %s", At(now)).String(), "as 9 March 2026, 12:00 UTC"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// What the person chose comes first, then what the browser asks for, then the
// installation's own.
func TestPick(t *testing.T) {
	french, err := Parse("fr.yaml", []byte(head+"  \"Sign in\": \"Se connecter\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ first, chosen, accept, want string }{
		{"", "", "", "en"}, {"", "", "de", "de"}, {"", "", "de-AT,de;q=0.9,en;q=0.5", "de"}, {"", "", "fr-CH, de;q=0.5", "fr"},
		{"", "", "en-GB,de;q=0.9", "en"}, {"", "", "ja,de;q=0.1", "de"}, {"", "", "ja", "en"}, {"de", "", "ja", "de"}, {"de", "", "en", "en"},
		{"de", "fr", "en", "fr"}, {"de", "xx", "en", "en"}, {"", "", "de;q=x", "en"}, {"", "", "de" + strings.Repeat(",fr", 400), "en"}, {"", "", "*", "en"},
	} {
		s, err := NewShelf(c.first, french)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Pick(c.chosen, c.accept).Tag(); got != c.want {
			t.Errorf("first %q, chosen %q, asked for %.40q: %s, want %s", c.first, c.chosen, c.accept, got, c.want)
		}
	}
	if _, err := NewShelf("fr"); err == nil {
		t.Error("a language without a file is the installation's own")
	}
	if _, err := NewShelf("", &Language{tag: English().tag}); err == nil {
		t.Error("English has a file")
	}
}

// A file to fill in can be used as it is, has every text, keeps what a file had before, and says
// the direction and plural forms of its language.
func TestBlank(t *testing.T) {
	var b strings.Builder
	if err := Blank(&b, "ar", nil); err != nil {
		t.Fatal(err)
	}
	empty, err := Parse("ar.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	all, counted := German().Keys()
	if got := empty.Lacks(German()); len(got) != len(all) || empty.Direction() != "rtl" || !strings.Contains(b.String(), "    few: \"\"") {
		t.Errorf("it has %d of %d texts, and runs %s", len(all)-len(got), len(all), empty.Direction())
	}
	b.Reset()
	if err := Blank(&b, "de", German()); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("de.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range all {
		if again.Format(key) != German().Format(key) || counted[key] && again.Count(3, "", key) != German().Count(3, "", key) {
			t.Errorf("%q became %q", key, again.Format(key))
		}
	}
	if err := Blank(&b, "no such", nil); err == nil {
		t.Error("a file of no language")
	}
}

func FuzzAccept(f *testing.F) {
	f.Add("de-AT,de;q=0.9,en;q=0.5")
	s, err := NewShelf("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) { s.Pick(header, header) })
}

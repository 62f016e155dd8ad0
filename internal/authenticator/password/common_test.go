package password

import (
	"sort"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/prompt"
)

// The file is what the search needs: sorted, each line once, in the form in which
// passwords are compared, and none that is too short to be one.
func TestList(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(list, "\n"), "\n")
	if len(lines) != 17_950 || !sort.StringsAreSorted(lines) {
		t.Errorf("%d lines, sorted is %t", len(lines), sort.StringsAreSorted(lines))
	}
	for i, l := range lines {
		n, ok := normal(l)
		if !ok || fold(string(n)) != l || utf8.RuneCountInString(l) < minLength || i > 0 && lines[i-1] == l {
			t.Errorf("line %d is not as it is compared", i+1)
		}
		if !listed(l) {
			t.Errorf("line %d is not found", i+1)
		}
	}
}

// Halving finds what a set has, and nothing else: also not parts of lines, two
// lines at once, or what lies before the first and after the last.
func TestListed(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(list, "\n"), "\n")
	set := map[string]bool{}
	for _, l := range lines {
		set[l] = true
	}
	for _, s := range []string{"", "\n", "!", "zzzzzzzzzzzzzzzzzzzzz", "\xff", lines[0][1:], lines[7] + "\n" + lines[8], lines[9] + "\n", "\n" + lines[9]} {
		if listed(s) {
			t.Errorf("%q is found", s)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(lines).Draw(t, "line")
		cut := rapid.IntRange(0, len(s)).Draw(t, "cut")
		s = s[:cut] + rapid.StringOfN(rapid.RuneFrom([]rune("az09!~\n é")), 0, 2, -1).Draw(t, "tail") + s[cut:]
		if listed(s) != set[s] {
			t.Fatalf("%q is found: %t", s, listed(s))
		}
	})
}

func TestGuessable(t *testing.T) {
	a, err := New(slowhash.Params{Memory: 7 << 10, Passes: 5, Threads: 1}, slowhash.NewGate(4, 1000), "Countersign", "sso.examplecorp.co", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ada := authenticator.Person{Name: "ada.lovelace@example.org", Display: "Ada King"}
	for text, reason := range map[string]string{
		"trustno1": "common", "TRUSTNO1": "common", "ＴＲＵＳＴＮＯ１": "common", "1qaz2wsx": "common", "q1w2e3r4t5": "common", "vinogradov": "common",
		"Baseball2026!": "common", "Corvette#99": "common", "1mercedes": "common", "Monkey12!": "common", "!!sunshine99": "common", "passwordpassword": "common", "87654321": "common", "ｐａｓｓｗｏｒｄ": "common",
		"AdaLovelace-4711": "own-name", "my.ada_lovelace.key": "own-name", "x ada king x": "own-name", "xxADA-LOVELACE": "own-name",
		"my countersign pass": "service-name", "Counter-Sign 2026": "service-name", "7 examplecorp 7": "service-name", "EXAMPLEcorp!!": "service-name",
	} {
		_, err := a.Accept(t.Context(), ada, nil, prompt.Answer{Text: text}, time.Now())
		if refused, ok := err.(*authenticator.Refused); !ok || refused.Reason != reason || refused.Public == "" {
			t.Errorf("%q: %v, want %s", text, err, reason)
		}
	}
	for _, text := range []string{right, "adamant lovers lace", "tusrtn1o", "a sign to counter", "kx7 Wq!09", "zebra127zebra"} {
		if _, err := a.Accept(t.Context(), ada, nil, prompt.Answer{Text: text}, time.Now()); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A short name is looked for with ornaments alone: inside others it is chance.
func TestShortName(t *testing.T) {
	for text, want := range map[string]bool{"ada12345": true, "!!ADA!!!": true, "canadamaple": false, "adax12345": false} {
		if got := made(fold(text), "Ada"); got != want {
			t.Errorf("%q is made of the name: %t", text, got)
		}
	}
	if made("12345678", "") || made("12345678", "--") {
		t.Error("made of no name at all")
	}
}

// FuzzGuessable: no text breaks it, and no one gets past it by the shift key, by
// a digit in front or a sign behind.
func FuzzGuessable(f *testing.F) {
	for _, s := range []string{"password", "Baseball9", "ÀÉÎÕÜßſK", "İıǅ", "\xff\xfe", "        ", "ada lovelace"} {
		f.Add(s, "ada.lovelace")
	}
	a, err := New(slowhash.Default(), slowhash.NewGate(0, 0), "Countersign")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		n, ok := normal(text)
		if !ok || len(n) < minLength {
			return
		}
		p := authenticator.Person{Name: name}
		folded := fold(string(n))
		refused := a.guessable(folded, p) != nil
		for _, r := range text {
			if r >= utf8.RuneSelf {
				return // another script has its own letters for upper case
			}
		}
		if upper := a.guessable(fold(strings.ToUpper(text)), p) != nil; upper != refused {
			t.Fatalf("refused is %t, and in capitals %t", refused, upper)
		}
		if listed(folded) && a.guessable("1"+folded+"!", p) == nil && unadorned(folded) == folded {
			t.Fatal("a common word passes with ornaments")
		}
	})
}

func BenchmarkGuessable(b *testing.B) {
	a, err := New(slowhash.Default(), slowhash.NewGate(0, 0), "Countersign")
	if err != nil {
		b.Fatal(err)
	}
	p := authenticator.Person{Name: "ada.lovelace", Display: "Ada Lovelace"}
	b.ReportAllocs()
	for b.Loop() {
		a.guessable("correct horse battery staple", p)
	}
}

func BenchmarkListed(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		listed("correct horse battery staple")
	}
}

package web

import (
	"context"
	"fmt"
	"mime"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/chromedp/chromedp"

	"countersign/internal/language"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// kept is what a pseudo-language leaves as it is: placeholders and line breaks.
var kept = regexp.MustCompile(`%(\[\d\])?[sdq]|%%|\n`)

// pseudo is a language in which every text is made of the English one.
func pseudo(t *testing.T, tag, direction string, turn func(words string) string) *language.Language {
	t.Helper()
	own := func(s string) string {
		var b strings.Builder
		at := 0
		for _, m := range kept.FindAllStringIndex(s, -1) {
			b.WriteString(turn(s[at:m[0]]) + s[m[0]:m[1]])
			at = m[1]
		}
		return b.String() + turn(s[at:])
	}
	keys, counted := language.German().Keys()
	file := fmt.Sprintf("language: %s\nname: %q\ndirection: %s\ntexts:\n", tag, tag, direction)
	empty, err := language.Parse("x.yaml", []byte(file+"  \"Sign in\": x\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if !counted[key] {
			file += fmt.Sprintf("  %s: %s\n", yamlText(key), yamlText(own(key)))
			continue
		}
		file += "  " + yamlText(key) + ":\n"
		for _, form := range empty.Forms() {
			file += "    " + form + ": " + yamlText(own(key)) + "\n"
		}
	}
	l, err := language.Parse(tag+".yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func yamlText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// mirrored writes each letter as one of a script that runs from the right.
func mirrored(words string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) && r < 128 {
			return 'ا' + (unicode.ToLower(r)-'a')%10
		}
		return r
	}, words)
}

// lengthened has words as long as German and Finnish ones can be.
func lengthened(words string) string {
	fields := strings.Split(words, " ")
	for i, f := range fields {
		if len(f) > 4 {
			fields[i] = f + strings.ToLower(f) + "ungsverfahren"
		}
	}
	return strings.Join(fields, " ")
}

// looksAt goes through the pages of somebody who is signed in.
func looksAt(w *servertest.World, r reader) {
	r.t.Helper()
	for _, path := range []string{"/account", "/account/applications", "/account/history", "/account/approve", "/account/quiet", "/account/after/report", "/recovery", "/app/", "/nowhere"} {
		r.b.Visit(w.Base + path)
		r.look(path)
	}
}

// The promise: who has a German browser sets up and signs in in German, and is written to in German,
// in an installation whose own language is another; the choice in the foot of a page changes
// both. No page is wider than a phone or a desk in German, in a language that runs from the right, or in
// one of very long words.
func TestPagesInOtherLanguages(t *testing.T) {
	shelf, err := language.NewShelf("", pseudo(t, "ar-XB", "rtl", mirrored), pseudo(t, "en-XA", "ltr", lengthened))
	if err != nil {
		t.Fatal(err)
	}
	w := servertest.NewWorldFrom(t, server.Settings{Languages: shelf}, "http://localhost", nil)
	post := w.PostOffice()
	code, err := w.Setup.Link(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b := testbed.Chromium(t, chromedp.Flag("lang", "de-DE"), chromedp.Flag("accept-lang", "de-DE,de"))
	de := reader{t, b, axe(t), "de", "ltr"}
	b.Passkey()
	b.Visit(w.Base + "/setup?code=" + code)
	b.WaitText("h1", "Countersign einrichten")
	de.look("/set-up")
	b.Fill("#name", "root")
	b.Fill("#mail", "root@example.org")
	b.Click("main form button")
	b.WaitText("h1", "Richten Sie Ihre Anmeldung ein")
	de.look("/ways")
	b.Click(`form:has(input[value=passkey]) button`)
	b.WaitText("button", "Erstellen")
	de.look("/offer")
	b.Click("main form button")
	b.WaitText("main", "Passkey oder Sicherheitsschlüssel verwenden")
	de.look("/sign-in")
	b.Click("form[data-passkey] button")
	b.WaitText("main", "Until all is ready") // the console, which is in English
	subjects := func() string {
		var out []string
		for _, line := range post.Collect() {
			to, subject, _ := strings.Cut(line, ": ")
			plain, err := new(mime.WordDecoder).DecodeHeader(subject)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, to+": "+plain)
		}
		return strings.Join(out, "\n")
	}
	if got := subjects(); got != "root@example.org: Ihrem Konto wurde eine neue Anmeldemethode hinzugefügt" {
		t.Errorf("what came by mail: %s", got)
	}
	looksAt(w, de)

	stranger := b.Stranger()
	for _, l := range shelf.All() {
		b.Visit(w.Base + "/account/history")
		if b.Has(`footer button[value="` + l.Tag() + `"]`) {
			b.Click(`footer button[value="` + l.Tag() + `"]`)
			b.Wait(`html[lang="` + l.Tag() + `"]`)
		}
		if got := b.Location(); got != w.Base+"/account/history" {
			t.Errorf("after a choice one is at %s", got)
		}
		in := reader{t, b, "", l.Tag(), l.Direction()} // English is judged in a story of its own, and the invented ones are for how texts fit
		if l.Tag() == "de" {
			in.axe = de.axe
		}
		looksAt(w, in)
		stranger.Visit(w.Base + "/sign-in")
		if stranger.Has(`footer button[value="` + l.Tag() + `"]`) {
			stranger.Click(`footer button[value="` + l.Tag() + `"]`)
			stranger.Wait(`html[lang="` + l.Tag() + `"]`)
		}
		in.b = stranger
		in.look("/sign-in-first")
		a, err := w.Accounts.Find(context.Background(), w.DB, "root")
		if err != nil || a.Language != l.Tag() {
			t.Errorf("the account is written to in %q, %v", a.Language, err)
		}
	}
}

package look

import (
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"countersign/internal/language"
	"countersign/internal/text"
)

// functions are what every template may call, in one language.
func (l *Look) functions(in *language.Language) template.FuncMap {
	return template.FuncMap{
		"t":        func(text any, args ...any) any { return told(in, text, args) },
		"scripted": func(own []string) (string, error) { return scripted(in, own) },
		"called":   func(label string) string { return called(in, label) },
		"slot": func(id string) template.HTML {
			return `<bdi id="` + template.HTML(template.HTMLEscapeString(id)) + `"></bdi>`
		},
		"whole":  func(v any) template.HTML { return `<span class="whole">` + escaped(v) + `</span>` },
		"said":   func(s language.Sentence) any { return told(in, s.Format, isolated(s)) },
		"count":  in.Count,
		"asset":  l.assets.path,
		"ago":    func(t time.Time) template.HTML { return l.stamp(in, t, in.Ago(t, l.Now())) },
		"until":  func(t time.Time) template.HTML { return l.stamp(in, t, in.Until(t, l.Now())) },
		"moment": func(t time.Time) template.HTML { return l.stamp(in, t, in.Moment(l.In(t))) },
		"qr":     QR,
		"plural": plural,
		"join":   strings.Join,
		"list":   func(items ...any) []any { return items },
		"lower":  strings.ToLower,
		"fours":  fours,
		"agent":  func(header string) string { return agent(in, header) },
		"mark":   func(kind string) string { return l.Options.Kinds[kind].Mark },
		"kind":   func(kind string) Kind { return l.Options.Kinds[kind] },
		"bdi":    element("bdi"),
		"strong": element("strong"),
		"em":     element("em"),
		"code":   element("code"),
	}
}

// told is the text of a language for an English one, or a sentence, to be escaped like every
// value. Where an argument is markup, which only functions of ours make, all else is escaped
// here: the text, which comes from a file, as well as the other arguments.
func told(in *language.Language, text any, args []any) any {
	format, ok := text.(string)
	if !ok || len(args) == 0 {
		return in.Tell(text)
	}
	args = in.Args(args)
	if !slices.ContainsFunc(args, func(a any) bool { _, ok := a.(template.HTML); return ok }) {
		return in.Text(format, args...)
	}
	for i, a := range args {
		args[i] = escaped(a)
	}
	return template.HTML(fmt.Sprintf(template.HTMLEscapeString(in.Format(format)), args...))
}

// escaped is a value as markup: what is none of ours is text.
func escaped(v any) template.HTML {
	if m, ok := v.(template.HTML); ok {
		return m
	}
	return template.HTML(template.HTMLEscapeString(fmt.Sprint(v)))
}

// element makes markup of a value: an element around it.
func element(name template.HTML) func(any) template.HTML {
	return func(v any) template.HTML { return "<" + name + ">" + escaped(v) + "</" + name + ">" }
}

// scriptTexts are what countersign.js shows. A test compares the two.
var scriptTexts = []string{
	"No passkey was used. Try again, or choose another way.", "This device or key is registered already.",
	"This address does not match the one that passkeys were made for.", "This device cannot do what is needed. Try another one.",
	"The passkey could not be used.", "This browser cannot use passkeys. Choose another way.", "Copied",
}

// scripted is the JSON in which scripts find their texts; empty where they are in English.
func scripted(in *language.Language, own []string) (string, error) {
	found := map[string]string{}
	for _, text := range slices.Concat(scriptTexts, own) {
		if s := in.Format(text); s != text {
			found[text] = s
		}
	}
	if len(found) == 0 {
		return "", nil
	}
	out, err := json.Marshal(found)
	return string(out), err
}

// sentTo are the names that a credential has whose codes are sent.
var sentTo = []string{"SMS to %s", "Mail to %s"}

// called is what a person reads of the name of something of theirs: one that nobody gave is
// our own words.
func called(in *language.Language, label string) string {
	for _, format := range sentTo {
		if to, ok := strings.CutPrefix(label, strings.TrimSuffix(format, "%s")); ok {
			return in.Text(format, to)
		}
	}
	return in.Format(label)
}

// stamp marks up a moment: words to read, the exact time beside them in the zone of the
// installation.
func (l *Look) stamp(in *language.Language, t time.Time, words string) template.HTML {
	if t.IsZero() {
		return template.HTML(template.HTMLEscapeString(in.Text("never")))
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, t.UTC().Format(time.RFC3339), template.HTMLEscapeString(in.Moment(l.In(t))), template.HTMLEscapeString(words)))
}

// Zone names the zone of the installation, in which every page writes its times: that of its
// clock.
func (l *Look) Zone() string { return text.Zone(l.Now().Location()) }

// In is a time in the zone of the installation.
func (l *Look) In(t time.Time) time.Time { return t.In(l.Now().Location()) }

// Moment writes a time for people, in the zone that it is in, and names it.
func Moment(t time.Time) string { return text.Moment(t) }

// Ago says in English how long ago a moment was.
func Ago(t, now time.Time) string { return language.English().Ago(t, now) }

// Until says in English how long it is to a moment.
func Until(t, now time.Time) string { return language.English().Until(t, now) }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// fours sets a key in groups of four, for eyes that go back and forth.
func fours(key string) string {
	var b strings.Builder
	for i, r := range key {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

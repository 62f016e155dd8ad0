package look

import (
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
		"t":      func(text string, args ...any) any { return told(in, text, args) },
		"count":  in.Count,
		"asset":  l.assets.path,
		"ago":    func(t time.Time) template.HTML { return l.stamp(in, t, in.Ago(t, l.Now())) },
		"until":  func(t time.Time) template.HTML { return l.stamp(in, t, in.Until(t, l.Now())) },
		"moment": func(t time.Time) template.HTML { return l.stamp(in, t, l.MomentIn(in, t)) },
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

// told is the text of a language for an English one, to be escaped like every value. Where an
// argument is markup, which only functions of ours make, all else is escaped here: the text,
// which comes from a file, as well as the other arguments.
func told(in *language.Language, text string, args []any) any {
	args = in.Args(args)
	if !slices.ContainsFunc(args, func(a any) bool { _, ok := a.(template.HTML); return ok }) {
		return in.Text(text, args...)
	}
	for i, a := range args {
		switch a := a.(type) {
		case template.HTML, int, int64:
		default:
			args[i] = template.HTMLEscapeString(fmt.Sprint(a))
		}
	}
	return template.HTML(fmt.Sprintf(template.HTMLEscapeString(in.Format(text)), args...))
}

// element makes markup of a value: an element around it. What is no markup of ours is escaped.
func element(name string) func(any) template.HTML {
	return func(v any) template.HTML {
		inner, ok := v.(template.HTML)
		if !ok {
			inner = template.HTML(template.HTMLEscapeString(fmt.Sprint(v)))
		}
		return template.HTML("<" + name + ">" + string(inner) + "</" + name + ">")
	}
}

// MomentIn writes a time in a language, in the zone of the installation.
func (l *Look) MomentIn(in *language.Language, t time.Time) string {
	return in.Moment(l.In(t), Moment(l.In(t)))
}

// stamp marks up a moment: words to read, the exact time beside them in the zone of the
// installation.
func (l *Look) stamp(in *language.Language, t time.Time, words string) template.HTML {
	if t.IsZero() {
		return template.HTML(template.HTMLEscapeString(in.Text("never")))
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, t.UTC().Format(time.RFC3339), template.HTMLEscapeString(l.MomentIn(in, t)), template.HTMLEscapeString(words)))
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

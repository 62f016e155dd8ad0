package look

import (
	"strings"

	"countersign/internal/language"
)

// word is a text that a browser's own description holds, and what people call it.
type word struct{ in, call string }

// In these lists the first that fits is meant: every browser also calls itself
// by the names of those before it.
var (
	browsers = []word{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}}
	systems = []word{{"iPhone", "an iPhone"}, {"iPad", "an iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"},
		{"Mac OS X", "a Mac"}, {"Linux", "Linux"}}
)

// Agent says in words which browser a User-Agent header tells of. It is what the
// browser claims, good for recognising one's own and for nothing else; one that
// is not known is shown as it is, up to 60 characters.
func Agent(header string) string { return agent(language.English(), header) }

func agent(in *language.Language, header string) string {
	browser, system := first(browsers, header), first(systems, header)
	switch {
	case browser != "" && system != "":
		return in.Text("%s on %s", browser, language.Word(system))
	case header == "":
		return in.Text("unknown browser")
	}
	if r := []rune(header); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return header
}

func first(words []word, text string) string {
	for _, w := range words {
		if strings.Contains(text, w.in) {
			return w.call
		}
	}
	return ""
}

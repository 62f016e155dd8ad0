package authenticatortest

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// nearMisses changes single characters of a typed answer: the first, one in the
// middle and the last letter or digit, and cuts and doubles the whole.
func nearMisses(t testing.TB, right prompt.Answer) []prompt.Answer {
	t.Helper()
	if right.Text == "" {
		t.Fatal("this subject's answers are not typed; it needs its own Wrong")
	}
	var at []int
	for i, r := range right.Text {
		if r < utf8.RuneSelf && (r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			at = append(at, i)
		}
	}
	var out []prompt.Answer
	with := func(text string) {
		a := right
		a.Text = text
		out = append(out, a)
	}
	for _, i := range []int{at[0], at[len(at)/2], at[len(at)-1]} {
		with(right.Text[:i] + string(successor(right.Text[i])) + right.Text[i+1:])
	}
	with(right.Text[:at[len(at)-1]])
	with(right.Text + right.Text)
	with(right.Text + "7")
	return out
}

// successor stays within digits or letters, and skips the letters that a
// tolerant reader takes for another character (I, L, O).
func successor(c byte) byte {
	const order = "01234567890" + "abcdefghjkmnpqrstvwxyza" + "ABCDEFGHJKMNPQRSTVWXYZA"
	if i := strings.IndexByte(order, c); i >= 0 {
		return order[i+1]
	}
	return '7'
}

// hostile is what nobody types by accident, by name.
func hostile(kind string) map[string]prompt.Answer {
	texts := map[string]string{
		"empty":            "",
		"a space":          " ",
		"spaces":           strings.Repeat(" ", 300),
		"NUL":              "\x00",
		"NULs":             strings.Repeat("\x00", 64),
		"NUL inside":       "12345\x006",
		"controls":         "\x01\x1b[2J\r\n\x7f",
		"line breaks":      "123456\r\n654321",
		"64 KiB":           strings.Repeat("7", 64<<10),
		"1 MiB":            strings.Repeat("a", 1<<20),
		"invalid UTF-8":    "\xff\xfe\xfd123456",
		"half a rune":      "12345\xe2\x82",
		"a surrogate":      "\xed\xa0\x80123456",
		"overlong":         "\xc0\xb1\xc0\xb2",
		"right to left":    "\u202e654321\u202c",
		"zero width":       "\u200b1\u200b2\u200b3\u200b4\u200b5\u200b6",
		"combining":        "a" + strings.Repeat("\u0301", 4000),
		"expands 18 times": strings.Repeat("\ufdfa", 200),
		"superscripts":     "¹²³⁴⁵⁶",
		"circled":          "①②③④⑤⑥",
		"roman":            "ⅠⅡⅢⅣⅤⅥ",
		"tags":             "\U000e0031\U000e0032\U000e0033",
		"noncharacter":     "\uffff\ufdd0",
		"private use":      "\ue000\U00100000",
		"unassigned":       "\u0378\u0378\u0378\u0378\u0378\u0378\u0378\u0378",
		"minus":            "-123456",
		"plus":             "+12345",
		"hexadecimal":      "0x1e24",
		"exponent":         "1e5",
		"a format":         "%s%s%s%n%x",
		"markup":           "<script>alert(1)</script>",
		"SQL":              "' or '1'='1",
		"JSON":             `{"ok":true}`,
		"many words":       strings.Repeat("123456 ", 500),
	}
	out := map[string]prompt.Answer{
		"nothing at all": {},
		"JSON null":      {Authenticator: kind, Data: json.RawMessage("null")},
		"JSON array":     {Authenticator: kind, Data: json.RawMessage("[]")},
		"JSON object":    {Authenticator: kind, Data: json.RawMessage("{}")},
		"broken JSON":    {Authenticator: kind, Data: json.RawMessage(`{"id":`)},
		"deep JSON":      {Authenticator: kind, Data: json.RawMessage(strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000))},
		"NUL data":       {Authenticator: kind, Data: json.RawMessage("\x00\x00\x00")},
		"64 KiB of data": {Authenticator: kind, Data: json.RawMessage(`{"id":"` + strings.Repeat("A", 64<<10) + `"}`)},
	}
	for name, text := range texts {
		out[name] = prompt.Answer{Authenticator: kind, Text: text}
	}
	return out
}

// hostileMemo is what no engine ever hands back.
func hostileMemo() map[string]authenticator.Memo {
	return map[string]authenticator.Memo{
		"none":       nil,
		"empty":      {},
		"JSON null":  authenticator.Memo("null"),
		"an object":  authenticator.Memo("{}"),
		"an array":   authenticator.Memo("[1,2,3]"),
		"broken":     authenticator.Memo(`{"v":1,`),
		"NUL":        authenticator.Memo("\x00"),
		"huge":       authenticator.Memo(strings.Repeat("\xff", 64<<10)),
		"other type": authenticator.Memo(`{"v":"one","c":7,"t":[]}`),
	}
}

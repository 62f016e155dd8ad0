package admin

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"countersign/internal/prompt"
)

// told writes rows on one line each.
func told(rows []prompt.Field) string {
	var out []string
	for _, f := range rows {
		out = append(out, fmt.Sprintf("%s: %s -> %s", f.Name, f.Before, f.After))
	}
	return strings.Join(out, "\n")
}

func secretNamed(name string) bool { return name == "secret" }

// Whatever changes in settings has a row: also what is put in another order, what differs
// only in how it is written, and what stands there twice. Of a secret no word is shown.
func TestEveryChangedSettingIsTold(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want string }{
		"a value":               {`{"hosts":["a.example"],"mode":"wait"}`, `{"hosts":["b.example"],"mode":"wait"}`, "hosts: a.example -> b.example\nAll other settings:  -> stay as they are (1)"},
		"new":                   {``, `{"hosts":["a.example","b.example"]}`, "hosts:  -> a.example, b.example"},
		"gone":                  {`{"a":1,"b":{"c":true}}`, `{"a":1}`, "b › c: yes -> \nAll other settings:  -> stay as they are (1)"},
		"by name":               {`{"clients":[{"name":"fw","port":1},{"name":"sw","port":2}]}`, `{"clients":[{"name":"fw","port":1},{"name":"sw","port":3}]}`, "clients › sw › port: 2 -> 3\nAll other settings:  -> stay as they are (4)"},
		"another order":         {`{"rules":[{"name":"deny","x":1},{"name":"all","x":2}]}`, `{"rules":[{"name":"all","x":2},{"name":"deny","x":1}]}`, "rules › order: deny all -> all deny\nAll other settings:  -> stay as they are (4)"},
		"one name twice":        {`{"c":[{"name":"x","p":1},{"name":"x"}]}`, `{"c":[{"name":"x"},{"name":"x","p":1}]}`, "c › 2 › p:  -> 1\nc › 1 › p: 1 -> \nAll other settings:  -> stay as they are (2)"},
		"two texts as one":      {`{"hosts":["a, b"]}`, `{"hosts":["a","b"]}`, `hosts: "a, b" -> a, b`},
		"a text and a number":   {`{"n":"5"}`, `{"n":5}`, "n: 5 -> 5"},
		"a list and one":        {`{"n":["5"]}`, `{"n":"5"}`, "n: 5 -> 5"},
		"one member twice":      {`{"a":1}`, `{"a":1,"a":2}`, "a: 1 -> 1, 2"},
		"another case":          {`{"a":1}`, `{"a":1,"A":2}`, "\"A\":  -> 2\nAll other settings:  -> stay as they are (1)"},
		"null":                  {`{"a":1}`, `{"a":null}`, "a: 1 -> nothing"},
		"empty":                 {`{"a":[1]}`, `{"a":[]}`, "a: 1 -> nothing"},
		"a secret":              {`{"clients":[{"name":"fw","secret":"old-word"}]}`, `{"clients":[{"name":"fw","secret":"new-word"}]}`, "clients › fw › secret: a secret -> another secret\nAll other settings:  -> stay as they are (1)"},
		"a secret that stays":   {`{"secret":"old-word"}`, `{"secret":"(hidden)"}`, "All other settings:  -> stay as they are (1)"},
		"a secret in a list":    {`{"secret":{"deep":["old-word"]}}`, `{"secret":{"deep":["new-word"]}}`, "secret › deep: a secret -> another secret"},
		"a name like a path":    {`{"a":{"b":1}}`, `{"a":{"b":1},"a › b":2}`, "\"a › b\":  -> 2\nAll other settings:  -> stay as they are (1)"},
		"an object like a path": {`{"c":[{"name":"a","p":1}]}`, `{"c":[{"name":"a","p":1},{"name":"a › p"}]}`, "c › \"a › p\" › name:  -> a › p\nc › order:  -> a \"a › p\"\nAll other settings:  -> stay as they are (2)"},
		"an object like order":  {`{"c":[{"name":"order","p":1},{"name":"x","p":1}]}`, `{"c":[{"name":"order","p":2},{"name":"x","p":1}]}`, "c › 1 › p: 1 -> 2\nAll other settings:  -> stay as they are (3)"},
		"what is invisible":     {`{"t":"a"}`, `{"t":"a\u202e\n<b>"}`, `t: a -> a\u{202E}\n<b>` + ""},
	} {
		rows, err := Values(json.RawMessage(c.before), json.RawMessage(c.after), secretNamed)
		if got := told(rows); err != nil || got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s (%v)", name, got, c.want, err)
		}
		if strings.Contains(told(rows), "-word") {
			t.Errorf("%s shows a secret", name)
		}
	}
	if rows, err := Values(nil, json.RawMessage(`{"a"`), secretNamed); err == nil {
		t.Errorf("what is no JSON was told as %v", rows)
	}
}

func TestEveryChangedLineIsTold(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want string }{
		"nothing":        {"a\nb\n", "a\nb", ""},
		"one":            {"a\nb\nc\n", "a\nx\nc\n", "Line 2: b -> x"},
		"new":            {"a\nc\n", "a\nb\nb2\nc\n", "Lines 2 to 3, new:  -> b\nb2"},
		"gone":           {"a\nb\nc\n", "a\nc\n", "Line 2 until now: b -> "},
		"two places":     {"a\nb\nc\nd\ne\n", "a\nB\nc\nd\nE\n", "Line 2: b -> B\nLine 5: e -> E"},
		"all of it":      {"", "a\nb\n", "Lines 1 to 2, new:  -> a\nb"},
		"an empty one":   {"a\nb\n", "a\n\nb\n", "Line 2, new:  -> (empty)"},
		"indented":       {"a:\n  b\n", "a:\n    b\n", "Line 2:   b ->     b"},
		"what is hidden": {"a\n", "a\u202e\n", `Line 1: a -> a\u{202E}`},
	} {
		if got := told(Lines(c.before, c.after)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
	long := strings.Repeat("x\ny\n", 3000)
	rows := Lines("a\n"+long+"b\n", "A\n"+strings.Repeat("y\nx\n", 3000)+"B\n")
	if len(rows) != 1 || !strings.HasPrefix(rows[0].After, "A\ny") || !strings.HasSuffix(rows[0].After, "x\nB") {
		t.Errorf("of documents that differ everywhere not all is told: %d rows", len(rows))
	}
}

// FuzzLines: from what is told, and what is not, the later document comes out again.
func FuzzLines(f *testing.F) {
	f.Add("a\nb\nc", "a\nc\nd")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, before, after string) {
		a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
		var out []string
		i := 0
		for _, h := range hunks(a, b) {
			out = append(out, a[i:h.a.from]...)
			out = append(out, b[h.b.from:h.b.to]...)
			i = h.a.to
		}
		if got := strings.Join(append(out, a[i:]...), "\n"); got != after {
			t.Errorf("%q and %q: %q", before, after, got)
		}
	})
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "no time", time.Hour: "1 hour", 90 * time.Minute: "1 hour 30 minutes", 26 * time.Hour: "1 day 2 hours", 61 * time.Second: "1 minute 1 second"} {
		if got := Span(d); got != want {
			t.Errorf("%v is %q, not %q", d, got, want)
		}
	}
}

// The promise: no field is left out of what is read, one of an embedded struct and one that is
// taken away among them, however long it is; and nothing in it is invisible or breaks its line.
func TestEveryFieldIsReadWholeAndEscaped(t *testing.T) {
	const hidden, escaped = "x\u202e\ny", `x\u{202E}\ny`
	type whom struct {
		Account string `json:"account"`
	}
	c := struct {
		whom
		Note    string          `json:"note"`
		At      time.Time       `json:"at"`
		Risk    bool            `json:"at_risk"`
		List    []string        `json:"list"`
		Raw     json.RawMessage `json:"raw"`
		Gone    string          `json:"gone"`
		Unset   string          `json:"unset"`
		Said    string          `json:"said"`
		Digest  string          `json:"digest"`
		Decimal float64         `json:"decimal"`
	}{whom{hidden}, strings.Repeat("long", 20000), time.Unix(1767225600, 0), true, []string{hidden, "a b"}, json.RawMessage(`"` + hidden + `"`), "", "", "value", "d1g35t", 2.5}
	s := &Sheet{before: map[string]string{}, says: map[string]string{}, rows: map[string][]prompt.Field{}}
	s.Was("gone", hidden)
	s.Was("at_risk", "no")
	s.Says("said", "words "+hidden)
	s.Rows("digest")
	var rows []prompt.Field
	s.fields(reflect.ValueOf(&c).Elem(), &rows)
	want := strings.Join([]string{"Account:  -> " + escaped, "Note:  -> " + strings.Repeat("long", 20000), "At:  -> 2026-01-01T00:00:00Z", "At risk: no -> yes",
		`List:  -> "` + escaped + `" "a b"`, `Raw:  -> "` + escaped + `"`, "Gone: " + escaped + " -> ", "Said:  -> words " + escaped, "Decimal:  -> 2.5"}, "\n")
	got := told(rows)
	if short := strings.NewReplacer(strings.Repeat("long", 20000), "long..."); got != want {
		t.Errorf("got\n%s\nwant\n%s", short.Replace(got), short.Replace(want))
	}
}

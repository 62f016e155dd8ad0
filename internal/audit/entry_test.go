package audit

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

var moment = time.Date(2026, 11, 24, 19, 40, 31, 123456789, time.FixedZone("", 3600))

func full() Entry {
	return Entry{At: moment, Actor: Actor{Account: 7, Name: "ada", Via: "radius"}, Event: "signin.granted", Outcome: OK,
		Account: 8, AccountName: "grace", Application: "vpn", Protocol: "radius", Source: "203.0.113.9",
		Action: "sign in", Reason: "two-factors", Attempt: "4f1c2a9b", Detail: map[string]string{"b": `2"\`, "a": "ünï"}}
}

func TestEncodeIsOneForm(t *testing.T) {
	e := full()
	got, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"at":"2026-11-24T18:40:31.123456Z","actor":{"account":7,"name":"ada","via":"radius"},` +
		`"event":"signin.granted","outcome":"ok","account":8,"account_name":"grace","application":"vpn",` +
		`"protocol":"radius","source":"203.0.113.9","action":"sign in","reason":"two-factors","attempt":"4f1c2a9b",` +
		`"detail":{"a":"ünï","b":"2\"\\"}}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	back, err := Decode(got)
	if err != nil {
		t.Fatal(err)
	}
	e.At = e.At.UTC().Truncate(time.Microsecond)
	if !reflect.DeepEqual(back, e) {
		t.Errorf("got %+v\nwant %+v", back, e)
	}
}

func TestEncodeRefusesMistakes(t *testing.T) {
	for name, spoil := range map[string]func(*Entry){
		"no outcome":      func(e *Entry) { e.Outcome = "" },
		"unknown outcome": func(e *Entry) { e.Outcome = "granted" },
		"no event":        func(e *Entry) { e.Event = "" },
		"capital event":   func(e *Entry) { e.Event = "Signin" },
		"long event":      func(e *Entry) { e.Event = strings.Repeat("a", MaxEvent+1) },
		"no time":         func(e *Entry) { e.At = time.Time{} },
		"year 10000":      func(e *Entry) { e.At = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"odd detail":      func(e *Entry) { e.Detail = map[string]string{`a"b`: ""} },
		"empty detail":    func(e *Entry) { e.Detail = map[string]string{"": ""} },
		"many details": func(e *Entry) {
			for i := range MaxDetail {
				e.Detail[strings.Repeat("x", i+1)] = ""
			}
		},
	} {
		e := full()
		spoil(&e)
		if _, err := e.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
	if _, err := (&Entry{}).Encode(); err == nil {
		t.Error("the zero entry was encoded")
	}
}

func TestEncodeCutsAndCleans(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"tab\tnewline\n", "tab\uFFFDnewline\uFFFD"},
		{"\x1b[2J", "\uFFFD[2J"},
		{"abc\u202Edef", "abc\uFFFDdef"},
		{"\xff\xfe", "\uFFFD\uFFFD"},
		{strings.Repeat("a", MaxText), strings.Repeat("a", MaxText)},
		{strings.Repeat("a", MaxText+1), strings.Repeat("a", MaxText-3) + "…"},
		{strings.Repeat("ü", MaxText), strings.Repeat("ü", (MaxText-3)/2) + "…"},
	} {
		if got := clean(c.in, MaxText); got != c.want {
			t.Errorf("clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestLargestEntryFits(t *testing.T) {
	long := strings.Repeat(`"`, 10_000)
	e := Entry{At: moment, Actor: Actor{Account: 1 << 62, Name: long, Via: long}, Event: strings.Repeat("e", MaxEvent), Outcome: Refused,
		Account: 1 << 62, AccountName: long, Application: long, Protocol: long, Source: long, Action: long, Reason: long,
		Attempt: long, Detail: map[string]string{}}
	for i := range MaxDetail {
		e.Detail[strings.Repeat("k", MaxKey-1)+string(rune('a'+i))] = long
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > MaxBody {
		t.Errorf("%d bytes, more than MaxBody", len(b))
	}
	if _, err := Decode(b); err != nil {
		t.Error(err)
	}
}

func TestDecodeRefusesOtherSpellings(t *testing.T) {
	e := full()
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s := string(body)
	for name, other := range map[string]string{
		"white space":    strings.Replace(s, `,"event"`, `, "event"`, 1),
		"trailing":       s + "\n",
		"unknown field":  strings.Replace(s, `"event"`, `"extra":1,"event"`, 1),
		"twice":          strings.Replace(s, `"event"`, `"outcome":"ok","event"`, 1),
		"other case":     strings.Replace(s, `"event"`, `"EVENT"`, 1),
		"escaped":        strings.Replace(s, `"vpn"`, `"\u0076pn"`, 1),
		"other order":    strings.Replace(s, `{"a":"ünï","b":"2\"\\"}`, `{"b":"2\"\\","a":"ünï"}`, 1),
		"empty field":    strings.Replace(s, `"application":"vpn"`, `"application":""`, 1),
		"another zone":   strings.Replace(s, `123456Z`, `123456+00:00`, 1),
		"fewer digits":   strings.Replace(s, `.123456Z`, `.123Z`, 1),
		"not an object":  `[]`,
		"nothing":        ``,
		"null":           `null`,
		"too long":       strings.Repeat(" ", MaxBody) + s,
		"direction mark": strings.Replace(s, "vpn", "v\u202Epn", 1),
	} {
		if _, err := Decode([]byte(other)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	e := full()
	body, _ := e.Encode()
	f.Add(body)
	f.Add([]byte(`{"at":"2026-11-24T18:40:31.123456Z","actor":{"name":"system"},"event":"a","outcome":"failed"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil || string(again) != string(b) {
			t.Fatalf("%q became %q, %v", b, again, err)
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("ada", "curl/8", "203.0.113.9")
	f.Add("\x00\xff\u202e", strings.Repeat("ü", 300), `"\`)
	f.Fuzz(func(t *testing.T, name, agent, source string) {
		e := Entry{At: moment, Actor: Actor{Name: name}, Event: "signin.refused", Outcome: Refused, AccountName: name,
			Source: source, Detail: map[string]string{"agent": agent}}
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(b); err != nil || len(b) > MaxBody {
			t.Fatalf("%q: %v", b, err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	e := full()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

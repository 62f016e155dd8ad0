package events

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"countersign/internal/audit"
)

// read5424 reads a message by the grammar of RFC 5424 section 6, strictly, and returns its
// structured data by element. It shares nothing with what writes it.
func read5424(s string) (header []string, data map[string]map[string]string, message string, err error) {
	m := regexp.MustCompile(`^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) `).FindStringSubmatch(s)
	if m == nil {
		return nil, nil, "", fmt.Errorf("not a header: %q", s)
	}
	rest := s[len(m[0]):]
	data = map[string]map[string]string{}
	name := regexp.MustCompile(`^\[([!#-<>-\\^-~]{1,32})`)
	pair := regexp.MustCompile(`^ ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\.)*)"`)
	for strings.HasPrefix(rest, "[") {
		n := name.FindStringSubmatch(rest)
		if n == nil || data[n[1]] != nil {
			return nil, nil, "", fmt.Errorf("not an element: %q", rest)
		}
		rest, data[n[1]] = rest[len(n[0]):], map[string]string{}
		for p := pair.FindStringSubmatch(rest); p != nil; p = pair.FindStringSubmatch(rest) {
			rest = rest[len(p[0]):]
			data[n[1]][p[1]] = regexp.MustCompile(`\\(["\\\]])`).ReplaceAllString(p[2], "$1")
		}
		if !strings.HasPrefix(rest, "]") {
			return nil, nil, "", fmt.Errorf("an element without its end: %q", rest)
		}
		rest = rest[1:]
	}
	if message = strings.TrimPrefix(rest, " \xEF\xBB\xBF"); len(data) == 0 || message == rest || !utf8.ValidString(message) {
		return nil, nil, "", fmt.Errorf("no structured data, or no message in UTF-8: %q", rest)
	}
	return m[1:], data, message, nil
}

var noon = time.Date(2026, 11, 30, 12, 0, 0, 123456000, time.UTC)

func TestMessage(t *testing.T) {
	got := Message(audit.Entry{Seq: 42, At: noon, Actor: audit.Actor{Account: 3, Name: "ada", Via: "radius"}, Event: "signin.refused", Outcome: audit.Refused, Account: 3, AccountName: "ada", Application: "vpn", Protocol: "radius",
		Source: "192.0.2.7", Reason: "wrong", Versions: "account/3=9", Detail: map[string]string{"shown": `a "quoted" \ ]`, "count": "2"}}, "login.example.org")
	want := `<108>1 2026-11-30T12:00:00.123456Z login.example.org countersign - signin.refused ` +
		`[countersign@32473 seq="42" event="signin.refused" outcome="refused" reason="wrong" actor="ada" via="radius" account="ada" accountId="3" application="vpn" protocol="radius" source="192.0.2.7"]` +
		`[detail@32473 count="2" shown="a \"quoted\" \\ \]"]` + " \xEF\xBB\xBFsignin.refused refused, account ada, application vpn, source 192.0.2.7, by ada, reason wrong"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for event, severity := range map[string]string{"signin.granted": "110", "alarm.spray": "106", "database.tampered": "106", "alarmed.not": "110"} {
		if !strings.HasPrefix(Message(audit.Entry{At: noon, Event: event, Outcome: audit.OK}, "h"), "<"+severity+">") {
			t.Errorf("%s is not of severity %s", event, severity)
		}
	}
	long := map[string]string{}
	for i := range audit.MaxDetail {
		long["d"+strconv.Itoa(i)] = strings.Repeat("]", audit.MaxValue)
	}
	text := Message(audit.Entry{Seq: 1, At: noon, Event: "signin.granted", Outcome: audit.OK, Detail: long}, "h")
	if _, data, _, err := read5424(text); err != nil || len(text) > mostSyslog+500 || data["detail@32473"]["leftOut"] == "" {
		t.Errorf("%d bytes: %v %v", len(text), err, data["detail@32473"])
	}
}

// The promise: whatever a stranger typed, one entry is one message, no part of it is taken
// for another, and a reader gets each value back as it was, but for what does not print.
func FuzzMessage(f *testing.F) {
	f.Add("signin.refused", "ada", `"] [x@1 a="b`, "k", "value")
	f.Add("a", "\n<34>1 2026-11-30T12:00:00Z h x - - - forged", "\\", "a b=]\"", "\x00\xff")
	f.Add("", "\u2028\u202e", "", strings.Repeat("k", 48), strings.Repeat("]", 600))
	f.Fuzz(func(t *testing.T, event, account, application, key, value string) {
		e := audit.Entry{Seq: 7, At: noon, Event: event, Outcome: audit.OK, AccountName: account, Application: application, Detail: map[string]string{key: value}}
		got := Message(e, account)
		_, data, message, err := read5424(got)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got[strings.Index(got, " countersign "):] {
			if !unicode.IsPrint(r) && r != '\uFEFF' {
				t.Fatalf("%q is in %q", r, got)
			}
		}
		as := func(s string) string { return strings.Map(printable, strings.ToValidUTF8(s, "\uFFFD")) }
		ours := data["countersign@32473"]
		if ours["seq"] != "7" || len(got) < mostSyslog && (ours["account"] != as(account) || ours["application"] != as(application)) {
			t.Fatalf("%+v came back as %q", e, ours)
		}
		if details := data["detail@32473"]; details == nil || len(details) != 1 {
			t.Fatalf("the details are %q", details)
		}
		if strings.Contains(message, "\n") || len(data) != 2 {
			t.Fatalf("%q %q", message, data)
		}
	})
}

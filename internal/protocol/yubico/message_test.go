package yubico

import (
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The request that Yubico's "Getting Started Writing Clients" signs:
// https://developers.yubico.com/OTP/Libraries/Getting_Started_Writing_Clients.html
const (
	published    = "id=1&otp=vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft&nonce=jrFwbaYFhn0HoxZIsd9LQ6w2ceU&h=%2Bja8S3IjbX593%2FLAgTBixwPNGX4%3D"
	publishedKey = "mG5be6ZJU1qBGz24yPh/ESM3UdU="
)

func TestPublishedSignature(t *testing.T) {
	key, _ := base64.StdEncoding.DecodeString(publishedKey)
	for _, query := range []string{published, strings.ReplaceAll(published, "%2B", "+")} {
		r, ok := parse(query)
		if !ok || !r.signed(key) || !r.typed() || !r.nonced() {
			t.Errorf("%s is not taken: %+v", query, r)
		}
	}
	for _, query := range []string{published + "&timestamp=1", strings.Replace(published, "id=1", "id=2", 1), strings.Replace(published, "%2Bja8", "%2Bja9", 1)} {
		if r, ok := parse(query); ok && r.signed(key) {
			t.Errorf("%s is taken", query)
		}
	}
}

// An answer is signed over all that it says, and says the moment to a millisecond.
func TestAnswer(t *testing.T) {
	key, _ := base64.StdEncoding.DecodeString(publishedKey)
	r, _ := parse(published)
	text := answer(r, statusOK, key, time.Date(2026, 11, 25, 8, 9, 10, 45_000_000, time.UTC))
	want := "t=2026-11-25T08:09:10Z0045\r\notp=vvungrrdhvtklknvrtvuvbbkeidikkvgglrvdgrfcdft\r\nnonce=jrFwbaYFhn0HoxZIsd9LQ6w2ceU\r\nsl=100\r\nstatus=OK\r\n\r\n"
	first, rest, _ := strings.Cut(text, "\r\n")
	if !strings.HasPrefix(first, "h=") || rest != want {
		t.Errorf("%q", text)
	}
	var p pairs
	for line := range strings.SplitSeq(strings.TrimSpace(want), "\r\n") {
		name, value, _ := strings.Cut(line, "=")
		p = append(p, [2]string{name, value})
	}
	if first != "h="+p.signature(key) {
		t.Errorf("%s", first)
	}
	if text := answer(request{}, statusNoClient, nil, time.Now()); strings.Contains(text, "h=") || !strings.Contains(text, "status=NO_SUCH_CLIENT\r\n") {
		t.Errorf("%q", text)
	}
}

// A POST is read from its form alone, so that nothing is signed as one and read as the other;
// version 1 has no nonce, and its answers say neither nonce nor one-time password.
func TestWaysToAsk(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	without := strings.Replace(published, "&nonce=jrFwbaYFhn0HoxZIsd9LQ6w2ceU", "", 1)
	for name, c := range map[string]struct {
		method, target, kind, body string
		ok, old                    bool
	}{
		"a query":                       {"GET", Path + "?" + published, "", "", true, false},
		"a form":                        {"POST", Path, form + "; charset=utf-8", published, true, false},
		"a form and a query":            {"POST", Path + "?id=2", form, published, false, false},
		"a form of another kind":        {"POST", Path, "text/plain", published, false, false},
		"a form that is too long":       {"POST", Path, form, published + strings.Repeat("&", maxQuery), false, false},
		"a query with a body":           {"GET", Path + "?" + published, form, "id=2", true, false},
		"version 1":                     {"GET", OldPath + "?" + without, "", "", true, true},
		"version 1 in a form":           {"POST", OldPath, form, without, true, true},
		"version 1 with a nonce is 2":   {"GET", OldPath + "?" + published, "", "", true, false},
		"version 2 without a nonce":     {"GET", Path + "?" + without, "", "", true, false},
		"something that is there twice": {"POST", Path, form, published + "&id=1", false, false},
	} {
		r := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		q, ok := read(r)
		if ok != c.ok || ok && (q.old() != c.old || q.id != "1" || !q.typed()) {
			t.Errorf("%s: %t, %+v", name, ok, q)
		}
		if text := answer(q, statusOK, []byte("key"), time.Unix(0, 0)); c.old && (strings.Contains(text, "otp=") || strings.Contains(text, "sl=") || strings.Count(text, "\n") != 4) {
			t.Errorf("%s: %q", name, text)
		}
	}
}

func TestSettings(t *testing.T) {
	const good = `{"clients":[{"name":"gateway","id":7,"key":"Z2F0ZXdheS1rZXktb2YtMjAh"}]}`
	if err := CheckSettings([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		``, `[]`, `{}`, `{"clients":[]}`, good + "x", strings.Replace(good, `"id":7`, `"id":0`, 1), strings.Replace(good, `"id":7`, `"id":"7"`, 1),
		strings.Replace(good, `"id":7`, `"id":7,"secret":"x"`, 1), strings.Replace(good, "gateway", "", 1), strings.Replace(good, "gateway", `a\nb`, 1),
		strings.Replace(good, "Z2F0ZXdheS1rZXktb2YtMjAh", "c2hvcnQ=", 1), strings.Replace(good, "Z2F0", "Z!F0", 1),
		`{"clients":[{"name":"a","id":7,"key":"Z2F0ZXdheS1rZXktb2YtMjAh"},{"name":"b","id":7,"key":"Z2F0ZXdheS1rZXktb2YtMjAh"}]}`,
	} {
		err := CheckSettings([]byte(bad))
		if err == nil {
			t.Errorf("%s is taken", bad)
		} else if strings.Contains(err.Error(), "Z2F0") {
			t.Errorf("the key is in the error: %v", err)
		}
	}
}

// Whatever is asked, an answer is one message: nothing of the question makes a
// line of its own.
func FuzzRequest(f *testing.F) {
	f.Add(published)
	f.Add("id=1&otp=%0d%0astatus=OK&nonce=%0a")
	f.Add("otp=a&otp=b")
	f.Fuzz(func(t *testing.T, query string) {
		r, ok := parse(query)
		if ok {
			if values, err := url.ParseQuery(query); err != nil || len(values) != len(r.all) {
				t.Fatalf("%q was read as %v", query, r.all)
			}
		}
		text := answer(r, statusBad, []byte("key"), time.Unix(0, 0))
		if n := strings.Count(text, "\n"); n > 6 || strings.Count(text, "status=") != 1 || !strings.HasSuffix(text, "\r\n\r\n") || strings.Count(text, "\r") != n {
			t.Fatalf("%q", text)
		}
	})
}

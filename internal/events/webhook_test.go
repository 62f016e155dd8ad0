package events

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/outside"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

var one = []audit.Entry{{Seq: 9, At: noon, Actor: audit.System("test"), Event: "signin.granted", Outcome: audit.OK, AccountName: "ada"}}

// The promise: a webhook reaches nothing inside the network, under any name and form of the
// address, unless it is listed; and follows nothing.
func TestWebhookHasNoWayInside(t *testing.T) {
	h := newHooks(t)
	_, port, err := net.SplitHostPort(h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host   string
		inside []string
		want   bool
	}{
		{"127.0.0.1", nil, false}, {"localhost", nil, false}, {"[::ffff:127.0.0.1]", nil, false}, {"0.0.0.0", nil, false}, {"2130706433", nil, false}, {"0x7f.1", nil, false},
		{"127.0.0.1", []string{"10.0.0.0/8"}, false}, {"localhost", []string{"elsewhere"}, false},
		{"127.0.0.1", []string{"127.0.0.0/8"}, true},
	} {
		w := h.receiver(t, c.inside...)
		w.URL = "https://" + c.host + ":" + port + "/"
		before := h.hits
		_, err := w.Take(t.Context(), one)
		if (err == nil) != c.want || (h.hits > before) != c.want {
			t.Errorf("%s with %v listed: %v, %d requests", c.host, c.inside, err, h.hits-before)
		}
		if !c.want && !strings.Contains(err.Error()+w.URL, "inside") && !strings.Contains(w.URL, "0x") && !strings.Contains(w.URL, "2130") {
			t.Errorf("%s: it does not say why: %v", c.host, err)
		}
		w.Close()
	}
}

// The promise: an error has neither the path of a webhook nor its secret, though the receiver
// repeats both.
func TestWebhookErrorsAreClean(t *testing.T) {
	h := newHooks(t)
	h.answer = func(w http.ResponseWriter, _ int) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "no /a-secret-path for "+hookSecret+"\n\x1b[2J") //nolint:errcheck // a test
	}
	_, err := h.receiver(t, "127.0.0.1").Take(t.Context(), one)
	if err == nil || strings.Contains(err.Error(), "a-secret-path") || strings.Contains(err.Error(), hookSecret[6:]) || !strings.Contains(err.Error(), "answered 403: no *** for ***") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "\n", "whsec_short", "plain", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODk=", hookSecret + "\n" + hookSecret + "\n" + hookSecret, "whsec_" + strings.Repeat("A", 100)} {
		keep(t, h.secret, bad)
		if _, err := h.receiver(t, "127.0.0.1").Take(t.Context(), one); err == nil || bad != "" && strings.TrimSpace(bad) != "" && strings.Contains(err.Error(), strings.TrimSpace(bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The promise: while one secret is replaced by another, receivers that know either accept; a
// changed body, time or identifier has another signature.
func TestWebhookSignature(t *testing.T) {
	h := newHooks(t)
	second := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	keep(t, h.secret, hookSecret+"\nwhsec_"+second+"\n")
	var head http.Header
	var body []byte
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		head = r.Header
		body, _ = io.ReadAll(r.Body)
	}))
	defer s.Close()
	w := h.receiver(t, "127.0.0.1")
	w.URL, w.Now = s.URL, func() time.Time { return noon }
	h.Server = s
	keep(t, h.ca, pemOf(s))
	if _, err := w.Take(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if head.Get("webhook-id") != "siem-9-9" || head.Get("webhook-timestamp") != "1796040000" || head.Get("Content-Type") != "application/json" {
		t.Errorf("%v", head)
	}
	if want := `{"from":"login.example.org","events":[{"seq":9,"entry":{"at":"2026-11-30T12:00:00.123456Z","actor":{"name":"system","via":"test"},"event":"signin.granted","outcome":"ok","account_name":"ada"}}]}` + "\n"; string(body) != want {
		t.Errorf("%s", body)
	}
	for i, coded := range []string{hookSecret[6:], second} {
		key, err := base64.StdEncoding.DecodeString(coded)
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("siem-9-9.1796040000." + string(body)))
		if got := strings.Fields(head.Get("webhook-signature"))[i]; got != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			t.Errorf("signature %d is %s", i, got)
		}
	}
}

// documented is the first block of a language in docs/events.md.
func documented(t *testing.T, language, has string) string {
	t.Helper()
	for _, block := range strings.Split(string(readFile(t, testbed.Root(t)+"/docs/events.md")), "\n```"+language+"\n")[1:] {
		if text, _, ok := strings.Cut(block, "\n```"); ok && strings.Contains(text, has) {
			return text + "\n"
		}
	}
	t.Fatalf("docs/events.md has no block with %q", has)
	return ""
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The promise: the receiver in docs/events.md runs as it is printed. It stores each entry once,
// goes on after its own restart, and refuses what another secret signed.
func TestTheDocumentedReceiver(t *testing.T) {
	python, dir, at := testbed.Program(t, "python3"), t.TempDir(), testbed.Addr(t)
	keep(t, dir+"/receiver.py", documented(t, "python", "webhook-signature"))
	keep(t, dir+"/secret", hookSecret+"\n")
	r := newRig(t, dir+"/test.db")
	start := func() func() {
		return testbed.StartUntil(t, testbed.Process{Path: python, Args: []string{dir + "/receiver.py", dir + "/secret", dir + "/out", at[strings.LastIndex(at, ":")+1:]}, Dir: dir, Ready: at})
	}
	inside, err := outside.List([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	w := &Webhook{URL: "http://" + at, SecretFile: dir + "/secret", Inside: inside, Host: "login.example.org", Name: "hook", Now: time.Now}
	d := r.delivery(Destination{Name: "hook", FromBeginning: true, Receiver: w})
	stop := start()
	r.write("test.a", "test.b")
	r.steps(d)
	again, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as after a lost answer
		if _, err := w.Take(t.Context(), again); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	start()
	r.write("test.c")
	r.steps(d)
	r.later(longestPause)
	r.steps(d)
	keep(t, dir+"/other", "whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))))
	w.SecretFile = dir + "/other"
	if _, err := w.Take(t.Context(), one); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("what another secret signed: %v", err)
	}
	w.SecretFile, w.Now = dir+"/secret", func() time.Time { return time.Now().Add(-time.Hour) }
	if _, err := w.Take(t.Context(), one); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("what was signed an hour ago: %v", err)
	}
	log, next := r.log(), int64(0)
	for _, line := range lines(t, dir+"/out") {
		var e struct {
			Seq int64 `json:"seq"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Seq != next {
			t.Errorf("%d after %d", e.Seq, next-1)
		}
		next = e.Seq + 1
	}
	if int(next) != len(log) {
		t.Errorf("it has %d entries, and the log %d", next, len(log))
	}
}

package forwardauth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/protocol"
)

// said is what a test of an application that has these settings says.
func said(t *testing.T, settings string, ears *protocol.Ears) string {
	t.Helper()
	var out strings.Builder
	for _, f := range test(t.Context(), protocol.Trial{Application: appOf("wiki", settings), Place: placed("http://login.test"), Ears: ears, Now: time.Now()}) {
		if f.Works {
			out.WriteString("good: ")
		}
		out.WriteString(f.Says + "\n")
	}
	return out.String()
}

// The promise: each thing that is wrong with a proxy is said in a sentence that says how to
// mend it, and a page that is not guarded never passes.
func TestTrialSays(t *testing.T) {
	ears := protocol.NewEars()
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		says   []string
		never  string
	}{
		{"an open page", func(http.ResponseWriter, *http.Request) {}, []string{"shows its page to a stranger"}, "good:"},
		{"a guard", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == beginPath {
				http.Redirect(w, r, "http://login.test/forward/start", http.StatusSeeOther)
				return
			}
			http.Redirect(w, r, "http://"+r.Host+beginPath+"?to=%2F", http.StatusFound)
		}, []string{"good: A stranger", "good: The way back"}, "To mend"},
		{"a guard without a way back", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+beginPath+"?to=%2F", http.StatusFound)
		}, []string{"do not come back"}, "good: The way back"},
		{"another sign-in", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.test/secret-path", http.StatusFound)
		}, []string{`"elsewhere.test"`}, "secret-path"},
		{"no error page", func(w http.ResponseWriter, r *http.Request) {
			ears.Hear("wiki", time.Now())
			w.WriteHeader(http.StatusUnauthorized)
		}, []string{"error_page 401"}, "good:"},
		{"a missing header", func(w http.ResponseWriter, r *http.Request) {
			ears.Miss(protocol.Trouble{Protocol: Protocol, Cause: "no-address", Mend: mends["no-address"], Application: "wiki"}, time.Now())
			w.WriteHeader(http.StatusForbidden)
		}, []string{"have it send X-Forwarded-For"}, "good:"},
		{"no Countersign", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }, []string{"did not reach this server", "127.0.0.1:8080"}, "good:"},
		{"another site", http.NotFound, []string{"answers 404"}, "good:"},
	} {
		s := httptest.NewServer(c.answer)
		got := said(t, `{"hosts": ["`+strings.TrimPrefix(s.URL, "http://")+`"], "inside": ["127.0.0.0/8"]}`, ears)
		for _, want := range c.says {
			if !strings.Contains(got, want) {
				t.Errorf("%s: it does not say %q:\n%s", c.name, want, got)
			}
		}
		if strings.Contains(got, c.never) {
			t.Errorf("%s: it says %q:\n%s", c.name, c.never, got)
		}
		s.Close()
	}
}

// The promise: a test asks no address inside that the settings do not list, no link-local one
// (where clouds answer about themselves) whatever they list, and follows no redirect.
func TestTrialIsNoWayInside(t *testing.T) {
	reached := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached++ }))
	defer s.Close()
	at := strings.TrimPrefix(s.URL, "http://")
	_, port, _ := strings.Cut(at, ":")
	for _, settings := range []string{
		`{"hosts": ["` + at + `"]}`, `{"hosts": ["localhost:` + port + `"]}`, `{"hosts": ["wiki.localhost:` + port + `"]}`, `{"hosts": ["` + at + `"], "inside": ["10.0.0.0/8"]}`,
		`{"hosts": ["wiki.example.invalid"], "backend": "http://` + at + `"}`, `{"hosts": ["[::1]:` + port + `"]}`,
	} {
		if got := said(t, settings, protocol.NewEars()); strings.Contains(got, "good:") || !strings.Contains(got, "not asked") && !strings.Contains(got, "not found") {
			t.Errorf("%s: %s", settings, got)
		}
	}
	x := &tester{}
	for _, p := range []string{"169.0.0.0/8", "127.0.0.0/8", "0.0.0.0/8", "224.0.0.0/8", "fe00::/8", "::/8"} {
		x.inside = append(x.inside, netip.MustParsePrefix(p))
	}
	for address, good := range map[string]bool{"169.254.169.254:80": false, "[fe80::1]:80": false, "0.0.0.0:80": false, "[::ffff:10.0.0.1]:80": false, "10.0.0.1:80": false, "127.0.0.1:80": true, "93.184.215.14:443": true, "nonsense": false,
		"[::ffff:169.254.169.254]:80": false, "[::ffff:127.0.0.1]:80": true, "[::]:80": false, "224.0.0.1:80": false, "[fe80::1%lo]:80": false, "[2606:4700:4700::1111]:443": true, "[2606:4700:4700::1111%lo]:443": false, "192.0.2.1:80": false} {
		if err := x.control("tcp", address, nil); (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
	}
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			reached++
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer inner.Close()
	said(t, `{"hosts": ["`+strings.TrimPrefix(inner.URL, "http://")+`"], "inside": ["127.0.0.1"]}`, protocol.NewEars())
	if reached != 0 {
		t.Errorf("what was inside, or where a redirect leads, was reached %d times", reached)
	}
}

// The promise: a name below localhost is this machine, as it is to browsers, whatever the
// resolver knows of it; and so is what a proxy for it listens on.
func TestNamesBelowLocalhost(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	if got := said(t, `{"hosts": ["wiki.localhost:`+port+`"], "inside": ["127.0.0.1"]}`, protocol.NewEars()); !strings.Contains(got, "answers 404") {
		t.Errorf("it was not reached: %s", got)
	}
	for name, want := range map[string]string{"wiki.localhost": "127.0.0.1", "localhost": "127.0.0.1", "127.0.0.2": "127.0.0.1", "wikilocalhost": "", "localhost.example": ""} {
		if got, _ := (&front{name: name}).listens(); got != want {
			t.Errorf("for %s a proxy listens on %q", name, got)
		}
	}
}

// The promise: a page that has no end, or comes drop by drop, or not at all, is given up, and
// so is one with endless headers.
func TestTrialIsBounded(t *testing.T) {
	const endless = 64 << 20
	for what, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"no answer": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "does not answer within"},
		"drop by drop": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("."))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
			}
		}, "shows its page to a stranger"},
		"no end": {func(w http.ResponseWriter, r *http.Request) {
			sent := 0
			for b := make([]byte, 64<<10); sent < endless; sent += len(b) {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
			t.Errorf("%d bytes were read", sent)
		}, "shows its page to a stranger"},
		"endless headers": {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Long", strings.Repeat("x", 128<<10)) }, "no answer that could be read"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(c.answer)
			defer s.Close()
			ctx, done := context.WithTimeout(t.Context(), 4*patience) // bounds a failure only
			defer done()
			found := test(ctx, protocol.Trial{Application: appOf("wiki", `{"hosts": ["`+strings.TrimPrefix(s.URL, "http://")+`"], "inside": ["127.0.0.1"]}`), Place: placed("http://login.test"), Ears: protocol.NewEars(), Now: time.Now()})
			if ctx.Err() != nil || len(found) != 1 || !strings.Contains(found[0].Says, c.says) {
				t.Errorf("%v: %v", ctx.Err(), found)
			}
		})
	}
}

// The promise: of many hosts a test asks a few, and none but the application's own, whatever
// they answer.
func TestTrialAsksItsOwn(t *testing.T) {
	asked := map[string]int{}
	var mu sync.Mutex
	var other string
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.Host+r.URL.Path]++
		w.Header().Set("Link", "<"+other+">; rel=preload")
		http.Redirect(w, r, other, http.StatusFound)
	}))
	defer site.Close()
	foreign := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was asked", r.URL) }))
	defer foreign.Close()
	other = foreign.URL + "/verify"
	_, port, _ := strings.Cut(strings.TrimPrefix(site.URL, "http://"), ":")
	var hosts []string
	for i := range mostTested + 3 {
		hosts = append(hosts, fmt.Sprintf("127.0.0.%d:%s", i+1, port))
	}
	text, err := json.Marshal(map[string]any{"hosts": hosts, "inside": []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	got := said(t, string(text), protocol.NewEars())
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 1 || asked["127.0.0.1:"+port+"/"] != 1 || strings.Count(got, "Nothing listens at") != mostTested-1 {
		t.Errorf("asked were %v:\n%s", asked, got)
	}
}

// What a certificate is wrong in is said, and the guard is looked at all the same.
func TestTrialOfCertificates(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	trial := protocol.Trial{Application: appOf("wiki", `{"hosts": ["`+strings.TrimPrefix(s.URL, "https://")+`"], "inside": ["127.0.0.1"]}`), Place: placed("https://login.test"), Ears: protocol.NewEars(), Now: time.Now()}
	found := test(context.Background(), trial)
	if len(found) != 2 || !strings.Contains(found[0].Says, "an authority that this server does not know") || !strings.Contains(found[1].Says, "shows its page to a stranger") {
		t.Errorf("%v", found)
	}
}

package web

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: a newcomer follows the set-up link, makes a passkey, administers
// with it, and reaches a page behind nginx; a stranger does not.
func TestPasskeyFromSetUpToProtectedPage(t *testing.T) {
	w := servertest.NewWorld(t)
	page := testbed.NewPage(t)
	host := servertest.BehindNginx(w, page)
	if err := w.PlantApplications(context.Background(), host, "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	code, err := w.Setup.Link(context.Background())
	if err != nil {
		t.Fatal(err)
	}

	b := testbed.Chromium(t)
	b.Passkey()
	b.Visit(w.Base + "/setup?code=" + code)
	servertest.Screenshot(b, "setup")
	b.Fill("#name", "root")
	b.Fill("#display", "Radia Perlman")
	b.Click("main form button")
	b.WaitText("h1", "Set up how you sign in")
	servertest.Screenshot(b, "first")
	b.Click(`form:has(input[value=passkey]) button`)
	b.WaitText("button", "Create it")
	b.Click("main form button")
	b.WaitText("main", "Use a passkey or security key")
	servertest.Screenshot(b, "prove")
	b.Click("form[data-passkey] button")
	b.WaitText("main", "Until all is ready")
	b.Visit(w.Base + "/account")
	b.WaitText("main", "This browser")
	servertest.Screenshot(b, "account")

	b.Visit(w.Base + "/console/commands/account.list")
	b.Click("main form button")
	b.WaitText("pre", "Radia Perlman")
	servertest.Screenshot(b, "console")

	b.Visit("http://" + host + "/notes?page=1")
	b.WaitLocation("http://" + host + "/notes?page=1")
	if seen := page.Seen(); len(seen) == 0 || seen[len(seen)-1].Header.Get("Remote-User") != "root" {
		t.Errorf("the page saw %v", seen)
	}

	// Six minutes later a change must be approved by itself: what was typed is
	// not lost on the way, and the approval names it.
	b.Visit(w.Base + "/console/commands/group.create")
	w.Later(6 * time.Minute)
	b.Fill("#input", `{"name": "operators", "display": "Operators"}`)
	b.Click("main form button")
	b.WaitText("h1", "Approve")
	b.WaitText("main", "group operators, called \"Operators\"")
	servertest.Screenshot(b, "approve")
	b.Click("form[data-passkey] button")
	b.WaitText("pre", "operators")
	if w.Events("group.created") != 1 {
		t.Error("the approved change is not in the log")
	}

	// A policy whose own test does not hold is refused before anybody approves it,
	// and the text stays.
	b.Visit(w.Base + "/console/commands/policy.change")
	b.Fill("#input", `{"body": "rules:\n  - name: all\n    require: two-factors\ntests:\n  - name: strict\n    given: {action: sign-in}\n    expect: phishing-resistant\n"}`)
	b.Click("main form button")
	b.WaitText("main", "does not hold")
	if w.Events("policy.changed") != 0 {
		t.Error("a policy was saved whose own test does not hold")
	}

	stranger := w.Person()
	stranger.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, path := range []string{"/notes", "/%2e%2e/notes", "//notes", "/a/..%2fnotes", "/.countersign/accept?code=x&to=/"} {
		r, _ := http.NewRequest("GET", "http://"+strings.Replace(host, "localhost", "127.0.0.1", 1)+path, nil)
		r.Host = host
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Remote-User", "root")
		stranger.Take(stranger.Client.Do(r))
		if stranger.Status == http.StatusOK {
			t.Errorf("a stranger got %s", path)
		}
	}
	for _, seen := range page.Seen() {
		if strings.HasPrefix(seen.Header.Get("User-Agent"), "Go-http-client") {
			t.Errorf("a stranger reached the page: %s", seen.Target)
		}
	}

	// Stopped, it lets nobody through.
	w.Stop()
	stranger.Get("http://" + strings.Replace(host, "localhost", "127.0.0.1", 1) + "/notes")
	b.Visit("http://" + host + "/notes?page=2")
	for _, seen := range page.Seen() {
		t.Errorf("with Countersign stopped the page was reached: %s", seen.Target)
	}
}

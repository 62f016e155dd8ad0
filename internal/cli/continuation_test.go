package cli

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/enrollment"
	"countersign/internal/incident"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// trap is a link that somebody gets from a form of ours, to be sent to another person:
// wherever the server sends a browser that posts it.
func (p *person) trap(path string, fields ...string) string {
	p.w.t.Helper()
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { p.client.CheckRedirect = nil }()
	m := tokenField.FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatalf("there is no form on the page:\n%s", p.page)
	}
	form := []string{"form-token", m[1]}
	r, err := http.NewRequest(http.MethodPost, p.w.base+path, strings.NewReader(encoded(append(form, fields...)...)))
	if err != nil {
		p.w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := p.client.Do(r)
	if err != nil {
		p.w.t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.Header.Get("Location")
}

// waitsFor is what waits for the owner of a session, as text, without its number.
func (w *world) waitsFor(owner *person, number string) approval.Waiting {
	w.t.Helper()
	ctx := w.t.Context()
	g, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Session: owner.held(), Protocol: "browser", Medium: prompt.Browser})
	if err != nil || g.State != signin.Granted {
		w.t.Fatal(g.State, err)
	}
	found, err := w.Engine.Approvals.WaitingFor(ctx, g.Grant, number)
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// The promise: a link approves nothing. Somebody with a colleague's password starts a
// sign-in that waits; from a browser without any account they post its text and send
// the colleague the link that they are given. Neither opening it just after a passkey,
// nor the gesture that is asked for later, approves it: the number was never typed.
func TestLinkApprovesNothing(t *testing.T) {
	w, _, owner, key := withPasskey(t)
	thief := w.person()
	thief.asksElsewhere()
	number := last(t, pageNumber, thief.page)
	text := w.waitsFor(owner, number).Text()

	for _, when := range []string{"just after a passkey", "later, with a gesture"} {
		nobody := w.person()
		nobody.get("/sign-in")
		link := nobody.trap("/account/do", "action", signin.Approve, "object", text)
		if link != "" {
			owner.get(link)
			if passkeyForm.MatchString(owner.page) {
				owner.usePasskey(key)
			}
		}
		if n := w.events("approval.approved"); n != 0 {
			t.Fatalf("%s: a link approved a sign-in without its number:\n%s", when, owner.page)
		}
		w.later(6 * time.Minute)
		thief = w.person()
		thief.asksElsewhere()
		number = last(t, pageNumber, thief.page)
		owner.get("/sign-in")
		if passkeyForm.MatchString(owner.page) {
			owner.usePasskey(key)
		}
		text = w.waitsFor(owner, number).Text()
		w.later(6 * time.Minute)
		thief = w.person()
		thief.asksElsewhere()
	}
	thief.get("/sign-in/wait")
	if strings.Contains(thief.page, "Where you are signed in") {
		t.Error("the thief is signed in")
	}
}

// encoded is a form of pairs.
func encoded(pairs ...string) string {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form.Encode()
}

// The promise: no link ends anything or takes anything away, whoever made it, with a
// session of their own or without.
func TestLinkChangesNothing(t *testing.T) {
	w, _, owner, key := withPasskey(t)
	eve := w.enrollCodes("eve")
	in := w.person()
	in.comes("eve", eve.secret)
	in.get("/account")
	nobody := w.person()
	nobody.get("/sign-in")
	before := [3]int{w.events("credential.removed"), w.events("alarm.not-me"), w.events("credential.renamed")}
	for who, p := range map[string]*person{"nobody": nobody, "eve": in} {
		for _, act := range []struct{ path, action, object string }{{"/account/do", incident.Report, "1"}, {"/account/do", incident.Report, "12"}, {"/account/do", enrollment.Remove, "1"}, {"/account/do", enrollment.Remove, "2"},
			{"/account/rename", "", "1"}, {"/account/quiet", "", ""}} {
			p.get(map[string]string{"nobody": "/sign-in", "eve": "/account"}[who])
			link := p.trap(act.path, "action", act.action, "object", act.object, "number", act.object, "label", "trap", "begins", "01:00", "ends", "05:00", "zone", "Europe/Berlin")
			if link == "" {
				continue
			}
			owner.get("/sign-in")
			if passkeyForm.MatchString(owner.page) {
				owner.usePasskey(key)
			}
			owner.get(link)
			owner.get("/account/continue?action=" + act.action + "&object=" + act.object)
			if after := [3]int{w.events("credential.removed"), w.events("alarm.not-me"), w.events("credential.renamed")}; after != before {
				t.Fatalf("a link of %s did %s %s: %v, then %v\n%s", who, act.action, act.object, before, after, owner.page)
			}
		}
	}
	entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "push.quiet-hours", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.AccountName != "eve" {
			t.Errorf("a link set quiet hours of %s", e.AccountName)
		}
	}
}

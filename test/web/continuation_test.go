package web

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
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// trap is a link that somebody gets from a form of ours, to be sent to another person:
// wherever the server sends a browser that posts it.
func trap(p *servertest.Person, path string, fields ...string) string {
	p.W.T.Helper()
	p.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { p.Client.CheckRedirect = nil }()
	m := servertest.TokenField.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("there is no form on the page:\n%s", p.Page)
	}
	form := []string{"form-token", m[1]}
	r, err := http.NewRequest(http.MethodPost, p.W.Base+path, strings.NewReader(encoded(append(form, fields...)...)))
	if err != nil {
		p.W.T.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := p.Client.Do(r)
	if err != nil {
		p.W.T.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.Header.Get("Location")
}

// waitsFor is what waits for the owner of a session, as text, without its number.
func waitsFor(w *servertest.World, owner *servertest.Person, number string) approval.Waiting {
	w.T.Helper()
	ctx := w.T.Context()
	g, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Session: owner.Held(), Protocol: "browser", Medium: prompt.Browser})
	if err != nil || g.State != signin.Granted {
		w.T.Fatal(g.State, err)
	}
	found, err := w.SignIn.Approvals.WaitingFor(ctx, g.Grant, number)
	if err != nil {
		w.T.Fatal(err)
	}
	return found
}

// The promise: a link approves nothing. Somebody with a colleague's password starts a
// sign-in that waits; from a browser without any account they post its text and send
// the colleague the link that they are given. Neither opening it just after a passkey,
// nor the gesture that is asked for later, approves it: the number was never typed.
func TestLinkApprovesNothing(t *testing.T) {
	w, _, owner, key := servertest.WithPasskey(t)
	thief := w.Person()
	thief.AsksElsewhere()
	number := servertest.Last(t, servertest.PageNumber, thief.Page)
	text := waitsFor(w, owner, number).Text()

	for _, when := range []string{"just after a passkey", "later, with a gesture"} {
		nobody := w.Person()
		nobody.Get("/sign-in")
		link := trap(nobody, "/account/do", "action", signin.Approve, "object", text)
		if link != "" {
			owner.Get(link)
			if servertest.PasskeyForm.MatchString(owner.Page) {
				owner.UsePasskey(key)
			}
		}
		if n := w.Events("approval.approved"); n != 0 {
			t.Fatalf("%s: a link approved a sign-in without its number:\n%s", when, owner.Page)
		}
		w.Later(6 * time.Minute)
		thief = w.Person()
		thief.AsksElsewhere()
		number = servertest.Last(t, servertest.PageNumber, thief.Page)
		owner.Get("/sign-in")
		if servertest.PasskeyForm.MatchString(owner.Page) {
			owner.UsePasskey(key)
		}
		text = waitsFor(w, owner, number).Text()
		w.Later(6 * time.Minute)
		thief = w.Person()
		thief.AsksElsewhere()
	}
	thief.Get("/sign-in/wait")
	if strings.Contains(thief.Page, "Where you are signed in") {
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
	w, _, owner, key := servertest.WithPasskey(t)
	eve := w.EnrollCodes("eve")
	in := w.Person()
	in.Comes("eve", eve.Secret)
	in.Get("/account")
	nobody := w.Person()
	nobody.Get("/sign-in")
	before := [3]int{w.Events("credential.removed"), w.Events("alarm.not-me"), w.Events("credential.renamed")}
	for who, p := range map[string]*servertest.Person{"nobody": nobody, "eve": in} {
		for _, act := range []struct{ path, action, object string }{{"/account/do", incident.Report, "1"}, {"/account/do", incident.Report, "12"}, {"/account/do", enrollment.Remove, "1"}, {"/account/do", enrollment.Remove, "2"},
			{"/account/rename", "", "1"}, {"/account/quiet", "", ""}} {
			p.Get(map[string]string{"nobody": "/sign-in", "eve": "/account"}[who])
			link := trap(p, act.path, "action", act.action, "object", act.object, "number", act.object, "label", "trap", "begins", "01:00", "ends", "05:00", "zone", "Europe/Berlin")
			if link == "" {
				continue
			}
			owner.Get("/sign-in")
			if servertest.PasskeyForm.MatchString(owner.Page) {
				owner.UsePasskey(key)
			}
			owner.Get(link)
			owner.Get("/account/continue?action=" + act.action + "&object=" + act.object)
			if after := [3]int{w.Events("credential.removed"), w.Events("alarm.not-me"), w.Events("credential.renamed")}; after != before {
				t.Fatalf("a link of %s did %s %s: %v, then %v\n%s", who, act.action, act.object, before, after, owner.Page)
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

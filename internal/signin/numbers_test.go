package signin

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/throttle"
)

// grants is what ada is granted in Countersign itself with her passkey.
func (p *phone) grants(action, object string) Grant {
	p.t.Helper()
	q := browses(Self, "ada", typed("passkey", "x"))
	q.Action, q.Object = action, object
	s := p.begin(q)
	if s.State != Granted {
		p.t.Fatalf("%s %s: %v %s", action, object, s.State, s.Reason)
	}
	g, err := p.Claim(p.t.Context(), s.Ticket, Self, action, object)
	if err != nil {
		p.t.Fatal(err)
	}
	return g
}

// withPages is ada with a passkey besides, and signed in on pages.
func withPages(t *testing.T) (*phone, Grant) {
	t.Helper()
	p := withPhone(t)
	p.give(p.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	return p, p.grants(SignIn, "")
}

// tries looks for a number on pages.
func (p *phone) tries(g Grant, number string) (approval.Waiting, string) {
	p.t.Helper()
	w, err := p.Approvals.WaitingFor(p.t.Context(), g, number)
	switch {
	case err == nil:
		return w, ""
	case failure.ClassOf(err) == failure.NotFound && failure.Public(err) == nothingWaits:
		return w, "nothing"
	case failure.ClassOf(err) == failure.Invalid:
		return w, "no number"
	}
	return w, refused(err)
}

// numbered is how many wrong numbers are charged to ada.
func (p *phone) numbered() (n int64) {
	p.t.Helper()
	if err := p.DB.QueryRow(p.t.Context(), `select coalesce(sum(count), 0) from guess where subject like 'number/%'`).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// another is six digits that are not these.
func another(number string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return r
		}
		return '0' + (r-'0'+1)%10
	}, number)
}

// A number is found by the account for which it is shown, while it waits and however it is
// spaced. All else is a wrong number, which is recorded and charged; what is no number is
// neither.
func TestWhoFindsANumber(t *testing.T) {
	p, g := withPages(t)
	bob := p.person("bob")
	p.give(bob, "password", authenticator.Enrolled{State: []byte("x")})
	bobs := Grant{&grant{account: bob.ID, name: "bob", application: Self, action: SignIn, protocol: "browser", source: home}}
	s, number := p.waits()
	for _, written := range []string{number, number[:3] + " " + number[3:], " " + number[:2] + "-" + number[2:] + " "} {
		if w, why := p.tries(g, written); why != "" || w.Application != "vpn" || w.Name != "ada" || w.Source != home.String() || w.ID == 0 || !w.Expires.Equal(p.Now().Add(approvalLife)) {
			t.Errorf("%q: %+v, %q", written, w, why)
		}
	}
	for _, written := range []string{"", "12345", "1234567", "12345a", "１２３４５６", "+12345", number + "0", number + ";"} {
		if w, why := p.tries(g, written); why != "no number" || w.ID != 0 {
			t.Errorf("%q: %+v, %q", written, w, why)
		}
	}
	if n := p.numbered(); n != 0 || len(p.events("approval.wrong-number")) != 0 {
		t.Errorf("%d wrong numbers before there was one", n)
	}
	if w, why := p.tries(bobs, number); why != "nothing" || w.ID != 0 {
		t.Errorf("by another account: %+v, %q", w, why)
	}
	if en := p.last("approval.wrong-number"); en.Account != int64(bob.ID) || en.AccountName != "bob" {
		t.Errorf("the log says %+v", en)
	}
	if n := p.numbered(); n != 1 {
		t.Errorf("%d are charged to bob", n)
	}
	p.forgive()

	wrong := int64(0)
	misses := func(what, number string) {
		t.Helper()
		wrong++
		if w, why := p.tries(g, number); why != "nothing" || w.ID != 0 || w.Application != "" {
			t.Errorf("%s: %+v, %q", what, w, why)
		}
		en := p.last("approval.wrong-number")
		if n := len(p.events("approval.wrong-number")); int64(n) != wrong+1 || en.Account != int64(p.ada.ID) || en.AccountName != "ada" || en.Reason != "wrong" || en.Outcome != audit.Refused || en.Source != home.String() || en.Protocol != "browser" {
			t.Errorf("%s: %d entries, the last %+v", what, n, en)
		}
		if p.numbered() != wrong || promptedToday(p.rig, p.ada).Wrong != wrong {
			t.Errorf("%s: %d are charged and %d counted of %d", what, p.numbered(), promptedToday(p.rig, p.ada).Wrong, wrong)
		}
	}
	misses("another number", another(number))
	w := p.finds(number)
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Denies}); err != nil {
		t.Fatal(err)
	}
	misses("what was answered", number)
	_, number = p.waits()
	p.clock.Later(approvalLife)
	misses("what is late", number)
	_, number = p.waits()
	_, newer := p.waits()
	if newer != number {
		misses("what another took the place of", number)
	}
	if _, why := p.tries(g, newer); why != "" {
		t.Errorf("and that one: %q", why)
	}
	p.is("what was denied", p.look(s), Denied, "refused-elsewhere")
}

// After so many wrong numbers in an hour a right one finds nothing either, on pages or in
// an app, and approves nothing; each further one is recorded, and costs no more. Neither
// the password nor an app that did not guess is touched, and an hour later it is over.
func TestNumbersHaveABudget(t *testing.T) {
	p, g := withPages(t)
	_, number := p.waits()
	w := p.finds(number)
	for i := range p.Limits.PerAccount {
		if _, why := p.tries(g, another(number)); why != "nothing" {
			t.Fatalf("the %dth: %q", i+1, why)
		}
	}
	const most = "There were too many wrong numbers. Wait a while."
	for i, try := range []func() error{
		func() error { _, err := p.Approvals.WaitingFor(t.Context(), g, number); return err },
		func() error { _, err := p.Apps.WaitingFor(t.Context(), p.call("look", number), number); return err },
		func() error {
			return p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved})
		},
		func() error {
			return p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Disowns})
		},
		func() error {
			return p.Approvals.Approve(t.Context(), p.grants(Approve, w.Numbered(number)), w.Numbered(number))
		},
	} {
		if err := try(); refused(err) != "account-budget" || failure.Public(err) != most {
			t.Errorf("the right one, by way %d: %v", i+1, err)
		}
		if n := len(p.events("approval.wrong-number")); n != p.Limits.PerAccount+i+1 || p.numbered() != int64(p.Limits.PerAccount) {
			t.Errorf("by way %d: %d entries, %d charged", i+1, n, p.numbered())
		}
	}
	if len(p.events("approval.approved")) != 0 || len(p.events("approval.refused")) != 0 {
		t.Error("it was answered")
	}
	if now := p.stored(); now.Status != directory.CredentialActive || p.charged(p.app) != 0 {
		t.Errorf("the app is %s, with %d wrong", now.Status, p.charged(p.app))
	}
	p.clock.Later(time.Hour)
	s, number := p.waits()
	if s.State != Wait {
		t.Fatalf("the password: %+v", s)
	}
	if _, why := p.tries(g, number); why != "" {
		t.Errorf("an hour later: %q", why)
	}
	p.finds(number)
}

// Whoever guesses numbers in an app has its key: it must wait after the fifth, and is
// switched off at the tenth, of which its owner is told. Her passkey approves all the same.
func TestAnAppThatGuessesIsSwitchedOff(t *testing.T) {
	p, g := withPages(t)
	try := func(number string) error {
		_, err := p.Apps.WaitingFor(t.Context(), p.call("look", number), number)
		return err
	}
	for i := range throttle.WrongNumbers {
		if now := p.stored(); now.Status != directory.CredentialActive || len(p.events("credential.disabled")) != 0 {
			t.Fatalf("after %d: it is %s", i, now.Status)
		}
		_, number := p.waits()
		if i >= p.Limits.Delay {
			if err := try(number); refused(err) != "delayed" {
				t.Errorf("the right one at once after %d: %v", i, err)
			}
			p.clock.Later(time.Hour)
			_, number = p.waits()
		}
		if err := try(another(number)); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("the %dth: %v", i+1, err)
		}
		if n := p.charged(p.app); n != int64(i+1) {
			t.Errorf("the %dth: %d are charged", i+1, n)
		}
	}
	off := p.events("credential.disabled")
	if now := p.stored(); now.Status != directory.CredentialDisabled || len(off) != 1 || off[0].AccountName != "ada" || off[0].Reason != "too-many-wrong-answers" || !strings.HasPrefix(off[0].Detail["authenticator"], "push/") {
		t.Errorf("it is %s, the log says %+v", now.Status, off)
	}
	title := p.kinds["push"].Describe().Title
	var subject, body string
	if err := p.DB.QueryRow(t.Context(), `select subject, body from notice where account = $1 order by id desc limit 1`, int64(p.ada.ID)).Scan(&subject, &body); err != nil || subject != "One of your ways to sign in was switched off" || !strings.Contains(body, title) {
		t.Errorf("told %q, %v", subject, err)
	}
	s, number := p.waits()
	if err := try(number); refused(err) != directory.CredentialDisabled {
		t.Errorf("the right one after that: %v", err)
	}
	w, why := p.tries(g, number)
	if why != "" {
		t.Fatalf("on pages: %q", why)
	}
	if err := p.Approvals.Approve(t.Context(), p.grants(Approve, w.Numbered(number)), w.Numbered(number)); err != nil {
		t.Error(err)
	}
	p.is("approved with a passkey", p.look(s), Granted, "")
}

// A database that cannot be read or written is no wrong number, and none is told; where it
// cannot be written down, a wrong number finds nothing out.
func TestABreakdownIsNoWrongNumber(t *testing.T) {
	p, g := withPages(t)
	_, number := p.waits()
	w := p.finds(number)
	for _, table := range []string{"guess", "approval", "prompted", "account"} {
		writeBeneath(p.rig, `alter table `+table+` rename to away`)
		errs := map[string]error{}
		_, errs["a wrong one on pages"] = p.Approvals.WaitingFor(t.Context(), g, another(number))
		_, errs["a wrong one in the app"] = p.Apps.WaitingFor(t.Context(), p.call("look", another(number)), another(number))
		errs["an answer with a wrong one"] = p.says(approval.AppAnswer{ID: w.ID, Number: another(number), Text: w.Text(), Decision: approval.Approved})
		for what, err := range errs {
			if class := failure.ClassOf(err); err == nil || class == failure.NotFound || class == failure.Refused {
				t.Errorf("%s is away: %s: %v", table, what, err)
			}
		}
		writeBeneath(p.rig, `alter table away rename to `+table)
	}
	if n := len(p.events("approval.wrong-number")); n != 0 || p.numbered() != 0 || promptedToday(p.rig, p.ada).Wrong != 0 || p.charged(p.app) != 0 {
		t.Errorf("%d were recorded, %d charged", n, p.numbered())
	}
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}); err != nil {
		t.Errorf("mended: %v", err)
	}
}

package signin

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// stored is ada's app as it is kept.
func (p *phone) stored() directory.Credential {
	p.t.Helper()
	c, err := p.credentials.Get(p.t.Context(), p.DB, p.ada.ID, p.app.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// A sign-in that is approved goes on, with what the app showed and no more; the app was
// used, its wrong numbers are made good, and pushes are opened again.
func TestWhatAnAppApproves(t *testing.T) {
	p := withPhone(t)
	s, number := p.waits()
	if woken := p.wakes(); woken != 1 {
		t.Fatalf("%d woken", woken)
	}
	if yes, err := p.Apps.Waits(t.Context(), p.call("waits")); err != nil || !yes {
		t.Errorf("whether anything waits: %t, %v", yes, err)
	}
	for range 2 {
		if _, err := p.Apps.WaitingFor(t.Context(), p.call("look", another(number)), another(number)); failure.ClassOf(err) != failure.NotFound {
			t.Fatalf("a wrong number: %v", err)
		}
	}
	if n := p.charged(p.app); n != 2 {
		t.Errorf("two wrong numbers: %d are charged", n)
	}
	w, before := p.finds(number), p.stored()
	p.clock.Later(time.Minute)
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}); err != nil {
		t.Fatal(err)
	}
	if n := p.charged(p.app); n != 0 {
		t.Errorf("approved: %d wrong numbers are charged", n)
	}
	if now := p.stored(); !now.Used.Equal(p.Now()) || string(now.State) != string(before.State) || now.Status != directory.CredentialActive {
		t.Errorf("the app was used at %v", now.Used)
	}
	en := p.last("approval.approved")
	if en.Account != int64(p.ada.ID) || en.AccountName != "ada" || en.Attempt != s.Attempt || en.Protocol != approval.AppProtocol || en.Source != home.String() || en.Application != "vpn" || en.Outcome != audit.OK ||
		en.Detail["request"] != w.Text() || en.Detail["authenticator"] != "push/"+strconv.FormatInt(int64(p.app.ID), 10) || en.Detail["traits"] != assurance.Held.String() {
		t.Errorf("the log says %+v", en)
	}
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Denies}); refused(err) != "answered" {
		t.Errorf("and then denied: %v", err)
	}
	done := p.look(s)
	if p.is("approved", done, Granted, ""); strings.Join(shows(done.Grant.Evidence()), " ") != "password push" {
		t.Errorf("shown: %v", shows(done.Grant.Evidence()))
	}
	for _, ev := range done.Grant.Evidence() {
		if ev.Kind == "push" && (ev.Traits != assurance.Held || !ev.OutOfBand || ev.Bound != w.Text() || ev.Credential != p.app.ID) {
			t.Errorf("%+v", ev)
		}
	}
	if yes, err := p.Apps.Waits(t.Context(), p.call("waits")); err != nil || yes {
		t.Errorf("nothing waits any more: %t, %v", yes, err)
	}
	if got := promptedToday(p.rig, p.ada); got != (approval.PromptStatistics{Asked: 1, Pushed: 1, Approved: 1, Wrong: 2}) {
		t.Errorf("%+v", got)
	}
}

// wakes has a server wake what is due, and returns how many it woke.
func (p *phone) wakes() int {
	p.t.Helper()
	if s := p.stored(); !strings.Contains(string(s.State), "endpoint") {
		if err := p.Apps.Move(p.t.Context(), p.call("move", "https://push.test/ada", "", ""), authenticator.Address{Endpoint: "https://push.test/ada"}); err != nil {
			p.t.Fatal(err)
		}
	}
	n, err := p.Pushes.Wake(p.t.Context(), func(context.Context, authenticator.Address) error { return nil })
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// What is denied ends there; "this was not me" besides ends the sessions of the account,
// with where and of what, and closes pushes for a day. An app that is in quarantine may
// deny.
func TestWhatAnAppDenies(t *testing.T) {
	for _, c := range []struct {
		decision string
		standing bool // whether there is anything that could end it
	}{{approval.Denies, true}, {approval.Disowns, true}, {approval.Disowns, false}} {
		p := withPhone(t)
		var ended []approval.Disowned
		if c.standing {
			p.Disown = func(_ context.Context, _ *store.Tx, d approval.Disowned) error { ended = append(ended, d); return nil }
			p.remake()
		}
		s, number := p.waits()
		w := p.finds(number)
		p.alter(p.app, func(c *directory.Credential) { c.Quarantine = p.Now().Add(time.Hour) })
		if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: c.decision}); err != nil {
			t.Fatalf("%s: %v", c.decision, err)
		}
		p.alter(p.app, func(c *directory.Credential) { c.Quarantine = time.Time{} })
		p.is(c.decision, p.look(s), Denied, "refused-elsewhere")
		if en := p.last("approval.refused"); en.Attempt != s.Attempt || en.AccountName != "ada" || en.Detail["request"] != w.Text() || en.Protocol != approval.AppProtocol {
			t.Errorf("%s: the log says %+v", c.decision, en)
		}
		want := approval.PromptStatistics{Asked: 1, Refused: 1}
		if c.decision == approval.Disowns {
			want.Disowned = 1
		}
		if got := promptedToday(p.rig, p.ada); got != want {
			t.Errorf("%s: %+v", c.decision, got)
		}
		if len(ended) != int(want.Disowned) && c.standing {
			t.Fatalf("%s: ended %+v", c.decision, ended)
		}
		for _, d := range ended {
			if d.Account.ID != p.ada.ID || d.Entry.Attempt != s.Attempt || d.Entry.Protocol != approval.AppProtocol || d.Entry.Source != home.String() || d.Entry.Detail["request"] != w.Text() {
				t.Errorf("ended %+v", d)
			}
		}
		if !p.stored().Used.IsZero() {
			t.Errorf("%s: that is no use of the app", c.decision)
		}
		p.waits()
		if n := p.wakes(); (n == 0) != (c.decision == approval.Disowns) {
			t.Errorf("%s, and the next: %d woken", c.decision, n)
		}
		p.clock.Later(wakeDailyIn)
		p.waits()
		if n := p.wakes(); n != 1 {
			t.Errorf("%s, a day later: %d woken", c.decision, n)
		}
	}
}

// What cannot be ended is not disowned: nothing is written of it, and the sign-in waits.
func TestDisowningIsAllOrNothing(t *testing.T) {
	p := withPhone(t)
	p.Disown = func(context.Context, *store.Tx, approval.Disowned) error { return errors.New("the disk is gone") }
	p.remake()
	s, number := p.waits()
	w := p.finds(number)
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Disowns}); err == nil {
		t.Error("disowned, and nothing ended")
	}
	if err := p.Apps.NotMe(t.Context(), p.call("disown")); err == nil {
		t.Error("all of it disowned, and nothing ended")
	}
	if got := promptedToday(p.rig, p.ada); got != (approval.PromptStatistics{Asked: 1}) || len(p.events("approval.refused")) != 0 {
		t.Errorf("%+v", got)
	}
	p.Disown = nil
	p.remake()
	p.is("it waits", p.look(s), Wait, "")
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}); err != nil {
		t.Error(err)
	}
}

// What an app says of something else than what waits, or too late, or when it was taken
// out of use while its signature was looked at, decides nothing, and is recorded.
func TestWhatDecidesNothing(t *testing.T) {
	p := withPhone(t)
	for _, c := range []struct {
		name, reason, public string
		edit                 func(said *approval.AppAnswer)
		meanwhile            func(*authenticator.Result)
	}{
		{name: "another request", reason: "late", public: nothingWaits, edit: func(a *approval.AppAnswer) { a.ID++ }},
		{name: "another text", reason: "other-text", public: "not the one that was shown", edit: func(a *approval.AppAnswer) { a.Text = "sign in to wiki" }},
		{name: "too late", reason: "late", public: nothingWaits, edit: func(*approval.AppAnswer) { p.clock.Later(approvalLife - time.Minute) }, meanwhile: func(*authenticator.Result) { p.clock.Later(time.Minute) }},
		{name: "another began", reason: "late", public: nothingWaits, meanwhile: func(*authenticator.Result) { p.waits() }},
		{name: "revoked meanwhile", reason: "revoked", public: "removed from your account", meanwhile: func(*authenticator.Result) {
			p.alter(p.app, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
		}},
		{name: "it shows less than it was bound with", reason: "no-gesture", public: "check that it is you", meanwhile: func(*authenticator.Result) {
			p.alter(p.app, func(c *directory.Credential) { c.Traits |= assurance.UserVerified })
		}},
		{name: "its key was moved on meanwhile", reason: "changed", public: stale, meanwhile: func(r *authenticator.Result) {
			r.Next = []byte("next")
			p.alter(p.app, func(c *directory.Credential) { c.State = append([]byte(" "), c.State...) })
		}},
	} {
		s, number := p.waits()
		w := p.finds(number)
		said := approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}
		if c.edit != nil {
			c.edit(&said)
		}
		call := p.call("answer", strconv.FormatInt(said.ID, 10), said.Number, said.Text, said.Decision)
		p.then = c.meanwhile
		before := len(p.named())
		err := p.Apps.Answer(t.Context(), call, said)
		if refused(err) != c.reason || !strings.Contains(failure.Public(err), c.public) {
			t.Errorf("%s: %v, %q", c.name, err, failure.Public(err))
		}
		if en := p.last("app.refused"); len(p.named()) != before+1 || en.Reason != c.reason || en.AccountName != "ada" || en.Source != home.String() {
			t.Errorf("%s: the log says %+v", c.name, en)
		}
		if p.look(s).State == Granted || len(p.events("approval.approved")) != 0 || string(p.stored().State) == "next" || !p.stored().Used.IsZero() {
			t.Errorf("%s: it was approved", c.name)
		}
		p.clock.Later(2 * time.Hour)
		p.alter(p.app, func(c *directory.Credential) { c.Status, c.Traits = directory.CredentialActive, assurance.Held })
	}
	// What its signature showed was once, and its key is kept as it moved on.
	_, number := p.waits()
	w, next := p.finds(number), append([]byte("\n"), p.stored().State...)
	p.then = func(r *authenticator.Result) { r.Next = next }
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}); err != nil || string(p.stored().State) != string(next) {
		t.Errorf("with a next state: %v", err)
	}
}

// "This was not me" without a number is of all that was left unanswered in the last hour,
// also of what is late and of what another took the place of.
func TestNotMeIsOfTheLastHour(t *testing.T) {
	p := withPhone(t)
	var ended []approval.Disowned
	p.Disown = func(_ context.Context, _ *store.Tx, d approval.Disowned) error { ended = append(ended, d); return nil }
	p.remake()
	disown := func() string {
		t.Helper()
		if err := p.Apps.NotMe(t.Context(), p.call("disown")); err != nil {
			return refused(err)
		}
		return ""
	}
	if why := disown(); why != "nothing-waits" || len(p.named()) != 1 {
		t.Errorf("before anything was begun: %q", why)
	}
	p.waits()
	p.clock.Later(disownable)
	if why := disown(); why != "nothing-waits" || len(ended) != 0 {
		t.Errorf("an hour later: %q", why)
	}
	p.waits()
	p.clock.Later(disownable - time.Second)
	last, _ := p.waits()
	if why := disown(); why != "" {
		t.Errorf("within an hour: %q", why)
	}
	p.is("the last", p.look(last), Denied, "refused-elsewhere")
	if got := p.events("approval.refused"); len(got) != 2 || got[0].Source != home.String() || got[0].AccountName != "ada" {
		t.Errorf("the log says %+v", got)
	}
	if len(ended) != 1 || ended[0].Entry.Attempt != last.Attempt || ended[0].Account.ID != p.ada.ID {
		t.Errorf("ended %+v", ended)
	}
	if why := disown(); why != "nothing-waits" || len(ended) != 1 {
		t.Errorf("once more: %q", why)
	}
}

// An app says where it is woken, also one in quarantine; what is kept of that in the log is
// whether it is woken at all.
func TestWhereAnAppIsWoken(t *testing.T) {
	p := withPhone(t)
	woken := func() (at []string) {
		t.Helper()
		rung := make(chan authenticator.Address, 10)
		if _, err := p.Pushes.Wake(t.Context(), func(_ context.Context, to authenticator.Address) error { rung <- to; return nil }); err != nil {
			t.Fatal(err)
		}
		close(rung)
		for to := range rung {
			at = append(at, to.Endpoint+" "+string(to.Public)+" "+string(to.Secret))
		}
		return at
	}
	move := func(to authenticator.Address, signed ...string) error {
		return p.Apps.Move(t.Context(), p.call("move", signed...), to)
	}
	there := authenticator.Address{Endpoint: "https://push.test/ada", Public: []byte("pub"), Secret: []byte("sec")}
	if err := move(there, "https://push.test/thief", "cHVi", "c2Vj"); refused(err) != "forged" {
		t.Errorf("to another address than it signed: %v", err)
	}
	p.alter(p.app, func(c *directory.Credential) { c.Quarantine = p.Now().Add(time.Second) })
	if err := move(there, there.Endpoint, "cHVi", "c2Vj"); err != nil {
		t.Fatalf("in quarantine: %v", err)
	}
	p.clock.Later(time.Second)
	en := p.last("app.address")
	if en.Account != int64(p.ada.ID) || en.AccountName != "ada" || en.Outcome != audit.OK || en.Detail["woken"] != "true" || en.Detail["authenticator"] != "push/"+strconv.FormatInt(int64(p.app.ID), 10) || len(en.Detail) != 2 {
		t.Errorf("the log says %+v", en)
	}
	p.waits()
	if got := strings.Join(woken(), ", "); got != "https://push.test/ada pub sec" {
		t.Errorf("woken at %s", got)
	}
	said, state := len(p.events("app.address")), string(p.stored().State)
	if err := move(there, there.Endpoint, "cHVi", "c2Vj"); err != nil || len(p.events("app.address")) != said || string(p.stored().State) != state {
		t.Errorf("where it was already: %v, %d entries", err, len(p.events("app.address"))-said)
	}
	there.Secret = []byte("ces")
	if err := move(there, there.Endpoint, "cHVi", "Y2Vz"); err != nil || len(p.events("app.address")) != said+1 {
		t.Errorf("there with another secret: %v", err)
	}
	there.Secret = []byte("sec")
	if err := move(authenticator.Address{}, "", "", ""); err != nil || p.last("app.address").Detail["woken"] != "false" {
		t.Errorf("to nowhere: %v", err)
	}
	p.clock.Later(approvalLife)
	p.waits()
	if got := woken(); len(got) != 0 {
		t.Errorf("woken at %s, which it left", got)
	}
	before := len(p.events("app.address"))
	p.then = func(*authenticator.Result) {
		p.alter(p.app, func(c *directory.Credential) { c.State = []byte("not to be read") })
	}
	if err := move(there, there.Endpoint, "cHVi", "c2Vj"); err == nil || string(p.stored().State) != "not to be read" || len(p.events("app.address")) != before {
		t.Errorf("with a key that cannot be read any more: %v", err)
	}
}

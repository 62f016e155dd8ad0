package signin

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// showBoth is a sign-in on pages that took both factors and waits to be claimed.
func showBoth(r *rig, app codes) Step {
	r.t.Helper()
	r.clock.Later(time.Minute) // so that each code is another
	s := r.reply(r.reply(r.begin(browses("wiki", "ada")), "password", secret), "totp", app.code())
	if s.State != Granted || isSealed(s.Ticket) {
		r.t.Fatalf("%v %s, sealed: %t", s.State, s.Reason, isSealed(s.Ticket))
	}
	return s
}

// last is the newest entry of an event.
func (r *rig) last(event string) audit.Entry {
	r.t.Helper()
	all := r.events(event)
	if len(all) == 0 {
		r.t.Fatalf("no entry of %s", event)
	}
	return all[len(all)-1]
}

// state puts an account in another state.
func (r *rig) state(a directory.Account, state string) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		now, err := r.people.Get(r.t.Context(), tx, a.ID)
		if err != nil {
			return err
		}
		now.State = state
		tx.Announce(directory.Topic(a.ID))
		return r.people.Update(r.t.Context(), tx, now)
	})
}

// What was shown in several steps is decided again when it is claimed, over what is so
// then; a refusal ends it and names whose it was.
func TestAClaimIsDecidedAgain(t *testing.T) {
	r, ada, app := withAda(t)
	for _, c := range []struct {
		name           string
		change, mended func()
	}{
		{"the account is suspended", func() { r.state(ada, directory.Suspended) }, func() { r.state(ada, directory.Active) }},
		{"the app is switched off",
			func() {
				r.alter(app.Credential, func(c *directory.Credential) { c.Status = directory.CredentialDisabled })
			},
			func() {
				r.alter(app.Credential, func(c *directory.Credential) { c.Status = directory.CredentialActive })
			}},
		{"policy denies", func() { r.rules("rules:\n  - {name: all, deny: \"closed today\"}\n") }, func() { r.rules(twoFactors) }},
		{"policy demands another factor", func() { r.rules("rules:\n  - {name: all, require: phishing-resistant}\n") }, func() { r.rules(twoFactors) }},
	} {
		s := showBoth(r, app)
		before := len(r.events("signin.refused"))
		c.change()
		if why := claimFor(r, s); why != "not-enough" {
			t.Errorf("%s: %q", c.name, why)
		}
		c.mended()
		if en := r.last("signin.refused"); len(r.events("signin.refused")) != before+1 || en.Reason != "not-enough" || en.Account != int64(ada.ID) || en.AccountName != "ada" || en.Attempt != s.Attempt {
			t.Errorf("%s: recorded %+v", c.name, en)
		}
		if why := claimFor(r, s); why != "unknown-ticket" {
			t.Errorf("%s, and claimed when it was mended: %q", c.name, why)
		}
	}
	if n := len(r.events("signin.granted")); n != 0 {
		t.Errorf("%d grants", n)
	}
	if why := claimFor(r, showBoth(r, app)); why != "" {
		t.Errorf("nothing changed: %q", why)
	}
}

// No ticket but the newest of an attempt that is granted is claimed.
func TestWhatIsNotClaimed(t *testing.T) {
	r, _, app := withAda(t)
	first := r.begin(browses("wiki", "ada"))
	if why := claimFor(r, first); why != "not-enough" {
		t.Errorf("before anything was shown: %q", why)
	}
	if en := r.last("signin.refused"); en.Reason != "not-enough" || en.Attempt != first.Attempt {
		t.Errorf("recorded %+v", en)
	}
	half := r.reply(first, "password", secret)
	if why := claimFor(r, half); why != "not-enough" {
		t.Errorf("with one factor of two: %q", why)
	}
	if next := r.reply(half, "totp", app.code()); next.State != Denied {
		t.Errorf("and gone on with after that: %+v", next)
	}
	s := showBoth(r, app)
	handle, _, _ := strings.Cut(s.Ticket, ".")
	for _, step := range []string{"", "0", "-1", "+2", "02", "x", "99999", "2.2", " 2"} {
		if why := claimFor(r, Step{Ticket: handle + "." + step}); why != "unknown-ticket" {
			t.Errorf("step %q: %q", step, why)
		}
	}
	for _, made := range []string{"", ".", ".1", "AAAA.1", handle + "A.2", handle[:22] + ".2", strings.Repeat("*", 24) + ".2", strings.Repeat("A", 24) + ".2"} {
		if why := claimFor(r, Step{Ticket: made}); why != "unknown-ticket" {
			t.Errorf("ticket %q: %q", made, why)
		}
	}
	newer, err := r.Poll(t.Context(), s.Ticket)
	if err != nil || newer.State != Granted {
		t.Fatalf("%+v, %v", newer, err)
	}
	if why := claimFor(r, s); why != "used-ticket" {
		t.Errorf("by the ticket before: %q", why)
	}
	if why := claimFor(r, newer); why != "" {
		t.Errorf("by the newest: %q", why)
	}
	s = showBoth(r, app)
	r.clock.Later(r.Limits.Attempt - time.Second - 1)
	if next, err := r.Poll(t.Context(), s.Ticket); err != nil || next.State != Granted {
		t.Fatalf("within its time: %+v, %v", next, err)
	} else {
		s = next
	}
	r.clock.Later(2 * time.Second)
	if why := claimFor(r, s); why != "late-ticket" {
		t.Errorf("after its time: %q", why)
	}
}

// An attempt's row is its own: another's contents in its place lead nowhere, and grant
// nothing.
func TestAnAttemptsRowIsItsOwn(t *testing.T) {
	r, _, app := withAda(t)
	s, weak := showBoth(r, app), r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	row := func(s Step) []byte {
		h, _, _ := parseTicket(s.Ticket)
		return hashHandle(h)
	}
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `update attempt set payload = (select payload from attempt where handle = $1) where handle = $2`, row(s), row(weak))
		return err
	})
	if _, err := r.Claim(t.Context(), weak.Ticket, "wiki", "", ""); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("claimed by another's row: %v", err)
	}
	if step, err := r.Poll(t.Context(), weak.Ticket); err != nil || step.Reason != "unknown-ticket" {
		t.Errorf("looked at: %+v, %v", step, err)
	}
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `update attempt set payload = $1 where handle = $2`, []byte("x"), row(weak))
		return err
	})
	if step, err := r.Answer(t.Context(), weak.Ticket, Reply{Answer: typed("totp", app.code())}); err != nil || step.Reason != "unknown-ticket" {
		t.Errorf("answered one that cannot be read: %+v, %v", step, err)
	}
	if why := claimFor(r, s); why != "" {
		t.Errorf("the one that was copied from: %q", why)
	}
}

// Every answer counts against the tries of its attempt, and who knows nothing is told
// the same at each of them.
func TestTriesOfAnAttempt(t *testing.T) {
	r, _, app := withAda(t)
	s := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	for i := 2; i < r.Limits.Tries; i++ {
		next := r.reply(s, "totp", "x")
		if next.State != Ask || !next.Again || next.Public != bland || next.Ticket == s.Ticket {
			t.Fatalf("answer %d: %+v", i, next)
		}
		if en := r.last("answer.refused"); en.Detail["authenticator"] != "totp" || en.Reason != next.Reason || en.AccountName != "ada" || en.Attempt != s.Attempt {
			t.Errorf("recorded %+v", en)
		}
		s = next
	}
	alarms := len(r.events("alarm.factor-missing"))
	end := r.reply(s, "totp", "x")
	if end.State != Denied || end.Public != bland || end.Ticket != "" {
		t.Errorf("the last: %+v", end)
	}
	if en := r.last("alarm.factor-missing"); len(r.events("alarm.factor-missing")) != alarms+1 || en.Detail["shown"] != "password" || en.AccountName != "ada" {
		t.Errorf("a right password and no more: %+v", en)
	}
	if next := r.reply(s, "totp", app.code()); next.State != Denied {
		t.Errorf("the right one after that: %+v", next)
	}
	// The try that is one too many is not looked at, right as it is.
	s = r.begin(browses("wiki", "ada"))
	for i := range r.Limits.Tries - 1 {
		if s = r.reply(s, "passkey", "x"); s.State != Ask {
			t.Fatalf("try %d: %+v", i, s)
		}
	}
	if s = r.reply(s, "password", secret); s.State != Ask {
		t.Fatalf("the last try is right: %+v", s)
	}
	r.is("one too many", r.reply(s, "totp", app.code()), Denied, "too-many-tries")
}

// Whose attempt it is, and what for, is in the entry of each refusal.
func TestWhatARefusalRecords(t *testing.T) {
	r, ada, _ := withAda(t)
	held := Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour)}
	r.sessions.put("hers", held)
	deny := func(q Request) audit.Entry {
		t.Helper()
		before := len(r.events("signin.refused"))
		s := r.begin(q)
		if s.State != Denied {
			t.Fatalf("%+v", s)
		}
		if n := len(r.events("signin.refused")); n != before+1 {
			t.Fatalf("%d entries", n-before)
		}
		en := r.last("signin.refused")
		if en.Reason != s.Reason || en.Attempt != s.Attempt || en.Outcome != "refused" {
			t.Errorf("%+v is recorded as %+v", s, en)
		}
		return en
	}
	q := Request{Application: "nowhere", Name: "ada", Source: netip.MustParseAddr("::ffff:192.0.2.7"), Protocol: "forward-auth", Medium: prompt.Browser, Method: "GET", Path: "/x", Partner: "proxy"}
	en := deny(q)
	if en.Actor.Name != "ada" || en.Actor.Via != "forward-auth" || en.AccountName != "ada" || en.Account != 0 || en.Application != "nowhere" || en.Source != "192.0.2.7" ||
		en.Action != "" || en.Detail["path"] != "GET /x" || en.Detail["partner"] != "proxy" {
		t.Errorf("a sign-in: %+v", en)
	}
	for _, key := range []string{"object", "session"} {
		if _, there := en.Detail[key]; there {
			t.Errorf("a sign-in has %s", key)
		}
	}
	q = Request{Application: "nowhere", Medium: prompt.Browser, Action: "report", Object: "the text"}
	en = deny(q)
	if en.Actor.Name != "somebody" || en.Source != "" || en.Action != "report" || en.Detail["object"] != "the text" {
		t.Errorf("an act: %+v", en)
	}
	for _, key := range []string{"path", "partner", "session"} {
		if _, there := en.Detail[key]; there {
			t.Errorf("an act has %s", key)
		}
	}
	q.Session = "hers"
	if en = deny(q); en.Actor.Name != "session n1" || en.Actor.Account != int64(ada.ID) || en.AccountName != "ada" || en.Detail["session"] != "n1" {
		t.Errorf("in a session: %+v", en)
	}
	// An account that is gone is nobody, and no breakdown.
	r.sessions.put("gone", Held{Account: ada.ID + 1000, Number: "n2", Expires: r.Now().Add(time.Hour)})
	q.Session = "gone"
	if en = deny(q); en.Account != 0 || en.Detail["session"] != "n2" {
		t.Errorf("in a session of nobody: %+v", en)
	}
}

// What was right is recorded with what it showed and how it was shown.
func TestWhatARightAnswerRecords(t *testing.T) {
	r, ada, app := withAda(t)
	s := showBoth(r, app)
	en := r.last("evidence.accepted")
	if en.Account != int64(ada.ID) || en.Outcome != "ok" || en.Detail["authenticator"] != "totp" || en.Detail["credential"] == "" || en.Detail["traits"] == "" {
		t.Errorf("%+v", en)
	}
	if n := len(r.events("evidence.accepted")); n != 2 {
		t.Errorf("%d entries of two right answers", n)
	}
	if why := claimFor(r, s); why != "" {
		t.Fatal(why)
	}
	if en = r.last("signin.granted"); en.Detail["shown"] != "password, totp" || en.Detail["acr"] == "" || en.Detail["rules"] == "" || en.Attempt != s.Attempt {
		t.Errorf("%+v", en)
	}
}

// What breaks down is no refusal, and what is refused no breakdown: a session that
// cannot be read stops everything that rests on it.
func TestASessionThatCannotBeRead(t *testing.T) {
	r, ada, app := withAda(t)
	r.sessions.put("hers", Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour)})
	q := browses("wiki", "")
	q.Session = "hers"
	s := r.begin(q)
	r.is("in a session that holds nothing", s, Ask, "")
	r.clock.Later(time.Minute)
	done := r.reply(r.reply(s, "password", secret), "totp", app.code())
	r.is("shown anew", done, Granted, "")
	r.sessions.err = errors.New("the disk is gone")
	if _, err := r.Claim(t.Context(), done.Ticket, "wiki", "", ""); err == nil || failure.ClassOf(err) == failure.Refused {
		t.Errorf("a claim: %v", err)
	}
	if _, err := r.Poll(t.Context(), done.Ticket); err == nil || failure.ClassOf(err) == failure.Refused {
		t.Errorf("a look: %v", err)
	}
	r.sessions.err = nil
	if why := claimFor(r, done); why != "" {
		t.Errorf("a breakdown used it up: %q", why)
	}
	r.Engine.sessions.held = nil
	if s := r.begin(q); s.State != Ask {
		t.Errorf("where there are no sessions: %+v", s)
	}
	if s, err := r.Check(t.Context(), Request{Application: "wiki", Session: "unheard"}); err != nil || s.Reason != "no-session" {
		t.Errorf("a check where there are no sessions: %+v, %v", s, err)
	}
}

// An engine is made of one authenticator of a kind, and of limits within their ceilings.
func TestWhatAnEngineIsMadeOf(t *testing.T) {
	r := newRig(t, anyFactor)
	p := r.Parts
	if _, err := New(p); err != nil {
		t.Fatal(err)
	}
	p.Authenticators = append(p.Authenticators[:len(p.Authenticators):len(p.Authenticators)], p.Authenticators[0])
	if _, err := New(p); err == nil || !strings.Contains(err.Error(), "two authenticators") {
		t.Errorf("one kind twice: %v", err)
	}
	p = r.Parts
	p.Limits.Tries = 1 << 20
	if _, err := New(p); err == nil {
		t.Error("a million tries")
	}
}

// says is a kind whose result is set.
type says struct {
	authenticator.Authenticator
	result *authenticator.Result
}

func (a says) Check(_ context.Context, c []authenticator.Credential, _ authenticator.Memo, _ prompt.Answer, _ time.Time) (authenticator.Result, error) {
	out := *a.result
	if out.Credential == 0 && len(c) > 0 {
		out.Credential = c[0].ID
	}
	return out, nil
}

// withSaying is ada with an app whose results are set, and a password before it.
func withSaying(t *testing.T) (*rig, directory.Credential, *authenticator.Result) {
	t.Helper()
	result, kinds := &authenticator.Result{}, everyKind(t)
	instead(kinds, "totp", func(how authenticator.Authenticator) authenticator.Authenticator { return says{right{how}, result} })
	r := newRig(t, twoFactors, kinds...)
	ada := r.person("ada")
	r.withPassword(ada)
	return r, r.give(ada, "totp", authenticator.Enrolled{Traits: assurance.Held, State: []byte("old")}), result
}

// What an authenticator says of an answer is kept: its next state, that it is used up,
// what may not be given again; and nothing of one that was not asked.
func TestWhatBecomesOfAnAnswer(t *testing.T) {
	r, c, result := withSaying(t)
	now := func() directory.Credential {
		t.Helper()
		c, err := r.credentials.Get(t.Context(), r.DB, c.Account, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	answered := func(res authenticator.Result) (Step, error) {
		t.Helper()
		s := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
		if s.State != Ask {
			t.Fatalf("%+v", s)
		}
		*result = res
		return r.Answer(t.Context(), s.Ticket, Reply{Answer: typed("totp", "123456"), Source: home})
	}
	want := func(what string, res authenticator.Result, state State, reason string) Step {
		t.Helper()
		s, err := answered(res)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		r.is(what, s, state, reason)
		return s
	}
	right := authenticator.Result{OK: true, Traits: assurance.Held, Once: "1"}
	want("right", right, Granted, "")
	if is := now(); string(is.State) != "old" || is.Status != directory.CredentialActive || is.Version != c.Version {
		t.Errorf("no next state: %s, %s, written %d times", is.State, is.Status, is.Version-c.Version)
	}
	want("the same once more", right, Ask, "replayed")
	right.Once, right.Next, right.Detail = "2", []byte("new"), "a word"
	want("right, with a next state", right, Granted, "")
	if c := now(); string(c.State) != "new" || !c.Used.Equal(r.Now()) {
		t.Errorf("the next state is %s, used %v", c.State, c.Used)
	}
	if en := r.last("evidence.accepted"); en.Detail["detail"] != "a word" {
		t.Errorf("%+v", en)
	}

	half := want("half", authenticator.Result{Partial: true, Once: "3", Next: []byte("half")}, Ask, "")
	if half.Again || half.Prompts[0].Label != "The next code" {
		t.Errorf("half: %+v", half)
	}
	if en := r.last("evidence.half"); en.Reason != "second-code-wanted" || string(now().State) != "half" {
		t.Errorf("%+v, state %s", en, now().State)
	}
	want("the first half once more", authenticator.Result{Partial: true, Once: "3"}, Ask, "replayed")

	want("used up with a wrong PIN", authenticator.Result{Used: true, Once: "4", Next: []byte("used"), Reason: "wrong-pin", Detail: "why"}, Ask, "wrong-pin")
	if en := r.last("answer.refused"); string(now().State) != "used" || en.Detail["detail"] != "why" || en.Reason != "wrong-pin" {
		t.Errorf("state %s, %+v", now().State, en)
	}
	right.Once, right.Next = "4", nil
	want("and then with the right one", right, Ask, "replayed")
	want("wrong without a word", authenticator.Result{Next: []byte("never")}, Ask, "wrong")
	if s := string(now().State); s != "used" {
		t.Errorf("a wrong answer left the state %s", s)
	}
	before := len(r.events("signin.granted"))
	for _, once := range []string{"5", ""} {
		if s, err := answered(authenticator.Result{OK: true, Once: once, Credential: c.ID + 1000, Traits: assurance.Held}); err == nil || failure.ClassOf(err) != failure.Internal {
			t.Errorf("by a credential that was not asked: %+v, %v", s, err)
		}
	}
	if n := len(r.events("signin.granted")); n != before {
		t.Error("granted by it")
	}
	right.Once, right.Exhausted = "6", true
	want("the last that it has", right, Granted, "")
	if c := now(); c.Status != directory.CredentialUsedUp {
		t.Errorf("it is %s", c.Status)
	}
}

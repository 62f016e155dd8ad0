package signin

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/apikey"
	"countersign/internal/authenticator/recoverycode"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

const twoFactors = "rules:\n  - {name: all, when: 'account.kind == \"person\"', require: two-factors}\n  - {name: service, when: 'account.kind == \"service\"', require: automation-key}\n"

// withAda is a rig in which ada has a password and an app.
func withAda(t *testing.T) (*rig, directory.Account, codes) {
	r := newRig(t, twoFactors)
	ada := r.person("ada")
	r.withPassword(ada)
	return r, ada, r.withCodes(ada)
}

// kindsOf are the kinds that a step asks for.
func kindsOf(s Step) string {
	var out []string
	for _, p := range s.Prompts {
		out = append(out, p.Authenticator)
	}
	return strings.Join(out, " ")
}

func (r *rig) is(what string, s Step, state State, reason string) {
	r.t.Helper()
	if s.State != state || s.Reason != reason {
		r.t.Errorf("%s: state %v, %q; want %v, %q", what, s.State, s.Reason, state, reason)
	}
	if s.State == Denied && s.Public == "" {
		r.t.Errorf("%s: a refusal that says nothing", what)
	}
}

// refused is the reason of a refusal; a breakdown is none.
func refused(err error) string {
	if failure.ClassOf(err) != failure.Refused {
		return "broken"
	}
	return failure.ReasonOf(err)
}

// A sign-in on pages, step by step, to its grant, which is claimed once and for what was
// begun.
func TestSignInOnPages(t *testing.T) {
	r, ada, app := withAda(t)
	s := r.begin(browses("wiki", "ada"))
	r.is("begun", s, Ask, "")
	if !strings.Contains(kindsOf(s), "password") {
		t.Errorf("asked for %s", kindsOf(s))
	}

	s = r.reply(s, "password", "wrong")
	if r.is("wrong", s, Ask, "wrong"); !s.Again || s.Public != bland {
		t.Errorf("a wrong answer is told %+v", s)
	}
	s = r.reply(s, "password", secret)
	r.is("the password", s, Ask, "")
	if kindsOf(s) != "totp" || s.Again {
		t.Errorf("asked for %s", kindsOf(s))
	}
	looked, err := r.Poll(t.Context(), s.Ticket)
	if err != nil || looked.State != Ask || kindsOf(looked) != "totp" {
		t.Errorf("a look again: %+v, %v", looked, err)
	}
	done := r.reply(looked, "totp", app.code())
	r.is("the code", done, Granted, "")
	if done.Grant.g != nil {
		t.Error("granted on pages without a claim")
	}
	for _, other := range [][3]string{{"vpn", "", ""}, {"wiki", "wiki.admin", ""}, {"wiki", "", "something"}} {
		if _, err := r.Claim(t.Context(), done.Ticket, other[0], other[1], other[2]); refused(err) != "other-action" {
			t.Errorf("claimed for %v: %v", other, err)
		}
		// It is over with that.
		s = r.begin(browses("wiki", "ada"))
		r.clock.Later(time.Minute)
		done = r.reply(r.reply(s, "password", secret), "totp", app.code())
	}
	g, err := r.Claim(t.Context(), done.Ticket, "wiki", "", "")
	if err != nil || g.Account() != ada.ID || !g.Covers("wiki", SignIn, "") || strings.Join(shows(g.Evidence()), " ") != "password totp" {
		t.Fatalf("%+v, %v", g, err)
	}
	if _, err := r.Claim(t.Context(), done.Ticket, "wiki", "", ""); err == nil {
		t.Error("claimed twice")
	}
	if used, err := r.Answer(t.Context(), done.Ticket, Reply{Answer: typed("totp", "000000")}); err != nil || used.State != Denied {
		t.Errorf("an answer after the claim: %+v, %v", used, err)
	}
	if n := len(r.events("signin.granted")); n != 1 {
		t.Errorf("%d grants are in the log", n)
	}
	if after, err := r.people.Get(t.Context(), r.DB, ada.ID); err != nil || after.Used.IsZero() {
		t.Errorf("the account was not used: %v, %v", after.Used, err)
	}
}

// By one line: password and code at once are granted at once, and each code once.
func TestSignInByOneLine(t *testing.T) {
	r, _, app := withAda(t)
	line := func(answers ...prompt.Answer) Step {
		return r.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Single, Partner: "nas", Opening: answers})
	}
	s := line(typed("password", secret), typed(AnyCode, app.code()))
	if r.is("both", s, Granted, ""); !s.Grant.Covers("vpn", SignIn, "") || s.Ticket != "" {
		t.Errorf("%+v", s)
	}
	r.is("the same code again", line(typed("password", secret), typed(AnyCode, app.code())), Denied, "replayed")
	if n := len(r.events("alarm.factor-missing")); n != 1 {
		t.Errorf("%d alarms: the password was right", n)
	}
	r.clock.Later(time.Minute)
	r.is("a wrong password", line(typed("password", "wrong"), typed(AnyCode, app.code())), Denied, "wrong")
	r.is("the password alone", line(typed("password", secret)), Denied, "cannot-ask-here")
	r.is("no kind asked for", line(typed("", "x")), Denied, "not-asked")
	r.is("an unknown application", r.begin(Request{Application: "nowhere", Name: "ada", Medium: prompt.Single, Opening: []prompt.Answer{typed("password", secret)}}), Denied, "unknown-application")
	r.is("an unknown name", r.begin(Request{Application: "vpn", Name: "nobody", Medium: prompt.Single, Opening: []prompt.Answer{typed("password", secret)}}), Denied, "wrong")
	r.is("it still works", line(typed("password", secret), typed("totp", app.code())), Granted, "")
}

// A ticket is one browser's, one partner's, good once, and for so many tries.
func TestTickets(t *testing.T) {
	r, _, app := withAda(t)
	nas := Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line, Partner: "nas-1", Opening: []prompt.Answer{typed("password", secret)}}
	answer := func(ticket, partner, text string) Step {
		s, err := r.Answer(t.Context(), ticket, Reply{Answer: typed("", text), Partner: partner, Source: home})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := r.begin(nas)
	r.is("asked for a code", s, Ask, "")
	r.is("by another partner", answer(s.Ticket, "nas-2", app.code()), Denied, "other-partner")
	r.is("and over", answer(s.Ticket, "nas-1", app.code()), Denied, "unknown-ticket")
	s = r.begin(nas)
	r.is("by its own", answer(s.Ticket, "nas-1", app.code()), Granted, "")
	for _, stray := range []string{"", "x", "x.1", s.Ticket, strings.Repeat("A", 24) + ".1"} {
		if got := answer(stray, "nas-1", "123456"); got.State != Denied {
			t.Errorf("ticket %q: %+v", stray, got)
		}
		if got, err := r.Poll(t.Context(), stray); err != nil || got.State != Denied {
			t.Errorf("a look with ticket %q: %+v, %v", stray, got, err)
		}
	}
	r.clock.Later(time.Minute)
	s = r.begin(nas)
	r.clock.Later(11 * time.Minute)
	r.is("too late", answer(s.Ticket, "nas-1", app.code()), Denied, "late-ticket")
	// On pages a wrong answer can be mended, so many times.
	s = r.begin(browses("wiki", "ada"))
	for i := range r.Limits.Tries {
		next, err := r.Answer(t.Context(), s.Ticket, Reply{Answer: typed("passkey", "nonsense"), Source: netip.Addr{}})
		if err != nil {
			t.Fatal(err)
		}
		if last := i == r.Limits.Tries-1; last != (next.State == Denied) {
			t.Fatalf("try %d: %+v", i, next)
		}
		s = next
	}
}

// A session's evidence counts in an attempt, while it stands, for its own account.
func TestSessionsInAttempts(t *testing.T) {
	r, ada, app := withAda(t)
	bob := r.person("bob")
	held := func(a directory.Account) Held {
		all, err := r.credentials.All(t.Context(), r.DB, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		return Held{Account: a.ID, Number: "n1", Expires: r.Now().Add(time.Hour), Evidence: evidenceOf(all, "password", r.Now())}
	}
	r.sessions.put("hers", held(ada))
	q := browses("wiki", "")
	q.Session = "hers"
	s := r.begin(q)
	if r.is("with a password in the session", s, Ask, ""); kindsOf(s) != "totp" {
		t.Errorf("asked for %s", kindsOf(s))
	}
	if done := r.reply(s, "totp", app.code()); done.State != Granted {
		t.Errorf("%+v", done)
	}
	// It ended meanwhile, became another's, or cannot be read.
	r.clock.Later(time.Minute)
	s = r.begin(q)
	r.sessions.end("hers")
	if next := r.reply(s, "totp", app.code()); next.State != Ask || kindsOf(next) != "password" {
		t.Errorf("the session ended: %+v", next)
	}
	r.clock.Later(time.Minute)
	r.sessions.put("hers", held(ada))
	s = r.begin(q)
	r.sessions.put("hers", held(bob))
	if next := r.reply(s, "totp", app.code()); next.State != Ask || kindsOf(next) != "password" {
		t.Errorf("the session is another's: %+v", next)
	}
	r.sessions.err = errors.New("the disk is gone")
	if _, err := r.Begin(t.Context(), q); err == nil {
		t.Error("a breakdown was taken for no session")
	}
	if _, err := r.Check(t.Context(), Request{Application: "wiki", Session: "hers"}); err == nil {
		t.Error("a check with a breakdown")
	}
	r.sessions.err = nil
	q.Session = "unknown"
	if s := r.begin(q); s.State != Ask || kindsOf(s) == "totp" {
		t.Errorf("an unknown session: %+v", s)
	}
}

// A check grants what the session holds enough for, remembers it, and forgets it in the
// moment in which anything changes that it rests on.
func TestCheck(t *testing.T) {
	r, ada, app := withAda(t)
	all, err := r.credentials.All(t.Context(), r.DB, ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	both := append(evidenceOf(all, "password", r.Now()), evidenceOf(all, "totp", r.Now())...)
	r.sessions.put("hers", Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour), Evidence: both})
	r.sessions.put("weak", Held{Account: ada.ID, Number: "n2", Expires: r.Now().Add(time.Hour), Evidence: both[:1]})
	check := func(q Request) Step {
		t.Helper()
		s, err := r.Check(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	hers := Request{Application: "wiki", Session: "hers", Source: home, Protocol: "forward-auth"}
	for range 2 {
		s := check(hers)
		if r.is("enough", s, Granted, ""); s.Grant.Account() != ada.ID || s.Grant.Source() != home || s.Ticket != "" {
			t.Errorf("%+v", s)
		}
	}
	moved := hers
	moved.Source = netip.MustParseAddr("198.51.100.9")
	if s := check(moved); s.State != Granted || s.Grant.Source() != moved.Source {
		t.Errorf("from elsewhere: %+v", s)
	}
	r.is("no session", check(Request{Application: "wiki"}), Ask, "no-session")
	r.is("an unknown one", check(Request{Application: "wiki", Session: "x"}), Ask, "no-session")
	r.is("not enough", check(Request{Application: "wiki", Session: "weak", Protocol: "forward-auth"}), Ask, "step-up")
	r.is("no such application", check(Request{Application: "nowhere", Session: "hers"}), Denied, "unknown-application")
	r.is("administration", check(Request{Application: Self, Action: "account.create", Session: "hers"}), Denied, "not-administrator")
	raise := assurance.Phishing()
	wish := hers
	wish.Raise = &raise
	if s := check(wish); s.State == Granted {
		t.Error("a wish was answered from memory")
	}
	for what, change := range map[string]func(){
		"the authenticator was switched off": func() {
			r.alter(app.Credential, func(c *directory.Credential) { c.Status = directory.CredentialDisabled })
		},
		"the account was suspended": func() {
			r.change(func(tx *store.Tx) error {
				a, err := r.people.Get(t.Context(), tx, ada.ID)
				if err != nil {
					return err
				}
				a.State = directory.Suspended
				tx.Announce(directory.Topic(ada.ID))
				return r.people.Update(t.Context(), tx, a)
			})
		},
	} {
		change()
		if s := check(hers); s.State == Granted {
			t.Errorf("%s, and it is still granted", what)
		}
	}
}

// A key: whose, whether it is the right one, active, for this action, from this
// network, of a service, and accepted by policy.
func TestCheckKey(t *testing.T) {
	r, ada, _ := withAda(t)
	robot := r.account(directory.NewAccount{Name: "robot", Kind: directory.Service}, directory.Administrators)
	issue := func(a directory.Account) (string, directory.Credential) {
		text, e, err := apikey.Issue(apikey.Terms{Actions: []string{"account.list"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Expires: r.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return text, r.give(a, "apikey", e)
	}
	key, row := issue(robot)
	hers, _ := issue(ada)
	ask := func(action, kind, key string, from netip.Addr) Step {
		t.Helper()
		s, err := r.CheckKey(t.Context(), Request{Application: Self, Action: action, Protocol: "api", Source: from, Session: "x", Medium: prompt.Browser}, kind, key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := ask("account.list", "apikey", key, home); s.State != Granted || s.Grant.Account() != robot.ID || strings.Join(shows(s.Grant.Evidence()), " ") != "apikey" {
		t.Errorf("%+v", s)
	}
	for _, c := range []struct {
		action, kind, key, why string
		from                   netip.Addr
	}{
		{"account.create", "apikey", key, "other-action", home}, {"account.list", "apikey", key, "other-network", netip.MustParseAddr("198.51.100.1")},
		{"account.list", "password", key, "no-keys", home}, {"account.list", "yubico-otp", key, "no-keys", home}, {"account.list", "passkey", key, "no-keys", home}, {"account.list", "odd", key, "no-keys", home},
		{"account.list", "apikey", "nonsense", "malformed", home}, {"account.list", "apikey", key[:len(key)-1] + "~", "wrong", home},
		{"account.list", "apikey", apikey.Prefix + "abcdefghijklmnop_abc", "unknown-key", home}, {"account.list", "apikey", hers, "not-a-service", home},
	} {
		r.is(c.why, ask(c.action, c.kind, c.key, c.from), Denied, c.why)
	}
	r.alter(row, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	r.is("revoked", ask("account.list", "apikey", key, home), Denied, directory.CredentialRevoked)
}

// The last recovery code is worth as much as those before it, and nothing after it was
// shown elsewhere.
func TestLastRecoveryCode(t *testing.T) {
	r, ada, _ := withAda(t)
	how := r.kinds[recoverycode.Kind].(authenticator.Enroller)
	p, memo, err := how.Offer(authenticator.Person{Account: ada.ID, Name: "ada"}, r.Now())
	if err != nil {
		t.Fatal(err)
	}
	saved := strings.FieldsFunc(string(p.Data), func(c rune) bool { return strings.ContainsRune(`"[]{},: `, c) })
	saved = slices.DeleteFunc(saved, func(s string) bool { return !strings.Contains(s, "-") })
	e, err := how.Accept(t.Context(), authenticator.Person{Account: ada.ID, Name: "ada"}, memo, typed("recoverycode", saved[0]), r.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := r.give(ada, recoverycode.Kind, e)
	r.alter(c, func(c *directory.Credential) { c.Used = r.Now() })
	last := ""
	for _, code := range saved {
		r.clock.Later(time.Second)
		s := r.begin(browses("wiki", "ada", typed("password", secret)))
		next := r.reply(s, "recoverycode", code)
		if next.State == Granted {
			last = code
			if _, err := r.Claim(t.Context(), next.Ticket, "wiki", "", ""); err != nil {
				t.Errorf("a right code, and its claim: %v", err)
			}
		}
	}
	now, err := r.credentials.Get(t.Context(), r.DB, ada.ID, c.ID)
	if err != nil || now.Status != directory.CredentialUsedUp || last == "" {
		t.Errorf("%s, %v: the last one that was good is not the last", now.Status, err)
	}
}

// What is explained is what would happen.
func TestExplain(t *testing.T) {
	r, ada, app := withAda(t)
	explain := func(q Request) Explanation {
		t.Helper()
		x, err := r.Explain(t.Context(), q, r.Now())
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	not := func(x Explanation, kind string) string {
		for _, a := range x.Abilities {
			if a.Kind == kind {
				return a.Not
			}
		}
		return "not there"
	}
	x := explain(browses("wiki", "ada"))
	if !x.Possible || x.Reason != "" || not(x, "password") != "" || not(x, "totp") != "" || x.Facts.Account.New {
		t.Errorf("%+v", x)
	}
	key := r.give(ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("{}")})
	x = explain(Request{Application: "vpn", Name: "ada", Protocol: "radius", Medium: prompt.Line})
	if not(x, "passkey") != notHere || !x.Possible {
		t.Errorf("by a line: %+v", x)
	}
	x = explain(Request{Application: "vpn", Name: "ada", Protocol: "radius", Medium: prompt.Line | prompt.Display})
	if not(x, "passkey") != "" || !slices.ContainsFunc(x.Abilities, func(a Ability) bool { return a.Kind == "passkey" && a.OutOfBand }) {
		t.Errorf("by a line with a number: %+v", x)
	}
	r.alter(app.Credential, func(c *directory.Credential) { c.Quarantine = r.Now().Add(time.Hour) })
	x = explain(Request{Application: "core", Name: "ada", Protocol: "browser", Medium: prompt.Browser})
	if !strings.Contains(not(x, "totp"), "it is new") || !x.Possible {
		t.Errorf("in quarantine: %+v", x)
	}
	r.alter(key, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	x = explain(Request{Application: "core", Name: "ada", Protocol: "browser", Medium: prompt.Browser})
	if x.Possible || x.Reason == "" || not(x, "passkey") != "not there" {
		t.Errorf("with a password: %+v", x)
	}
	x = explain(Request{Application: Self, Action: "account.create", Name: "ada", Protocol: "browser", Medium: prompt.Browser})
	if x.Possible || x.Reason != "not-administrator" {
		t.Errorf("administration: %+v", x)
	}
	if why, no := x.Requirement.Denied(); !no || why != "not-administrator" {
		t.Errorf("administration demands %v", x.Requirement)
	}
	for _, q := range []Request{{Application: "wiki", Name: "nobody"}, {Application: "nowhere", Name: "ada"}} {
		if _, err := r.Explain(t.Context(), q, r.Now()); err == nil {
			t.Errorf("%+v was explained", q)
		}
	}
	robot := r.account(directory.NewAccount{Name: "robot", Kind: directory.Service}, directory.Administrators)
	_, e, err := apikey.Issue(apikey.Terms{Actions: []string{"account.list"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Expires: r.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	r.give(robot, "apikey", e)
	if x = explain(Request{Application: Self, Action: "account.list", Name: "robot", Protocol: "api"}); !x.Possible || not(x, "apikey") != "" {
		t.Errorf("a key: %+v", x)
	}
	if x = explain(Request{Application: "wiki", Name: "robot", Protocol: "browser", Medium: prompt.Browser}); x.Possible || not(x, "apikey") != notHere {
		t.Errorf("a key in a browser: %+v", x)
	}
}

// The other side of an approval: by its owner, with a passkey, for exactly what waits
// under the number that is shown.
func TestApprovals(t *testing.T) {
	kinds := everyKind(t)
	instead(kinds, "passkey", func(how authenticator.Authenticator) authenticator.Authenticator { return right{how} })
	r := newRig(t, twoFactors, kinds...)
	ada, bob := r.person("ada"), r.person("bob")
	for _, a := range []directory.Account{ada, bob} {
		r.withPassword(a)
		r.give(a, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	}
	waits := func() (Step, string) {
		t.Helper()
		s := r.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}})
		if s.State != Wait || len(s.Prompts) != 1 || s.Prompts[0].Number == "" {
			t.Fatalf("nothing waits: %+v", s)
		}
		return s, s.Prompts[0].Number
	}
	grant := func(name, action, object string) Grant {
		t.Helper()
		q := browses(Self, name, typed("passkey", "x"))
		q.Action, q.Object = action, object
		s := r.begin(q)
		g, err := r.Claim(t.Context(), s.Ticket, Self, action, object)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		return g
	}
	look := func(s Step) Step {
		t.Helper()
		next, err := r.Poll(t.Context(), s.Ticket)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	s, number := waits()
	if s = look(s); s.State != Wait || s.Prompts[0].Number != number {
		t.Errorf("still waiting: %+v", s)
	}
	w, err := r.Approvals.WaitingFor(t.Context(), grant("ada", SignIn, ""), number)
	if err != nil || w.Application != "vpn" || w.Partner != "nas" {
		t.Fatalf("%+v, %v", w, err)
	}
	if _, err := r.Approvals.WaitingFor(t.Context(), grant("bob", SignIn, ""), number); err == nil {
		t.Error("bob was shown what waits for ada")
	}
	if err := r.Approvals.Approve(t.Context(), grant("ada", SignIn, ""), w.Numbered(number)); refused(err) != "other-action" {
		t.Errorf("with a sign-in's grant: %v", err)
	}
	digits, _ := digitsOf(number)
	other := "000000"
	if digits == other {
		other = "000001"
	}
	for _, object := range []string{w.Numbered(other), "request 1", w.Text()} {
		if err := r.Approvals.Approve(t.Context(), grant("ada", Approve, object), object); err == nil {
			t.Errorf("approved by %q", object)
		}
	}
	object := w.Numbered(digits)
	if err := r.Approvals.Approve(t.Context(), grant("bob", Approve, object), object); err == nil {
		t.Error("bob approved ada's")
	}
	if s = look(s); s.State != Wait {
		t.Errorf("after all that: %+v", s)
	}
	if err := r.Approvals.Approve(t.Context(), grant("ada", Approve, object), object); err != nil {
		t.Fatal(err)
	}
	if err := r.Approvals.Approve(t.Context(), grant("ada", Approve, object), object); err == nil {
		t.Error("approved twice")
	}
	if s = look(s); s.State != Granted || assurance.Union(s.Grant.Evidence()).Has(assurance.PhishingResistant) || !slices.ContainsFunc(s.Grant.Evidence(), func(ev assurance.Evidence) bool { return ev.OutOfBand }) {
		t.Errorf("approved: %+v", s)
	}
	s, number = waits()
	w, err = r.Approvals.WaitingFor(t.Context(), grant("ada", SignIn, ""), number)
	if err != nil {
		t.Fatal(err)
	}
	settled := make(chan error, 1)
	go func() { settled <- r.AwaitApproval(context.WithoutCancel(t.Context()), s.Ticket) }()
	if err := r.Approvals.Refuse(t.Context(), grant("ada", SignIn, ""), w.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-settled; err != nil {
		t.Errorf("whoever waits was not told: %v", err)
	}
	r.is("refused elsewhere", look(s), Denied, "refused-elsewhere")
	s, _ = waits()
	r.clock.Later(approvalLife)
	if s = look(s); s.State == Granted {
		t.Errorf("too late: %+v", s)
	}
}

package signin

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/store"
	"countersign/internal/text"
)

// counter is sessions that are counted whenever they are asked for.
type counter struct {
	*shelf
	asked int
	then  func() // what happens when one was read
}

func (c *counter) Active(ctx context.Context, secret string) (Held, error) {
	c.asked++
	held, err := c.shelf.Active(ctx, secret)
	if f := c.then; f != nil {
		c.then = nil
		f()
	}
	return held, err
}

// trusted is an installation in which ada has a session with all that she has to show.
type trusted struct {
	*rig
	ada   directory.Account
	app   codes
	count *counter
	t     *testing.T
}

func withTrust(t *testing.T, document string) *trusted {
	t.Helper()
	r := newRig(t, document)
	c := &trusted{rig: r, t: t, count: &counter{shelf: r.sessions}}
	r.Engine.sessions.held = c.count
	c.ada = r.person("ada", directory.Administrators)
	r.withPassword(c.ada)
	c.app = r.withCodes(c.ada)
	c.session("hers")
	return c
}

// session gives ada a session with both factors, shown just now, and good for an hour.
func (c *trusted) session(secret string) {
	c.t.Helper()
	all, err := c.credentials.All(c.t.Context(), c.DB, c.ada.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	both := append(evidenceOf(all, "password", c.Now()), evidenceOf(all, "totp", c.Now())...)
	c.sessions.put(secret, Held{Account: c.ada.ID, Number: "n-" + secret, Own: "own-" + secret, Expires: c.Now().Add(time.Hour), Evidence: both})
}

func at(application, secret string) Request {
	return Request{Application: application, Session: secret, Source: home, Protocol: "forward-auth"}
}

// checks checks, and says whether it took a look at the session.
func (c *trusted) checks(what string, q Request, want State, anew bool) (s Step) {
	c.t.Helper()
	before := c.count.asked
	s, err := c.Check(c.t.Context(), q)
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	if s.State != want || (c.count.asked > before) != anew {
		c.t.Errorf("%s: %v %q, the session was asked for %t", what, s.State, s.Reason, c.count.asked > before)
	}
	return s
}

// A yes is remembered for what it was given for, and nothing else is answered from it.
func TestAYesIsRememberedForWhatItWas(t *testing.T) {
	c := withTrust(t, twoFactors+"  - {name: posts, when: 'method == \"POST\"', require: one-factor}\n")
	c.checks("for the first time", at("wiki", "hers"), Granted, true)
	c.checks("once more", at("wiki", "hers"), Granted, false)
	with := func(f func(q *Request)) Request { q := at("wiki", "hers"); f(&q); return q }
	for what, q := range map[string]Request{
		"for another application":          at("core", "hers"),
		"for an act":                       with(func(q *Request) { q.Action = "policy.change" }),
		"for an object":                    with(func(q *Request) { q.Object = "x" }),
		"by another protocol":              with(func(q *Request) { q.Protocol = "browser" }),
		"by a method that a rule reads":    with(func(q *Request) { q.Method = "POST" }),
		"for what Countersign itself does": with(func(q *Request) { q.Application, q.Action = Self, "account.list" }),
	} {
		c.checks(what, q, Granted, true)
		c.checks(what+", once more", q, Granted, false)
	}
	c.checks("and still what came first", at("wiki", "hers"), Granted, false)
	for what, q := range map[string]Request{
		"for what is shown anew": with(func(q *Request) { q.Since = q.Since.Add(time.Hour) }),
		"with a wish":            with(func(q *Request) { r := assurance.OneFactor(); q.Raise = &r }),
		"by a wish it":           with(func(q *Request) { r := assurance.TwoFactors(); q.Raise, q.Object = &r, "wished" }),
	} {
		for range 2 {
			c.checks(what, q, Granted, true)
		}
	}
	c.checks("what was granted to a wish only", with(func(q *Request) { q.Object = "wished" }), Granted, true)
	for range 2 { // no policy knows of it
		c.checks("by a protocol that nobody knows", with(func(q *Request) { q.Protocol = "odd" }), Denied, true)
	}
	c.session("another")
	c.checks("in another session", at("wiki", "another"), Granted, true)
	for _, secret := range []string{"another", "hers", "another"} {
		c.checks("each of two sessions", at("wiki", secret), Granted, false)
	}
}

// A yes is remembered for half a minute, and no longer than the session or what was shown
// in it is good for; after that it is decided anew.
func TestHowLongAYesIsRemembered(t *testing.T) {
	const second = time.Second
	for what, c := range map[string]struct {
		document   string
		edit       func(h *Held)
		remembered time.Duration
		then, last State // when it is remembered no more, and a second later
	}{
		"a long session":            {twoFactors, func(*Held) {}, trust, Granted, Granted},
		"a short one":               {twoFactors, func(h *Held) { h.Expires = h.Expires.Add(10*second - time.Hour) }, 10 * second, Granted, Granted},
		"one that is over":          {twoFactors, func(h *Held) { h.Expires = h.Expires.Add(-time.Hour) }, 0, Granted, Granted},
		"what policy wants fresh":   {"rules:\n  - {name: all, require: two-factors, within: 1m}\n", func(h *Held) { h.Evidence[1].Time = h.Evidence[1].Time.Add(-50 * second) }, 10 * second, Granted, Ask},
		"what is good for a moment": {twoFactors, func(h *Held) { h.Evidence[1].Until = h.Evidence[1].Time.Add(20 * second) }, 20 * second, Ask, Ask},
		"what is good for long":     {twoFactors, func(h *Held) { h.Evidence[1].Until = h.Evidence[1].Time.Add(45 * second) }, trust, Granted, Granted},
	} {
		k := withTrust(t, c.document)
		h := k.sessions.held["hers"]
		c.edit(&h)
		k.sessions.put("hers", h)
		k.checks(what, at("wiki", "hers"), Granted, true)
		if c.remembered > 0 {
			k.clock.Later(c.remembered - 1)
			k.checks(what+", just before", at("wiki", "hers"), Granted, false)
			k.clock.Later(1)
		}
		k.checks(what+", after that", at("wiki", "hers"), c.then, true)
		if c.remembered == trust {
			k.checks(what+", and again", at("wiki", "hers"), c.then, false)
		}
		k.clock.Later(second)
		if s, err := k.Check(t.Context(), at("wiki", "hers")); err != nil || s.State != c.last {
			t.Errorf("%s, a second later: %+v, %v", what, s, err)
		}
	}
}

// stranger returns a topic on which nothing of ada's rests: topics share places in memory.
func (c *trusted) stranger(topic func(assurance.AccountID) string) string {
	c.t.Helper()
	for id := assurance.AccountID(1000); id < 1100; id++ {
		hers := c.DB.Feed().Still(c.DB.Feed().Place(), directory.Topic(c.ada.ID), sessionTopic+"n-hers", sessionTopic+"own-hers")
		if c.announces(topic(id)); hers.Unchanged() {
			return topic(id)
		}
	}
	c.t.Fatal("every topic is hers")
	return ""
}

// Whatever a yes rests on, when that moves it is decided anew; and a yes that was under way
// while it moved is not remembered.
func TestWhatEndsARememberedYes(t *testing.T) {
	c := withTrust(t, twoFactors)
	bob := c.person("bob")
	announces := func(topic string) func() { return func() { c.announces(topic) } }
	for what, e := range map[string]struct {
		happens func()
		ends    bool
	}{
		"the account changes":              {announces(directory.Topic(c.ada.ID)), true},
		"the session ends":                 {announces(sessionTopic + "n-hers"), true},
		"the session for this host ends":   {announces(sessionTopic + "own-hers"), true},
		"this server was away":             {announces(store.Missed), true},
		"a group changes":                  {announces("group"), true},
		"somebody else's account changes":  {announces(c.stranger(directory.Topic)), false},
		"somebody else's session does end": {announces(c.stranger(func(id assurance.AccountID) string { return fmt.Sprint(sessionTopic, "n-", id) })), false},
	} {
		c.announces(directory.Topic(c.ada.ID))
		c.checks(what, at("wiki", "hers"), Granted, true)
		c.checks(what, at("wiki", "hers"), Granted, false)
		e.happens()
		c.checks(what+", after a yes", at("wiki", "hers"), Granted, e.ends)
		c.announces(directory.Topic(c.ada.ID))
		c.count.then = e.happens
		c.checks(what+", under way", at("wiki", "hers"), Granted, true)
		c.checks(what+", after that", at("wiki", "hers"), Granted, e.ends)
	}
	// What is remembered of a session by who read it later is not what was granted before.
	c.rules("rules:\n  - {name: most, when: 'method != \"POST\"', require: two-factors}\n  - {name: posts, when: 'method == \"POST\"', require: one-factor}\n")
	c.count.then = func() {
		held := c.sessions.held["hers"]
		held.Evidence = held.Evidence[:1]
		c.sessions.put("hers", held)
		c.announces(sessionTopic + "n-hers")
		post := at("wiki", "hers")
		post.Method = "POST"
		c.checks("with what is left", post, Granted, true)
	}
	c.checks("with what was held before", at("wiki", "hers"), Granted, true)
	c.checks("after that", at("wiki", "hers"), Ask, true)
	c.rules(twoFactors)
	c.session("hers")
	// It was read just before it ended: that is the last yes.
	c.announces(directory.Topic(c.ada.ID))
	c.count.then = func() { c.sessions.end("hers"); c.announces(sessionTopic + "n-hers") }
	c.checks("a session that ends under way", at("wiki", "hers"), Granted, true)
	c.checks("and after that", at("wiki", "hers"), Ask, true)

	// Of a session that became another's nothing is answered from what it was.
	c.session("hers")
	c.checks("ada's", at("wiki", "hers"), Granted, true)
	held := c.sessions.held["hers"]
	c.withPassword(bob)
	c.withCodes(bob)
	all, err := c.credentials.All(t.Context(), c.DB, bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	held.Account, held.Number, held.Evidence = bob.ID, "n-bob", append(evidenceOf(all, "password", c.Now()), evidenceOf(all, "totp", c.Now())...)
	c.sessions.put("hers", held)
	q := at("wiki", "hers")
	q.Object = "another"
	for range 2 {
		if s := c.checks("bob's", q, Granted, true); s.State == Granted && s.Grant.Account() != bob.ID {
			t.Errorf("granted to %s", s.Grant.Name())
		}
	}

	// Nor of one whose account is gone.
	c.sessions.end("hers")
	c.announces(directory.Topic(c.ada.ID))
	c.session("hers")
	c.remove(c.ada, 0)
	if s := c.checks("of an account that is gone", at("wiki", "hers"), Denied, true); s.Reason != "no-account" || s.Public != bland {
		t.Errorf("%+v", s)
	}
}

// A server that cannot tell whether it hears of changes answers nothing from memory,
// whatever else it can read.
func TestAYesIsNotRememberedWithoutADatabase(t *testing.T) {
	c, other := withTrust(t, twoFactors), newRig(t, twoFactors)
	c.checks("a yes", at("wiki", "hers"), Granted, true)
	c.checks("and again", at("wiki", "hers"), Granted, false)
	c.Rules, c.judge.applications = other.Rules, other.Applications
	c.checks("with a policy from elsewhere", at("wiki", "hers"), Granted, false)
	c.DB.Close()
	if s, err := c.Check(t.Context(), at("wiki", "hers")); err == nil || s.State != Denied {
		t.Errorf("%+v, %v", s, err)
	}
}

// However many sessions there are, and however much each is granted, what is remembered is
// bounded; what is forgotten is decided anew.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	c := withTrust(t, twoFactors)
	now := c.Now()
	remembered := func(what string, anew bool) {
		t.Helper()
		c.checks(what, at("wiki", "hers"), Granted, anew)
		c.checks(what+", again", at("wiki", "hers"), Granted, false)
	}
	remembered("the first", true)
	s := c.Engine.checks.cache.session("hers", now)
	for i := range 999 {
		s.keep(strconv.Itoa(i), Grant{&grant{}}, now.Add(time.Hour))
	}
	remembered("with a thousand grants", false)
	s.keep("one more", Grant{&grant{}}, now.Add(time.Hour))
	remembered("with one more", true)

	other := &cachedSession{until: now.Add(time.Hour)}
	for range most {
		c.Engine.checks.cache.keep("other", other)
	}
	remembered("after another was kept often", false)
	for range most {
		c.Engine.checks.cache.forget("other")
		c.Engine.checks.cache.keep("other", other)
	}
	remembered("after another was forgotten often", false)
	for range most {
		c.Engine.checks.cache.forget("none")
	}
	for i := range most - 2 {
		c.Engine.checks.cache.keep(strconv.Itoa(i), other)
	}
	remembered("with as many as there may be", false)
	c.Engine.checks.cache.keep("one more", other)
	remembered("with one more", true)
	c.checks("which was forgotten", at("wiki", "one more"), Ask, true)
}

// What a check needs and cannot be read is a breakdown, and no yes.
func TestACheckThatCannotBeDecided(t *testing.T) {
	c := withTrust(t, twoFactors)
	c.checks("a yes", at("wiki", "hers"), Granted, true)
	c.change(func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), `delete from policy`); return err })
	if s, err := c.Check(t.Context(), at("wiki", "hers")); err != nil || s.State != Granted {
		t.Errorf("while nothing is told to have changed: %+v, %v", s, err)
	}
	c.announces(PolicyTopic)
	if s, err := c.Check(t.Context(), at("wiki", "hers")); err != nil || s.State != Granted {
		t.Errorf("by the policy that is in memory: %+v, %v", s, err)
	}
	c.judge.rules.cache.Store(nil)
	if s, err := c.Check(t.Context(), at("wiki", "hers")); err == nil || s.State == Granted {
		t.Errorf("without a policy: %+v", s)
	}
	other := newRig(t, twoFactors)
	other.DB.Close()
	c.rules(twoFactors)
	known := c.judge.applications
	c.judge.applications = other.Applications
	if s, err := c.Check(t.Context(), at("wiki", "hers")); err == nil || s.State != Denied {
		t.Errorf("while applications cannot be read: %+v, %v", s, err)
	}
	c.judge.applications = known
	c.checks("when they can", at("wiki", "hers"), Granted, true)
	q := at(Self, "hers")
	q.Action, q.Object = "account.create", strings.Repeat("x", text.Longest+1)
	if s := c.checks("what is too long", q, Denied, true); s.Public == bland || !strings.Contains(s.Public, "too long") {
		t.Errorf("what is too long is told %q", s.Public)
	}
	if all := c.events("signin"); len(all) != 0 {
		t.Errorf("recorded %+v", all)
	}
}

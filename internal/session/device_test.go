package session

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"countersign/internal/dbsc"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// devices are those of the rig's sessions.
func (r *rig) devices() *Devices { return NewDevices(r.Sessions, r.tickets) }

func deviceKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func proof(t *testing.T, key crypto.Signer, challenge string, registers bool) string {
	t.Helper()
	text, err := dbsc.Signed(key, challenge, registers)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (r *rig) offered(t *testing.T, secret string) string {
	t.Helper()
	challenge, err := r.devices().Offer(t.Context(), secret)
	if err != nil || challenge == "" {
		t.Fatalf("nothing is offered: %q, %v", challenge, err)
	}
	return challenge
}

// binds binds a session, and returns its reference with the bound cookie.
func (r *rig) binds(t *testing.T, secret string, key crypto.Signer) string {
	t.Helper()
	b, err := r.devices().Bind(t.Context(), secret, proof(t, key, r.offered(t, secret), true), Visit{Via: "browser"})
	if err != nil || b.Number == "" || b.Cookie == "" || b.Kept >= boundLife {
		t.Fatalf("%+v, %v", b, err)
	}
	return With(secret, b.Cookie)
}

// asks is the challenge of a refresh.
func (r *rig) asks(t *testing.T, reference string, number string) string {
	t.Helper()
	b, challenge, err := r.devices().Refresh(t.Context(), reference, number, "")
	if err != nil || challenge == "" || b.Cookie != "" {
		t.Fatalf("%+v %q %v", b, challenge, err)
	}
	return challenge
}

// refusesOther fails where a reference is taken, or is refused for another reason than its device.
func (r *rig) refusesOther(t *testing.T, what, reference string) {
	t.Helper()
	h, err := r.Active(t.Context(), reference)
	if failure.ReasonOf(err) != signin.OtherDevice || h.Account == 0 || len(h.Evidence) > 0 {
		t.Errorf("%s: %+v, %v", what, h, err)
	}
}

// The secret of a bound session is nothing without the bound cookie, once the requests that were on
// their way have come; and the bound cookie is nothing after five minutes.
func TestCopyIsDead(t *testing.T) {
	r := setUp(t)
	hers, his := r.start(t, "ada", "weak"), r.start(t, "bob", "weak")
	if h, err := r.Active(t.Context(), hers); err != nil || h.Bound || !h.Binding || !h.Lapses.Equal(began.Add(bindSoon)) {
		t.Fatalf("%+v, %v", h, err)
	}
	with, theirs := r.binds(t, hers, deviceKey(t)), r.binds(t, his, deviceKey(t))
	if h, err := r.Active(t.Context(), with); err != nil || !h.Bound || h.Binding || !h.Lapses.Equal(began.Add(boundLife)) {
		t.Fatalf("%+v, %v", h, err)
	}
	if h, err := r.Active(t.Context(), hers); err != nil || !h.Lapses.Equal(began.Add(bindGrace)) {
		t.Fatalf("what was on its way: %+v, %v", h, err)
	}
	r.now = began.Add(bindGrace)
	_, cookie := cut(with)
	_, other := cut(theirs)
	for what, reference := range map[string]string{"the secret alone": hers, "another's bound cookie": With(hers, other), "a cut cookie": with[:len(with)-1],
		"nothing": hers + ".", "no base64": hers + ".!", "a moment alone": hers + "." + cookie[:11], "a later moment": hers + "." + strings.Replace(cookie, cookie[:11], "AAZzzzzzzzz", 1)} {
		r.refusesOther(t, what, reference)
	}
	r.now = began.Add(boundLife - time.Microsecond)
	if !r.stands(t, with) {
		t.Error("the bound cookie ends early")
	}
	r.now = began.Add(boundLife)
	r.refusesOther(t, "a cookie of five minutes", with)
	if list, err := r.List(t.Context(), r.ids["ada"]); err != nil || len(list) != 1 || !list[0].Bound {
		t.Errorf("%+v, %v", list, err)
	}
	if err := r.SignOut(t.Context(), hers); err != nil || len(r.events(t, "session.ended")) != 1 {
		t.Errorf("ending takes a device: %v", err)
	}
}

// A session is bound once, by the challenge that came with its secret, and stays with its key.
func TestBindsOnce(t *testing.T) {
	r := setUp(t)
	ds, mine, thiefs := r.devices(), deviceKey(t), deviceKey(t)
	hers, his := r.start(t, "ada", "weak"), r.start(t, "bob", "weak")
	bind := func(reference, challenge string, key crypto.Signer) error {
		_, err := ds.Bind(t.Context(), reference, proof(t, key, challenge, true), Visit{Via: "browser"})
		return err
	}
	refused := func(what string, err error) {
		t.Helper()
		if failure.ClassOf(err) != failure.Refused {
			t.Errorf("%s: %v", what, err)
		}
	}
	first, unused := r.offered(t, hers), r.offered(t, hers)
	refused("another session's challenge", bind(his, first, thiefs))
	refused("a challenge that nobody gave", bind(hers, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", mine))
	refused("no session", bind(secretOf(make([]byte, 32)), unused, mine))
	_, err := ds.Bind(t.Context(), hers, "a.b.c", Visit{})
	refused("no proof", err)
	if err := bind(hers, first, mine); err != nil {
		t.Fatal(err)
	}
	refused("the same again", bind(hers, first, mine))
	refused("a thief's key, by a challenge that was left over", bind(hers, unused, thiefs))
	if challenge, err := ds.Offer(t.Context(), hers); err != nil || challenge != "" {
		t.Errorf("a bound session is offered %q, %v", challenge, err)
	}
	late := r.offered(t, his)
	r.now = began.Add(bindWithin)
	refused("after the minute", bind(his, late, mine))
	if bound := r.events(t, "session.bound"); len(bound) != 1 || bound[0].Detail["key"] == "" {
		t.Errorf("%+v", bound)
	}
}

// A session that gains evidence stays with its key; one that a stranger to the device raises is
// over, and another begins.
func TestRaisedStaysBound(t *testing.T) {
	r := setUp(t)
	key := deviceKey(t)
	hers := r.start(t, "ada", "weak")
	with := r.binds(t, hers, key)
	_, cookie := cut(with)
	raised, err := r.Raise(t.Context(), with, r.grant(t, "ada", "strong"), "agent")
	if err != nil {
		t.Fatal(err)
	}
	r.now = began.Add(time.Minute)
	r.refusesOther(t, "the new secret alone", raised)
	if h, err := r.Active(t.Context(), With(raised, cookie)); err != nil || !h.Bound {
		t.Errorf("%+v, %v", h, err)
	}
	fresh, err := r.Raise(t.Context(), raised, r.grant(t, "ada", "strong"), "agent")
	if err != nil || r.number(t, fresh) == r.number(t, fresh+".") && r.stands(t, With(raised, cookie)) {
		t.Errorf("both stand: %v", err)
	}
	if h, err := r.Active(t.Context(), fresh); err != nil || h.Bound {
		t.Errorf("%+v, %v", h, err)
	}
}

// A bound cookie is given to whoever has the key, once for each challenge.
func TestRefreshIsByItsKey(t *testing.T) {
	r := setUp(t)
	ds, key, thiefs := r.devices(), deviceKey(t), deviceKey(t)
	hers, his := r.start(t, "ada", "weak"), r.start(t, "bob", "weak")
	number, other := r.number(t, hers), r.number(t, his)
	r.binds(t, hers, key)
	r.binds(t, his, thiefs)
	r.now = began.Add(10 * time.Minute) // whoever comes back has no bound cookie any more
	refresh := func(reference, number, text string) (Bound, string, error) {
		return ds.Refresh(t.Context(), reference, number, text)
	}
	for what, c := range map[string]struct {
		reference, number, text, reason string
	}{
		"the thief's key":               {hers, number, proof(t, thiefs, r.asks(t, hers, number), false), signin.OtherDevice},
		"the thief's key, brought":      {hers, number, proof(t, thiefs, r.asks(t, hers, number), true), signin.OtherDevice},
		"no proof":                      {hers, number, `"a.b.c"`, signin.OtherDevice},
		"a challenge of another's":      {hers, number, proof(t, key, r.asks(t, his, other), false), signin.OtherDevice},
		"the number of another's":       {hers, other, "", gone.Reason},
		"no session":                    {secretOf(make([]byte, 32)), number, "", gone.Reason},
		"the secret of another's":       {his, number, "", gone.Reason},
		"at another host":               {At("https://wiki.example.org", hers), number, "", gone.Reason},
		"a registration of the own key": {hers, number, proof(t, key, r.asks(t, hers, number), true), signin.OtherDevice},
	} {
		if b, challenge, err := refresh(c.reference, c.number, c.text); failure.ReasonOf(err) != c.reason || challenge != "" || b.Cookie != "" {
			t.Errorf("%s: %+v %q %v", what, b, challenge, err)
		}
	}
	good := proof(t, key, r.asks(t, hers, number), false)
	b, challenge, err := refresh(hers, number, good)
	if err != nil || challenge != "" || b.Number != number || !r.stands(t, With(hers, b.Cookie)) {
		t.Fatalf("%+v %q %v", b, challenge, err)
	}
	if b, challenge, err := refresh(hers, number, good); err != nil || challenge == "" || b.Cookie != "" {
		t.Errorf("the same proof again: %+v %q %v", b, challenge, err)
	}
	old := proof(t, key, r.asks(t, hers, number), false)
	r.now = r.now.Add(challengeLife)
	if b, challenge, err := refresh(hers, number, old); err != nil || challenge == "" || b.Cookie != "" {
		t.Errorf("a proof of before: %+v %q %v", b, challenge, err)
	}
	if err := r.SignOut(t.Context(), hers); err != nil {
		t.Fatal(err)
	}
	if _, _, err := refresh(hers, number, ""); failure.ReasonOf(err) != gone.Reason {
		t.Errorf("after it ended: %v", err)
	}
}

// The row of before it was bound is no session when somebody puts it back.
func TestUnboundRowPutBack(t *testing.T) {
	storetest.Long(t, "puts rows back in databases of their own")
	onEach(t, func(t *testing.T, r *rig) {
		hers := r.start(t, "ada", "weak")
		r.intrude(t, keepRows)
		r.binds(t, hers, deviceKey(t))
		r.now = began.Add(time.Minute)
		r.refusesOther(t, "the secret alone", hers)
		r.intrude(t, `delete from session where number in (select number from kept)`, putBack)
		r.refuses(t, "the row of before", hers)
		r.said(t, store.Returned)
	})
}

// A session of another host is bound by itself.
func TestHostIsBoundByItself(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "weak")
	host := r.accepted(t, hers)
	with := r.binds(t, host, deviceKey(t))
	r.now = began.Add(time.Minute)
	r.refusesOther(t, "its secret alone", host)
	if h, err := r.Active(t.Context(), with); err != nil || !h.Bound {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := r.Active(t.Context(), hers); err != nil || h.Bound {
		t.Errorf("its parent: %+v, %v", h, err)
	}
}

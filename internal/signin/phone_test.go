package signin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/push"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
)

// heard is the app's own check of signatures. While it looks at one, something else may
// happen, and what it says may be added to.
type heard struct {
	*push.Authenticator
	then *func(*authenticator.Result)
}

func (a heard) Check(ctx context.Context, c []authenticator.Credential, m authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	result, err := a.Authenticator.Check(ctx, c, m, answer, now)
	if f := *a.then; f != nil {
		*a.then = nil
		f(&result)
	}
	return result, err
}

// phone is an installation in which ada has a password and an app with a key of its own,
// and whoever knows the password has sign-ins wait for her.
type phone struct {
	*rig
	ada   directory.Account
	app   directory.Credential
	key   *ecdsa.PrivateKey
	count int64
	then  func(*authenticator.Result)
}

func withPhone(t *testing.T) *phone {
	t.Helper()
	p, kinds := &phone{}, everyKind(t)
	for i, how := range kinds {
		switch how.Describe().Kind {
		case "password":
			kinds[i] = plainly{how}
		case "push":
			kinds[i] = heard{how.(*push.Authenticator), &p.then}
		case "passkey":
			kinds[i] = right{how}
		}
	}
	p.rig = newRig(t, twoFactors, kinds...)
	p.ada = p.person("ada")
	p.give(p.ada, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
	p.app, p.key = p.bind(p.ada)
	return p
}

// bind gives an account an app with a key of its own.
func (p *phone) bind(a directory.Account) (directory.Credential, *ecdsa.PrivateKey) {
	p.t.Helper()
	key := newKey(p.t)
	point, err := key.PublicKey.Bytes()
	if err != nil {
		p.t.Fatal(err)
	}
	state, err := json.Marshal(map[string]any{"v": 1, "k": point})
	if err != nil {
		p.t.Fatal(err)
	}
	sum := sha256.Sum256(point)
	return p.give(a, "push", authenticator.Enrolled{Traits: assurance.Held, State: state, Handle: base64.RawURLEncoding.EncodeToString(sum[:])}), key
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signs has a key sign what a call asks for, as an app does for this installation.
func signs(t testing.TB, key *ecdsa.PrivateKey, host, verb string, call approval.AppCall, fields ...string) []byte {
	t.Helper()
	sum := sha256.Sum256(authenticator.Statement(append([]string{"countersign " + verb, host, call.App, call.Moment, strconv.FormatInt(call.Count, 10)}, fields...)...))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// call is ada's app, saying something once more.
func (p *phone) call(verb string, fields ...string) approval.AppCall {
	p.t.Helper()
	p.count++
	call := approval.AppCall{Kind: "push", App: p.app.Handle, Moment: p.Apps.Moment(), Count: p.count, Source: home}
	call.Signature = signs(p.t, p.key, "login.test", verb, call, fields...)
	return call
}

// waits begins a sign-in as ada that waits, and returns its number.
func (p *phone) waits() (Step, string) {
	p.t.Helper()
	s := p.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}})
	if s.State != Wait || s.Prompts[0].Number == "" {
		p.t.Fatalf("nothing waits: %+v", s)
	}
	return s, s.Prompts[0].Number
}

func (p *phone) look(s Step) Step {
	p.t.Helper()
	next, err := p.Poll(p.t.Context(), s.Ticket)
	if err != nil {
		p.t.Fatal(err)
	}
	return next
}

// finds is what waits under a number, as ada's app is shown it.
func (p *phone) finds(number string) approval.Waiting {
	p.t.Helper()
	w, err := p.Apps.WaitingFor(p.t.Context(), p.call("look", number), number)
	if err != nil {
		p.t.Fatal(err)
	}
	return w
}

// says has ada's app sign and send a decision.
func (p *phone) says(said approval.AppAnswer) error {
	p.t.Helper()
	return p.Apps.Answer(p.t.Context(), p.call("answer", strconv.FormatInt(said.ID, 10), said.Number, said.Text, said.Decision), said)
}

// summed are the refusals that name nobody, by reason.
func (p *phone) summed() map[string]bool {
	p.t.Helper()
	if err := p.Strangers.SumUp(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	out := map[string]bool{}
	for _, en := range p.events("app.refused") {
		if en.Account == 0 && en.AccountName == "" && en.Actor.Name == "strangers" {
			out[en.Reason] = true
		}
	}
	return out
}

// named are the refusals of ada's app.
func (p *phone) named() (out []audit.Entry) {
	p.t.Helper()
	for _, en := range p.events("app.refused") {
		if en.Account == int64(p.ada.ID) {
			out = append(out, en)
		}
	}
	return out
}

// What no app of ours signed, for this installation, for this and now, is refused alike
// whatever became of the app that it names: nothing of it is told, and the log names
// nobody.
func TestWhoNoAppIs(t *testing.T) {
	const unknown = "This app is not known here. Add it under Ways to sign in."
	p := withPhone(t)
	thief, bob := newKey(t), p.person("bob")
	bobs, bobsKey := p.bind(bob)
	var old string
	attacks := []struct {
		name, reason, public string
		make                 func() approval.AppCall
	}{
		{"another key", "forged", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.Signature = signs(t, thief, "login.test", "waits", c)
			return c
		}},
		{"another's app", "forged", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.Signature = signs(t, bobsKey, "login.test", "waits", c)
			return c
		}},
		{"signed as another's", "forged", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.App = bobs.Handle
			return c
		}},
		{"no signature", "forged", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.Signature = nil
			return c
		}},
		{"signed for another act", "forged", unknown, func() approval.AppCall { return p.call("disown") }},
		{"signed with more", "forged", unknown, func() approval.AppCall { return p.call("waits", "1") }},
		{"signed for another installation", "forged", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.Signature = signs(t, p.key, "login.example", "waits", c)
			return c
		}},
		{"another count", "forged", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.Count++
			return c
		}},
		{"another moment, and not ours", "forged", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.Moment = "1." + strings.Repeat("A", 43)
			return c
		}},
		{"nobody's app", "unknown-app", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.App = "x"
			return c
		}},
		{"no app", "unknown-app", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.App = ""
			return c
		}},
		{"a kind that is no app", "unknown-kind", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.Kind = "passkey"
			return c
		}},
		{"a kind that is not", "unknown-kind", unknown, func() approval.AppCall {
			c := p.call("waits")
			c.Kind = "x"
			return c
		}},
		{"its own, of two minutes ago", "stale", stale, func() approval.AppCall {
			c := p.call("waits")
			c.Moment = old
			c.Signature = signs(t, p.key, "login.test", "waits", c)
			return c
		}},
	}
	for _, a := range []struct{ status, state string }{{directory.CredentialActive, directory.Active}, {directory.CredentialRevoked, directory.Active}, {directory.CredentialActive, directory.Suspended}} {
		p.alter(p.app, func(c *directory.Credential) { c.Status = a.status })
		p.state(p.ada, a.state)
		old = p.Apps.Moment()
		p.clock.Later(momentLife)
		for _, c := range attacks {
			yes, err := p.Apps.Waits(t.Context(), c.make())
			if yes || refused(err) != c.reason || failure.Public(err) != c.public {
				t.Errorf("%s, of an app that is %s: %t, %v", c.name, a.status, yes, err)
			}
			if n := len(p.named()); n != 0 {
				t.Fatalf("%s, of an app that is %s: it is in ada's log", c.name, a.status)
			}
			if !p.summed()[c.reason] {
				t.Errorf("%s, of an app that is %s: not counted", c.name, a.status)
			}
		}
	}
	p.alter(p.app, func(c *directory.Credential) { c.Status = directory.CredentialActive })
	p.state(p.ada, directory.Active)
	if _, err := p.Apps.Waits(t.Context(), p.call("waits")); err != nil {
		t.Errorf("her own, after all that: %v", err)
	}
}

// Only a moment that this installation gave is one, from two minutes before to two
// minutes after it, for an app that signed it.
func TestMoments(t *testing.T) {
	p := withPhone(t)
	when, mac, _ := strings.Cut(p.Apps.Moment(), ".")
	at, err := strconv.ParseInt(when, 10, 64)
	if err != nil || at != p.Now().Unix() {
		t.Fatalf("%s, %v", when, err)
	}
	later := strconv.FormatInt(at+60, 10)
	other := withPhone(t) // with keys of its own
	for _, c := range []struct {
		name, moment string
		after        time.Duration
		good         bool
	}{
		{"now", when + "." + mac, 0, true},
		{"a moment before two minutes", when + "." + mac, momentLife - time.Second, true},
		{"two minutes", when + "." + mac, momentLife, false},
		{"by a clock that was put back", when + "." + mac, -momentLife + time.Second, true},
		{"by two minutes", when + "." + mac, -momentLife, false},
		{"another time", later + "." + mac, 0, false},
		{"another's mark", other.Apps.Moment(), 0, false},
		{"no mark", when + ".", 0, false},
		{"only a time", when, 0, false},
		{"no time", "." + mac, 0, false},
		{"a mark with something behind it", when + "." + mac + "A", 0, false},
		{"a time that is none", when + "x." + mac, 0, false},
		{"none", "", 0, false},
	} {
		p.clock.Later(c.after)
		call := p.call("waits")
		call.Moment = c.moment
		call.Signature = signs(t, p.key, "login.test", "waits", call)
		_, err := p.Apps.Waits(t.Context(), call)
		if good := err == nil; good != c.good || !good && refused(err) != "stale" {
			t.Errorf("%s: %v", c.name, err)
		}
		p.clock.Later(-c.after)
	}
}

// An app that signed, and may not all the same, is told why in words that help; the log
// says whose it is, from where it called, and what of it was wrong.
func TestWhatAnAppIsTold(t *testing.T) {
	const unknown = "This app is not known here. Add it under Ways to sign in."
	p := withPhone(t)
	is := func(f func(*directory.Credential)) func() { return func() { p.alter(p.app, f) } }
	counts := func(n int64) func(*approval.AppCall) {
		return func(c *approval.AppCall) {
			c.Count = n
			c.Signature = signs(t, p.key, "login.test", "waits", *c)
		}
	}
	for i, c := range []struct {
		reason, public, detail string
		put                    func()
		edit                   func(c *approval.AppCall)
	}{
		{reason: directory.CredentialRevoked, public: "removed from your account", put: is(func(c *directory.Credential) { c.Status = directory.CredentialRevoked })},
		{reason: directory.CredentialDisabled, public: "switched off", put: is(func(c *directory.Credential) { c.Status = directory.CredentialDisabled })},
		{reason: "quarantine", public: "cannot approve yet", put: is(func(c *directory.Credential) { c.Quarantine = p.Now().Add(time.Second) })},
		{reason: "suspended", public: unknown, put: func() { p.state(p.ada, directory.Suspended) }},
		{reason: "wrong-gesture", public: "did not confirm", detail: "not bound", edit: func(c *approval.AppCall) { c.Gesture = []byte("{}") }},
		{reason: "uncounted", public: "out of date", edit: counts(0)},
		{reason: "uncounted", public: "out of date", edit: counts(-1)},
	} {
		if c.put != nil {
			c.put()
		}
		call := p.call("waits")
		if c.edit != nil {
			c.edit(&call)
		}
		yes, err := p.Apps.Waits(t.Context(), call)
		if yes || refused(err) != c.reason || !strings.Contains(failure.Public(err), c.public) {
			t.Errorf("%s: %t, %v: %s", c.reason, yes, err, failure.Public(err))
		}
		log := p.named()
		if len(log) != i+1 || len(p.summed()) != 0 {
			t.Fatalf("%s: %d entries, counted %v", c.reason, len(log), p.summed())
		}
		en := p.last("app.refused")
		_, has := en.Detail["detail"]
		if en.Reason != c.reason || en.Outcome != audit.Refused || en.AccountName != "ada" || en.Actor.Name != "ada" || en.Source != home.String() || en.Protocol != approval.AppProtocol ||
			en.Detail["detail"] != c.detail || has != (c.detail != "") {
			t.Errorf("%s: the log says %+v", c.reason, en)
		}
		p.state(p.ada, directory.Active)
		p.alter(p.app, func(c *directory.Credential) { c.Status, c.Quarantine = directory.CredentialActive, time.Time{} })
		if _, err := p.Apps.Waits(t.Context(), p.call("waits")); err != nil {
			t.Errorf("%s is over: %v", c.reason, err)
		}
	}
}

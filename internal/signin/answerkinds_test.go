package signin

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/authenticator/totp"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// token shows codes that are counted.
type token struct {
	key  otp.Key
	next uint64
	directory.Credential
}

func (k *token) code() string { k.next++; return k.key.Code(k.next - 1) }

// giveToken gives an account a token whose codes are counted.
func giveToken(r *rig, a directory.Account, p *pin.Kept) *token {
	r.t.Helper()
	key, err := otp.NewKey(otp.SHA1, 6)
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := new(hotp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Label: "Token"})
	if err == nil && p != nil {
		e, err = new(hotp.Authenticator).SetPIN(e.State, p, "")
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return &token{key: key, Credential: r.give(a, "hotp", e)}
}

// withPINs is every kind, of which those that count and those that go by the clock take PINs.
func withPINs(t *testing.T) []authenticator.Authenticator {
	t.Helper()
	kinds := everyKind(t)
	for i, how := range kinds {
		var err error
		switch how.Describe().Kind {
		case "totp":
			kinds[i], err = totp.New(totp.Options{Issuer: "Countersign", PINs: pins{}})
		case "hotp":
			kinds[i], err = hotp.New(hotp.Options{Issuer: "Countersign", PINs: pins{}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return kinds
}

// byLine is a sign-in by one line of equipment.
func byLine(name string, opening ...prompt.Answer) Request {
	return Request{Application: "vpn", Name: name, Source: home, Protocol: "radius", Medium: prompt.Single, Partner: "nas", Opening: opening}
}

// A code without a name is for the kinds that its owner has and can use, and no wrong
// answer to any other.
func TestACodeIsForWhatItsOwnerHas(t *testing.T) {
	r := newRig(t, twoFactors)
	ada, bob := r.person("ada"), r.person("bob")
	r.withPassword(ada)
	r.withPassword(bob)
	app, key := r.withCodes(ada), giveToken(r, ada, nil)
	line := func(name, code string) Step {
		r.clock.Later(time.Hour)
		return r.begin(byLine(name, typed("password", secret), typed(AnyCode, code)))
	}
	charged := func(what string, forApp, forToken int64) {
		t.Helper()
		if a, k := r.charged(app.Credential), r.charged(key.Credential); a != forApp || k != forToken {
			t.Errorf("%s: the app is charged %d, the token %d", what, a, k)
		}
	}
	r.clock.Later(time.Hour)
	code := app.code()
	r.is("the app's", r.begin(byLine("ada", typed("password", secret), typed(AnyCode, code))), Granted, "")
	r.is("the token's", line("ada", key.code()), Granted, "")
	charged("right ones", 0, 0)
	r.is("of neither", line("ada", "000000"), Denied, "wrong")
	charged("a wrong one of two", 1, 1)
	r.alter(app.Credential, func(c *directory.Credential) { c.Status = directory.CredentialDisabled })
	r.is("the token's, while the app is off", line("ada", key.code()), Granted, "")
	charged("while the app is off", 1, 0)
	r.is("of neither, while the app is off", line("ada", "000000"), Denied, "wrong")
	charged("a wrong one of one", 1, 1)
	r.alter(key.Credential, func(c *directory.Credential) { c.Status = directory.CredentialDisabled })
	for name, why := range map[string]string{"ada": "all of hers are off", "bob": "he has none"} {
		r.is(why, line(name, "000000"), Denied, "wrong")
	}
	charged("while both are off", 1, 1)

	// Whoever has none is told no more than that a name is nobody's.
	alone := func(name, code string) Step {
		r.clock.Later(time.Hour)
		q := byLine(name, typed(AnyCode, code))
		q.CodeAlone = true
		return r.begin(q)
	}
	for _, name := range []string{"nobody", "bob", "ada"} {
		r.is("of "+name, alone(name, "000000"), Denied, "wrong")
	}
	r.alter(app.Credential, func(c *directory.Credential) { c.Status = directory.CredentialActive })
	code = app.key.Code(uint64(r.Now().Add(time.Hour).Unix() / 30))
	r.is("right, and one of two factors", alone("ada", code), Denied, "cannot-ask-here")
}

// In a reply without a name a code is for what was asked and can be typed.
func TestAReplyIsForWhatWasAsked(t *testing.T) {
	r := newRig(t, twoFactors)
	ada := r.person("ada")
	r.withPassword(ada)
	app, key := r.withCodes(ada), giveToken(r, ada, nil)
	r.give(ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	q := byLine("ada", typed("password", secret))
	q.Medium = prompt.Line
	for _, name := range []string{"", AnyCode} {
		for what, code := range map[string]func() string{"totp": app.code, "hotp": key.code, "spaced": func() string { c := app.code(); return " " + c[:3] + " " + c[3:] + "\t" }} {
			r.clock.Later(time.Hour)
			s := r.begin(q)
			if s.State != Ask || kindsOf(s) != "totp hotp" {
				t.Fatalf("%+v", s)
			}
			next, err := r.Answer(t.Context(), s.Ticket, Reply{Answer: typed(name, code()), Partner: "nas", Source: home})
			if err != nil || next.State != Granted {
				t.Errorf("%q, %s: %v %q, %v", name, what, next.State, next.Reason, err)
			}
		}
	}
	s := r.begin(q)
	next, err := r.Answer(t.Context(), s.Ticket, Reply{Answer: typed("", "ccccccbchvth"), Partner: "nas", Source: home})
	if err != nil || next.State == Granted || r.charged(app.Credential)+r.charged(key.Credential) != 0 {
		t.Errorf("what is no code of theirs: %v %q, %v", next.State, next.Reason, err)
	}
	for _, kind := range []string{"passkey", "smscode", "unheard-of"} {
		s = r.begin(q)
		if next, err = r.Answer(t.Context(), s.Ticket, Reply{Answer: typed(kind, app.code()), Partner: "nas", Source: home}); err != nil || next.State == Granted || next.Reason != "not-asked" {
			t.Errorf("for %s, which was not asked: %v %q, %v", kind, next.State, next.Reason, err)
		}
	}
}

// Who has shown nothing opens with a code that has a PIN in front, and with no other:
// that costs its owner nothing.
func TestACodeBehindAPINOpens(t *testing.T) {
	kept, _, err := pin.New(pins{}, "918273")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, anyFactor, withPINs(t)...)
	ada, bob, both := r.person("ada"), r.person("bob"), r.person("both")
	hers, his := giveToken(r, ada, kept), giveToken(r, bob, nil)
	first, second := giveToken(r, both, nil), giveToken(r, both, kept)
	from := netip.MustParseAddr("198.51.100.1")
	opens := func(name, kind, text string) Step {
		r.clock.Later(time.Hour)
		from = from.Next()
		q := byLine(name, typed(kind, text))
		q.Source = from
		return r.begin(q)
	}
	for _, kind := range []string{AnyCode, "hotp"} {
		r.is("behind a PIN", opens("ada", kind, "918273"+hers.code()), Granted, "")
		r.is("without one", opens("bob", kind, his.code()), Denied, "not-asked")
		r.is("of two tokens the one with", opens("both", kind, "918273"+second.code()), Granted, "")
		r.is("and the one without", opens("both", kind, first.code()), Denied, "wrong")
	}
	if n := r.charged(his.Credential) + r.charged(first.Credential); n != 0 {
		t.Errorf("those without a PIN are charged %d", n)
	}
	if n := r.charged(second.Credential); n == 0 {
		t.Error("what is compared with the one that has a PIN is not charged")
	}
	r.is("of a kind that nobody knows", opens("ada", "unheard-of", "x"), Denied, "not-asked")
	r.is("of a kind that is in front of nothing", opens("ada", "yubico-otp", "cccccccccccccccccccccccccccccccccccccccccccc"), Denied, "not-asked")
	// Behind a password of the same line each counts.
	r.withPassword(bob)
	r.clock.Later(time.Hour)
	his.next++ // those that were not looked at are behind
	r.is("behind a password", r.begin(byLine("bob", typed("password", secret), typed(AnyCode, his.code()))), Granted, "")
}

// Whoever gets back in by codes opens with a saved one, which has nothing in front; for
// signing in that is no opening.
func TestASavedCodeOpensARecovery(t *testing.T) {
	kinds := everyKind(t)
	for i, how := range kinds {
		if k := how.Describe().Kind; k == "recoverycode" || k == "mailcode" {
			kinds[i] = right{how}
		}
	}
	r := newRig(t, "rules:\n  - {name: back, when: 'action == \"account.recover\"', require: recovery-codes}\n  - {name: all, when: 'action != \"account.recover\"', require: one-factor}\n", kinds...)
	ada := r.person("ada")
	saved := r.give(ada, "recoverycode", authenticator.Enrolled{Traits: assurance.Held | assurance.Recovery, State: []byte("x")})
	r.give(ada, "mailcode", authenticator.Enrolled{Traits: assurance.Mailed, State: []byte("x")})
	q := browses(Self, "ada", typed("recoverycode", "x"))
	q.Action, q.Object = Recover, "r"
	if s := r.begin(q); s.State != Ask || kindsOf(s) != "mailcode" {
		t.Errorf("a saved code: %v %q, asks %s", s.State, s.Reason, kindsOf(s))
	}
	for _, kind := range []string{"mailcode", "password", "passkey", "totp"} {
		q.Opening = []prompt.Answer{typed(kind, "x")}
		if s := r.begin(q); s.State == Granted || kindsOf(s) == "mailcode" {
			t.Errorf("%s: %v %q, asks %s", kind, s.State, s.Reason, kindsOf(s))
		}
	}
	r.is("to sign in", r.begin(byLine("ada", typed("recoverycode", "x"))), Denied, "not-asked")
	if n := len(r.events("evidence.accepted")); n != 1 || r.charged(saved) != 0 {
		t.Errorf("%d accepted", n)
	}
}

// What an answer is meant for, by how it came and what was asked: of the kinds that can be
// typed there, and of what it looks like where there are several.
func TestWhatAnAnswerIsMeantFor(t *testing.T) {
	r := newRig(t, anyFactor)
	const otp = "cccccccccccbcccccccccccccccccccccccccccccccc"
	for _, c := range []struct {
		why     string
		asked   string
		answer  prompt.Answer
		opening bool
		medium  prompt.Medium
		want    string
	}{
		{"unnamed, of what was asked what can be typed", "passkey totp approval", typed("", "123456"), false, prompt.Browser, "totp"},
		{"unnamed, where only a passkey was asked for", "passkey", typed("", "123456"), false, prompt.Browser, ""},
		{"unnamed, of a kind that this server no longer has", "of-before totp", typed("", "123456"), false, prompt.Line, "totp"},
		{"unnamed, and nothing was asked", "", typed("", "123456"), true, prompt.Line, ""},
		{"any code, in a reply, is for what was asked alone", "smscode", typed(AnyCode, "123456"), false, prompt.Line, "smscode"},
		{"and for no password", "password", typed(AnyCode, "123456"), true, prompt.Line, "totp hotp"},
		{"any code that comes unasked is for none that must be asked for", "", typed(AnyCode, "123456"), true, prompt.Line, "totp hotp"},
		{"nor for digits where it is none", "", typed(AnyCode, "12ab"), true, prompt.Line, "recoverycode"},
		{"what names its owner is for that kind", "", typed(AnyCode, otp), true, prompt.Line, "yubico-otp"},
		{"also beside a password that it might be", "password yubico-otp", typed("", otp), false, prompt.Line, "yubico-otp"},
		{"which another text is", "password yubico-otp", typed("", "a password"), false, prompt.Line, "password"},
		{"named, in a reply, only where it was asked", "totp", typed("hotp", "123456"), false, prompt.Line, ""},
		{"named, in a reply", "totp hotp", typed("hotp", "123456"), false, prompt.Line, "hotp"},
		{"named, unasked", "", typed("hotp", "123456"), true, prompt.Line, "hotp"},
		{"named, of no kind", "", typed("unheard-of", "123456"), true, prompt.Line, ""},
	} {
		at := &attempt{Request: Request{Action: SignIn, Name: "ada", Medium: c.medium, CodeAlone: true}}
		for _, kind := range strings.Fields(c.asked) {
			at.Asked = append(at.Asked, asked{Kind: kind})
		}
		if kinds, _ := r.examiner.candidatesByForm(at, c.answer, c.opening); strings.Join(kinds, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.why, kinds, c.want)
		}
	}
}

// In a session its owner is known: a code may come first there.
func TestACodeOpensInASession(t *testing.T) {
	r, ada, app := withAda(t)
	all, err := r.credentials.All(t.Context(), r.DB, ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.sessions.put("hers", Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour), Evidence: evidenceOf(all, "password", r.Now())})
	q := browses("wiki", "ada", typed("totp", app.code()))
	r.is("without a session", r.begin(q), Ask, "not-asked")
	q.Session = "hers"
	r.is("in hers", r.begin(q), Granted, "")
}

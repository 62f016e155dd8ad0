package hotp_test

import (
	"slices"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/prompt"
)

const myPIN = "481516"

// bearer is a token with a PIN, its state as an engine keeps it.
type bearer struct {
	t        *testing.T
	how      *hotp.Authenticator
	key      otp.Key
	state    []byte
	failures int
	spent    map[string]bool
}

func newBearer(t *testing.T) *bearer {
	t.Helper()
	key := otp.Key{Secret: []byte("12345678901234567890"), Algorithm: otp.SHA1, Digits: 6} // no two codes of these tests are alike
	e, err := new(hotp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits})
	if err != nil {
		t.Fatal(err)
	}
	kept, _, err := pin.New(authenticatortest.PINKeys{}, myPIN)
	if err != nil {
		t.Fatal(err)
	}
	if e, err = new(hotp.Authenticator).SetPIN(e.State, kept, ""); err != nil || e.Traits != assurance.Held|assurance.Known {
		t.Fatalf("the PIN was not set: %v, %s", err, e.Traits)
	}
	return &bearer{t, open(t, hotp.Options{PINs: authenticatortest.PINKeys{}}), key, e.State, 0, map[string]bool{}}
}

// types is what an engine makes of a line.
func (b *bearer) types(text string) authenticator.Result {
	b.t.Helper()
	r, err := b.how.Check(b.t.Context(), []authenticator.Credential{{ID: 5, State: b.state, Failures: b.failures}}, nil, prompt.Answer{Text: text}, time.Time{})
	if err != nil {
		b.t.Fatal(err)
	}
	if (r.OK || r.Partial) && b.spent[r.Once] {
		return authenticator.Wrong("replayed")
	}
	if r.OK || r.Partial || r.Used {
		b.state, b.spent[r.Once] = r.Next, true
	}
	return r
}

func (b *bearer) accepts(text string) {
	b.t.Helper()
	if r := b.types(text); !r.OK || r.Traits != assurance.Held|assurance.Known {
		b.t.Errorf("refused as %q, showing %s", r.Reason, r.Traits)
	}
}

func (b *bearer) refuses(what, text string) authenticator.Result {
	b.t.Helper()
	r := b.types(text)
	if r.OK || r.Partial {
		b.t.Errorf("accepted: %s", what)
	}
	return r
}

func TestPINBeforeTheCode(t *testing.T) {
	b := newBearer(t)
	b.accepts(myPIN + b.key.Code(0))
	b.accepts("4815 16 " + b.key.Code(1))
	b.refuses("the code without its PIN", b.key.Code(2))
	b.refuses("the PIN alone", myPIN)
	b.refuses("the PIN behind the code", b.key.Code(2)+myPIN)
	b.refuses("half a PIN", myPIN[:4]+b.key.Code(2))
	b.refuses("another PIN of the same length", "481517"+b.key.Code(3))
	b.accepts(myPIN + b.key.Code(4))
	b.refuses("the same again", myPIN+b.key.Code(4))
	b.accepts(myPIN + b.key.Code(5) + b.key.Code(6))

	// Without a key for PINs nothing with one is right.
	b.how = open(t, hotp.Options{})
	b.refuses("a PIN that nothing can compare", myPIN+b.key.Code(7))
}

// behind types the codes behind something.
func behind(what string) func(codes string) string {
	return func(codes string) string { return what + codes }
}

// The attacker sees a line with a mistyped PIN, and learns the PIN another way:
// the code is used up, in each of the forms in which one is accepted.
func TestCodeBehindAWrongPINIsUsedUp(t *testing.T) {
	for name, c := range map[string]struct {
		line     func(codes string) string // how it is typed wrongly
		failures int
		seen     []uint64 // the codes behind the wrong PIN
		replay   [][]uint64
	}{
		"one code":                    {behind("481517"), 0, []uint64{3}, [][]uint64{{3}, {2, 3}, {3, 4}}},
		"two codes":                   {behind("481517"), 0, []uint64{3, 4}, [][]uint64{{3}, {4}, {3, 4}, {4, 5}}},
		"one of two that are wanted":  {behind("481517"), 3, []uint64{3}, [][]uint64{{3}, {3, 4}}},
		"two of two that are wanted":  {behind("481517"), 3, []uint64{3, 4}, [][]uint64{{3}, {4}, {3, 4}, {4, 5}}},
		"one far ahead, where wanted": {behind("481517"), 3, []uint64{90}, [][]uint64{{90}, {90, 91}}},
		"no PIN":                      {behind(""), 0, []uint64{3}, [][]uint64{{3}, {3, 4}}},
		"no PIN, two codes":           {behind(""), 0, []uint64{3, 4}, [][]uint64{{3}, {4}, {3, 4}, {4, 5}}},
		"no PIN, two codes far ahead": {behind(""), 0, []uint64{50, 51}, [][]uint64{{50, 51}, {51, 52}}},
		"a shorter PIN":               {behind("48151"), 0, []uint64{3}, [][]uint64{{3}, {3, 4}}},
		"a longer PIN":                {behind("4815166"), 0, []uint64{3}, [][]uint64{{3}, {3, 4}}},
		"a shorter PIN, two codes":    {behind("4815"), 0, []uint64{50, 51}, [][]uint64{{50, 51}, {51, 52}}},
		"the PIN behind the code":     {func(codes string) string { return codes + myPIN }, 0, []uint64{3}, [][]uint64{{3}, {3, 4}}},
	} {
		b := newBearer(t)
		b.failures = c.failures
		line := func(p string, codes []uint64) string {
			for _, n := range codes {
				p += b.key.Code(n)
			}
			return p
		}
		r := b.refuses(name+", typed wrongly", c.line(line("", c.seen)))
		if !r.Used || r.Reason != otp.Wrong || r.Detail != "" {
			t.Errorf("%s: used is %t, reason %q, detail %q", name, r.Used, r.Reason, r.Detail)
		}
		var last uint64 // what is refused uses up the right codes in it, again
		for _, codes := range c.replay {
			last = max(last, slices.Max(codes))
			b.refuses(name+", seen and given again with the right PIN", line(myPIN, codes))
		}
		b.accepts(line(myPIN, []uint64{last + 1, last + 2}))
	}
}

// A refusal says the same, whichever of both was wrong.
func TestRefusalDoesNotTell(t *testing.T) {
	const wrong = "481517"
	b := newBearer(t)
	b.accepts(myPIN + b.key.Code(20-11)) // so that there is a past
	for name, code := range map[string]string{"no code": "000000", "a used code": b.key.Code(9), "a code too far ahead": b.key.Code(60)} {
		right, mistyped := b.refuses(name, myPIN+code), b.refuses(name, wrong+code)
		if right.Reason != mistyped.Reason || right.Detail != mistyped.Detail || right.Used || mistyped.Used {
			t.Errorf("%s: %q %q with the right PIN, %q %q with a wrong one", name, right.Reason, right.Detail, mistyped.Reason, mistyped.Detail)
		}
	}
	nothing, pinWrong := b.refuses("a wrong code", myPIN+"000000"), b.refuses("a wrong PIN", wrong+b.key.Code(10))
	if nothing.Reason != pinWrong.Reason || nothing.Detail != pinWrong.Detail {
		t.Errorf("a wrong code is %q, a wrong PIN %q", nothing.Reason, pinWrong.Reason)
	}
}

// A PIN that was given must be typed and shows nothing; taking it away leaves the
// code alone.
func TestFirstPINAndNone(t *testing.T) {
	b := newBearer(t)
	given, digits := pin.Give(authenticatortest.PINKeys{}, 0)
	e, err := new(hotp.Authenticator).SetPIN(b.state, given, "")
	if err != nil || e.Traits != assurance.Held {
		t.Fatalf("%v, %s", err, e.Traits)
	}
	b.state = e.State
	b.refuses("the PIN of before", myPIN+b.key.Code(0))
	if r := b.types(digits + b.key.Code(1)); !r.OK || r.Traits != assurance.Held {
		t.Errorf("the given PIN: ok %t, showing %s", r.OK, r.Traits)
	}
	if e, err = new(hotp.Authenticator).SetPIN(b.state, nil, ""); err != nil {
		t.Fatal(err)
	}
	b.state = e.State
	if kept, _, err := new(hotp.Authenticator).PIN(b.state); kept != nil || err != nil {
		t.Error("there is still a PIN")
	}
	if r := b.types(b.key.Code(2)); !r.OK || r.Traits != assurance.Held {
		t.Errorf("without a PIN: ok %t, showing %s", r.OK, r.Traits)
	}
}

func TestQuestionSaysPIN(t *testing.T) {
	b := newBearer(t)
	q, _, err := b.how.Ask([]authenticator.Credential{{State: b.state}}, time.Time{})
	if err != nil || q.Kind != prompt.Secret || q.Label != "PIN and next code from your code token" || q.Digits != 0 {
		t.Errorf("%+v, %v", q, err)
	}
}

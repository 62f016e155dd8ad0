package signin

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/authenticator/totp"
	"countersign/internal/prompt"
)

// outside is where a stranger is who makes noise.
var outside = netip.MustParseAddr("198.51.100.9")

// makeLoud has strangers make so much noise that no refusal of theirs has an entry of its own.
func makeLoud(r *rig) {
	r.t.Helper()
	for i := range toldOfPeople {
		r.Strangers.tells(audit.Entry{Account: 1, Source: fmt.Sprintf("203.0.113.%d", i)})
	}
	if r.Strangers.tells(audit.Entry{Account: 1, Source: outside.String()}) {
		r.t.Fatal("they are not loud enough")
	}
}

// pins hashes PINs for tests.
type pins struct{}

func (pins) MAC(salt []byte, p string) []byte {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte(p))
	return h.Sum(nil)
}

func (k pins) Verify(salt []byte, p string, mac []byte) bool { return hmac.Equal(k.MAC(salt, p), mac) }

// A code behind a wrong PIN is used up and the guess at the PIN is charged, whatever
// noise strangers make: otherwise whoever has the token guesses its PIN for nothing.
func TestNoiseFreesNoGuesses(t *testing.T) {
	tokens, err := totp.New(totp.Options{Issuer: "Countersign", PINs: pins{}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, anyFactor, tokens)
	ada := r.person("ada")
	key, err := otp.NewKey(otp.SHA1, 6)
	if err != nil {
		t.Fatal(err)
	}
	e, err := new(totp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Period: 30, Label: "Token"})
	if err != nil {
		t.Fatal(err)
	}
	kept, _, err := pin.New(pins{}, "918273")
	if err != nil {
		t.Fatal(err)
	}
	if e, err = new(totp.Authenticator).SetPIN(e.State, kept, ""); err != nil {
		t.Fatal(err)
	}
	c := codes{key: key, clock: r.clock, Credential: r.give(ada, "totp", e)}
	guess := func(p string) (Step, error) {
		makeLoud(r)
		return r.Begin(t.Context(), Request{Application: "vpn", Name: "ada", Source: outside, Protocol: "radius", Medium: prompt.Line, Opening: []prompt.Answer{typed(AnyCode, p+c.code())}})
	}
	if s, err := guess("111222"); err != nil || s.State == Granted {
		t.Errorf("a wrong PIN behind noise: %v %v", s.State, err)
	}
	if s, err := guess("918273"); err != nil || s.State == Granted {
		t.Errorf("the code of before, behind the right PIN: %v, %v", s.State, err)
	}
	var charged int64
	if err := r.DB.QueryRow(t.Context(), `select coalesce(max(count), 0) from guess where subject like $1`, guessesAt(c.ID)+"%").Scan(&charged); err != nil || charged == 0 {
		t.Error("the guess cost nothing", err)
	}
}

// The owner is told when strangers make an authenticator slow, whatever noise they make.
func TestNoiseHidesNoNotice(t *testing.T) {
	r := newRig(t, anyFactor)
	ada := r.person("ada")
	r.withPassword(ada)
	for i := range slowestTries(r) {
		r.clock.Later(2 * time.Hour)
		makeLoud(r)
		if _, err := r.Begin(t.Context(), Request{Application: Self, Name: "ada", Source: outside, Protocol: "browser", Medium: prompt.Browser, Opening: []prompt.Answer{typed("password", fmt.Sprint("guess number ", i))}}); err != nil {
			t.Errorf("guess %d: %v", i+1, err)
		}
	}
	var told int64
	if err := r.DB.QueryRow(t.Context(), `select count(*) from notice where account = $1`, int64(ada.ID)).Scan(&told); err != nil || told == 0 {
		t.Error("nobody was told", err)
	}
}

// Who comes from too long an address is told so, and what is written of it is short.
func TestTooLongAnAddress(t *testing.T) {
	r := newRig(t, anyFactor)
	path := "/" + strings.Repeat("a", 8000)
	for range 3 {
		s, err := r.Begin(t.Context(), Request{Application: "wiki", Source: outside, Protocol: "forward-auth", Medium: prompt.Browser, Method: "GET", Path: path})
		if err != nil || s.State != Denied || s.Reason != "too-long" || !strings.Contains(s.Public, "too long") {
			t.Fatalf("%v %q %q: %v", s.State, s.Reason, s.Public, err)
		}
	}
	for _, en := range r.events("signin.refused") {
		if b, err := en.Encode(); err != nil || len(b) > 2000 {
			t.Errorf("an entry of %d octets: %v", len(b), err)
		}
	}
}

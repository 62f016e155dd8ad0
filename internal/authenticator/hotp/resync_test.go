package hotp_test

import (
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/prompt"
)

// Two codes bring a token back from up to 1000 codes ahead. Neither they nor any
// before them are good again. The key is the RFC's: of a new one every time, one
// of a thousand old codes is right again by chance once in a hundred runs.
func TestResync(t *testing.T) {
	seed, err := new(hotp.Authenticator).Import(authenticator.Seed{Secret: rfcKey.Secret, Algorithm: string(rfcKey.Algorithm), Digits: rfcKey.Digits, Counter: 50})
	if err != nil {
		t.Fatal(err)
	}
	a, err := hotp.New(hotp.Options{Issuer: "Test"})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[uint64]bool{48: false, 49: false, 50: true, 60: true, 1049: true, 1050: false} {
		pair := rfcKey.Code(at) + " " + rfcKey.Code(at+1)
		r, err := new(hotp.Authenticator).Resync(seed.State, pair, time.Time{})
		if err != nil || r.OK != want {
			t.Errorf("at %d: %+v, %v", at, r, err)
		}
		if !r.OK {
			continue
		}
		if again, err := new(hotp.Authenticator).Resync(r.Next, pair, time.Time{}); err != nil || again.OK {
			t.Errorf("at %d: the pair is good again", at)
		}
		own := []authenticator.Credential{{ID: 1, Account: 1, Kind: hotp.Kind, State: r.Next}}
		for n := uint64(50); n <= at+2; n++ {
			if c, err := a.Check(t.Context(), own, nil, prompt.Answer{Text: rfcKey.Code(n)}, time.Time{}); err != nil || c.OK != (n == at+2) {
				t.Errorf("at %d: the code %d is %t, %v", at, n, c.OK, err)
			}
		}
	}
	for _, bad := range []string{"", rfcKey.Code(50), rfcKey.Code(50) + rfcKey.Code(52), rfcKey.Code(51) + rfcKey.Code(50)} {
		if r, err := new(hotp.Authenticator).Resync(seed.State, bad, time.Time{}); err != nil || r.OK {
			t.Errorf("%q: %+v, %v", bad, r, err)
		}
	}
	if _, err := new(hotp.Authenticator).Resync([]byte("{}"), "123456654321", time.Time{}); err == nil {
		t.Error("a state that is not one is read")
	}
}

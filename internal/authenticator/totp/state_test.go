package totp_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/totp"
	"countersign/internal/prompt"
)

var rfcKey = otp.Key{Secret: []byte("12345678901234567890"), Algorithm: otp.SHA1, Digits: 6} // RFC 6238, appendix B

const (
	noonStep  = 59078880
	storedOld = `{"v":1,"k":{"s":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","a":"SHA1","d":6},"p":30,"l":59078870,"d":-1}`
)

// A key that an earlier release stored is good as it was, and is stored in the new
// form with its next answer. Both forms are fixed here.
func TestKeysOfEarlierReleases(t *testing.T) {
	how, err := totp.New(totp.Options{Issuer: "Countersign"})
	if err != nil {
		t.Fatal(err)
	}
	check := func(state []byte) authenticator.Result {
		t.Helper()
		r, err := how.Check(t.Context(), []authenticator.Credential{{ID: 1, State: state}}, nil, prompt.Answer{Text: rfcKey.Code(noonStep - 1)}, noon)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := check([]byte(storedOld))
	want := "03010614" + hex.EncodeToString(rfcKey.Secret) + "000000000000001e" + fmt.Sprintf("%016x", noonStep-1) + "0000000000000000" + "ffffffffffffffff" + "00"
	if !r.OK || hex.EncodeToString(r.Next) != want {
		t.Errorf("ok %t, stored as %x, want %s", r.OK, r.Next, want)
	}
	if again := check(r.Next); again.OK || again.Reason != otp.Replayed {
		t.Errorf("again it is %q, ok %t", again.Reason, again.OK)
	}
}

// last is the latest step of a stored key, in either form.
func last(t *testing.T, state []byte) int64 {
	t.Helper()
	if otp.InJSON(state) {
		var old struct {
			Last int64 `json:"l"`
		}
		if err := json.Unmarshal(state, &old); err != nil {
			t.Fatal("accepted over a state that is neither form")
		}
		return old.Last
	}
	var n [4]uint64
	if _, _, err := otp.Kept(state, n[:]); err != nil {
		t.Fatal("accepted over a state that is neither form")
	}
	return int64(n[1])
}

// FuzzState: what no release wrote breaks down or refuses, and whatever was read, no
// step is accepted twice and the latest one does not go back.
func FuzzState(f *testing.F) {
	e, err := new(totp.Authenticator).Import(authenticator.Seed{Secret: rfcKey.Secret, Algorithm: string(rfcKey.Algorithm), Digits: rfcKey.Digits, Period: 30})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e.State, rfcKey.Code(noonStep), 0)
	f.Add(e.State, rfcKey.Code(noonStep-1)+rfcKey.Code(noonStep), 3)
	f.Add([]byte(storedOld), rfcKey.Code(noonStep-1), 0)
	how, err := totp.New(totp.Options{Issuer: "Countersign"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, state []byte, text string, failures int) {
		c := authenticator.Credential{ID: 1, State: slices.Clone(state), Failures: failures}
		r, err := how.Check(t.Context(), []authenticator.Credential{c}, nil, prompt.Answer{Text: text}, noon)
		if err != nil || r.Next == nil {
			return
		}
		if before, after := last(t, state), last(t, r.Next); after < before || r.OK && after == before && c.Failures < 3 {
			t.Fatalf("the latest step went from %d to %d", before, after)
		}
		c.State = r.Next
		if again, err := how.Check(t.Context(), []authenticator.Credential{c}, nil, prompt.Answer{Text: text}, noon); err == nil && again.OK && r.OK {
			t.Fatal("the same answer was right twice")
		}
	})
}

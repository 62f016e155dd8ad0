package totp_test

import (
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/totp"
	"countersign/internal/prompt"
)

var noon = time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)

// hardware is a token as it is imported: every hash, length and period.
func hardware(t testing.TB, a otp.Algorithm, digits int, period time.Duration) (otp.Key, []byte) {
	t.Helper()
	key, err := otp.NewKey(a, digits)
	if err != nil {
		t.Fatal(err)
	}
	e, err := new(totp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Period: int(period / time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	return key, e.State
}

// Each token that can be imported is asked and checked by a server whose own keys are
// of another kind.
func TestImportedTokens(t *testing.T) {
	for _, c := range []struct {
		a      otp.Algorithm
		digits int
		period time.Duration
	}{{otp.SHA256, 8, time.Minute}, {otp.SHA512, 8, 30 * time.Second}, {otp.SHA1, 7, time.Minute}} {
		t.Run(string(c.a), func(t *testing.T) {
			a, err := totp.New(totp.Options{Issuer: "Test"})
			if err != nil {
				t.Fatal(err)
			}
			key, state := hardware(t, c.a, c.digits, c.period)
			code := key.Code(uint64(noon.Unix() / int64(c.period/time.Second)))
			own := []authenticator.Credential{{ID: 1, Account: 1, Kind: totp.Kind, State: state}}
			q, _, err := a.Ask(own, noon)
			if err != nil || q.Digits != c.digits {
				t.Fatalf("asks for %d digits, %v", q.Digits, err)
			}
			r, err := a.Check(t.Context(), own, nil, prompt.Answer{Text: code}, noon)
			if err != nil || !r.OK {
				t.Fatalf("%+v, %v", r, err)
			}
			own[0].State = r.Next
			if r, _ := a.Check(t.Context(), own, nil, prompt.Answer{Text: code}, noon); r.OK || r.Reason != "replayed" {
				t.Errorf("again: %+v", r)
			}
		})
	}
}

// Two codes put a clock right that is up to 20 steps off; neither is good again,
// neither to Resync nor to Check, and no earlier one is.
func TestResync(t *testing.T) {
	a, err := totp.New(totp.Options{Issuer: "Test"})
	if err != nil {
		t.Fatal(err)
	}
	for off := int64(-22); off <= 22; off++ {
		key, state := hardware(t, otp.SHA256, 8, time.Minute)
		step := noon.Unix()/60 + off
		pair := key.Code(uint64(step-1)) + " " + key.Code(uint64(step))
		r, err := new(totp.Authenticator).Resync(state, pair, noon)
		if want := off >= -20 && off <= 20; err != nil || r.OK != want {
			t.Errorf("%d steps off: %+v, %v", off, r, err)
		}
		if !r.OK {
			continue
		}
		if again, err := new(totp.Authenticator).Resync(r.Next, pair, noon); err != nil || again.OK {
			t.Errorf("%d steps off: the pair is good again", off)
		}
		if again, err := new(totp.Authenticator).Resync(r.Next, key.Code(uint64(step))+key.Code(uint64(step+1)), noon); err != nil || again.OK {
			t.Errorf("%d steps off: a code that was used is half of another pair", off)
		}
		own := []authenticator.Credential{{ID: 1, Account: 1, Kind: totp.Kind, State: r.Next}}
		for _, used := range []int64{step - 1, step} {
			if c, err := a.Check(t.Context(), own, nil, prompt.Answer{Text: key.Code(uint64(used))}, noon); err != nil || c.OK {
				t.Errorf("%d steps off: a code of the pair signs in", off)
			}
		}
		later := noon.Add(time.Minute)
		if c, err := a.Check(t.Context(), own, nil, prompt.Answer{Text: key.Code(uint64(step + 1))}, later); err != nil || !c.OK {
			t.Errorf("%d steps off: the next code is refused: %+v, %v", off, c, err)
		}
		if c, _ := a.Check(t.Context(), own, nil, prompt.Answer{Text: key.Code(uint64(noon.Unix()/60 + 1))}, later); c.OK && (off < -1 || off > 1) {
			t.Errorf("%d steps off: the true step is accepted too, which makes the window wider", off)
		}
	}
	key, state := hardware(t, otp.SHA1, 6, 30*time.Second)
	step := uint64(noon.Unix() / 30)
	for _, bad := range []string{"", "123456", key.Code(step), key.Code(step) + key.Code(step+2), key.Code(step+1) + key.Code(step), key.Code(step) + key.Code(step), "abcdef ghijkl"} {
		if r, err := new(totp.Authenticator).Resync(state, bad, noon); err != nil || r.OK {
			t.Errorf("%q: %+v, %v", bad, r, err)
		}
	}
	if _, err := new(totp.Authenticator).Resync([]byte("{}"), "123456654321", noon); err == nil {
		t.Error("a state that is not one is read")
	}
}

// The promise: a phone whose clock is one step fast is refused with one code and believed
// with two in a row, in one answer or, after failures, one after the other; from then on
// one code is enough. A phone that is two steps fast is refused, and no code is good twice.
func TestPhoneThatIsFast(t *testing.T) {
	a, err := totp.New(totp.Options{Issuer: "Test"})
	if err != nil {
		t.Fatal(err)
	}
	step := noon.Unix() / 30
	for off := int64(1); off <= 2; off++ {
		key, state := hardware(t, otp.SHA1, 6, 30*time.Second)
		own := []authenticator.Credential{{ID: 1, Account: 1, Kind: totp.Kind, State: state}}
		types := func(text string, at time.Time) authenticator.Result {
			t.Helper()
			r, err := a.Check(t.Context(), own, nil, prompt.Answer{Text: text}, at)
			if err != nil {
				t.Fatal(err)
			}
			if r.Next != nil {
				own[0].State = r.Next
			}
			return r
		}
		shown := func(steps int64) string { return key.Code(uint64(step + off + steps)) }
		if r := types(shown(0), noon); r.OK || r.Reason != "stale" {
			t.Errorf("%d steps fast: one code: %+v", off, r)
		}
		r := types(shown(0)+" "+shown(1), noon.Add(30*time.Second))
		if r.OK != (off == 1) {
			t.Errorf("%d steps fast: two codes: %+v", off, r)
		}
		if off != 1 {
			continue
		}
		for _, used := range []string{shown(0), shown(1), shown(0) + shown(1), shown(1) + shown(2)} {
			if r := types(used, noon.Add(40*time.Second)); r.OK {
				t.Errorf("a used code is good again: %+v", r)
			}
		}
		if r := types(shown(2), noon.Add(time.Minute)); !r.OK {
			t.Errorf("then one code: %+v", r)
		}
		own[0].State, own[0].Failures = state, 3
		if r := types(shown(0), noon); r.OK || !r.Partial {
			t.Errorf("after failures, the first code: %+v", r)
		}
		if r := types(shown(1), noon.Add(30*time.Second)); !r.OK {
			t.Errorf("after failures, the second code: %+v", r)
		}
	}
}

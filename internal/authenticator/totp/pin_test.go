package totp_test

import (
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/authenticator/totp"
	"countersign/internal/prompt"
)

// The attacker sees PIN and code with the PIN mistyped, and types the code within
// its minute with the right one. Neither it, nor one before it, is right then.
func TestCodeBehindAWrongPINIsUsedUp(t *testing.T) {
	const mine, wrong = "481516", "481517"
	keys := authenticatortest.PINKeys{}
	how, err := totp.New(totp.Options{Issuer: "Countersign", PINs: keys})
	if err != nil {
		t.Fatal(err)
	}
	key, err := otp.NewKey(otp.SHA256, 8)
	if err != nil {
		t.Fatal(err)
	}
	imported, err := new(totp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Period: 30})
	if err != nil {
		t.Fatal(err)
	}
	kept, _, err := pin.New(keys, mine)
	if err != nil {
		t.Fatal(err)
	}
	e, err := new(totp.Authenticator).SetPIN(imported.State, kept, "")
	if err != nil || e.Traits != assurance.Held|assurance.Known {
		t.Fatalf("%v, %s", err, e.Traits)
	}
	now := time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	code := func(steps int64) string { return key.Code(uint64(now.Unix()/30 + steps)) }
	for _, failures := range []int{0, 3} {
		state := e.State
		types := func(text string, at time.Time) authenticator.Result {
			t.Helper()
			r, err := how.Check(t.Context(), []authenticator.Credential{{ID: 5, State: state, Failures: failures}}, nil, prompt.Answer{Text: text}, at)
			if err != nil {
				t.Fatal(err)
			}
			if r.Next != nil {
				state = r.Next
			}
			return r
		}
		if r := types(mine, now); r.OK || r.Partial || r.Used {
			t.Errorf("after %d failures: the PIN alone is right", failures)
		}
		if r := types(code(-1), now); r.OK || r.Partial || !r.Used {
			t.Errorf("after %d failures: a code without its PIN: used is %t", failures, r.Used)
		}
		if r := types(wrong+code(0), now); !r.Used || r.OK || r.Partial || r.Once == "" || r.Reason != otp.Wrong {
			t.Errorf("after %d failures: used is %t, reason %q", failures, r.Used, r.Reason)
		}
		for _, seen := range []string{code(0), code(-1), code(-1) + code(0), code(0) + code(1)} {
			if r := types(mine+seen, now.Add(20*time.Second)); r.OK || r.Partial {
				t.Errorf("after %d failures: a code that was seen is right", failures)
			}
		}
		if r := types(mine+code(2)+code(3), now.Add(90*time.Second)); !r.OK || r.Traits != assurance.Held|assurance.Known {
			t.Errorf("after %d failures: the next codes are refused as %q", failures, r.Reason)
		}
	}
	if next, usable, err := how.AfterRollback(e.State, now); err != nil || !usable {
		t.Errorf("rewound: %t, %v", usable, err)
	} else if kept, _, err := new(totp.Authenticator).PIN(next); err != nil || kept == nil {
		t.Error("a restored backup takes the PIN away")
	}
}

package pin_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/pin"
)

var keys = authenticatortest.PINKeys{}

// What is guessed first is refused, and what is no PIN.
func TestNewRefuses(t *testing.T) {
	for text, reason := range map[string]string{
		"": "length", "123": "length", "12345678901234567": "length", "12a4": "length", "4711\n": "length", "  ": "length",
		"0000": "common", "1234": "common", "4321": "common", "7890": "common", "9876": "common", "1212": "common", "2580": "common", "1984": "common",
		"2026": "common", "1122": "common", "1221": "common", "6969": "common", "123456": "common", "654321": "common", "123123": "common", "112233": "common",
		"123321": "common", "246802": "common", "11111111": "common", "12341234": "common", "0123456789012345": "common", "１２３４": "common", "1-2-3-4": "common",
	} {
		_, _, err := pin.New(keys, text)
		var r *authenticator.Refused
		if !errors.As(err, &r) || r.Reason != reason {
			t.Errorf("%q: %v, want it refused as %q", text, err, reason)
		}
		if err != nil && len(text) > 3 && strings.Contains(err.Error()+r.Public, text) {
			t.Errorf("%q is in the refusal", text)
		}
	}
}

func TestMatches(t *testing.T) {
	k, digits, err := pin.New(keys, "48 15-16")
	if err != nil || digits != "481516" || !k.Check() {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", "481517", "48151", "4815160", "381516"} {
		if k.Matches(keys, wrong) {
			t.Errorf("%q matches", wrong)
		}
	}
	if !k.Matches(keys, "481516") || k.Matches(nil, "481516") {
		t.Error("the PIN does not match, or matches without a key")
	}
	if k.Traits() != assurance.Held|assurance.Known {
		t.Errorf("it shows %s", k.Traits())
	}
	other, _, _ := pin.New(keys, "481516")
	if b, _ := json.Marshal(k); strings.Contains(string(b), "481516") || string(other.Sum) == string(k.Sum) {
		t.Error("what is kept tells the PIN, or that two are the same")
	}
	var none *pin.Kept
	if !none.Matches(nil, "") || none.Matches(keys, "1") || none.Traits() != assurance.Held || !none.Check() {
		t.Error("no PIN is not no PIN")
	}
}

// A PIN that was given shows nothing by itself, and is never one that is refused.
func TestGive(t *testing.T) {
	seen := map[string]bool{}
	for range 2000 {
		k, digits := pin.Give(keys, 0)
		if !k.First || k.Traits() != assurance.Held || len(digits) != 6 || !k.Matches(keys, digits) || !k.Check() {
			t.Fatalf("given %+v", k)
		}
		if _, _, err := pin.New(keys, digits); err != nil {
			t.Fatal("gave one that is guessed first")
		}
		seen[digits] = true
	}
	if len(seen) < 1900 {
		t.Errorf("only %d of 2000 differ", len(seen))
	}
}

func TestCut(t *testing.T) {
	k, _, _ := pin.New(keys, "4815")
	for line, want := range map[string][2]string{"4815123456": {"4815", "123456"}, "4815": {"4815", ""}, "48": {"48", ""}, "": {}} {
		if p, rest := k.Cut(line); p != want[0] || rest != want[1] {
			t.Errorf("%q is cut into %q and %q", line, p, rest)
		}
	}
}

// FuzzNew: whatever is typed, what is kept has 4 to 16 digits and matches itself.
func FuzzNew(f *testing.F) {
	for _, s := range []string{"4815", "0000", "1234567890123456", "٤٨١٥", "\x00", "48 15"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, digits, err := pin.New(keys, text)
		if err != nil {
			return
		}
		if len(digits) < pin.MinLength || len(digits) > pin.MaxLength || strings.Trim(digits, "0123456789") != "" || !k.Check() || !k.Matches(keys, digits) || k.First {
			t.Fatalf("%q is kept as %q", text, digits)
		}
	})
}

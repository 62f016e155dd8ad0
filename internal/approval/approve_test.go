package approval

import (
	"countersign/internal/assurance"
	"countersign/internal/failure"
	"strings"
	"testing"
	"time"
)

// Whatever a sign-in says of itself, what is approved of it is read back as it was written:
// no name, object or partner makes it another request or another number.
func TestNumberedIsReadBack(t *testing.T) {
	for _, trick := range []string{"", "x", ", request 9: y", "number 654321, request 9: y", ":", "9: z", "\n, request 9: y", strings.Repeat("9", 40)} {
		for _, w := range []Waiting{
			{ID: 3, Application: "vpn", Partner: trick, Protocol: "radius"},
			{ID: 3, Application: "vpn", Action: "act", Object: trick, Protocol: "radius"},
			{ID: 3, Application: trick, Source: trick, Protocol: trick},
		} {
			if id, number, ok := readNumbered(w.Numbered("123456")); !ok || id != 3 || number != "123456" {
				t.Errorf("%q: %d, %s, %t", w.Text(), id, number, ok)
			}
		}
	}
}

const strong = assurance.Held | assurance.PhishingResistant | assurance.UserVerified

// Only a key that resists phishing approves on a page, and of several the last that was
// shown is what approved; the sign-in has its traits but that.
func TestWhatCrossesToAnotherDevice(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	ev := func(kind string, traits assurance.Trait, after time.Duration) assurance.Evidence {
		return assurance.Evidence{Account: 7, Kind: kind, Credential: assurance.CredentialID(len(kind)), Traits: traits, Time: at.Add(after)}
	}
	for _, c := range []struct {
		what string
		all  []assurance.Evidence
		kind string
	}{
		{"nothing", nil, ""},
		{"a password", []assurance.Evidence{ev("password", assurance.Known, 0)}, ""},
		{"an app", []assurance.Evidence{ev("push", assurance.Held|assurance.UserVerified, 0)}, ""},
		{"something that resists phishing and is not held", []assurance.Evidence{ev("odd", assurance.PhishingResistant, 0)}, ""},
		{"a passkey", []assurance.Evidence{ev("password", assurance.Known, 1), ev("passkey", strong, 0)}, "passkey"},
		{"the later of two", []assurance.Evidence{ev("old", strong, 0), ev("new", strong, time.Second)}, "new"},
		{"in whichever order", []assurance.Evidence{ev("new", strong, time.Second), ev("old", strong, 0)}, "new"},
		{"a later app beside it", []assurance.Evidence{ev("passkey", strong, 0), ev("push", assurance.Held, time.Second)}, "passkey"},
	} {
		shown, err := transferred(shower{all: c.all})
		if c.kind == "" {
			if failure.ReasonOf(err) != "no-passkey" || shown.Kind != "" {
				t.Errorf("%s: %+v, %v", c.what, shown, err)
			}
			continue
		}
		if err != nil || shown.Kind != c.kind || shown.Traits != strong&^assurance.PhishingResistant || shown.Account != 7 {
			t.Errorf("%s: %+v, %v", c.what, shown, err)
		}
	}
}

// shower is a grant of which only what was shown is asked.
type shower struct {
	Grant
	all []assurance.Evidence
}

func (s shower) Evidence() []assurance.Evidence { return s.all }

package jws

import (
	"fmt"
	"testing"
	"time"
)

// A clock that is a little ahead is taken, and one that is a minute ahead is not (FAPI 2.0 Security
// Profile, section 5.3.2.1: 10 seconds must be taken, and more than 60 refused).
func TestAClockThatIsAhead(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, name := range []string{"iat", "nbf"} {
		for ahead, want := range map[time.Duration]bool{0: true, 10 * time.Second: true, 61 * time.Second: false, time.Hour: false} {
			s, ok := Parse(fmt.Appendf(nil, `{"aud":"us","exp":%d,"%s":%d}`, now.Add(5*time.Minute).Unix(), name, now.Add(ahead).Unix()))
			if !ok || s.Current(now) != want {
				t.Errorf("%s %v ahead: %v", name, ahead, s)
			}
		}
	}
}

// A list of one is no string, for whoever must know; of two names neither counts.
func TestHowTheAudienceStands(t *testing.T) {
	for text, want := range map[string][2]bool{`"us"`: {true, true}, `["us"]`: {true, false}, `["us","them"]`: {false, false}, `"them"`: {false, true}, `[]`: {false, false}} {
		s, ok := Parse(fmt.Appendf(nil, `{"aud":%s,"exp":2000000000}`, text))
		if got := [2]bool{s.IsFor("us"), s.One}; !ok || got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

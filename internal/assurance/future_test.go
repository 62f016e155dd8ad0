package assurance

import (
	"testing"
	"time"
)

// The promise: clocks that stand a little apart ask nobody twice; what comes from further
// in the future counts as stale, and none lives longer than its age and that.
func TestEvidenceFromALittleAhead(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	need := TwoFactors().Within(5 * time.Minute)
	for _, c := range []struct {
		ahead time.Duration
		met   bool
	}{{0, true}, {10 * time.Second, true}, {skew, true}, {skew + time.Second, false}, {2 * time.Minute, false}, {-5 * time.Minute, true}, {-5*time.Minute - time.Second, false}} {
		at := now.Add(c.ahead)
		shown := []Evidence{{Account: 1, Credential: 1, Kind: "password", Traits: Known, Time: at}, {Account: 1, Credential: 2, Kind: "totp", Traits: Held, Time: at}}
		if got := need.Met(shown, now); got != c.met {
			t.Errorf("%v ahead: %t", c.ahead, got)
		}
		if lapses := need.Lapses(shown, now); lapses.After(now.Add(5*time.Minute + skew)) {
			t.Errorf("%v ahead: it lasts until %v", c.ahead, lapses)
		}
	}
}

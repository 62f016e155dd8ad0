package signin

import (
	"net/netip"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/throttle"
)

// Budgets are asked about whoever answers as the attempt knows them, and about nothing more.
func TestRequester(t *testing.T) {
	addressed := Request{Source: netip.MustParseAddr("192.0.2.1"), Application: "vpn", Partner: "nas", Browser: "b", Name: "ada"}
	origin := throttle.Origin{Source: addressed.Source, Application: "vpn", Partner: "nas", Browser: "b"}
	shown := []assurance.Evidence{{Account: 7}}
	for name, c := range map[string]struct {
		at   attempt
		want throttle.Requester
	}{
		"a name":                   {attempt{Request: addressed}, throttle.Requester{Origin: origin, Name: "ada"}},
		"by silent equipment":      {attempt{Request: Request{Partner: "nas"}}, throttle.Requester{Origin: throttle.Origin{Partner: "nas"}}},
		"having shown something":   {attempt{Account: 7, Evidence: shown}, throttle.Requester{Account: 7, Shown: true}},
		"in the same turn":         {attempt{proved: true}, throttle.Requester{Shown: true}},
		"in a session":             {attempt{Account: 7, SessionNumber: "s-1"}, throttle.Requester{Account: 7, Session: true}},
		"of an account":            {attempt{Account: 7}, throttle.Requester{Account: 7}},
		"with all of the log read": {attempt{heard: true}, throttle.Requester{Heard: true}},
	} {
		if got := c.at.requester(); got != c.want {
			t.Errorf("%s: %+v, not %+v", name, got, c.want)
		}
	}
}

package throttle

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
)

// What says that a browser is known is believed as it was given out, and in no other form:
// not for another account or time, and not made up.
func TestWhatSaysThatABrowserIsKnown(t *testing.T) {
	r := newRig(t)
	const ada, bob = assurance.AccountID(7), assurance.AccountID(8)
	of := func(a assurance.AccountID) []string { return strings.Split(r.Browser(a), ".") }
	hers := of(ada)
	r.clock.Later(time.Hour)
	later, bobs := of(ada), of(bob)
	none := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	for what, c := range map[string]struct {
		parts []string
		known bool
	}{
		"as it was given out":        {hers, true},
		"given out later":            {later, true},
		"another's":                  {bobs, false},
		"another's under her name":   {[]string{hers[0], bobs[1], bobs[2]}, false},
		"of another time":            {[]string{hers[0], later[1], hers[2]}, false},
		"without a sum":              {[]string{hers[0], hers[1], ""}, false},
		"with a made-up sum":         {[]string{hers[0], hers[1], none}, false},
		"with half of one":           {[]string{hers[0], hers[1], hers[2][:20]}, false},
		"in another alphabet":        {[]string{hers[0], hers[1], hers[2] + "="}, false},
		"with more":                  {append(slices.Clone(hers), "x"), false},
		"with less":                  {hers[:2], false},
		"of no account":              {[]string{"0", hers[1], hers[2]}, false},
		"of an account of no number": {[]string{"x", hers[1], hers[2]}, false},
		"of no time":                 {[]string{hers[0], "", hers[2]}, false},
		"empty":                      {nil, false},
	} {
		browser := strings.Join(c.parts, ".")
		if r.Remembers(browser, ada) != c.known {
			t.Errorf("%s: known is %t", what, !c.known)
		}
		if r.Remembers(browser, 0) {
			t.Errorf("%s: known for nobody", what)
		}
	}
}

package server

import (
	"slices"
	"strings"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/web/look"
)

// What pages ask of a kind in place of its name has the answers that its name had.
func TestFactsOfKinds(t *testing.T) {
	kinds, err := EveryKind()
	if err != nil {
		t.Fatal(err)
	}
	has := func(says func(k look.Kind) bool) string {
		var out []string
		for name, k := range kinds.words() {
			if says(k) {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for fact, c := range map[string]struct {
		says func(k look.Kind) bool
		want string
	}{
		"only known":       {func(k look.Kind) bool { return k.Known }, "password"},
		"vouched for":      {func(k look.Kind) bool { return k.Vouched }, "accesspass"},
		"on its device":    {func(k look.Kind) bool { return k.Approves }, "push"},
		"bound by a code":  {func(k look.Kind) bool { return k.Bound }, "push"},
		"by telephone":     {func(k look.Kind) bool { return k.Carrier == "tel" }, "smscode"},
		"by mail":          {func(k look.Kind) bool { return k.Carrier == "email" }, "mailcode"},
		"noted, used late": {func(k look.Kind) bool { return k.Noted }, "hotp yubico-otp"},
	} {
		if got := has(c.says); got != c.want {
			t.Errorf("%s are %q, and not %q", fact, got, c.want)
		}
	}
	var alone []string        // what a new administrator begins with where codes are not enough
	for _, k := range kinds { // also of those that this server lacks something for
		_, enrolls := k.Authenticator.(authenticator.Enroller)
		if d := k.Describe(); enrolls && d.Traits.Has(assurance.PhishingResistant) && !d.Issued {
			alone = append(alone, d.Kind)
		}
	}
	if !slices.Equal(alone, []string{"passkey"}) {
		t.Errorf("administrators begin with %q", alone)
	}
}

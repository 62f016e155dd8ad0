package protocol_test

import (
	"testing"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/protocol/forwardauth"
	"countersign/internal/protocol/radius"
	"countersign/internal/protocol/yubico"
)

func all() protocol.List {
	return protocol.List{forwardauth.Description(), radius.Description(), yubico.Description()}
}

// What each protocol can play at its best.
func TestPlays(t *testing.T) {
	for name, want := range map[string]prompt.Medium{"radius": prompt.Line | prompt.Single, "yubico": prompt.Single, "browser": prompt.Browser, "forward-auth": prompt.Browser} {
		if got := all().Plays(name); got != want {
			t.Errorf("%s plays %v", name, got)
		}
	}
}

// What no protocol of the list knows is refused, and leaves nothing open.
func TestUnknown(t *testing.T) {
	err := all().CheckSettings("telepathy", nil)
	if want := `There is no protocol "telepathy"; use forward-auth, radius or yubico.`; failure.ClassOf(err) != failure.Invalid || failure.Public(err) != want {
		t.Errorf("%v", err)
	}
	if err := (protocol.List{{Name: "mute"}}).CheckSettings("mute", nil); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("settings that nothing checks: %v", err)
	}
	o, err := all().Exposure(application.Application{Protocol: "telepathy"})
	if err != nil || o.Medium != 0 || o.Web || len(o.Actions)+len(o.Exceptions)+len(o.Caveats) != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	if what, shut, err := all().Clash("telepathy", nil, nil); what != "" || shut || err != nil {
		t.Errorf("%q, %t, %v", what, shut, err)
	}
}

// Settings that cannot be read are told without what was written.
func TestOpeningsTellNoSecret(t *testing.T) {
	_, err := all().Exposure(application.Application{Name: "vpn", Protocol: "radius", Settings: []byte(`{"clients":"kX9-Lq27-vTzp-40aM"}`)})
	if err == nil || err.Error() != "the settings of vpn cannot be read" {
		t.Errorf("%v", err)
	}
}

// What a form calls a secret is hidden, and so is what its name calls one.
func TestSecret(t *testing.T) {
	for name, want := range map[string]bool{"secret": true, "old_secret": true, "key": true, "name": false, "id": false, "hosts": false, "": false} {
		if all().Secret(name) != want {
			t.Errorf("%q is hidden: %t", name, !want)
		}
	}
}

func TestWays(t *testing.T) {
	if got := all().Ways(); got != "behind a proxy, by RADIUS or by Yubico's protocol" {
		t.Error(got)
	}
	if got := all()[0].Begins(); got != "Behind a proxy" {
		t.Error(got)
	}
}

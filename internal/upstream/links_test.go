package upstream

import (
	"slices"
	"testing"
	"time"

	"countersign/internal/assurance"
	kind "countersign/internal/authenticator/upstream"
	"countersign/internal/directory"
)

// A link of a rule is confirmed by something of the person's own that is held, beside it: neither by
// a password, nor by what the other organisation says that it saw, nor by itself.
func TestWhatConfirmsALink(t *testing.T) {
	link := assurance.Evidence{Kind: kind.Kind, Credential: 7, Traits: assurance.Known | assurance.Foreign | assurance.Tentative}
	for name, k := range map[string]struct {
		beside []assurance.Evidence
		want   []assurance.CredentialID
	}{
		"an app":                       {[]assurance.Evidence{{Kind: "totp", Traits: assurance.Held}}, []assurance.CredentialID{7}},
		"nothing":                      {nil, nil},
		"a password":                   {[]assurance.Evidence{{Kind: "password", Traits: assurance.Known}}, nil},
		"another organisation's token": {[]assurance.Evidence{{Kind: kind.Kind, Credential: 8, Traits: assurance.Held | assurance.Foreign}}, nil},
	} {
		if got := confirmed(append([]assurance.Evidence{link}, k.beside...)); !slices.Equal(got, k.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	sure := link
	sure.Traits = assurance.Known | assurance.Foreign
	if got := confirmed([]assurance.Evidence{sure, {Kind: "totp", Traits: assurance.Held}}); len(got) != 0 {
		t.Errorf("what is confirmed is confirmed again: %v", got)
	}
}

// A rule links nobody who has nothing of their own that is held, and works, to confirm with.
func TestWhoCanBeLinked(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	app := directory.Credential{Kind: "totp", Traits: assurance.Held, Status: directory.CredentialActive}
	fresh, gone := app, app
	fresh.Quarantine, gone.Status = now.Add(time.Hour), directory.CredentialRevoked
	password := directory.Credential{Kind: "password", Traits: assurance.Known, Status: directory.CredentialActive}
	for name, k := range map[string]struct {
		has  []directory.Credential
		want bool
	}{
		"an app": {[]directory.Credential{password, app}, true}, "nothing": {nil, false}, "a password": {[]directory.Credential{password}, false},
		"an app that is too new": {[]directory.Credential{password, fresh}, false}, "an app that was revoked": {[]directory.Credential{password, gone}, false},
	} {
		if linkable(k.has, Upstream{ID: 1}, now) != k.want {
			t.Errorf("%s: it was to be %v", name, k.want)
		}
	}
}

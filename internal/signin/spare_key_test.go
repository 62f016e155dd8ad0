package signin

import (
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
)

// Who could administer without any one of their authenticators has a spare: by the policy in
// force, and not by how many there are. What is switched off is none.
func TestWhoHasASpareKey(t *testing.T) {
	r, root, _, roots, _ := withAdministrators(t)
	bob := r.person("bob")
	spare := func(id assurance.AccountID) bool {
		t.Helper()
		got, err := r.Prospects.Spare(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if spare(root.ID) {
		t.Error("a password and an app are two things, and neither can be lost")
	}
	second := r.withCodes(root)
	if spare(root.ID) {
		t.Error("two apps, and the password can still not be lost")
	}
	key := authenticator.Enrolled{Traits: assurance.Held | assurance.PhishingResistant | assurance.UserVerified, State: []byte("x")}
	passkey := r.give(root, "passkey", key)
	if !spare(root.ID) {
		t.Error("a passkey beside them, and there is no spare")
	}
	r.alter(roots.Credential, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	r.alter(second.Credential, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	if spare(root.ID) {
		t.Error("the apps are gone, and the passkey alone is a spare")
	}
	r.give(root, "passkey", key)
	if !spare(root.ID) {
		t.Error("two passkeys, and there is no spare")
	}
	r.alter(passkey, func(c *directory.Credential) { c.Status = directory.CredentialDisabled })
	if spare(root.ID) {
		t.Error("one of the passkeys is switched off, and counts")
	}
	if spare(bob.ID) {
		t.Error("somebody who administers nothing has a spare for it")
	}
}

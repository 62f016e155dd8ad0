package signin

import (
	"testing"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
)

// A key that is withdrawn after its signature was found right and before that is written
// down grants nothing, whether anything of it is written or not; what happens to another
// of its owner's authenticators meanwhile counts too, and does not stand in the way.
func TestWithdrawnWhileItIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(r *rig, mine, other directory.Credential)
		granted bool
	}{
		"nothing": {func(*rig, directory.Credential, directory.Credential) {}, true},
		"it is removed": {func(r *rig, mine, _ directory.Credential) {
			r.alter(mine, func(c *directory.Credential) { c.EndAt(r.Now(), directory.CredentialRevoked, directory.ByOwner, 0) })
		}, false},
		"it is switched off": {func(r *rig, mine, _ directory.Credential) {
			r.alter(mine, func(c *directory.Credential) { c.EndAt(r.Now(), directory.CredentialDisabled, directory.ByReport, 0) })
		}, false},
		"another is removed": {func(r *rig, _, other directory.Credential) {
			r.alter(other, func(c *directory.Credential) { c.EndAt(r.Now(), directory.CredentialRevoked, directory.ByOwner, 0) })
		}, true},
		"another is added": {func(r *rig, mine, _ directory.Credential) {
			r.give(directory.Account{ID: mine.Account}, "totp", authenticator.Enrolled{Traits: r.kinds["totp"].Describe().Traits, State: []byte("y")})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var then func()
			kinds := whileChecked(t, "passkey", &then, nil)
			r := newRig(t, anyFactor, kinds...)
			ada := r.person("ada")
			enrolled := authenticator.Enrolled{Traits: r.kinds["passkey"].Describe().Traits, State: []byte("x")}
			mine, other := r.give(ada, "passkey", enrolled), r.give(ada, "password", authenticator.Enrolled{Traits: r.kinds["password"].Describe().Traits, State: []byte("w")})
			then = func() { c.change(r, mine, other) }
			s, err := r.Begin(t.Context(), browses("wiki", "ada", typed("passkey", "x")))
			if err != nil || then != nil || (s.State == Granted) != c.granted {
				t.Errorf("%v %s, %v", s.State, s.Reason, err)
			}
		})
	}
}

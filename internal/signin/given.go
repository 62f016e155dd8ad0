package signin

import (
	"countersign/internal/authenticator"
	"countersign/internal/directory"
)

// given is a credential as its authenticator is given it, without its failures.
func given(c directory.Credential) authenticator.Credential {
	return authenticator.Credential{ID: c.ID, Account: c.Account, Kind: c.Kind, Label: c.Label, State: c.State, Handle: c.Handle, Created: c.Created}
}

func allGiven(credentials []directory.Credential) []authenticator.Credential {
	out := make([]authenticator.Credential, len(credentials))
	for i, c := range credentials {
		out[i] = given(c)
	}
	return out
}

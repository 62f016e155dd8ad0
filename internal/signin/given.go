package signin

import (
	"countersign/internal/approval"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
)

func allGiven(credentials []directory.Credential) []authenticator.Credential {
	out := make([]authenticator.Credential, len(credentials))
	for i, c := range credentials {
		out[i] = approval.Given(c)
	}
	return out
}

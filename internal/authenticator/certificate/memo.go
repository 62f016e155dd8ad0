package certificate

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/pki"
)

// What a question is for: the first part of the path at the endpoint, which says
// where the browser is sent back to.
const (
	forSignIn = "sign-in"
	forSetup  = "setup"
)

// skew is how far two servers' clocks may differ.
const skew = 2 * time.Second

// memo is what was asked, and of whom, kept until the answer comes.
type memo struct {
	For       string `json:"f"`
	Challenge string `json:"c"`
	// Issued is in milliseconds since 1970.
	Issued int64 `json:"i"`
	// Account is who was asked, or enrolls.
	Account assurance.AccountID `json:"a,omitempty"`
	// Asked are the credentials that could answer; none when the certificate is to
	// say whose it is.
	Asked []assurance.CredentialID `json:"k,omitempty"`
}

func newMemo(use string, now time.Time) memo {
	var raw [pki.ChallengeSize]byte
	rand.Read(raw[:])
	return memo{For: use, Challenge: base64.RawURLEncoding.EncodeToString(raw[:]), Issued: now.UnixMilli()}
}

func (m memo) issued() time.Time { return time.UnixMilli(m.Issued) }

// openMemo returns the memo, or the reason why it can answer for nothing.
func openMemo(sealed authenticator.Memo, use string, now time.Time) (memo, string) {
	var m memo
	if json.Unmarshal(sealed, &m) != nil || !pki.IsChallenge(m.Challenge) || m.For != use {
		return memo{}, reasonChallenge
	}
	if age := now.Sub(m.issued()); age < -skew || age > lifetime {
		return memo{}, reasonStale
	}
	return m, ""
}

// covers reports whether the question was put to this credential.
func (m memo) covers(c authenticator.Credential) bool {
	return len(m.Asked) == 0 || m.Account == c.Account && slices.Contains(m.Asked, c.ID)
}

package passkey

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
)

const (
	challengeSize = 32
	// skew is how far back a clock may have been set between question and
	// answer, as two nodes' clocks differ.
	skew = 2 * time.Second
)

// The ceremonies, as client data names them.
const (
	typeGet    = "webauthn.get"
	typeCreate = "webauthn.create"
)

// memo is what was asked, and of whom, kept until the answer comes.
type memo struct {
	Type      string `json:"t"`
	Challenge octets `json:"c"`
	RPID      string `json:"r"`
	// Issued is in milliseconds since 1970.
	Issued int64 `json:"i"`
	// Account is who was asked, or enrolls.
	Account assurance.AccountID `json:"a,omitempty"`
	// Asked are the credentials that the question listed (section 7.2 step 5).
	// There are none when a discoverable passkey is to say who is there.
	Asked []assurance.CredentialID `json:"k,omitempty"`
	// Verify: the question demanded user verification.
	Verify bool `json:"v,omitempty"`
}

func (a *Authenticator) newMemo(ceremony string, now time.Time) memo {
	m := memo{Type: ceremony, Challenge: make([]byte, challengeSize), RPID: a.options.RPID, Issued: now.UnixMilli()}
	rand.Read(m.Challenge)
	return m
}

func (m memo) encode() (authenticator.Memo, error) { return json.Marshal(m) }

// openMemo returns the memo, or the reason why it can answer for nothing.
func (a *Authenticator) openMemo(sealed authenticator.Memo, ceremony string, now time.Time) (memo, string) {
	var m memo
	if json.Unmarshal(sealed, &m) != nil || len(m.Challenge) != challengeSize ||
		m.Type != ceremony || m.RPID != a.options.RPID {
		return memo{}, reasonChallenge
	}
	age := now.Sub(time.UnixMilli(m.Issued))
	if age < -skew || age > a.options.Timeout {
		return memo{}, reasonStale
	}
	return m, ""
}

// covers reports whether the question was put to this credential.
func (m memo) covers(c authenticator.Credential) bool {
	return !m.named() || m.Account == c.Account && slices.Contains(m.Asked, c.ID)
}

// named reports whether the question was put to somebody in particular.
func (m memo) named() bool { return len(m.Asked) > 0 }

// echoed reports whether a reply's challenge is the one that was issued.
func (m memo) echoed(challenge string) bool {
	return subtle.ConstantTimeCompare([]byte(m.Challenge.String()), []byte(challenge)) == 1
}

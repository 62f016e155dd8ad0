package passkey

import (
	"crypto/rand"
	"crypto/subtle"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/packed"
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
	Type      string
	Challenge octets
	RPID      string
	// Issued is in milliseconds since 1970.
	Issued int64
	// Account is who was asked, or enrolls.
	Account assurance.AccountID
	// Asked are the credentials that the question listed (section 7.2 step 5).
	// There are none when a discoverable passkey is to say who is there.
	Asked []assurance.CredentialID
	// Verify: the question demanded user verification.
	Verify bool
}

func (a *Authenticator) newMemo(ceremony string, now time.Time) memo {
	m := memo{Type: ceremony, Challenge: make([]byte, challengeSize), RPID: a.options.RPID, Issued: now.UnixMilli()}
	rand.Read(m.Challenge)
	return m
}

// memoForm begins a memo, and says how it is written.
const memoForm = 1

// encode writes a memo in few octets, because it travels in the ticket of its attempt,
// and quickly, because every sign-in does.
func (m memo) encode() authenticator.Memo {
	b := packed.Number(packed.Number(append(make([]byte, 0, 96), memoForm), m.Issued), int64(m.Account))
	b = packed.Count(packed.Flag(b, m.Verify), len(m.Asked))
	for _, id := range m.Asked {
		b = packed.Number(b, int64(id))
	}
	return packed.Text(packed.Text(packed.Text(b, m.Type), string(m.Challenge)), m.RPID)
}

// decodeMemo reads what encode wrote.
func decodeMemo(b []byte) (m memo, ok bool) {
	if len(b) == 0 || b[0] != memoForm {
		return memo{}, false
	}
	r := packed.Read(b[1:])
	m.Issued, m.Account, m.Verify = r.Number(), assurance.AccountID(r.Number()), r.Flag()
	for range r.Count() {
		m.Asked = append(m.Asked, assurance.CredentialID(r.Number()))
	}
	m.Type, m.Challenge, m.RPID = r.Text(), octets(r.Text()), r.Text()
	return m, r.Whole()
}

// openMemo returns the memo, or the reason why it can answer for nothing.
func (a *Authenticator) openMemo(sealed authenticator.Memo, ceremony string, now time.Time) (memo, string) {
	m, ok := decodeMemo(sealed)
	if !ok || len(m.Challenge) != challengeSize ||
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

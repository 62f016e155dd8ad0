package passkey

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
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
	b := append(make([]byte, 0, 96), memoForm)
	for _, n := range [...]int64{m.Issued, int64(m.Account), flagOf(m.Verify), int64(len(m.Asked))} {
		b = binary.AppendVarint(b, n)
	}
	for _, id := range m.Asked {
		b = binary.AppendVarint(b, int64(id))
	}
	for _, s := range [...]string{m.Type, string(m.Challenge), m.RPID} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func flagOf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// decodeMemo reads what encode wrote, and believes no length.
func decodeMemo(b []byte) (m memo, ok bool) {
	if len(b) == 0 || b[0] != memoForm {
		return memo{}, false
	}
	r := memoReader{rest: b[1:]}
	m.Issued, m.Account, m.Verify = r.number(), assurance.AccountID(r.number()), r.number() == 1
	for n := r.number(); n > 0 && !r.bad; n-- {
		m.Asked = append(m.Asked, assurance.CredentialID(r.number()))
	}
	m.Type, m.Challenge, m.RPID = r.text(), octets(r.text()), r.text()
	return m, !r.bad && len(r.rest) == 0
}

// memoReader reads from the front of rest until something is bad.
type memoReader struct {
	rest []byte
	bad  bool
}

func (r *memoReader) number() int64 {
	n, size := binary.Varint(r.rest)
	return n * r.took(size)
}

func (r *memoReader) text() string {
	n, size := binary.Uvarint(r.rest)
	if r.took(size) == 0 || n > uint64(len(r.rest)) {
		r.bad = true
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// took moves past a number of size octets: 1, or 0 where there was none.
func (r *memoReader) took(size int) int64 {
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return 1
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

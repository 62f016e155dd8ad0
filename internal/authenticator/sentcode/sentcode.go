// Package sentcode is what the kinds share whose code goes to its owner by way of
// others: by SMS, by mail.
//
// It owns the making of a code and what is remembered of it. It does not know where
// a code goes. Its one invariant: what is remembered does not tell the code, and a
// code is right only for what was remembered when it was made, until its end.
package sentcode

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/typed"
)

// Digits is how long a code is.
const Digits = 6

// Life is how long a code is good: SP 800-63B-4 allows ten minutes out of band
// (section 3.1.3) and, by mail, a day for recovery (section 4.2); an attempt does
// not live longer.
const Life = 10 * time.Minute

// Sent is what is remembered of a code. The zero Sent is of none.
type Sent struct {
	Salt    []byte `json:"s,omitempty"`
	Sum     []byte `json:"h,omitempty"`
	Expires int64  `json:"e,omitempty"` // Unix seconds
}

func sum(salt []byte, code string) []byte {
	h := sha256.Sum256(append([]byte("countersign sent code\x00"+string(salt)), code...))
	return h[:]
}

// Make makes a code, and what to remember of it.
func Make(now time.Time) (code string, s Sent) {
	s = Sent{Salt: make([]byte, 16), Expires: now.Add(Life).Unix()}
	rand.Read(s.Salt)
	code = typed.Random(Digits)
	s.Sum = sum(s.Salt, code)
	return code, s
}

// Wrong says why a typed code is not the one that was sent; empty when it is.
func (s Sent) Wrong(text string, now time.Time) (reason string) {
	code, ok := typed.Digits(text)
	switch {
	case !ok || len(code) != Digits:
		return "malformed"
	case len(s.Sum) == 0:
		return "not-sent"
	case !now.Before(time.Unix(s.Expires, 0)):
		return "expired"
	case subtle.ConstantTimeCompare(s.Sum, sum(s.Salt, code)) != 1:
		return "wrong"
	}
	return ""
}

// Once is a key for this code, which may be accepted once.
func (s Sent) Once() string { return "m" + base64.RawURLEncoding.EncodeToString(s.Salt) }

// Memo is what waits for the answer: the code, and for what it was made.
type Memo struct {
	Sent
	Credential assurance.CredentialID `json:"c,omitempty"`
	// To and Account are those of an enrollment.
	To      string              `json:"n,omitempty"`
	Account assurance.AccountID `json:"a,omitempty"`
}

// Check finds the credential that a code was sent for. The code is compared first,
// so that only its owner is told that the credential went.
func Check(sealed authenticator.Memo, credentials []authenticator.Credential, text string, now time.Time) (c authenticator.Credential, m Memo, wrong string) {
	if len(sealed) > 0 && json.Unmarshal(sealed, &m) != nil {
		return c, m, "malformed"
	}
	if wrong = m.Wrong(text, now); wrong != "" {
		return c, m, wrong
	}
	i := slices.IndexFunc(credentials, func(c authenticator.Credential) bool { return c.ID == m.Credential })
	if i < 0 {
		return c, m, "wrong"
	}
	return credentials[i], m, ""
}

// Answered is where the code of an enrollment was sent, when the answer is that code;
// empty before one was. Another account's enrollment and a wrong code are refused.
func Answered(sealed authenticator.Memo, p authenticator.Person, text string, now time.Time) (to string, err error) {
	var m Memo
	if json.Unmarshal(sealed, &m) != nil || m.Account != p.Account {
		return "", &authenticator.Refused{Reason: "wrong-offer", Public: "This set-up has ended. Start it again."}
	}
	if m.To == "" {
		return "", nil
	}
	if reason := m.Wrong(text, now); reason != "" {
		return "", &authenticator.Refused{Reason: reason, Public: "That is not the code that was sent, or it is over. Look at the newest one."}
	}
	return m.To, nil
}

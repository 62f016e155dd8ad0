// Package yubicootp checks the one-time passwords that a YubiKey types when it is
// touched: 32 characters that only the key's AES key makes, after the key's public
// id.
//
// It owns the format (modhex, the 16 octets within, their CRC), what a key's
// counters must be, and how a key from a maker's file is kept. It does not know
// the validation protocol, which protocol/yubico speaks, nor keep anything: signin
// spends what was accepted. Its one invariant: what is accepted is newer than
// everything that was accepted of the key before.
//
// The format is that of the YubiKey Manual, section "Yubico OTP", and of
// libyubikey; see testdata.
package yubicootp

import (
	"context"
	"crypto/aes"
	"crypto/subtle"
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Kind is the word for this authenticator everywhere.
const Kind = "yubico-otp"

// Authenticator asks for and checks what a YubiKey types. The zero value is
// ready, and safe for concurrent use.
type Authenticator struct{}

// Describe returns what these keys are. Nobody can guess what one types: 64 bits
// of each one-time password are a secret and a checksum under AES. The AES key
// came in a file, so that nobody can say it is in the hardware alone.
func (Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Signal: "hardware-token", Title: "YubiKey one-time password", Noun: "YubiKey one-time password", Document: "yubico.md", Mark: authenticator.MarkKey, Traits: assurance.Held,
		Media: prompt.Line | prompt.Single | prompt.Browser}
}

// Ask asks for a touch.
func (Authenticator) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Code, Label: "Touch your YubiKey", Hint: "Put the cursor in the field first; the key types by itself."}, nil, nil
}

// Discover returns the public id that a one-time password begins with.
func (Authenticator) Discover(answer prompt.Answer) (handle string, ok bool) {
	p, ok := parse(answer.Text)
	return p.public, ok
}

// Check decrypts what was typed with the key of that public id.
func (Authenticator) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	typed, ok := parse(answer.Text)
	if !ok {
		return authenticator.Wrong("malformed"), nil
	}
	for _, c := range credentials {
		s, err := decode(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		if s.Public == typed.public {
			return s.accept(c.ID, typed)
		}
	}
	return authenticator.Wrong("wrong"), nil
}

func (s state) accept(id assurance.CredentialID, typed password) (authenticator.Result, error) {
	t, ok, err := s.open(typed)
	if err != nil {
		return authenticator.Result{}, err
	}
	if !ok {
		return authenticator.Wrong("wrong"), nil
	}
	now := t.order()
	if s.Seen && now <= s.Last {
		return authenticator.Result{Reason: "replayed", Detail: fmt.Sprintf("its counters %s do not come after those of the last one", t)}, nil
	}
	s.Seen, s.Last = true, now
	next, err := s.encode()
	if err != nil {
		return authenticator.Result{}, err
	}
	return authenticator.Result{OK: true, Credential: id, Traits: assurance.Held, Next: next, Once: t.String(), Detail: "counters " + t.String()}, nil
}

// open decrypts a one-time password; ok says that this key made it.
func (s state) open(typed password) (t touch, ok bool, err error) {
	block, err := aes.NewCipher(s.Key)
	if err != nil {
		return touch{}, false, errState
	}
	var plain [16]byte
	block.Decrypt(plain[:], typed.sealed[:])
	whole := crc(plain[:]) == residual
	return read(plain), whole && subtle.ConstantTimeCompare(plain[:6], s.Private) == 1, nil
}

// AfterRollback gives the key up: nothing tells how far it has gone on, so every
// one-time password that it typed since could be given again. Who has the key's
// file imports it anew.
func (Authenticator) AfterRollback([]byte, time.Time) (next []byte, usable bool, err error) {
	return nil, false, nil
}

var _ authenticator.RollbackRecoverer = Authenticator{}
var _ authenticator.Discoverer = Authenticator{}

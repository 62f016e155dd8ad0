package hotp

import (
	"context"
	"encoding/json"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/typed"
	"countersign/internal/prompt"
)

// memo is the key on offer, and to whom.
type memo struct {
	Account assurance.AccountID `json:"a"`
	State   state               `json:"s"`
}

// Offer makes a key that begins at counter 0. The prompt's Data is {"uri",
// "secret", "issuer", "account"}: the otpauth URI for a QR code, and its parts
// for people who type.
func (a *Authenticator) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	key, err := otp.NewKey(a.options.Algorithm, a.options.Digits)
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	m, err := json.Marshal(memo{Account: p.Account, State: newState(key, 0)})
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	data, err := otp.Provision{Type: Kind, Issuer: a.options.Issuer, Account: p.Name, Key: key}.Data()
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	return prompt.Prompt{
		Authenticator: Kind,
		Kind:          prompt.Code,
		Label:         "Code that the token shows now",
		Hint:          "For tokens and apps that show the next code when you ask for it. Scan the picture, or type the key and choose \"counter-based\", beginning at 0.",
		Digits:        a.options.Digits,
		Data:          data,
	}, m, nil
}

// Accept demands one right code, which is spent, so that a key never comes into
// use that the device did not get.
func (a *Authenticator) Accept(_ context.Context, p authenticator.Person, sealed authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Enrolled, error) {
	var m memo
	if json.Unmarshal(sealed, &m) != nil || m.Account != p.Account || m.State.Version != stateVersion || m.State.check() != nil {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "wrong-offer", Public: "This set-up has ended. Start it again."}
	}
	digits, _ := typed.Digits(answer.Text)
	f := m.State.match(a.options, digits, 0)
	switch {
	case f.Reason == reasonAhead:
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: f.Reason, Public: "The device is many codes ahead. Type two of its codes, one after the other, into the field."}
	case !f.Accepted:
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: f.Reason, Public: "That is not the code that belongs to this key. Type the one that the device shows now."}
	}
	return f.Next.enrolled("", f.Once)
}

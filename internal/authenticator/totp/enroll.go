package totp

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

// Offer makes a key. The prompt's Data is {"uri", "secret", "issuer", "account"}:
// the otpauth URI for a QR code, and its parts for people who type.
func (a *Authenticator) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	key, err := otp.NewKey(a.options.Algorithm, a.options.Digits)
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	m, err := json.Marshal(memo{Account: p.Account, State: newState(key, a.options.Period)})
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	seconds := int(a.options.Period / time.Second)
	data, err := otp.Provision{Type: Kind, Issuer: a.options.Issuer, Account: p.Name, Key: key, Period: seconds}.Data()
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	return prompt.Prompt{
		Authenticator: Kind,
		Kind:          prompt.Code,
		Label:         "Code that the app shows now",
		Hint:          "Scan the picture with your authenticator app, or type the key into it.",
		Digits:        a.options.Digits,
		Data:          data,
	}, m, nil
}

// Accept demands one right code, which is spent, so that a key never comes into
// use that the device did not get. A code of the step to come is believed too,
// and says that the device's clock is fast.
func (a *Authenticator) Accept(_ context.Context, p authenticator.Person, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Enrolled, error) {
	var m memo
	if json.Unmarshal(sealed, &m) != nil || m.Account != p.Account || m.State.Version != stateVersion || m.State.check() != nil {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "wrong-offer", Public: "This set-up has ended. Start it again."}
	}
	digits, _ := typed.Digits(answer.Text)
	f := m.State.match(Options{Window: Either, NextCode: 1}, digits, 0, now)
	switch {
	case f.Reason == reasonStale:
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: f.Reason, Public: "That code is from another time. Set the clock of your device to automatic and type the code that it shows then."}
	case !f.Accepted:
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: f.Reason, Public: "That is not the code that belongs to this key. Type the one that the app shows now."}
	}
	f.Next.Drift = min(max(f.Next.Last-m.State.step(now), -1), 1)
	return f.Next.enrolled("", f.Once)
}

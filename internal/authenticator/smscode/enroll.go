package smscode

import (
	"context"
	"encoding/json"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/sentcode"
	"countersign/internal/prompt"
)

// warning is what SP 800-63B-4 section 3.2.9 has people told before they choose a
// restricted authenticator.
const warning = "A code by SMS is the weakest way: whoever talks the telephone company into moving your number, or gets you to type the code into a false page, signs in as you. A passkey or an authenticator app is safer and as quick; go back to choose one. Write the number with its country: +49 30 123456."

// Offer asks for the number.
func (a *Authenticator) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	kept, err := json.Marshal(sentcode.Memo{Account: p.Account})
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Code, Label: "Telephone number", Hint: warning}, kept, err
}

// Accept takes the number, and then the code that was sent to it: a number counts
// only when its owner has shown to have it (SP 800-63B-4 section 3.1.3.3).
func (a *Authenticator) Accept(_ context.Context, p authenticator.Person, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Enrolled, error) {
	sent, err := sentcode.Answered(sealed, p, answer.Text, now)
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	if sent == "" {
		return authenticator.Enrolled{}, a.confirm(p, answer.Text, now)
	}
	number := Number(sent)
	state, err := state{Number: number}.encode()
	return authenticator.Enrolled{State: state, Traits: traits, Label: "SMS to " + number.Masked(), Detail: "restricted"}, err
}

// confirm sends a code to the number that was typed.
func (a *Authenticator) confirm(p authenticator.Person, text string, now time.Time) error {
	number, ok := ReadNumber(text)
	if !ok {
		return &authenticator.Refused{Reason: "malformed", Public: "Write the number with its country, as +49 30 123456."}
	}
	message, m := a.make(number, now)
	m.To, m.Account = string(number), p.Account
	kept, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return &authenticator.Another{Message: message, Memo: kept, Prompt: asked(string(number))}
}

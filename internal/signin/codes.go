package signin

import (
	"context"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/outbox"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"slices"
	"time"
)

// sentCodes asks for the codes that are sent, within an attempt.
type sentCodes struct {
	kinds    map[string]authenticator.Authenticator
	messages *outbox.Messages
	now      func() time.Time
}

// sent is the code that an attempt waits for.
type sent struct {
	Kind   string
	Memo   authenticator.Memo
	Prompt prompt.Prompt
}

// sends reports whether following a decision will send a code, which is a change.
func (c *sentCodes) sends(at *attempt, d decision) bool {
	if d.state != Ask || at.Sent != nil && at.Sending == "" {
		return false
	}
	if at.browser() {
		return slices.Contains(d.kinds, at.Sending) // it may have been taken away meanwhile
	}
	return len(d.kinds) > 0 && c.sender(d.kinds[0]) != nil
}

func (c *sentCodes) sender(kind string) authenticator.Sender {
	how, _ := c.kinds[kind].(authenticator.Sender)
	return how
}

// wants reports whether an answer only asks for a code: the button.
func (c *sentCodes) wants(at *attempt, a prompt.Answer) bool {
	return a.Text == "" && at.wasAsked(a.Authenticator) && c.sender(a.Authenticator) != nil
}

// The hints where no code is sent.
const (
	noOther = "No other code can be sent now. Type the one that was sent, or use another way."
	noCode  = "No code can be sent now. Try again in a while, or use another way."
)

// ask is the question of a kind whose code is sent: for the code that was, or
// whether to send one. In a browser one is sent when the person presses the button,
// on a line when there is nothing better to ask for. offered is false where a line
// can have none.
func (c *sentCodes) ask(ctx context.Context, tx *store.Tx, at *attempt, kind string, credentials []directory.Credential) (p prompt.Prompt, memo authenticator.Memo, offered bool, err error) {
	if s := at.Sent; s != nil && s.Kind == kind && at.Sending != kind {
		return s.Prompt, s.Memo, true, nil
	}
	comparable := allGiven(credentials)
	asks := at.Sending == kind || !at.browser() && len(at.Asked) == 0
	if p, memo, err = c.kinds[kind].Ask(comparable, c.now()); err != nil || !asks {
		return p, memo, at.browser(), err
	}
	message, code, fresh, err := c.sender(kind).Send(comparable[0], c.now())
	if err != nil {
		return p, nil, false, err
	}
	en := at.entry(directory.Account{}, "", "", "")
	en.Detail["authenticator"] = kind
	did, err := c.messages.Send(ctx, tx, outbox.Sending{Account: at.Account, Entry: en}, message)
	if err != nil {
		return p, nil, false, err
	}
	at.Sending = ""
	if !did {
		if s := at.Sent; s != nil && s.Kind == kind {
			s.Prompt.Hint = noOther
			return s.Prompt, s.Memo, true, nil
		}
		p.Hint = noCode
		return p, nil, at.browser(), nil
	}
	at.Sent = &sent{Kind: kind, Memo: fresh, Prompt: code}
	return code, fresh, true, nil
}

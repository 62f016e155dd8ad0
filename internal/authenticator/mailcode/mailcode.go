// Package mailcode is the authenticator for codes that are sent by mail, with which
// people get back in and do nothing else.
//
// It owns addresses and what is written in the mail; sentcode makes and compares the
// codes. It sends nothing and decides nothing: signin queues what is to be sent, and
// a mail server outside carries it. Its one invariant: what it shows is that
// somebody reads an address, which no requirement but that of recovery asks for
// (SP 800-63B-4: mail is no out-of-band authenticator, section 3.1.3.1, and carries
// recovery codes, section 4.2).
package mailcode

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/sentcode"
	"countersign/internal/language"
	"countersign/internal/prompt"
)

// Kind is this authenticator's word in storage, policy and audit.
const Kind = "mailcode"

const traits = assurance.Mailed | assurance.Restricted

// Authenticator makes and checks codes. It is safe for concurrent use.
type Authenticator struct {
	service string
	read    func(typed string) (string, error)
}

// New makes one. Its mails name the service, and read makes of what was typed an
// address, as it does of every other address here; its error says how to mend it.
func New(service string, read func(typed string) (string, error)) *Authenticator {
	return &Authenticator{service, read}
}

// Describe says what such a code can show.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Title: "Code by mail, to get back in", Noun: "code by mail", Pitch: "Together with a recovery code, it gets you back in when everything else is lost.", Document: "messages.md", Mark: authenticator.MarkTicket, Carrier: authenticator.Mail, Traits: traits, Media: prompt.Browser, Guessable: true}
}

// Ask offers to send a code; it sends none.
func (a *Authenticator) Ask(credentials []authenticator.Credential, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	p := prompt.Prompt{Authenticator: Kind, Kind: prompt.Sending, Label: "Send a code by mail", Digits: sentcode.Digits}
	if len(credentials) > 0 {
		to, err := a.decode(credentials[0].State)
		if err != nil {
			return p, nil, err
		}
		p = p.Saying(language.Say("Send a code to %s", to.masked()))
	}
	return p, nil, nil
}

func (a *Authenticator) make(to address, now time.Time) (authenticator.Message, sentcode.Memo) {
	code, sent := sentcode.Make(now)
	return authenticator.Worded(string(to), authenticator.Wording{Subject: language.Say("Your code for %s", a.service), Tail: "\n",
		Text: language.Say("%s is your code for %s. It is good for ten minutes.\n\nNobody who calls or writes to you needs it. If you did not ask for it, somebody else has: tell your administrator.", code, a.service)}), sentcode.Memo{Sent: sent}
}

// asked asks for the code that was sent to an address.
func asked(to string) prompt.Prompt {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Code, Hint: "It comes by mail and is good for ten minutes.", Digits: sentcode.Digits}.Saying(language.Say("Code sent to %s", to))
}

// Send makes a code for a credential.
func (a *Authenticator) Send(c authenticator.Credential, now time.Time) (authenticator.Message, prompt.Prompt, authenticator.Memo, error) {
	to, err := a.decode(c.State)
	if err != nil {
		return authenticator.Message{}, prompt.Prompt{}, nil, err
	}
	message, m := a.make(to, now)
	m.Credential = c.ID
	kept, err := json.Marshal(m)
	p := asked(to.masked())
	p.Resend = true
	return message, p, kept, err
}

// Check compares with the code that was sent.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	c, m, wrong := sentcode.Check(sealed, credentials, answer.Text, now)
	if wrong != "" {
		return authenticator.Wrong(wrong), nil
	}
	_, err := a.decode(c.State)
	return authenticator.Result{OK: err == nil, Credential: c.ID, Traits: traits, Once: m.Once()}, err
}

// Offer asks for the address.
func (a *Authenticator) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	kept, err := json.Marshal(sentcode.Memo{Account: p.Account})
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Code, Label: "Mail address",
		Hint: "With a code that is sent there and a saved recovery code you get back in when everything else is lost; it signs you in nowhere. Choose an address that you can read without signing in here."}, kept, err
}

// Accept takes the address, and then the code that was sent to it: an address counts
// only when its owner has shown to read it.
func (a *Authenticator) Accept(_ context.Context, p authenticator.Person, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Enrolled, error) {
	sent, err := sentcode.Answered(sealed, p, answer.Text, now)
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	if sent == "" {
		return authenticator.Enrolled{}, a.confirm(p, answer.Text, now)
	}
	to := address(sent)
	state, err := json.Marshal(state{1, to})
	return authenticator.Enrolled{State: state, Traits: traits, Label: "Mail to " + to.masked()}, err
}

// confirm sends a code to the address that was typed.
func (a *Authenticator) confirm(p authenticator.Person, text string, now time.Time) error {
	read, err := a.read(text)
	if err != nil {
		return &authenticator.Refused{Reason: "malformed", Public: "Write one mail address, like ada@example.org."}
	}
	to := address(read)
	message, m := a.make(to, now)
	m.To, m.Account = string(to), p.Account
	kept, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return &authenticator.Another{Message: message, Memo: kept, Prompt: asked(string(to))}
}

// address is one that mail can be sent to.
type address string

// masked is enough of it for its owner to know it by: "a…@example.org".
func (to address) masked() string {
	local, domain, _ := strings.Cut(string(to), "@")
	first := []rune(local)[:1]
	return string(first) + "…@" + domain
}

// state is what is kept of an address. It is sealed with its row.
type state struct {
	Version int     `json:"v"`
	Address address `json:"n"`
}

func (a *Authenticator) decode(b []byte) (address, error) {
	var s state
	if json.Unmarshal(b, &s) != nil || s.Version != 1 {
		return "", errors.New("mailcode: a stored address cannot be read")
	}
	if read, err := a.read(string(s.Address)); err != nil || address(read) != s.Address {
		return "", errors.New("mailcode: a stored address is none")
	}
	return s.Address, nil
}

var _ authenticator.Sender = (*Authenticator)(nil)
var _ authenticator.Enroller = (*Authenticator)(nil)

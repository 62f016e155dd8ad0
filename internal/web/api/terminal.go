package api

import (
	"net/http"

	"countersign/internal/admin"
	"countersign/internal/admin/nouns"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
)

// TerminalAnswer is one turn of a conversation on a terminal. The first names
// the account, or, with a command, comes with a session; each later one brings
// the ticket and one typed answer.
type TerminalAnswer struct {
	Name          string `json:"name,omitempty"`
	Agent         string `json:"agent,omitempty"`
	Ticket        string `json:"ticket,omitempty"`
	Authenticator string `json:"authenticator,omitempty"`
	Text          string `json:"text,omitempty"`
	// Command is what is to be approved on the terminal; empty signs in.
	Command *TerminalCommand `json:"command,omitempty"`
}

// TerminalCommand is a command that is approved and done on the terminal.
type TerminalCommand struct {
	Action string `json:"action"`
	Input  string `json:"input" help:"The command's own JSON."`
}

// TerminalStep is what comes next: an answer is asked for, the session has
// begun, or the command was done.
type TerminalStep struct {
	Ask []TerminalPrompt `json:"ask,omitempty"`
	// Text is what is approved with the answers, word for word; it comes with the
	// first question.
	Text string `json:"text,omitempty"`
	// Reading is Text for people.
	Reading *prompt.Reading `json:"reading,omitempty"`
	Ticket  string          `json:"ticket,omitempty"`
	Session *Session        `json:"session,omitempty"`
	Answer  any             `json:"answer,omitempty"`
}

// TerminalPrompt is one question; any one of them can be answered.
type TerminalPrompt struct {
	Authenticator string `json:"authenticator"`
	Label         string `json:"label"`
	Hint          string `json:"hint,omitempty"`
	Hidden        bool   `json:"hidden"`
}

// terminals signs in, and does commands, by answers that are typed at a prompt.
type terminals struct {
	engine   *signin.Engine
	admin    *admin.Admin
	caller   *caller
	commands *commands
	sessions *sessions
}

func (a *terminals) terminal(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in TerminalAnswer
	if err := read(r, &in); err != nil {
		return nil, err
	}
	action, object, cmd := loginAction, a.caller.object(r, in.Agent), admin.Command(nil)
	if in.Command != nil {
		var err error
		if _, err = a.caller.session(r); err != nil {
			return nil, err // before anything is read for a stranger
		}
		if cmd, err = parse(*in.Command); err != nil {
			return nil, err
		}
		if err := a.admin.Prepare(r.Context(), cmd); err != nil {
			return nil, err
		}
		action, object = cmd.Action(), cmd.Object()
	}
	var reading *prompt.Reading
	if cmd != nil {
		var err error
		if reading, err = a.admin.Reading(r.Context(), cmd); err != nil {
			return nil, err
		}
	}
	step, err := a.turn(r, in, signin.Request{Action: action, Object: object, Reading: reading})
	if err != nil {
		return nil, err
	}
	switch step.State {
	case signin.Ask:
		if in.Ticket != "" {
			reading = nil // the ticket may be of something else, and what its bearer may not ask for is not told
		}
		return asked(step, reading), nil
	case signin.Granted:
		return a.settled(r, step.Grant, in, cmd, action, object)
	}
	return nil, failure.Refuse(step.Reason, step.Public)
}

func parse(c TerminalCommand) (admin.Command, error) {
	s, ok := nouns.Commands().Find(c.Action)
	if !ok {
		return nil, noCommand
	}
	cmd := s.New()
	return cmd, decode([]byte(c.Input), cmd)
}

// turn begins the attempt or answers its question.
func (a *terminals) turn(r *http.Request, in TerminalAnswer, wanted signin.Request) (signin.Step, error) {
	if in.Ticket != "" {
		answer := prompt.Answer{Authenticator: in.Authenticator, Text: in.Text}
		return a.engine.Answer(r.Context(), in.Ticket, signin.Reply{Answer: answer, Source: a.caller.source(r), Partner: terminalPartner, Reading: wanted.Reading})
	}
	req := a.caller.request(r, wanted.Action, wanted.Object)
	req.Reading = wanted.Reading
	req.Name, req.Medium, req.Partner = in.Name, prompt.Line, terminalPartner
	if in.Command == nil {
		req.Session = ""
	} else {
		req.Name = "" // it is its session's
	}
	return a.engine.Begin(r.Context(), req)
}

// terminalPartner binds an attempt to this way in: its ticket is nothing on the
// sign-in pages.
const terminalPartner = "terminal"

func asked(step signin.Step, reading *prompt.Reading) TerminalStep {
	out := TerminalStep{Ticket: step.Ticket}
	if reading != nil {
		out.Text, out.Reading = reading.Action+": "+reading.Object, reading
	}
	for _, p := range step.Prompts {
		if p.Number != "" && p.Kind != prompt.OutOfBand {
			p.Label += " " + p.Number
		}
		out.Ask = append(out.Ask, TerminalPrompt{Authenticator: p.Authenticator, Label: p.Label, Hint: p.Hint, Hidden: p.Kind == prompt.Secret})
	}
	return out
}

// settled starts the session, or does the command if the grant is for exactly it.
func (a *terminals) settled(r *http.Request, g signin.Grant, in TerminalAnswer, cmd admin.Command, action, object string) (any, error) {
	if !g.Covers(signin.Self, action, object) {
		return nil, failure.Refuse("other-action", "The approval is for something else.")
	}
	if cmd != nil {
		a.admin.ReceivedAt(cmd, g.Begun())
		answer, err := a.commands.do(r, g, cmd)
		return TerminalStep{Answer: answer}, err
	}
	s, err := a.sessions.start(r, g, in.Agent)
	return TerminalStep{Session: &s}, err
}

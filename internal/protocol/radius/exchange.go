package radius

import (
	"bytes"
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/protocol/radius/packet"
	"countersign/internal/signin"
	"countersign/internal/text"
)

const (
	unsupportedText = "This server takes a typed password or code (PAP); set the equipment to PAP."
	strayText       = "That sign-in is over. Start again."
	lateText        = "It was not approved in time. Start again."
	cannotPlayText  = "This sign-in needs a question that the equipment is not set up to ask."
)

// ask finds out what the request says and hands it to the engine: a first one
// to Begin, one with a State to Answer or Look. The letter is the State's, or 0.
func (s *Server) ask(ctx context.Context, j *job) (letter byte, step signin.Step, err error) {
	if j.request, err = packet.Parse(j.octets); err != nil {
		return 0, signin.Step{}, err
	}
	var once bool
	if j.content, once = read(j.request, j.client.source); !once {
		return 0, signin.Step{}, errTwice
	}
	if method := j.content.unsupported(j.request); method != "" {
		s.drop(&s.Stats.Unsupported, s.about(j, method), s.now())
		return 0, signin.Step{Public: unsupportedText, Reason: "unsupported-method"}, nil
	}
	typed, err := j.typed()
	if err != nil {
		return 0, signin.Step{}, err
	}
	j.partner = j.content.partner(j.client, j.from.Addr())
	if j.content.state == nil {
		step, err = s.begin(ctx, j, typed)
		return 0, step, err
	}
	return s.goOn(ctx, j, typed)
}

// typed is what the person typed; nothing when there is no User-Password.
func (j *job) typed() (string, error) {
	if j.content.hidden == nil {
		return "", nil
	}
	var room [packet.MaxPassword]byte
	plain, err := j.client.secret.Reveal(room[:0], j.content.hidden, j.request.Authenticator())
	return asTyped(plain), err
}

// asTyped is what a person typed of the octets that equipment made of it: what stands before
// a NUL, as C reads it, without the end of a line, and in UTF-8 (RFC 2865 section 5.2 says no
// encoding). What is no UTF-8 is Windows-1252, which includes Latin-1's letters.
func asTyped(octets []byte) string {
	octets, _, _ = bytes.Cut(octets, []byte{0})
	octets = bytes.TrimRight(octets, "\r\n")
	if utf8.Valid(octets) {
		return string(octets)
	}
	decoded, err := charmap.Windows1252.NewDecoder().Bytes(octets)
	if err != nil {
		return string(octets)
	}
	return string(decoded)
}

func (s *Server) begin(ctx context.Context, j *job, typed string) (signin.Step, error) {
	return s.engine.Begin(ctx, signin.Request{
		Application: j.client.application,
		Name:        string(j.content.name),
		Source:      j.content.person(),
		Protocol:    Protocol,
		Medium:      j.client.mode.Plays(),
		Opening:     j.client.opening(typed),
		CodeAlone:   j.client.mode == CodeOnly,
		Partner:     j.partner,
		Carries:     packet.MaxValue - 1 - tagLength,
	})
}

// goOn continues a sign-in. An Answer for no authenticator by name goes to
// whichever was asked.
func (s *Server) goOn(ctx context.Context, j *job, typed string) (byte, signin.Step, error) {
	letter, ticket, ok := j.bearer().read(j.content.state)
	if !ok || j.client.mode != Challenge {
		s.drop(&s.Stats.StrayState, s.about(j, "stray-state"), s.now())
		return 0, signin.Step{Public: strayText, Reason: "stray-state"}, nil
	}
	switch err := s.engine.Names(ctx, ticket, string(j.content.name)); {
	case failure.ClassOf(err) == failure.Refused:
		s.drop(&s.Stats.StrayState, s.about(j, "stray-state"), s.now())
		return 0, signin.Step{Public: failure.Public(err), Reason: "stray-state"}, nil
	case err != nil:
		return 0, signin.Step{}, err
	}
	if letter == stateWait {
		step, err := s.engine.Poll(ctx, ticket)
		return letter, step, err
	}
	step, err := s.engine.Answer(ctx, ticket, signin.Reply{
		Answer: prompt.Answer{Text: typed}, Source: j.content.person(), Partner: j.partner,
	})
	return letter, step, err
}

func (j *job) bearer() bearer {
	return bearer{key: j.client.key, name: bareName(string(j.content.name)), partner: j.partner}
}

// bareName is a name without its case and its domain: equipment may send bob or CORP\bob first, and
// BOB or bob@corp.example with the State. Whether both are one person the engine says.
func bareName(name string) string {
	s := text.Spelling(name)
	s = s[strings.LastIndexByte(s, '\\')+1:]
	if at := strings.IndexByte(s, '@'); at > 0 {
		s = s[:at]
	}
	return s
}

// render writes the reply to a step.
func (s *Server) render(j *job, step signin.Step) ([]byte, error) {
	mode := j.client.mode
	switch step.State {
	case signin.Granted:
		d := j.draft(packet.AccessAccept)
		d.AddEncoded(j.client.attributes(step.Grant.Groups()))
		return j.finish(&d, &s.Stats.Accepted)
	case signin.Ask:
		if mode == Challenge {
			return s.challenge(j, step, stateAnswer)
		}
		step.Public = cannotPlayText
	case signin.Wait:
		switch mode {
		case Challenge:
			return s.challenge(j, step, stateWait)
		case Wait:
			step.Public = lateText
		default:
			step.Public = cannotPlayText
		}
	}
	d := j.draft(packet.AccessReject)
	if len(j.content.eap) >= 2 {
		// RFC 3579 section 2.6.3: a Reject of EAP carries EAP-Failure.
		d.Add(packet.EAPMessage, []byte{4, j.content.eap[1], 0, 4})
	}
	d.AddText(packet.ReplyMessage, step.Public)
	return j.finish(&d, &s.Stats.Rejected)
}

// challenge asks the person something, or tells what to do elsewhere.
func (s *Server) challenge(j *job, step signin.Step, letter byte) ([]byte, error) {
	d := j.draft(packet.AccessChallenge)
	d.AddText(packet.ReplyMessage, question(step))
	d.Add(packet.State, j.bearer().write(letter, step.Ticket))
	// RFC 2865 section 5.27: how long the person has. RFC 2869 section 5.10:
	// whether to show what is typed.
	if left := step.Deadline.Sub(s.now()); left > 0 {
		d.AddInteger(packet.SessionTimeout, uint32(max(left/time.Second, 1)))
	}
	if echo := len(step.Prompts) > 0 && step.Prompts[0].Kind != prompt.Secret; echo {
		d.AddInteger(packet.Prompt, 1)
	} else {
		d.AddInteger(packet.Prompt, 0)
	}
	return j.finish(&d, &s.Stats.Challenged)
}

// question is what the person reads: the alternatives in one line, a hint, and
// the number to type on another device or into a token.
func question(step signin.Step) string {
	var labels, hints []string
	for _, p := range step.Prompts {
		label := p.Label
		switch {
		case p.Number != "" && p.Kind == prompt.OutOfBand:
			label += ": " + p.Number + ", then press Enter here"
		case p.Number != "":
			label += " " + p.Number
		}
		labels = append(labels, label)
		if p.Hint != "" {
			hints = append(hints, p.Hint+" ")
		}
	}
	text := strings.Join(hints, "") + strings.Join(labels, ", or ") + ": "
	if step.Again && step.Public != "" {
		text = step.Public + " " + text
	}
	return text
}

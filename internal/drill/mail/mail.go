// Package mail attacks mail servers that take tokens: IMAP, POP3, submission and ManageSieve, as
// programs on people's devices and thieves meet them.
//
// It owns clients of these protocols, written from their texts, and what is tried with them. Its
// tokens come from the mail program that people sign in to, which the drill plays (package openid).
// What the attacks are for, and what their results prove, is the drill's. Invariant: a try is open
// only if the server opens a mailbox, its filters, or the way out for mail, and not because nothing
// was answered.
package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"countersign/internal/drill"
	"countersign/internal/drill/openid"
)

// Protocol is what is spoken at a door.
type Protocol string

// The protocols, by the schemes of their addresses.
const (
	IMAP  Protocol = "imap"
	POP3  Protocol = "pop3"
	SMTP  Protocol = "submission"
	Sieve Protocol = "sieve"
)

// Door is one way into a mail server.
type Door struct {
	Protocol Protocol
	// Address is host and port, to which it connects.
	Address string
	// Sealed begins with TLS; else TLS is begun by a command, which Plain leaves out.
	Sealed, Plain bool
	// Called is the address that the settings have, where that is another.
	Called string
}

// Name is what coverage calls it.
func (d Door) Name() string {
	scheme, address := string(d.Protocol), d.Address
	if d.Sealed {
		scheme += "s"
	}
	if d.Called != "" {
		address = d.Called
	}
	if d.Plain {
		return scheme + "://" + address + " without TLS"
	}
	return scheme + "://" + address
}

// ReadDoor reads an address of an application's settings, such as imaps://mail.example.org:993.
func ReadDoor(text string) (Door, error) {
	u, err := url.Parse(text)
	if err != nil || u.Port() == "" {
		return Door{}, fmt.Errorf("%q is no address such as imaps://mail.example.org:993", text)
	}
	d := Door{Protocol: Protocol(u.Scheme), Address: u.Host}
	if plain, ok := strings.CutSuffix(u.Scheme, "s"); ok {
		d.Protocol, d.Sealed = Protocol(plain), true
	}
	if !slices.Contains([]Protocol{IMAP, POP3, SMTP, Sieve}, d.Protocol) {
		return Door{}, fmt.Errorf("%q is at no door of mail", text)
	}
	return d, nil
}

// Server is an application that is a mail server, or its filters.
type Server struct {
	// Application is its name.
	Application string
	Doors       []Door
	// Program is one whose tokens it takes, and Others are applications whose tokens it does not.
	Program openid.Client
	Others  []openid.Client
	// Weak is one whose tokens it takes, that signs people in with one factor; nil for none.
	Weak *openid.Client
	// Strong says that its tokens must be of a passkey.
	Strong bool
	// Delegates says that whoever is in can give the mailbox to somebody else: ACLs, filters.
	Delegates bool
	Log       func(ctx context.Context) ([]string, error)

	kept *kept
}

// Component is the application as a component of a stage.
func (s Server) Component() drill.Component {
	s.kept = &kept{}
	moves := map[drill.Move]drill.Attack{drill.ReadMail: s.readMail, drill.Replay: s.replay, drill.KeptSession: s.again, drill.Arrive: s.arrive}
	if s.Delegates {
		moves[drill.Delegate] = s.delegate
	}
	c := drill.Component{Kind: drill.Mail, Application: s.Application, Name: "the mail server of " + s.Application, Moves: moves, Enter: s.enter, Check: s.check, Log: s.Log}
	for _, d := range s.Doors {
		c.Doors = append(c.Doors, drill.Door{Name: d.Name(), Guess: s.guessAt(d)})
	}
	return c
}

// kept are the tokens of a play that were good once: while Countersign is stopped nobody gets one.
type kept struct {
	mu  sync.Mutex
	all map[*drill.Play]string
}

func (k *kept) keep(p *drill.Play, token string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = map[*drill.Play]string{p: token}
}

func (k *kept) of(p *drill.Play) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[p]
}

// enter has the owner sign in to the mail program with the passkey, and read.
func (s Server) enter(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	given, err := s.Program.Signs(ctx, p, c)
	if err != nil {
		return err
	}
	s.kept.keep(p, given.Access)
	for _, d := range s.Doors {
		if d.Plain {
			continue
		}
		in, said, err := s.opens(ctx, p, d, "OAUTHBEARER", c.Name, given.Access, true)
		if err != nil || !in {
			return errors.Join(fmt.Errorf("the owner does not get in to %s: %s", d.Name(), said), err)
		}
	}
	return nil
}

// arrive has the owner sign in to the mail program, whose token is kept.
func (s Server) arrive(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	if p.Down || p.Unguarded {
		return nil, nil
	}
	given, err := s.Program.Signs(ctx, p, c)
	if err == nil {
		err = s.honest(ctx, p, c, given.Access)
	}
	return nil, err
}

// opens shows a token at a door, and reports whether it opens.
func (s Server) opens(ctx context.Context, p *drill.Play, d Door, mechanism, name, token string, owner bool) (in bool, said string, _ error) {
	return d.enters(ctx, p, owner, func(c *conn) (string, error) { return c.shows(mechanism, name, token) })
}

// enters connects, authenticates, and does what only somebody who is in can.
func (d Door) enters(ctx context.Context, p *drill.Play, owner bool, how func(c *conn) (string, error)) (in bool, said string, _ error) {
	c, err := d.dial(ctx, p, owner)
	if err != nil {
		return false, "no answer", err
	}
	defer c.Close()
	if said, err = how(c); err != nil && said == "" {
		return false, "no answer", err
	}
	said = last(said)
	in, err = c.reads()
	if refused(said) || err != nil && said != "" { // a server may hang up on whom it refused
		return in, said, nil
	}
	return in, said, err
}

// refused reports whether an answer is a no.
func refused(said string) bool { return !yes(said) && !challenged(said) }

// guessAt tries a name and a password at a door, in each of its ways. A mail server says
// no as well while nobody can be asked.
func (s Server) guessAt(d Door) func(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	return func(ctx context.Context, p *drill.Play, g *drill.Guess) (tries []drill.Try) {
		if p.Down && d.Plain {
			return nil // it asks nobody
		}
		for _, way := range some(p, d.ways()) {
			in, said, err := d.enters(ctx, p, false, func(c *conn) (string, error) { return c.types(way, g.Name, g.Password) })
			tries = append(tries, s.tried(p, d, way+" with the password", in, said, err))
		}
		return tries
	}
}

func (s Server) tried(p *drill.Play, d Door, name string, open bool, said string, err error) drill.Try {
	t := p.Tried(d.Name()+", "+name, open, err)
	t.Door, t.Answer = d.Name(), said
	return t
}

// check connects to each door, and asks for a token's sign-in page.
func (s Server) check(ctx context.Context) error {
	for _, d := range s.Doors {
		c, err := d.dial(ctx, &drill.Play{}, true)
		if err != nil {
			return fmt.Errorf("%s does not answer as it should (%w); name where it is with --resolve, or mend the application's settings", d.Name(), err)
		}
		c.Close()
	}
	return nil
}

// settings are what is read here of those of an application by OpenID Connect.
type settings struct {
	TokenScope  string   `json:"token_scope"`
	Introspects []string `json:"introspects"`
	Class       string   `json:"acr"`
	Doors       []string `json:"doors"`
}

// Here are the mail servers among the applications of a deployment. Programs are those that a drill
// can play; one of them gives the tokens that a server takes. Left are the doors that cannot be
// attacked, by application, with the reason. Connect says where to connect to for a host and port,
// as --resolve has it.
func Here(all []openid.Configured, programs []openid.Client, connect map[string]string) (out []Server, left map[string]map[string]string, err error) {
	left = map[string]map[string]string{}
	for _, c := range all {
		var s settings
		if err := json.Unmarshal(c.Settings, &s); err != nil {
			return nil, nil, fmt.Errorf("the settings of %s cannot be read", c.Application)
		}
		if len(s.Doors) == 0 {
			continue
		}
		m := Server{Application: c.Application, Strong: strings.HasPrefix(s.Class, "phr"), Delegates: true}
		for _, p := range programs {
			switch {
			case !slices.Contains(s.Introspects, p.ID):
				m.Others = append(m.Others, p)
			case m.Program.ID == "" && (s.TokenScope == "" || slices.Contains(strings.Fields(p.Scope), s.TokenScope)) && p.Held == "":
				m.Program = p
			}
		}
		m.Others = m.Others[:min(len(m.Others), mostOthers)]
		if m.Program.ID == "" {
			left[c.Application] = map[string]string{}
			for _, door := range s.Doors {
				left[c.Application][door] = "a drill can play none of the programs in its introspects that may ask for its scope"
			}
			continue
		}
		if m.Doors, err = doorsOf(s.Doors, connect); err != nil {
			return nil, nil, fmt.Errorf("the settings of %s: %w", c.Application, err)
		}
		out = append(out, m)
	}
	return out, left, nil
}

// mostOthers bounds of how many other applications tokens are shown.
const mostOthers = 3

// doorsOf are the doors of settings, those that begin TLS by a command also without it.
func doorsOf(all []string, connect map[string]string) (out []Door, _ error) {
	for _, text := range all {
		d, err := ReadDoor(text)
		if err != nil {
			return nil, err
		}
		if to := connect[d.Address]; to != "" {
			d.Called, d.Address = d.Address, to
		}
		out = append(out, d)
		if !d.Sealed {
			d.Plain = true
			out = append(out, d)
		}
	}
	return out, nil
}

// Addresses are the hosts and ports of the doors that settings have. Settings that cannot be read
// have none.
func Addresses(all []openid.Configured) (out []string) {
	for _, c := range all {
		var s settings
		if json.Unmarshal(c.Settings, &s) != nil {
			continue
		}
		for _, text := range s.Doors {
			if d, err := ReadDoor(text); err == nil {
				out = append(out, d.Address)
			}
		}
	}
	return out
}

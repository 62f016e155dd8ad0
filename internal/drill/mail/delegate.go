package mail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/internal/drill"
)

// longAgo is longer than a proof counts for changing who else gets somebody's mail.
const longAgo = 16 * time.Minute

// delegate gives somebody's mailbox away: with the token that a stolen webmail session holds, and
// with one of the owner's own that is no longer fresh. Mallory is another account.
func (s Server) delegate(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	if p.Down {
		return s.givesAway(ctx, p, c.Name, c.Name, "a token from before", s.kept.of(p)), nil
	}
	mallory, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Unguarded:
		return s.shared(ctx, p, c, mallory)
	case s.Strong:
		return s.weakly(ctx, p, c, mallory)
	}
	stolen, v, err := s.Program.SignsIn(ctx, p, c)
	if err != nil {
		return nil, err
	}
	tries := s.givesAway(ctx, p, c.Name, mallory.Name, "the token of a stolen webmail session", stolen.Access)
	if err := v.SignsOut(ctx); err != nil {
		return tries, err
	}
	return append(tries, s.givesAway(ctx, p, c.Name, mallory.Name, "the same after its owner signed out", stolen.Access)...), nil
}

// weakly is a session that is good for reading mail alone: of password and code, and of a passkey
// that was shown a while ago.
func (s Server) weakly(ctx context.Context, p *drill.Play, c, mallory *drill.Canary) ([]drill.Try, error) {
	stolen, said, err := s.Program.Guesses(ctx, p, c.Name, c.Password, c.Code())
	if err != nil || stolen.Access == "" {
		return nil, errors.Join(fmt.Errorf("the owner's session that was to be stolen did not begin: %s", said), err)
	}
	tries := s.givesAway(ctx, p, c.Name, mallory.Name, "the token of a stolen webmail session", stolen.Access)
	if p.Bed == nil {
		return tries, nil
	}
	fresh, err := s.Program.Signs(ctx, p, c)
	if err != nil {
		return tries, err
	}
	p.Bed.Later(longAgo)
	defer p.Bed.Later(-longAgo)
	return append(tries, s.givesAway(ctx, p, c.Name, mallory.Name, "a token of a passkey that was shown long ago", fresh.Access)...), nil
}

// shared is the control: where one factor is enough and mailboxes can be given away, one is, and
// mallory reads it.
func (s Server) shared(ctx context.Context, p *drill.Play, c, mallory *drill.Canary) ([]drill.Try, error) {
	stolen, said, err := s.Program.Guesses(ctx, p, c.Name, c.Password, "")
	if err != nil || stolen.Access == "" {
		return nil, errors.Join(fmt.Errorf("the password alone begins no session: %s", said), err)
	}
	tries := s.givesAway(ctx, p, c.Name, mallory.Name, "the token of a stolen webmail session", stolen.Access)
	if s.gives(IMAP) {
		tries = append(tries, s.readsAs(ctx, p, c, mallory))
	}
	return tries, nil
}

// gives reports whether it has a door of a protocol by which a mailbox is given away.
func (s Server) gives(protocol Protocol) bool {
	for _, d := range s.Doors {
		if d.Protocol == protocol {
			return true
		}
	}
	return false
}

// givesAway tries SETACL at each door of IMAP, and a filter that forwards all mail at each of
// ManageSieve. It is open if the server says that it did it.
func (s Server) givesAway(ctx context.Context, p *drill.Play, owner, to, what, token string) (tries []drill.Try) {
	for _, d := range s.Doors {
		if d.Protocol != IMAP && d.Protocol != Sieve || token == "" {
			continue
		}
		open, said, err := d.changes(ctx, p, owner, to, token)
		act := "SETACL INBOX " + to + " lr"
		if d.Protocol == Sieve {
			act = "a filter that forwards all mail"
		}
		tries = append(tries, s.tried(p, d, act+" with "+what, open, said, err))
	}
	return tries
}

// changes shows a token, and gives the mailbox away.
func (d Door) changes(ctx context.Context, p *drill.Play, owner, to, token string) (open bool, said string, _ error) {
	c, err := d.dial(ctx, p, false)
	if err != nil {
		return false, "no answer", err
	}
	defer c.Close()
	said, err = c.shows("OAUTHBEARER", owner, token)
	if err != nil || !yes(said) {
		return false, last(said), nil //nolint:nilerr // it may hang up on whom it refuses
	}
	if d.Protocol == IMAP {
		said, err = c.do("SETACL INBOX " + quoted(to) + " lr")
		return yes(said), last(said), err
	}
	script := "redirect \"" + to + "@drill.invalid\";\r\n"
	if said, err = c.do(fmt.Sprintf("PUTSCRIPT %s {%d+}\r\n%s", quoted("drill"), len(script), script)); err == nil && yes(said) {
		said, err = c.do("SETACTIVE " + quoted("drill"))
		open = yes(said)
		c.do(`SETACTIVE ""`)                    //nolint:errcheck // it forwards nothing afterwards, at best
		c.do("DELETESCRIPT " + quoted("drill")) //nolint:errcheck // the same
	}
	return open, last(said), err
}

// readsAs has mallory read the owner's mailbox, which was given to them.
func (s Server) readsAs(ctx context.Context, p *drill.Play, owner, mallory *drill.Canary) drill.Try {
	got, said, err := s.Program.Guesses(ctx, p, mallory.Name, mallory.Password, "")
	if got.Access == "" {
		return noToken(p, s.Program, "the one whom the mailbox was given to", said, err)
	}
	for _, d := range s.Doors {
		if d.Protocol != IMAP || d.Plain {
			continue
		}
		c, err := d.dial(ctx, p, false)
		if err != nil {
			return s.tried(p, d, "mallory reads the owner's mailbox", false, "no answer", err)
		}
		defer c.Close()
		if said, err = c.shows("OAUTHBEARER", mallory.Name, got.Access); err == nil && yes(said) {
			said, err = c.do("SELECT " + quoted("shared/"+owner.Name+"/INBOX"))
		}
		return s.tried(p, d, "mallory reads the owner's mailbox", yes(said), last(said), err)
	}
	return drill.Try{Name: "mallory reads the owner's mailbox", Error: "there is no door of IMAP"}
}

package wire

import (
	"context"
	"fmt"

	"countersign/internal/drill"
)

// replay listens to a whole sign-in, and sends each datagram again, from another port as
// everybody else's are. Then it reads the code in what was captured, as somebody can who
// knows the shared secret, and uses it in a sign-in of its own.
func (s Radius) replay(ctx context.Context, p *drill.Play, victim *drill.Canary) ([]drill.Try, error) {
	s.tap = &tap{}
	ear := &listener{how: tapped + "nothing is answered", stop: func() {}}
	if !p.Down {
		ear = s.listen(ctx)
	}
	lines := s.lines(victim.Password, victim.Code())
	if p.Unguarded && s.mode() == Appended {
		lines = s.lines(victim.Password, "") // all that is asked for where one factor is enough
	}
	r, err := s.says(ctx, p, victim.Name, lines, false)
	captured, failed := ear.heard(s.tap.all)
	switch {
	case err != nil && !p.Down:
		return nil, err
	case failed != nil:
		return nil, failed
	case r.code != accessAccept && !p.Down && !p.Unguarded && s.mode() != Wait:
		return nil, errNotIn
	}
	s.tap = nil
	var tries []drill.Try
	for i, datagram := range captured {
		again, err := s.send(ctx, p, datagram, s.Secret, true)
		t := s.tried(p, fmt.Sprintf("datagram %d of a sign-in again", i+1), again, err)
		t.Detail = fmt.Sprintf("%d octets, %s", len(datagram), ear.how)
		tries = append(tries, t)
	}
	if p.Down || s.mode() == Wait {
		return tries, nil
	}
	more, err := s.overheard(ctx, p, victim, captured)
	return append(tries, more), err
}

// overheard uses what was typed last.
func (s Radius) overheard(ctx context.Context, p *drill.Play, victim *drill.Canary, captured [][]byte) (drill.Try, error) {
	if len(captured) == 0 {
		return drill.Try{}, errNotIn
	}
	typed, ok := reveal(captured[len(captured)-1], s.Secret)
	if !ok {
		return drill.Try{}, fmt.Errorf("no password can be read in what was captured")
	}
	lines := []string{typed}
	if s.mode() == Challenge {
		lines = []string{victim.Password, typed}
	}
	r, err := s.says(ctx, p, victim.Name, lines, true)
	return s.tried(p, "the code that was overheard, in a sign-in of one's own", r, err), nil
}

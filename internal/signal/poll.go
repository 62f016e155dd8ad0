package signal

import (
	"context"
	"slices"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/text"
)

// Asked is what a receiver asks for when it polls (RFC 8936 section 2.4).
type Asked struct {
	// Most is how many tokens it takes; 0 is none, and it only acknowledges.
	Most int
	// Acked are the tokens that it has, and Refused those that it could not take, with its word for
	// why.
	Acked   []string
	Refused map[string]string
	// Waits has it wait for a while where nothing is there.
	Waits bool
}

// Polled is what it gets.
type Polled struct {
	// Sets are the tokens, by their jti.
	Sets map[string]string
	More bool
}

const (
	// MostPolled is how many tokens one answer has at most, and how many are acknowledged at once.
	MostPolled = 100
	// holds is how long a receiver that waits is held, and glances how often is looked meanwhile.
	holds, glances = 20 * time.Second, 500 * time.Millisecond
	// mostRounds bounds what one request looks through.
	mostRounds = 200
)

// ErrBusy says that a stream is being polled already.
var ErrBusy = failure.New(failure.Unavailable, "This stream is being polled already; send one request after the other.")

// Poll gives a receiver what waits on its stream. What it acknowledged is not given again; all else
// is, however often it comes.
func (t *Transmitter) Poll(ctx context.Context, one Stream, q Asked) (Polled, error) {
	if one.Delivery != Poll {
		return Polled{}, failure.New(failure.Conflict, "The stream %s is pushed, and not polled.", one.Name)
	}
	l := t.line(one.ID)
	if !l.one.TryLock() {
		return Polled{}, ErrBusy
	}
	defer l.one.Unlock()
	if err := t.acknowledge(ctx, one, q); err != nil {
		return Polled{}, err
	}
	if q.Most <= 0 {
		return Polled{Sets: map[string]string{}}, nil
	}
	until := time.Now().Add(holds)
	for range mostRounds {
		out, err := t.offer(ctx, one, min(q.Most, MostPolled))
		switch {
		case err != nil || len(out.Sets) > 0:
			return out, err
		case out.More:
			continue // what was looked through came to nothing
		case !q.Waits || time.Now().After(until):
			return out, nil
		}
		select {
		case <-ctx.Done():
			return out, nil
		case <-time.After(glances):
		}
		if one, err = t.streams.ByID(ctx, one.ID); err != nil {
			return out, err
		}
	}
	return Polled{Sets: map[string]string{}, More: true}, nil
}

// acknowledge takes down what a receiver has.
func (t *Transmitter) acknowledge(ctx context.Context, one Stream, q Asked) error {
	if len(q.Acked)+len(q.Refused) > MostPolled {
		return failure.New(failure.Invalid, "Acknowledge %d at most with one request.", MostPolled)
	}
	has := slices.Clone(q.Acked)
	for id := range q.Refused {
		has = append(has, id)
	}
	if len(has) == 0 {
		return nil
	}
	p, err := t.positions.of(ctx, one)
	if err != nil {
		return err
	}
	is := p
	if p.told < one.Changes && slices.Contains(has, t.writer.updated(one).id) {
		is.told = one.Changes
	}
	s, err := t.writer.stretch(ctx, one, p.next, looked)
	if err != nil {
		return err
	}
	acked := strings.Fields(p.acked)
	for _, w := range s.waiting {
		if why, refused := q.Refused[w.id]; refused && !slices.Contains(acked, w.id) {
			if err := t.rejected(ctx, one, w, text.Seen(why)); err != nil {
				return err
			}
		}
		if slices.Contains(has, w.id) && !slices.Contains(acked, w.id) {
			acked = append(acked, w.id)
		}
	}
	is.next, is.acked = passed(s, acked)
	if is.next == p.next && is.acked == p.acked && is.told == p.told {
		return nil
	}
	_, ok, err := t.positions.move(ctx, p, is)
	if err == nil && !ok {
		err = ErrBusy // another server was first
	}
	return err
}

// passed is how far a stretch is over: up to the first token that is not acknowledged. Of those
// after it, the acknowledged ones are remembered.
func passed(s stretch, acked []string) (next int64, rest string) {
	next = s.next
	for _, w := range s.waiting {
		if !slices.Contains(acked, w.id) {
			next = w.seq
			break
		}
	}
	var kept []string
	for _, w := range s.waiting {
		if w.seq >= next && slices.Contains(acked, w.id) {
			kept = append(kept, w.id)
		}
	}
	return next, strings.Join(kept, " ")
}

// offer signs what waits and is not acknowledged.
func (t *Transmitter) offer(ctx context.Context, one Stream, most int) (Polled, error) {
	out := Polled{Sets: map[string]string{}}
	p, err := t.positions.of(ctx, one)
	if err != nil {
		return out, err
	}
	if p.told < one.Changes {
		w := t.writer.updated(one)
		err := t.writer.sign(ctx, one, &w)
		out.Sets[w.id], out.More = w.text, one.Status == Enabled
		return out, err
	}
	if one.Status != Enabled {
		return out, nil
	}
	acked := strings.Fields(p.acked)
	s, err := t.writer.stretch(ctx, one, p.next, most+len(acked))
	if err != nil {
		return out, err
	}
	for _, w := range s.waiting {
		if slices.Contains(acked, w.id) {
			continue
		}
		if len(out.Sets) == most {
			s.more = true
			break
		}
		if err := t.writer.sign(ctx, one, &w); err != nil {
			return out, err
		}
		out.Sets[w.id] = w.text
	}
	out.More = s.more
	return out, t.skip(ctx, p, s)
}

// skip moves a stream past entries that come to nothing.
func (t *Transmitter) skip(ctx context.Context, p position, s stretch) error {
	next, acked := passed(s, strings.Fields(p.acked))
	if next == p.next {
		return nil
	}
	is := p
	is.next, is.acked = next, acked
	_, _, err := t.positions.move(ctx, p, is)
	return err
}

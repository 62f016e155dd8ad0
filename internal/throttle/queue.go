package throttle

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"countersign/internal/failure"
)

// Queue is the line for slow checks: one for being charged a guess, and one behind it
// for the hash. Nobody is charged before it is their turn, so that whoever is turned
// away, gives up, or waits when the server dies has guessed nothing.
//
// Who comes from an address from which somebody was let in lately is before all
// others; who comes from one of many wrong answers is behind all others and alone. Of
// those who stand alike, whoever's address gave fewer wrong answers, those that wait
// among them, is first. So a flood of passwords makes honest people wait for one hash
// and not for all of it; also one from addresses that are all new, once each has
// guessed, and one that fills the line. Who waits depends on the address, never on
// whether anybody has the name. It is safe for concurrent use.
type Queue struct {
	mu      sync.Mutex
	turns   int    // how many have one at once
	kept    int    // of them, see may
	checked [3]int // who has one, by priority
	line    [3][]*waiter
	here    map[string]int // who waits or has a turn, by address
}

// Position is where somebody stands by what is known of their address.
type Position struct {
	priority priority
	source   string // empty where it is not known
	wrong    int    // answers that came from there
	// since is when they came, where that was before they stood in this line; zero is
	// now. Who waited in one line for long is not new in the next.
	since time.Time
}

// Known reports whether somebody was let in from there, or is known otherwise.
func (p Position) Known() bool { return p.priority == known }

// AsKnown is the position of somebody who is known whatever their address gave.
func (p Position) AsKnown() Position {
	p.priority = known
	return p
}

// Arrived is the position of somebody who came at a moment before they stand in line: what
// they waited in the line before counts in the next.
func (p Position) Arrived(at time.Time) Position {
	p.since = at
	return p
}

// waiter is somebody in line.
type waiter struct {
	Position
	rank int           // what they are sorted by: the smaller is first
	late bool          // waited so long that nobody is before them any more
	out  bool          // had to make room
	turn chan struct{} // closed when it is theirs, or when they are out
}

// priority is given by what is known of an address. The smaller is before the greater.
type priority int

const (
	known   priority = iota // somebody was let in from there
	strange                 // nothing is known
	suspect                 // there were many wrong answers
)

const (
	// suspectAfter is how many wrong answers within the budget's window put an
	// address behind others. An office behind one address makes a few.
	suspectAfter = 10
	// waitMost is how many of one priority may wait. Of more, whoever is last in line
	// is turned away.
	waitMost = 32
	// patience is after what time, in both lines together, somebody is checked although
	// others are before them. Equipment waits a few seconds and then gives up.
	patience = 2 * time.Second
)

// NewQueue is a line for so many turns, of which some are kept.
func NewQueue(turns, kept int) *Queue {
	return &Queue{turns: max(1, turns), kept: kept, here: map[string]int{}}
}

// Enter waits for one's turn. Call leave, once, when the check is done. The error
// is [failure.Busy], or the context's.
func (c *Queue) Enter(ctx context.Context, p Position) (leave func(), err error) {
	w := &waiter{Position: p, turn: make(chan struct{})}
	c.mu.Lock()
	stands := c.stand(w)
	c.admit()
	c.mu.Unlock()
	if !stands {
		return nil, failure.Busy
	}
	left := patience
	if !p.since.IsZero() {
		left -= time.Since(p.since)
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	for {
		select {
		case <-w.turn:
			if w.out {
				return nil, failure.Busy
			}
			return func() { c.leave(w) }, nil
		case <-timer.C:
			c.mu.Lock()
			w.late = true
			c.admit()
			c.mu.Unlock()
		case <-ctx.Done():
			c.giveUp(w)
			return nil, ctx.Err()
		}
	}
}

// stand puts somebody in line, where it is full in the place of the last one if that
// is not themselves. The lock is held.
func (c *Queue) stand(w *waiter) bool {
	w.rank = w.wrong + c.here[w.source]
	line := c.line[w.priority]
	if len(line) >= waitMost {
		last := line[len(line)-1]
		if last.late || last.rank <= w.rank {
			return false
		}
		line = line[:len(line)-1]
		last.out = true
		c.gone(last)
		close(last.turn)
	}
	i, _ := slices.BinarySearchFunc(line, w.rank+1, func(other *waiter, rank int) int { return cmp.Compare(other.rank, rank) })
	c.line[w.priority] = slices.Insert(line, i, w)
	c.here[w.source]++
	return true
}

// gone forgets that somebody was here. The lock is held.
func (c *Queue) gone(w *waiter) {
	if c.here[w.source]--; c.here[w.source] == 0 {
		delete(c.here, w.source)
	}
}

func (c *Queue) leave(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked[w.priority]--
	c.gone(w)
	c.admit()
}

// giveUp takes somebody out of the line, or gives back the turn that has just come.
func (c *Queue) giveUp(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.out {
		return
	}
	if i := slices.Index(c.line[w.priority], w); i >= 0 {
		c.line[w.priority] = slices.Delete(c.line[w.priority], i, i+1)
	} else {
		c.checked[w.priority]--
	}
	c.gone(w)
	c.admit()
}

// admit lets in whoever is next while there are turns. The lock is held.
func (c *Queue) admit() {
	for w := c.next(); w != nil; w = c.next() {
		s := w.priority
		i := slices.Index(c.line[s], w)
		c.line[s] = slices.Delete(c.line[s], i, i+1)
		c.checked[s]++
		close(w.turn)
	}
}

// next is whose turn is next: of those who waited too long, then the first in line;
// nil where nobody may.
func (c *Queue) next() *waiter {
	for _, line := range c.line {
		if i := slices.IndexFunc(line, func(w *waiter) bool { return w.late }); i >= 0 && c.may(line[i]) {
			return line[i]
		}
	}
	for _, line := range c.line {
		if len(line) > 0 && c.may(line[0]) {
			return line[0]
		}
	}
	return nil
}

// may reports whether there is a turn for somebody who waits. Turns are kept for
// those who are known, and as many for addresses without a wrong answer besides. Of
// suspects one has a turn at a time.
func (c *Queue) may(w *waiter) bool {
	others := c.checked[strange] + c.checked[suspect]
	switch {
	case c.checked[known]+others >= c.turns:
		return false
	case w.priority == known:
		return true
	case w.priority == suspect && c.checked[suspect] > 0:
		return false
	case w.priority == strange && w.rank == 0:
		return others < c.turns-c.kept
	}
	return others < c.turns-2*c.kept
}

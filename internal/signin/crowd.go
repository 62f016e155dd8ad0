package signin

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// crowd is a line for slow checks: one for being charged a guess, and one behind it
// for the hash. Nobody is charged before it is their turn, so that whoever is turned away, gives up, or waits when the server dies
// has guessed nothing. Who comes from an address from which somebody was let in lately
// is before all others; who comes from one of many wrong answers is behind all others
// and alone. So a flood of passwords makes honest people wait for one hash and not
// for all of it, also one from addresses that are all new. Who waits depends on the
// address, never on whether anybody has the name.
type crowd struct {
	mu      sync.Mutex
	turns   int    // how many have one at once
	kept    int    // of them, for those who are known
	checked [3]int // who has one, by standing
	line    [3][]*waiter
}

// waiter is somebody in line.
type waiter struct {
	late bool          // waited so long that nobody is before them any more
	turn chan struct{} // closed when it is theirs
}

// standing is what is known of an address. The smaller is before the greater.
type standing int

const (
	known   standing = iota // somebody was let in from there
	strange                 // nothing is known
	suspect                 // there were many wrong answers
)

const (
	// suspectAfter is how many wrong answers within the budget's window put an
	// address behind others. An office behind one address makes a few.
	suspectAfter = 10
	// waitMost is how many of one standing may wait; more are turned away.
	waitMost = 32
	// patience is after what time somebody is checked although others are before
	// them.
	patience = 2 * time.Second
)

// newCrowd is a line for so many turns, of which some are kept for those who are
// known.
func newCrowd(turns, kept int) *crowd { return &crowd{turns: max(1, turns), kept: kept} }

// enter waits for one's turn. Call leave, once, when the check is done. The error
// is [failure.Busy], or the context's.
func (c *crowd) enter(ctx context.Context, s standing) (leave func(), err error) {
	c.mu.Lock()
	if len(c.line[s]) >= waitMost {
		c.mu.Unlock()
		return nil, failure.Busy
	}
	w := &waiter{turn: make(chan struct{})}
	c.line[s] = append(c.line[s], w)
	c.admit()
	c.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-w.turn:
			return func() { c.leave(s) }, nil
		case <-timer.C:
			c.mu.Lock()
			w.late = true
			c.admit()
			c.mu.Unlock()
		case <-ctx.Done():
			c.giveUp(w, s)
			return nil, ctx.Err()
		}
	}
}

func (c *crowd) leave(s standing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked[s]--
	c.admit()
}

// giveUp takes somebody out of the line, or gives back the turn that has just come.
func (c *crowd) giveUp(w *waiter, s standing) {
	c.mu.Lock()
	i := slices.Index(c.line[s], w)
	if i >= 0 {
		c.line[s] = slices.Delete(c.line[s], i, i+1)
		c.admit()
	}
	c.mu.Unlock()
	if i < 0 {
		c.leave(s)
	}
}

// admit lets in whoever is next while there are turns. The lock is held.
func (c *crowd) admit() {
	for s, found := c.next(); found; s, found = c.next() {
		w := c.line[s][0]
		c.line[s] = slices.Delete(c.line[s], 0, 1)
		c.checked[s]++
		close(w.turn)
	}
}

// next is of which standing the next one is: of those who waited too long, then the
// first in line.
func (c *crowd) next() (s standing, found bool) {
	for s := known; s <= suspect; s++ {
		if c.may(s) && c.line[s][0].late {
			return s, true
		}
	}
	for s := known; s <= suspect; s++ {
		if c.may(s) {
			return s, true
		}
	}
	return 0, false
}

// may reports whether there is a turn for somebody who waits. Of suspects one has a
// turn at a time.
func (c *crowd) may(s standing) bool {
	others := c.checked[strange] + c.checked[suspect]
	switch {
	case len(c.line[s]) == 0 || c.checked[known]+others >= c.turns:
		return false
	case s == suspect && c.checked[suspect] > 0:
		return false
	}
	return s == known || others < c.turns-c.kept
}

// standing is what is known of an address.
func (g *guesses) standing(ctx context.Context, r store.Reader, source netip.Addr) (standing, error) {
	if !source.IsValid() {
		return strange, nil
	}
	s := []subject{{key: sourceKey(source)}}
	if err := loadSubjects(ctx, r, s); err != nil {
		return strange, err
	}
	if s[0].count >= suspectAfter && g.now().Sub(s[0].since) < sourceWindow {
		return suspect, nil
	}
	var seen int64
	err := r.QueryRow(ctx, `select coalesce(max(seen), 0) from known_source where source = $1`, sourceKey(source)).Scan(&seen)
	if err != nil || store.Time(seen).Before(g.now().Add(-30*day)) {
		return strange, err
	}
	return known, nil
}

package signin

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// crowd is the line for slow checks. Nobody is charged a guess before it is their
// turn, so that whoever is turned away, gives up, or waits when the server dies
// has guessed nothing. Whoever comes from an address of many wrong answers is
// behind all others and alone, so that a flood of passwords makes honest people
// wait for one hash and not for all of it: who waits depends on the address, never
// on whether anybody has the name.
type crowd struct {
	mu       sync.Mutex
	turns    int // how many are checked at once
	checked  int
	others   int           // those without a record who wait
	suspects int           // those with one who wait
	suspect  bool          // one of them is checked
	changed  chan struct{} // closed at each change
}

const (
	// suspectAfter is how many wrong answers within the budget's window put an
	// address behind others. An office behind one address makes a few.
	suspectAfter = 10
	// waitMost is how many may wait, of either sort; more are turned away.
	waitMost = 32
	// suspectPatience is after what time a suspect is checked although others wait.
	suspectPatience = 2 * time.Second
)

// newCrowd lets one more through than are checked at once: it is charged while
// they are.
func newCrowd(atOnce int) *crowd {
	return &crowd{turns: max(1, atOnce) + 1, changed: make(chan struct{})}
}

// enter waits for one's turn. Call leave, once, when the check is done. The error
// is [failure.Busy], or the context's.
func (c *crowd) enter(ctx context.Context, suspect bool) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := &c.others
	if suspect {
		waiting = &c.suspects
	}
	if *waiting >= waitMost {
		return nil, failure.Busy
	}
	*waiting++
	err = c.await(ctx, suspect)
	if *waiting--; err != nil {
		c.tell() // a suspect may have waited for this one
		return nil, err
	}
	c.checked++
	c.suspect = c.suspect || suspect
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.checked--
		c.suspect = c.suspect && !suspect
		c.tell()
	}, nil
}

// tell has everybody who waits look again.
func (c *crowd) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// await returns, with the lock held, when it is one's turn.
func (c *crowd) await(ctx context.Context, suspect bool) error {
	patience := time.NewTimer(suspectPatience)
	defer patience.Stop()
	for late := false; c.checked >= c.turns || suspect && (c.suspect || c.others > 0 && !late); {
		changed := c.changed
		c.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-patience.C:
			late = true
		case <-ctx.Done():
			err = ctx.Err()
		}
		c.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// suspect reports whether an address has had many wrong answers lately.
func (g *guesses) suspect(ctx context.Context, r store.Reader, source netip.Addr) (bool, error) {
	if !source.IsValid() {
		return false, nil
	}
	s := []subject{{key: sourceKey(source)}}
	err := loadSubjects(ctx, r, s)
	return s[0].count >= suspectAfter && g.now().Sub(s[0].since) < sourceWindow, err
}

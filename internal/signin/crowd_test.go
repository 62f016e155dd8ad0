package signin

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"countersign/internal/failure"
)

// inLine is how many wait.
func (c *crowd) inLine() int { return len(c.line[known]) + len(c.line[strange]) + len(c.line[suspect]) }

// Whoever comes from an address with a record waits until nobody else does, and
// one at a time; whoever comes from one where somebody was let in is before those of
// whom nothing is known; and what leaves the line lets the next one in.
func TestCrowd(t *testing.T) {
	c := newCrowd(2, 1)
	enter := func(s standing) func() {
		t.Helper()
		leave, err := c.enter(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	var mu sync.Mutex
	var order []string
	var all sync.WaitGroup
	// line has somebody wait, and returns when they are in line.
	line := func(name string, s standing) {
		c.mu.Lock()
		before := c.inLine()
		c.mu.Unlock()
		all.Go(func() {
			leave, err := c.enter(t.Context(), s)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, name)
			mu.Unlock()
			leave()
		})
		for waiting := before; waiting == before; {
			c.mu.Lock()
			waiting = c.inLine()
			c.mu.Unlock()
		}
	}
	first, second := enter(known), enter(suspect)
	line("a guesser", suspect)
	line("somebody new", strange)
	line("another guesser", suspect)
	line("somebody", known)
	second() // a turn is free, and guessers stand on both sides
	all.Wait()
	first()
	if want := []string{"somebody", "somebody new", "a guesser", "another guesser"}; !slices.Equal(order, want) {
		t.Errorf("the order was %v", order)
	}
	if c.checked != [3]int{} || c.inLine() != 0 {
		t.Errorf("something is left of them: %+v", c)
	}
}

// Whoever gives up in the moment in which it is their turn takes it from nobody.
func TestCrowdGivenUp(t *testing.T) {
	c := newCrowd(2, 1)
	for range 1000 {
		gone, cancel := context.WithCancel(t.Context())
		go cancel()
		if leave, err := c.enter(gone, strange); err == nil {
			leave()
		}
	}
	w := &waiter{turn: make(chan struct{})}
	c.checked[suspect]++ // admit has just taken it out of the line
	c.giveUp(w, suspect)
	if c.checked != [3]int{} || c.inLine() != 0 {
		t.Errorf("something is left of them: %+v", c)
	}
}

// A turn is kept for whoever is known, and suspects have one among them.
func TestCrowdKeepsATurn(t *testing.T) {
	waiting := [3][]*waiter{{{}}, {{}}, {{}}}
	for _, c := range []struct {
		checked [3]int
		may     [3]bool // known, strange, suspect
	}{
		{[3]int{}, [3]bool{true, true, true}},
		{[3]int{suspect: 1}, [3]bool{true, true, false}},
		{[3]int{strange: 2}, [3]bool{true, false, false}},
		{[3]int{strange: 1, suspect: 1}, [3]bool{true, false, false}},
		{[3]int{known: 2}, [3]bool{true, true, true}},
		{[3]int{known: 1, strange: 2}, [3]bool{false, false, false}},
	} {
		at := &crowd{turns: 3, kept: 1, checked: c.checked, line: waiting}
		for s := known; s <= suspect; s++ {
			if got := at.may(s); got != c.may[s] {
				t.Errorf("with %v checked, standing %d may: %t", c.checked, s, got)
			}
		}
	}
}

// A second guesser waits although a turn is free, and a line has an end.
func TestCrowdIsBounded(t *testing.T) {
	c := newCrowd(2, 1)
	leave, err := c.enter(t.Context(), suspect)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	results := make(chan error, waitMost)
	for range waitMost {
		go func() {
			_, err := c.enter(gone, suspect)
			results <- err
		}()
	}
	for waiting := 0; waiting < waitMost; {
		c.mu.Lock()
		waiting = c.inLine()
		c.mu.Unlock()
	}
	if _, err := c.enter(t.Context(), suspect); failure.ReasonOf(err) != "busy" || failure.ClassOf(err) != failure.Unavailable {
		t.Errorf("one more: %v", err)
	}
	honest, err := c.enter(t.Context(), known) // there is a turn left, for them alone
	if err != nil {
		t.Errorf("somebody who is known is kept out: %v", err)
	}
	cancel()
	for range waitMost {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	honest()
	leave()
	if c.checked != [3]int{} || c.inLine() != 0 {
		t.Errorf("something is left of them: %+v", c)
	}
}

package signin

import (
	"context"
	"errors"
	"sync"
	"testing"

	"countersign/internal/failure"
)

// Whoever comes from an address with a record waits until nobody else does, and
// one at a time, and what leaves the line lets the next one in.
func TestCrowd(t *testing.T) {
	c := newCrowd(1)
	enter := func(suspect bool) func() {
		t.Helper()
		leave, err := c.enter(t.Context(), suspect)
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	var mu sync.Mutex
	var order []string
	var all sync.WaitGroup
	// line has somebody wait, and returns when they are in line.
	line := func(name string, suspect bool) {
		c.mu.Lock()
		before := c.others + c.suspects
		c.mu.Unlock()
		all.Go(func() {
			leave, err := c.enter(t.Context(), suspect)
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
			waiting = c.others + c.suspects
			c.mu.Unlock()
		}
	}
	first, second := enter(false), enter(true)
	line("a guesser", true)
	line("somebody", false)
	line("another guesser", true)
	second() // a turn is free, and guessers stand on both sides
	for done := false; !done; {
		mu.Lock()
		done = len(order) > 0
		mu.Unlock()
	}
	first()
	all.Wait()
	if len(order) != 3 || order[0] != "somebody" {
		t.Errorf("the order was %v", order)
	}
	if c.checked != 0 || c.others != 0 || c.suspects != 0 || c.suspect {
		t.Errorf("something is left of them: %+v", c)
	}
}

// A second guesser waits although a turn is free, and a line has an end.
func TestCrowdIsBounded(t *testing.T) {
	c := newCrowd(1)
	leave, err := c.enter(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	results := make(chan error, waitMost)
	for range waitMost {
		go func() {
			_, err := c.enter(gone, true)
			results <- err
		}()
	}
	for waiting := 0; waiting < waitMost; {
		c.mu.Lock()
		waiting = c.suspects
		c.mu.Unlock()
	}
	if _, err := c.enter(t.Context(), true); failure.ReasonOf(err) != "busy" || failure.ClassOf(err) != failure.Unavailable {
		t.Errorf("one more: %v", err)
	}
	honest, err := c.enter(t.Context(), false)
	if err != nil {
		t.Errorf("somebody without a record is kept out: %v", err)
	}
	cancel()
	for range waitMost {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	honest()
	leave()
	if c.checked != 0 || c.suspects != 0 || c.suspect {
		t.Errorf("something is left of them: %+v", c)
	}
}

package throttle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"countersign/internal/failure"
)

// inLine is how many wait.
func (c *Queue) inLine() int { return len(c.line[known]) + len(c.line[strange]) + len(c.line[suspect]) }

// Whoever comes from an address with a record waits until nobody else does, and
// one at a time; whoever comes from one where somebody was let in is before those of
// whom nothing is known; and what leaves the line lets the next one in.
func TestQueue(t *testing.T) {
	c := NewQueue(2, 0)
	enter := func(s priority) func() {
		t.Helper()
		leave, err := c.Enter(t.Context(), Position{priority: s})
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	var mu sync.Mutex
	var order []string
	var all sync.WaitGroup
	// line has somebody wait, and returns when they are in line.
	line := func(name string, s priority) {
		c.mu.Lock()
		before := c.inLine()
		c.mu.Unlock()
		all.Go(func() {
			leave, err := c.Enter(t.Context(), Position{priority: s})
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
	if c.checked != [3]int{} || c.inLine() != 0 || len(c.here) != 0 {
		t.Errorf("something is left of them: %+v", c)
	}
}

// Whoever gives up in the moment in which it is their turn takes it from nobody.
func TestQueueGivenUp(t *testing.T) {
	c := NewQueue(3, 1)
	for range 1000 {
		gone, cancel := context.WithCancel(t.Context())
		go cancel()
		if leave, err := c.Enter(gone, Position{priority: strange}); err == nil {
			leave()
		}
	}
	w := &waiter{Position: Position{priority: suspect}, turn: make(chan struct{})}
	c.checked[suspect]++ // admit has just taken it out of the line
	c.here[""]++
	c.giveUp(w)
	if c.checked != [3]int{} || c.inLine() != 0 || len(c.here) != 0 {
		t.Errorf("something is left of them: %+v", c)
	}
}

// A turn is kept for whoever is known, and one for an address without a wrong answer;
// suspects have one among them.
func TestQueueKeepsATurn(t *testing.T) {
	waiting := []*waiter{{Position: Position{priority: known}, rank: 5}, {Position: Position{priority: strange}}, {Position: Position{priority: strange}, rank: 1}, {Position: Position{priority: suspect}}}
	for _, c := range []struct {
		checked [3]int
		may     [4]bool // known, new, mistyped, suspect
	}{
		{[3]int{}, [4]bool{true, true, true, true}},
		{[3]int{suspect: 1}, [4]bool{true, true, true, false}},
		{[3]int{strange: 2}, [4]bool{true, true, false, false}},
		{[3]int{strange: 3}, [4]bool{true, false, false, false}},
		{[3]int{strange: 1, suspect: 1}, [4]bool{true, true, false, false}},
		{[3]int{known: 3}, [4]bool{true, true, true, true}},
		{[3]int{known: 2, strange: 2}, [4]bool{}},
	} {
		at := &Queue{turns: 4, kept: 1, checked: c.checked}
		for i, w := range waiting {
			if got := at.may(w); got != c.may[i] {
				t.Errorf("with %v checked, %d may: %t", c.checked, i, got)
			}
		}
	}
}

// A second guesser waits although a turn is free, and a line has an end.
func TestQueueIsBounded(t *testing.T) {
	c := NewQueue(3, 1)
	leave, err := c.Enter(t.Context(), Position{priority: suspect})
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	results := make(chan error, waitMost)
	for range waitMost {
		go func() {
			_, err := c.Enter(gone, Position{priority: suspect})
			results <- err
		}()
	}
	for waiting := 0; waiting < waitMost; {
		c.mu.Lock()
		waiting = c.inLine()
		c.mu.Unlock()
	}
	if _, err := c.Enter(t.Context(), Position{priority: suspect}); failure.ReasonOf(err) != "busy" || failure.ClassOf(err) != failure.Unavailable {
		t.Errorf("one more: %v", err)
	}
	honest, err := c.Enter(t.Context(), Position{priority: known}) // there is a turn left, for them alone
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
	if c.checked != [3]int{} || c.inLine() != 0 || len(c.here) != 0 {
		t.Errorf("something is left of them: %+v", c)
	}
}

// inOrder has each of these stand in a line behind somebody who has the only turn,
// and returns in which order they had theirs, and who was turned away.
func inOrder(t *testing.T, c *Queue, places []Position) (order []string, away int) {
	t.Helper()
	leave, err := c.Enter(t.Context(), Position{priority: known, source: "first"})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	stood := 0
	for _, p := range places {
		all.Go(func() {
			leave, err := c.Enter(t.Context(), p)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				away++
				return
			}
			order = append(order, p.source)
			leave()
		})
		for stood++; ; {
			c.mu.Lock()
			waiting := c.inLine()
			c.mu.Unlock()
			mu.Lock()
			arrived := waiting + away
			mu.Unlock()
			if arrived == stood {
				break
			}
		}
	}
	leave()
	all.Wait()
	if c.checked != [3]int{} || len(c.here) != 0 {
		t.Errorf("something is left of them: %+v", c)
	}
	return order, away
}

// Of those who stand alike, whoever's address gave fewer wrong answers is first, and
// one that sends many at once is behind one that sends a single one; of the same,
// whoever came first.
func TestQueueIsFair(t *testing.T) {
	order, away := inOrder(t, NewQueue(1, 0), []Position{
		{priority: strange, source: "flood", wrong: 0}, {priority: strange, source: "flood", wrong: 0}, {priority: strange, source: "flood", wrong: 0}, {priority: strange, source: "guesser", wrong: 3}, {priority: strange, source: "new", wrong: 0}, {priority: strange, source: "mistyped", wrong: 1}, {priority: strange, source: "another", wrong: 0},
	})
	if want := []string{"flood", "new", "another", "flood", "mistyped", "flood", "guesser"}; !slices.Equal(order, want) || away != 0 {
		t.Errorf("the order was %v, and %d were turned away", order, away)
	}
}

// Whoever waited too long is next, whatever their address gave, and makes room for
// nobody; whoever made room has nothing to give back.
func TestQueueWaitsForNobodyForever(t *testing.T) {
	late := &waiter{Position: Position{priority: strange, source: "guesser", wrong: 9}, rank: 9, late: true, turn: make(chan struct{})}
	c := NewQueue(1, 0)
	for range waitMost - 1 {
		c.line[strange] = append(c.line[strange], &waiter{Position: Position{priority: strange, source: "new"}, turn: make(chan struct{})})
	}
	c.line[strange] = append(c.line[strange], late)
	if got := c.next(); got != late {
		t.Errorf("next is %+v", got)
	}
	if c.stand(&waiter{Position: Position{priority: strange, source: "newer"}}) || late.out {
		t.Error("whoever waited too long had to make room")
	}
	c.here["guesser"], late.out = 1, true
	c.giveUp(late)
	if c.here["guesser"] != 1 || len(c.line[strange]) != waitMost || c.checked != [3]int{} {
		t.Error("whoever made room gave something back")
	}
}

// Whoever waited in the line before is late in this one at once.
func TestQueueCountsTheLineBefore(t *testing.T) {
	c := NewQueue(1, 0)
	first, err := c.Enter(t.Context(), Position{priority: known})
	if err != nil {
		t.Fatal(err)
	}
	order := make(chan string, 2)
	for _, p := range []Position{Position{priority: strange, source: "waited"}.Arrived(time.Now().Add(-patience)), {priority: known, source: "new"}} {
		go func() {
			leave, err := c.Enter(t.Context(), p)
			if err != nil {
				t.Error(err)
				return
			}
			order <- p.source
			leave()
		}()
	}
	for late := false; !late; { // both are there, and the one is late
		c.mu.Lock()
		late = c.inLine() == 2 && c.line[strange][0].late
		c.mu.Unlock()
	}
	first()
	if got := <-order; got != "waited" {
		t.Errorf("first is %q", got)
	}
	<-order
}

// A line that is full of guessers makes room for somebody who is before them, and for
// nobody who is not.
func TestQueueMakesRoom(t *testing.T) {
	var places []Position
	for range waitMost {
		places = append(places, Position{priority: strange, source: "guesser", wrong: 2})
	}
	order, away := inOrder(t, NewQueue(1, 0), append(places, Position{priority: strange, source: "new"}, Position{priority: strange, source: "guesser", wrong: 2}))
	if len(order) != waitMost || order[0] != "new" || away != 2 {
		t.Errorf("%d had their turn, %q first, and %d were turned away", len(order), order[0], away)
	}
}

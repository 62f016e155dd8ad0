package store

import (
	"context"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestLanesNarrowAndWiden(t *testing.T) {
	ctx := context.Background()
	l := newLanes(8)
	for range 3 {
		l.enter(ctx)
		l.leave(true)
	}
	if l.limit != 1 {
		t.Fatalf("%d lanes after collisions", l.limit)
	}
	l.enter(ctx)
	l.leave(true)
	if l.limit != 1 {
		t.Fatalf("%d lanes: nobody can pass", l.limit)
	}
	for range 8 * perLane * 8 {
		l.enter(ctx)
		l.leave(false)
	}
	if l.limit != 8 {
		t.Errorf("%d lanes after a long peace", l.limit)
	}
}

// Whoever goes away while waiting takes no lane with it.
func TestLanesForgetWhoLeft(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	l := newLanes(1)
	if err := l.enter(gone); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if l.enter(gone) == nil {
				l.leave(false)
			}
		})
	}
	cancel()
	l.leave(false)
	wg.Wait()
	if l.busy != 0 || l.waiting.Len() != 0 {
		t.Errorf("%d busy, %d waiting", l.busy, l.waiting.Len())
	}
}

func TestLanesNeverExceedTheirLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLanes(rapid.IntRange(1, 8).Draw(t, "most"))
		inside := 0
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			if inside < l.limit && rapid.Bool().Draw(t, "enter") {
				l.enter(context.Background())
				inside++
			} else if inside > 0 {
				l.leave(rapid.Bool().Draw(t, "collided"))
				inside--
			}
			if l.busy != inside || l.limit < 1 || l.limit > l.most {
				t.Fatalf("%d busy of %d inside, %d lanes", l.busy, inside, l.limit)
			}
		}
	})
}

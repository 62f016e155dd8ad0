package store

import (
	"container/list"
	"context"
	"sync"
)

// lanes bounds how many transactions run at once on PostgreSQL by how well they
// get along. Serializable transactions that want one row undo each other, and
// the more there are the worse; so each collision halves the lanes, down to one,
// where there is nobody left to collide with in this server, and a run of
// successes opens one more. It begins wide open.
type lanes struct {
	mu      sync.Mutex
	most    int // how many there can be
	limit   int // how many there are
	busy    int // how many are taken
	credit  int // successes since the last change of limit
	waiting list.List
}

// perLane is how many successes each lane must see before one is added.
const perLane = 8

func newLanes(most int) *lanes { return &lanes{most: most, limit: most} }

// enter waits for a lane, in order.
func (l *lanes) enter(ctx context.Context) error {
	l.mu.Lock()
	if l.busy < l.limit && l.waiting.Len() == 0 {
		l.busy++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	e := l.waiting.PushBack(turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-turn: // it came at the same moment: pass it on
		l.busy--
		l.admit()
	default:
		l.waiting.Remove(e)
	}
	return ctx.Err()
}

// leave frees a lane, and tells how it went.
func (l *lanes) leave(collided bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	switch {
	case collided:
		l.limit, l.credit = max(1, l.limit/2), 0
	case l.limit < l.most:
		if l.credit++; l.credit >= perLane*l.limit {
			l.limit, l.credit = l.limit+1, 0
		}
	}
	l.admit()
}

// admit lets in who waits, as far as there are lanes.
func (l *lanes) admit() {
	for l.busy < l.limit && l.waiting.Len() > 0 {
		close(l.waiting.Remove(l.waiting.Front()).(chan struct{}))
		l.busy++
	}
}

// share is how many of those who wait for a transaction one lane should take, so
// that each has as many.
func (l *lanes) share(waiting int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(1+waiting/l.limit, maxBatch)
}

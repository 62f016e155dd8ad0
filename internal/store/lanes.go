package store

import (
	"container/list"
	"context"
	"sync"
)

// lanes limits how many transactions run at once on PostgreSQL. Serializable transactions
// on the same row abort each other, and the more run at once the more do. So each collision
// halves the number of lanes, down to one, and a series of successes adds one. It starts
// with all lanes open.
type lanes struct {
	mu      sync.Mutex
	most    int // highest number of lanes
	limit   int // present number of lanes
	busy    int // lanes in use
	credit  int // successes since the last change of limit
	waiting list.List
}

// perLane is the number of successes of each lane before one is added.
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
	case <-turn: // the turn came at the same moment: pass it on
		l.busy--
		l.admit()
	default:
		l.waiting.Remove(e)
	}
	return ctx.Err()
}

// leave frees a lane. Collided adjusts the number of lanes.
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

// admit gives free lanes to those that wait.
func (l *lanes) admit() {
	for l.busy < l.limit && l.waiting.Len() > 0 {
		close(l.waiting.Remove(l.waiting.Front()).(chan struct{}))
		l.busy++
	}
}

// share returns how many waiting requests one lane should take, so that all lanes take
// about the same number.
func (l *lanes) share(waiting int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(1+waiting/l.limit, maxBatch)
}

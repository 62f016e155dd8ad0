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
	closed  bool
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

// idle enters a lane if all are free, and calls busy, before anybody is told that they are closed.
func (l *lanes) idle(busy func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.busy > 0 || l.waiting.Len() > 0 {
		return false
	}
	l.busy++
	busy()
	return true
}

// close has idle refuse from now on.
func (l *lanes) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
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

// boarding limits how many transactions read ahead and call functions at once, and how many
// of these have not heard of their commit: whoever comes meanwhile shares the next one. So the
// disk of one is waited for while the next one reads, and there are few commits. A transaction
// that waits for a statement which it did not read ahead is not counted any more: it may take
// long, and holds up nobody as long as there are lanes.
type boarding struct{ reading, under chan struct{} }

func newBoarding(most int) boarding {
	return boarding{reading: make(chan struct{}, most), under: make(chan struct{}, 2*most)}
}

// boarded is a transaction that is counted. Its functions may be called again, and by nobody.
type boarded struct{ reading, under func() }

// enter waits until one more is allowed.
func (b boarding) enter() boarded {
	b.under <- struct{}{}
	b.reading <- struct{}{}
	return boarded{sync.OnceFunc(func() { <-b.reading }), sync.OnceFunc(func() { <-b.under })}
}

// commits says that the transaction is about to wait for its commit.
func (b boarded) commits() {
	if b.reading != nil {
		b.reading()
	}
}

// leaves ends it.
func (b boarded) leaves() {
	if b.commits(); b.under != nil {
		b.under()
	}
}

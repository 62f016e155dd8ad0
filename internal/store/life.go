package store

import (
	"context"
	"sync"
	"time"
)

// life is the time during which a database is open. Background work ends with it.
type life struct {
	stop chan struct{}   // closed when background work must end
	ctx  context.Context // ends then, too
	die  context.CancelFunc
	wait sync.WaitGroup
}

func newLife() *life {
	l := &life{stop: make(chan struct{})}
	l.ctx, l.die = context.WithCancel(context.Background())
	return l
}

// background runs f, which must return soon after the end.
func (l *life) background(f func()) { l.wait.Go(f) }

// over reports whether the database is closed.
func (l *life) over() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// pause waits, and reports whether to go on.
func (l *life) pause(d time.Duration) bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// end stops all background work and waits until it has stopped.
func (l *life) end() {
	close(l.stop)
	l.die()
	l.wait.Wait()
}

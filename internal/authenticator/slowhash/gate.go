package slowhash

import (
	"context"
	"runtime"

	"countersign/internal/failure"
)

// Gate admits a few hashes at once, lets a few more wait in line, and turns the
// rest away at once. Hashing is bound by memory, so more at a time would finish
// no sooner, and a flood of passwords would starve what is not hashed.
type Gate struct {
	slots chan struct{} // held while hashing
	line  chan struct{} // held from the door to the end
}

// Slots is how many hashes this machine does at once: one for each CPU but one, so
// that codes, passkeys and checks find one that is not hashing.
func Slots() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// NewGate returns a gate for so many hashes at once and so many waiting. Zero or
// less takes the default: [Slots], and 32 waiting for each of those, about a second's
// worth.
func NewGate(slots, waiting int) *Gate {
	if slots <= 0 {
		slots = Slots()
	}
	if waiting <= 0 {
		waiting = 32 * slots
	}
	return &Gate{slots: make(chan struct{}, slots), line: make(chan struct{}, slots+waiting)}
}

// Enter waits for a slot. Call leave, once, when the hash is done. The error is
// [failure.Busy] when the line is full, and the context's when that ends first.
func (g *Gate) Enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case g.line <- struct{}{}:
	default:
		return nil, failure.Busy
	}
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots; <-g.line }, nil
	case <-ctx.Done():
		<-g.line
		return nil, ctx.Err()
	}
}

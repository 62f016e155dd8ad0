package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"countersign/internal/audit"
)

// ErrHalted is returned for changes after the audit log was found to be truncated,
// replaced or removed. An administrator must accept the log first.
var ErrHalted error = haltedError{}

// haltedError is unavailable to everybody, and says to administrators what it is.
type haltedError struct{}

func (haltedError) Error() string { return "store: the audit log is not as this server left it" }

func (haltedError) Unwrap() error { return ErrUnavailable }

// head is the newest committed state of the log that this server knows, as the table
// audit_tree keeps it. Whatever follows must go on from it: where the stored log does not,
// every change is refused from then on.
type head struct {
	log    *slog.Logger
	shelf  *shelf  // where it is kept over restarts
	memory *memory // what was accepted last of a log that does not go on
	broken bool    // the log is open to be examined: what is kept of it stays as it is

	halted atomic.Pointer[error] // why changes are refused

	mu   sync.Mutex
	edge []byte // nil before anything is known
	// learnt is a state of the log up to which this server has taken in what every entry
	// leaves: it wrote them itself, or has read them.
	learnt []byte
}

// learntEdge is how far the log is learnt.
func (h *head) learntEdge() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.learnt
}

// learntTo notes that all up to a state of the log is taken in.
func (h *head) learntTo(edge []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sizeOf(edge) > sizeOf(h.learnt) {
		h.learnt = edge
	}
}

// unlearn has the log be read from its beginning.
func (h *head) unlearn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.learnt = nil
}

// learntFrom notes that what stands in the log from a size to a state of it is taken in, if
// all before it was. A server alone need not read then what it wrote a moment ago.
func (h *head) learntFrom(from int64, edge []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sizeOf(h.learnt) == from {
		h.learnt = edge
	}
}

// known is the newest state of the log that this server knows, nil for none.
func (h *head) known() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.edge
}

// set replaces what is known, by less or by another log: an administrator accepts it.
func (h *head) set(edge []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.edge = edge
}

// sizeOf is how many entries a tree has, as it is stored; nil has none.
func sizeOf(edge []byte) int64 {
	var t audit.Tree
	if t.UnmarshalBinary(edge) != nil {
		return 0
	}
	return t.Size()
}

// advance notes a state of the log that was committed.
func (h *head) advance(edge []byte) {
	if len(edge) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.edge) < 8 || bytes.Compare(edge[:8], h.edge[:8]) > 0 { // the size comes first
		h.edge = edge
	}
}

// keep puts the newest head on disk, outside the database.
func (h *head) keep() {
	if h.broken || h.refusal() != nil {
		return // it is there, and stays
	}
	if err := h.shelf.keep(h.known()); err != nil {
		h.log.Error("the newest head of the audit log cannot be kept", "error", err)
	}
}

// halt has every change refused from now on. The head that is known is on disk before, and
// stays there: also a restart refuses such a log.
func (h *head) halt(why error) {
	if why == nil || h.halted.Load() != nil {
		return
	}
	h.keep()
	if h.halted.CompareAndSwap(nil, &why) {
		h.log.Error("ALARM: the audit log failed its integrity check; all changes are refused: stop the server and run countersign audit accept",
			"error", why)
	}
}

// haltIf halts where an error says that the log is not as it was left.
func (h *head) haltIf(err error) {
	if errors.Is(err, errTree) || errors.Is(err, errOther) {
		h.halt(err)
	}
}

// resume has changes be taken again: an administrator has accepted the log as it is.
func (h *head) resume() { h.halted.Store(nil) }

// refusal is why changes are refused, nil where they are not.
func (h *head) refusal() error {
	if why := h.halted.Load(); why != nil {
		return fmt.Errorf("%w: %w", ErrHalted, *why)
	}
	return nil
}

// notOurs is what is wrong with a log that does not go on from what is known of it.
func notOurs(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errOther, fmt.Errorf(format, args...))
}

var errOther = errors.New("the audit log was changed from outside")

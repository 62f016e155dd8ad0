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

// head is the newest committed state of the log that this server knows, in the form of the
// table audit_tree. The stored log must continue from it. If it does not, all changes are
// refused from then on.
type head struct {
	log    *slog.Logger
	shelf  *shelf  // keeps it over restarts
	memory *memory // knows which acceptance of a damaged log is the newest
	broken bool    // the database is open for examination: the shelf is not written

	halted atomic.Pointer[error] // why changes are refused

	mu   sync.Mutex
	edge []byte // nil before anything is known
	// learnt is the state of the log up to which this server knows the versions of all
	// entries, because it wrote or read them.
	learnt []byte
}

// learntEdge returns the state up to which the log is learnt.
func (h *head) learntEdge() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.learnt
}

// learntTo notes that everything up to a state of the log is learnt.
func (h *head) learntTo(edge []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sizeOf(edge) > sizeOf(h.learnt) {
		h.learnt = edge
	}
}

// unlearn makes the watch read the log from its beginning.
func (h *head) unlearn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.learnt = nil
}

// learntFrom notes that the entries from a size up to a state are learnt, if everything
// before them is. So a single server need not read what it wrote a moment ago.
func (h *head) learntFrom(from int64, edge []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sizeOf(h.learnt) == from {
		h.learnt = edge
	}
}

// known returns the newest known state of the log, or nil.
func (h *head) known() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.edge
}

// set replaces the known state, also by an earlier one: an administrator accepted the log.
func (h *head) set(edge []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.edge = edge
}

// sizeOf returns the number of entries of a stored tree; nil has none.
func sizeOf(edge []byte) int64 {
	var t audit.Tree
	if t.UnmarshalBinary(edge) != nil {
		return 0
	}
	return t.Size()
}

// advance notes a committed state of the log.
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

// keep writes the newest head to disk, outside the database.
func (h *head) keep() {
	if h.broken || h.refusal() != nil {
		return // the file stays as it is
	}
	if err := h.shelf.keep(h.known()); err != nil {
		h.log.Error("the newest head of the audit log cannot be kept", "error", err)
	}
}

// halt refuses all changes from now on. It first writes the known head to disk, so that
// the log is refused after a restart too.
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

// haltIf halts if the error says that the log is not as it was left.
func (h *head) haltIf(err error) {
	if errors.Is(err, errTree) || errors.Is(err, errOther) {
		h.halt(err)
	}
}

// resume allows changes again, after an administrator accepted the log.
func (h *head) resume() { h.halted.Store(nil) }

// refusal returns why changes are refused, or nil.
func (h *head) refusal() error {
	if why := h.halted.Load(); why != nil {
		return fmt.Errorf("%w: %w", ErrHalted, *why)
	}
	return nil
}

// notOurs is the error for a log that does not continue from the known state.
func notOurs(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errOther, fmt.Errorf(format, args...))
}

var errOther = errors.New("the audit log was changed from outside")

package radius

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Notice is something that somebody should know about: a request that was
// dropped or could not be served. It never holds what was typed.
type Notice struct {
	// Reason is a stable word: "malformed", "unknown-client",
	// "no-message-authenticator", "wrong-message-authenticator", "proxy-state",
	// "overloaded", "clash", "unsupported-method", "stray-state", "breakdown",
	// "no-applications".
	Reason string
	// From is where it came from; zero when no request is meant.
	From netip.AddrPort
	// Client and Application are whose it was, as far as known, and Attempt the
	// engine's correlation id.
	Client, Application, Attempt string
	// Err is the cause of a breakdown, for the log.
	Err error
}

// The rates at which a Notice is passed on, so that a flood of packets is not
// also a flood of log lines: each reason once a minute per address, and 100 a
// minute altogether. The Stats count them all.
const (
	noticeSpan = time.Minute
	noticeMost = 100
)

type subject struct {
	reason string
	from   netip.Addr
}

// limiter lets notices through. It forgets everything each minute.
type limiter struct {
	mu    sync.Mutex
	began time.Time
	seen  map[subject]bool
}

func (l *limiter) allow(s subject, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if age := now.Sub(l.began); l.seen == nil || age < 0 || age >= noticeSpan {
		l.began, l.seen = now, map[subject]bool{}
	}
	if l.seen[s] || len(l.seen) >= noticeMost {
		return false
	}
	l.seen[s] = true
	return true
}

// teller tells whoever listens, at a bounded rate. Nobody listening is nil.
type teller struct {
	hears func(Notice)
	most  limiter
}

func (t *teller) notice(n Notice, now time.Time) {
	if t.hears != nil && t.most.allow(subject{n.Reason, n.From.Addr()}, now) {
		t.hears(n)
	}
}

// drop counts a request that gets no answer, and tells why.
func (s *Server) drop(counter *atomic.Uint64, n Notice, now time.Time) {
	counter.Add(1)
	s.told.notice(n, now)
}

// logged writes notices to a log: a breakdown of this server as an error, and as a warning
// what an administrator mends at a client, such as a wrong secret. A nil log hears nothing.
func logged(log *slog.Logger) func(Notice) {
	if log == nil {
		return nil
	}
	return func(n Notice) {
		level := slog.LevelWarn
		if n.Reason == "breakdown" || n.Reason == "no-applications" {
			level = slog.LevelError
		}
		log.Log(context.Background(), level, "a RADIUS request was not served", "reason", n.Reason, "from", n.From.String(), "client", n.Client, "application", n.Application, "attempt", n.Attempt, "error", n.Err)
	}
}

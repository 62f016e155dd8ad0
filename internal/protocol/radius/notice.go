package radius

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/protocol"
)

// Notice is something that somebody should know about: a request that was
// dropped or could not be served. It never holds what was typed.
type Notice struct {
	// Reason is a stable word, a key of mends.
	Reason string
	// From is where it came from; zero when no request is meant.
	From netip.AddrPort
	// Client and Application are whose it was, as far as known, and Attempt the
	// engine's correlation id.
	Client, Application, Attempt string
	// Err is the cause of a breakdown, for the log.
	Err error
}

// mends says of each reason what is wrong and how to mend it.
var mends = map[string]string{
	"malformed":                   "What came is no RADIUS request, or an attribute that may be there once is there twice; look at what sends to this port.",
	"malformed-password":          "The User-Password has a length that RFC 2865 does not allow (1 to 128 octets, hidden in blocks of 16); look for a newer version of the client.",
	"unknown-client":              "No application has this address, port and NAS-Identifier; add the address that the request comes from to the networks of a client.",
	"no-message-authenticator":    "The request has no Message-Authenticator; switch it on at the equipment (often called BlastRADIUS protection or require-message-authenticator).",
	"wrong-message-authenticator": "The Message-Authenticator is wrong, so the shared secret differs; type the same secret at the equipment and here.",
	"expired-exception":           "The request has no Message-Authenticator, and the client's exception is over; switch Message-Authenticator on at the equipment, or renew the exception.",
	"proxy-state":                 "The request has no Message-Authenticator, and more or longer Proxy-States than the exception covers; have the proxy add a Message-Authenticator, or set proxy_states.",
	"other-code":                  "Only Access-Request and Status-Server are answered here; send accounting and changes of authorization to another server.",
	"chap":                        "The equipment asks by CHAP, with which a code cannot be checked; set it to PAP.",
	"ms-chap":                     "The equipment asks by MS-CHAP, with which a code cannot be checked; set it to PAP.",
	"eap":                         "The equipment asks by EAP, which is not supported; set it to PAP.",
	"arap":                        "The equipment asks by ARAP, which is not supported; set it to PAP.",
	"stray-state":                 "The State of the answer is unknown, too old or another client's, or the application does not ask questions; send the State of the last challenge back unchanged, from the same NAS and under the same name.",
	"clash":                       "The client used a Request Authenticator twice for different requests; look for a newer version of the client.",
	"overloaded":                  "More requests come than are served, so that some are dropped; look at the load of this server and of its database.",
	"late":                        "The request waited longer than the equipment does; raise the equipment's timeout and the application's, and look at the load of this server.",
	"breakdown":                   "This server failed to decide; the error is in its log.",
	"no-applications":             "The applications cannot be read, so that every request is dropped; look at the database.",
	"not-served":                  "The settings of the application, or of one of its clients, are not in use.",
}

// mend is the sentence of a notice, or what is wrong with settings that are not served.
func (n Notice) mend() string {
	if n.Reason == "not-served" && n.Err != nil {
		return n.Err.Error()
	}
	return mends[n.Reason]
}

// The rates at which a Notice is passed on, so that a flood of packets is not
// also a flood of log lines: each reason once a minute per address, and 100 a
// minute altogether. The Stats count them all.
const (
	noticeSpan = time.Minute
	noticeMost = 100
)

type subject struct {
	reason, application string
	from                netip.Addr
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
	ears  *protocol.Ears
	most  limiter
}

func (t *teller) notice(n Notice, now time.Time) {
	t.ears.Miss(protocol.Trouble{Protocol: Protocol, Cause: n.Reason, Mend: n.mend(), Application: n.Application, Client: n.Client, From: n.From.Addr().Unmap()}, now)
	if t.hears != nil && t.most.allow(subject{n.Reason, n.Application, n.From.Addr()}, now) {
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
		log.Log(context.Background(), level, "a RADIUS request was not served: "+n.mend(), "reason", n.Reason, "from", n.From.String(), "client", n.Client, "application", n.Application, "attempt", n.Attempt, "error", n.Err)
	}
}

package protocol

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Trouble is a request that a protocol did not serve, for an administrator who wants to
// know why. It holds nothing that anybody typed.
type Trouble struct {
	// Protocol and Cause are stable words: "radius", "wrong-message-authenticator".
	Protocol string `json:"-"`
	Cause    string `json:"cause"`
	// Mend is one sentence that says what is wrong and what to do.
	Mend string `json:"mend"`
	// Application and Client are from the settings, empty where unknown.
	Application string `json:"-"`
	Client      string `json:"client,omitempty"`
	// From is the address that it came from; it can be forged where the protocol does
	// not prove it.
	From netip.Addr `json:"from,omitzero"`
}

// subject is what sums are kept by. All of it is from settings and lists of words, never
// from a request, so that no sender can make more of them.
type subject struct{ protocol, cause, application, client string }

// Unserved is how often requests were not served for one cause, between two moments.
type Unserved struct {
	Trouble           // the latest
	Count   int       `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	owed    Owed
	told    time.Time
	logged  time.Time
}

// Owed is what of an [Unserved] no audit entry tells yet.
type Owed struct {
	Trouble
	Count       int
	First, Last time.Time
}

const (
	// TellEvery is the shortest time between two audit entries about one cause.
	TellEvery = 10 * time.Minute
	// mostUnserved bounds the sums that are kept; further causes are not summed up.
	mostUnserved = 1000
)

// Ears hear how applications fare: when each asked last, and what was not served. They
// remember it since this server started, and not what other servers heard. A nil *Ears
// hears nothing. It is safe for concurrent use.
type Ears struct {
	// heard are the moments by application, as *atomic.Int64 in nanoseconds: every request
	// notes its own, and none waits for another.
	heard sync.Map
	mu    sync.Mutex // of sums
	sums  map[subject]*Unserved
}

// NewEars returns ears that have heard nothing.
func NewEars() *Ears { return &Ears{sums: map[subject]*Unserved{}} }

// Hear notes that an application, which the catalogue has, sent a request that is believed
// to be its own.
func (e *Ears) Hear(application string, now time.Time) {
	if e == nil {
		return
	}
	last, ok := e.heard.Load(application)
	if !ok {
		last, _ = e.heard.LoadOrStore(application, new(atomic.Int64))
	}
	last.(*atomic.Int64).Store(now.UnixNano())
}

// logEvery is the shortest time between two lines in the server's log about one cause.
const logEvery = time.Minute

// Miss counts a request that was not served. It reports whether that is worth a line in the
// server's log: of each cause once a minute.
func (e *Ears) Miss(t Trouble, now time.Time) (log bool) {
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	k := subject{t.Protocol, t.Cause, t.Application, t.Client}
	u := e.sums[k]
	if u == nil {
		if len(e.sums) >= mostUnserved {
			return false
		}
		u = &Unserved{First: now}
		e.sums[k] = u
	}
	u.Trouble, u.Last = t, now
	u.Count++
	if u.owed.Count == 0 {
		u.owed.First = now
	}
	u.owed.Trouble, u.owed.Last = t, now
	u.owed.Count++
	if age := now.Sub(u.logged); age >= 0 && age < logEvery {
		return false
	}
	u.logged = now
	return true
}

// Of returns when an application was heard last, zero for never, and what of its requests
// was not served, the latest first.
func (e *Ears) Of(application string) (heard time.Time, unserved []Unserved) {
	if e == nil {
		return time.Time{}, nil
	}
	if last, ok := e.heard.Load(application); ok {
		heard = time.Unix(0, last.(*atomic.Int64).Load()).UTC()
	}
	return heard, e.those(func(s subject) bool { return s.application == application })
}

// Strays returns what was not served of a protocol's requests that no application is known
// of, the latest first: where a client has another address, or a host is not listed.
func (e *Ears) Strays(protocol string) []Unserved {
	if e == nil {
		return nil
	}
	return e.those(func(s subject) bool { return s.application == "" && s.protocol == protocol })
}

// those are the sums of some subjects, the latest first.
func (e *Ears) those(of func(subject) bool) (unserved []Unserved) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, u := range e.sums {
		if of(k) {
			unserved = append(unserved, *u)
		}
	}
	slices.SortFunc(unserved, func(a, b Unserved) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.Client, b.Client))
	})
	return unserved
}

// TellOwed hands over what no audit entry tells yet: of each cause at once the first time,
// and then a sum each [TellEvery]; all of it if rest is set. What cannot be written down
// is owed still.
func (e *Ears) TellOwed(now time.Time, rest bool, write func([]Owed) error) error {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	var due []Owed
	taken := map[*Unserved]Owed{}
	for _, u := range e.sums {
		if age := now.Sub(u.told); u.owed.Count > 0 && (rest || age < 0 || age >= TellEvery) {
			due, taken[u] = append(due, u.owed), u.owed
			u.owed = Owed{}
		}
	}
	e.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	slices.SortFunc(due, func(a, b Owed) int { return a.First.Compare(b.First) })
	err := write(due)
	e.mu.Lock()
	defer e.mu.Unlock()
	for u, o := range taken {
		if err == nil {
			u.told = now
			continue
		}
		if u.owed.Count == 0 {
			u.owed = o
			continue
		}
		u.owed.Count, u.owed.First = u.owed.Count+o.Count, o.First
	}
	return err
}

package radius

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/application"
)

// fresh is how long the cache is used before the catalogue is asked again, even if it
// reports no change. A server that is cut off from the store notices it this way, and
// refuses.
const fresh = time.Second

// cachedClients is a client table and what it was built from. The table is nil if the
// catalogue could not be read.
type cachedClients struct {
	*clientTable
	applications []application.Application
	changed      uint64
	checked      time.Time
}

func (v *cachedClients) current(changed uint64, now time.Time) bool {
	age := now.Sub(v.checked)
	return v.changed == changed && age >= 0 && age < fresh
}

// clientCache keeps the client table that is in use, and makes the next one.
type clientCache struct {
	applications Catalogue
	told         *teller
	latest       atomic.Pointer[cachedClients]
	renewing     sync.Mutex
}

// clients returns the client table as it is now, or nil when it cannot be read.
func (s *clientCache) clients(now time.Time) *clientTable {
	v := s.latest.Load()
	if v == nil || !v.current(s.applications.Changed(), now) {
		v = s.renew(now)
	}
	return v.clientTable
}

// renew reads the catalogue again. One goroutine does; the others wait for it.
func (s *clientCache) renew(now time.Time) *cachedClients {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	old, changed := s.latest.Load(), s.applications.Changed()
	if old != nil && old.current(changed, now) {
		return old
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	v := &cachedClients{changed: changed, checked: now}
	list, err := s.applications.ByProtocol(ctx, Protocol)
	switch {
	case err != nil:
		s.told.notice(Notice{Reason: "no-applications", Err: err}, now)
	case old != nil && old.clientTable != nil && slices.EqualFunc(list, old.applications, same):
		v.clientTable, v.applications = old.clientTable, old.applications
	default:
		v.clientTable, v.applications = build(list), list
		for _, p := range v.problems {
			s.told.notice(Notice{Reason: "not-served", Application: p.Application, Err: errors.New(p.Why)}, now)
		}
	}
	s.latest.Store(v)
	return v
}

func same(a, b application.Application) bool {
	return a.ID == b.ID && a.Name == b.Name && bytes.Equal(a.Settings, b.Settings)
}

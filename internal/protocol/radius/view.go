package radius

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/application"
)

// fresh is for how long a view is used before the catalogue is asked again,
// whether it says that it changed or not: a server that is cut off from the
// store finds out this way, and refuses.
const fresh = time.Second

// view is a house and what it was built from. A nil house is a catalogue that
// could not be read.
type view struct {
	*clientTable
	applications []application.Application
	changed      uint64
	checked      time.Time
}

func (v *view) current(changed uint64, now time.Time) bool {
	age := now.Sub(v.checked)
	return v.changed == changed && age >= 0 && age < fresh
}

// views keeps the view that is in use, and makes the next one.
type views struct {
	applications Catalogue
	told         *teller
	latest       atomic.Pointer[view]
	renewing     sync.Mutex
}

// house returns every door as it is now, or nil when that cannot be known.
func (s *views) house(now time.Time) *clientTable {
	v := s.latest.Load()
	if v == nil || !v.current(s.applications.Changed(), now) {
		v = s.renew(now)
	}
	return v.clientTable
}

// renew reads the catalogue again. One goroutine does; the others wait for it.
func (s *views) renew(now time.Time) *view {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	old, changed := s.latest.Load(), s.applications.Changed()
	if old != nil && old.current(changed, now) {
		return old
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	v := &view{changed: changed, checked: now}
	list, err := s.applications.ByProtocol(ctx, Protocol)
	switch {
	case err != nil:
		s.told.notice(Notice{Reason: "no-applications", Err: err}, now)
	case old != nil && old.clientTable != nil && slices.EqualFunc(list, old.applications, same):
		v.clientTable, v.applications = old.clientTable, old.applications
	default:
		v.clientTable, v.applications = build(list), list
	}
	s.latest.Store(v)
	return v
}

func same(a, b application.Application) bool {
	return a.ID == b.ID && a.Name == b.Name && bytes.Equal(a.Settings, b.Settings)
}

package radius

import (
	"bytes"
	"context"
	"slices"
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
	*house
	applications []application.Application
	changed      uint64
	checked      time.Time
}

func (v *view) current(changed uint64, now time.Time) bool {
	age := now.Sub(v.checked)
	return v.changed == changed && age >= 0 && age < fresh
}

// house returns every door as it is now, or nil when that cannot be known.
func (s *Server) house(now time.Time) *house {
	v := s.view.Load()
	if v == nil || !v.current(s.applications.Changed(), now) {
		v = s.renew(now)
	}
	return v.house
}

// renew reads the catalogue again. One goroutine does; the others wait for it.
func (s *Server) renew(now time.Time) *view {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	old, changed := s.view.Load(), s.applications.Changed()
	if old != nil && old.current(changed, now) {
		return old
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	v := &view{changed: changed, checked: now}
	list, err := s.applications.ByProtocol(ctx, Protocol)
	switch {
	case err != nil:
		s.notice(Notice{Reason: "no-applications", Err: err}, now)
	case old != nil && old.house != nil && slices.EqualFunc(list, old.applications, same):
		v.house, v.applications = old.house, old.applications
	default:
		v.house, v.applications = build(list), list
	}
	s.view.Store(v)
	return v
}

func same(a, b application.Application) bool {
	return a.ID == b.ID && a.Name == b.Name && bytes.Equal(a.Settings, b.Settings)
}

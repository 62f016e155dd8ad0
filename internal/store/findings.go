package store

import (
	"strings"
	"sync"
	"time"
)

const (
	// findingsMost bounds how many findings are kept in mind. Whoever alters more rows has
	// one alarm more for each table, which stands for the rest.
	findingsMost = 10_000
	// Rest is the row of the alarm that stands for all further ones.
	Rest = "more"
)

// findings is what this server found wrong with rows since it started.
type findings struct {
	mu    sync.Mutex
	found map[string]*found
	// log and rows say that a whole round has gone by since the start.
	log, rows bool
}

// found is a finding of this server's.
type found struct {
	Alarm
	last     time.Time // when it was found last
	recorded bool
	seen     bool
	anew     bool // it was not there in between
}

// add keeps a finding in mind, and reports whether it is news.
func (s *findings) add(f *Finding, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found == nil {
		s.found = make(map[string]*found)
	}
	old := s.found[f.name()]
	if old == nil && len(s.found) >= findingsMost {
		*f = Finding{Table: f.Table, Row: Rest, Wrong: f.Wrong}
		old = s.found[f.name()]
	}
	if old != nil {
		old.last = time.Now()
		return false
	}
	whole := s.rows
	if ofLog(f.Table) {
		whole = s.log
	}
	s.found[f.name()] = &found{Alarm: Alarm{*f, now}, last: time.Now(), anew: whole}
	return true
}

// ofLog reports whether the watch looks at a table.
func ofLog(table string) bool { return strings.HasPrefix(table, "audit_") }

// swept ends a round over the rows, or over the log, that began at this time.
func (s *findings) swept(log bool, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if log {
		s.log = true
	} else {
		s.rows = true
	}
	for name, f := range s.found {
		if ofLog(f.Table) == log && f.recorded && f.last.Before(began) {
			delete(s.found, name)
		}
	}
}

// due lists what could not be recorded.
func (s *findings) due() (out []Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.found {
		if !f.recorded {
			out = append(out, f.Finding)
		}
	}
	return out
}

func (s *findings) note(name string, set func(*found)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.found[name]; f != nil {
		set(f)
	}
}

// named returns a finding, and nil for none. What it holds changes only under the lock, and
// anew only by whoever records it.
func (s *findings) named(name string) *found {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found[name]
}

// unseen are this server's findings that nobody has seen.
func (s *findings) unseen() map[string]Alarm {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]Alarm)
	for name, f := range s.found {
		if !f.seen {
			out[name] = f.Alarm
		}
	}
	return out
}

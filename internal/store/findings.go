package store

import (
	"strings"
	"sync"
	"time"
)

const (
	// findingsMost limits how many findings are remembered. Beyond it there is one more
	// alarm for each table, which stands for the rest.
	findingsMost = 10_000
	// Rest is the row of the alarm that stands for all further rows.
	Rest = "more"
)

// findings are the rows that this server found to be wrong since it started.
type findings struct {
	mu    sync.Mutex
	found map[string]*found
	// log and rows report whether a complete round has ended since the start.
	log, rows bool
}

// found is one finding of this server.
type found struct {
	Alarm
	last     time.Time // when it was found last
	recorded bool
	seen     bool
	anew     bool // it was correct in between
}

// add remembers a finding, and reports whether it is new.
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

// ofLog reports whether the watch checks a table.
func ofLog(table string) bool { return strings.HasPrefix(table, "audit_") }

// swept ends a round over the rows or over the log that began at this time.
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

// due lists the findings that were not recorded yet.
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

// named returns a finding, or nil. Its fields change only under the lock, and anew only in
// the recorder.
func (s *findings) named(name string) *found {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found[name]
}

// unseen returns the findings of this server that no administrator has seen.
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

package store

import (
	"sync"
	"time"
)

// memory is what this server knows of the newest version of rows, from its own changes and
// from the entries of others'. It only grows: what is lower is older. It is kept outside
// the database (see [shelf]), so that a restart forgets nothing.
type memory struct {
	mu     sync.Mutex
	rows   [len(numbered)]pages // of the kinds whose numbers follow each other
	others map[uint64]int64     // of all other kinds
	ended  map[uint64]int64     // what is over, and until when, in seconds
	lately map[uint64]time.Time // when the newest version became known, for as long as that matters
	swept  time.Time
}

// readsTake is longer than anything takes from when a row was read until it is compared.
const readsTake = 2 * time.Minute

// numbered are the kinds of which there may be millions.
var numbered = [...]string{"account", "credential"}

func (m *memory) page(kind string) *pages {
	for i, k := range numbered {
		if k == kind {
			return &m.rows[i]
		}
	}
	return nil
}

func keyOf(kind, name string) uint64 { return uint64(NumberOf(kind + "/" + name)) }

// keyOfNumber mixes a kind with a number, which may itself be random.
func keyOfNumber(kind string, number int64) uint64 {
	h := uint64(14695981039346656037) // FNV-1a; the numbers are ours, nobody chooses them
	for i := range len(kind) {
		h = (h ^ uint64(kind[i])) * 1099511628211
	}
	for s := 0; s < 64; s += 8 {
		h = (h ^ uint64(byte(number>>s))) * 1099511628211
	}
	return h
}

func (m *memory) newest(kind string, number int64) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.page(kind); p != nil {
		return p.get(number)
	}
	return m.others[keyOfNumber(kind, number)]
}

func (m *memory) over(kind, name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, over := m.ended[keyOf(kind, name)]
	return over
}

// overtaken reports whether the newest version of a row became so just now, so that
// whoever has read an older one may have read it before.
func (m *memory) overtaken(kind string, number int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.lately[keyOfNumber(kind, number)]
	return ok && time.Since(at) < readsTake
}

// learn takes in what a change left, and returns those that were news.
func (m *memory) learn(stamps []stamp, now time.Time) (news []stamp) {
	if len(stamps) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.others == nil {
		m.others, m.ended = map[uint64]int64{}, map[uint64]int64{}
	}
	if m.lately == nil {
		m.lately = map[uint64]time.Time{}
	}
	for _, s := range stamps {
		if m.take(s, now) {
			news = append(news, s)
		}
	}
	m.forget(now)
	return news
}

func (m *memory) take(s stamp, now time.Time) bool {
	if s.name != "" {
		key := keyOf(s.kind, s.name)
		_, known := m.ended[key]
		if s.until.After(now) {
			m.ended[key] = max(m.ended[key], s.until.Unix()+1)
		}
		return !known
	}
	key := keyOfNumber(s.kind, s.number)
	if p := m.page(s.kind); p != nil {
		if !p.raise(s.number, s.version) {
			return false
		}
	} else if m.others[key] >= s.version {
		return false
	} else {
		m.others[key] = s.version
	}
	m.lately[key] = time.Now()
	return true
}

// forget drops what nobody gains by any more, once a minute.
func (m *memory) forget(now time.Time) {
	if now.Sub(m.swept) < time.Minute {
		return
	}
	m.swept = now
	for key, at := range m.lately {
		if time.Since(at) > readsTake {
			delete(m.lately, key)
		}
	}
	for key, until := range m.ended {
		if until < now.Unix() {
			delete(m.ended, key)
		}
	}
}

package store

import (
	"sync"
	"time"
)

// memory holds the newest known versions of rows, from the changes of this server and from
// the entries of others. Versions only grow. It is kept outside the database, in the
// [shelf], so that a restart forgets nothing.
type memory struct {
	mu      sync.Mutex
	rows    [len(numbered)]pages // of the kinds with consecutive numbers
	others  map[uint64]int64     // of all other kinds
	ended   map[uint64]int64     // what is over, and until when that matters, in seconds
	lately  lately
	changed uint64 // counts what was learnt
	swept   time.Time
}

// numbered are the kinds that may have millions of rows.
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
	return m.get(kind, number)
}

func (m *memory) get(kind string, number int64) int64 {
	if p := m.page(kind); p != nil {
		return p.get(number)
	}
	return m.others[keyOfNumber(kind, number)]
}

// since also reports whether that was learnt so recently that a caller may still hold a row
// that it read before.
func (m *memory) since(kind string, number int64) (newest int64, lately bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.get(kind, number), m.lately.has(keyOfNumber(kind, number), time.Now())
}

func (m *memory) over(kind, name string) bool {
	key := keyOf(kind, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	_, over := m.ended[key]
	return over
}

// learn takes the versions that a change left, and returns the new ones.
func (m *memory) learn(stamps []stamp, now time.Time) (news []stamp) {
	if len(stamps) == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.others == nil {
		m.others, m.ended = map[uint64]int64{}, map[uint64]int64{}
	}
	for _, s := range stamps {
		if m.take(s, now) {
			news = append(news, s)
			m.changed++
		}
	}
	m.forget(now)
	return news
}

func (m *memory) take(s stamp, now time.Time) bool {
	if s.name != "" {
		return m.end(keyOf(s.kind, s.name), s.until, now)
	}
	key := keyOfNumber(s.kind, s.number)
	if p := m.page(s.kind); p != nil {
		if !p.raise(s.number, s.version) {
			return false
		}
	} else {
		if m.others[key] >= s.version {
			return false
		}
		m.others[key] = s.version
	}
	m.lately.add(key, time.Now())
	return true
}

// end notes what is over, unless it has expired by now.
func (m *memory) end(key uint64, until, now time.Time) bool {
	if !until.After(now) {
		return false
	}
	was, known := m.ended[key]
	if u := until.Unix() + 1; u > was {
		m.ended[key] = u
	}
	return !known
}

// forget drops what has expired, once a minute.
func (m *memory) forget(now time.Time) {
	if d := now.Sub(m.swept); d >= 0 && d < time.Minute {
		return
	}
	m.swept = now
	for key, until := range m.ended {
		if until < now.Unix() {
			delete(m.ended, key)
		}
	}
}

// damaged reports whether a page could not be read from disk since the last call.
func (m *memory) damaged() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	var damaged bool
	for i := range m.rows {
		damaged = damaged || m.rows[i].broken
		m.rows[i].broken = false
	}
	return damaged
}

const (
	// readsTake is longer than the time between reading a row and comparing its version.
	readsTake = 2 * time.Minute
	// latelyMost limits how many rows are remembered as changed recently. Beyond it, all
	// rows count as such.
	latelyMost = 20_000
)

// lately are the rows that were learnt recently: in the last readsTake, and at most twice
// that.
type lately struct {
	now, before map[uint64]bool
	turned      time.Time
}

func (l *lately) turn(at time.Time) {
	d := at.Sub(l.turned)
	if d < readsTake && l.now != nil {
		return
	}
	l.before, l.now, l.turned = l.now, make(map[uint64]bool), at
	if d >= 2*readsTake {
		l.before = nil
	}
}

func (l *lately) add(key uint64, at time.Time) {
	l.turn(at)
	if len(l.now) < latelyMost {
		l.now[key] = true
	}
}

func (l *lately) has(key uint64, at time.Time) bool {
	l.turn(at)
	return l.now[key] || l.before[key] || len(l.now) == latelyMost || len(l.before) == latelyMost
}

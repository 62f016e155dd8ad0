package policy

import "sync"

// manyDecisions is how many are remembered before all are forgotten: under a
// document that reads names there is one for each account.
const manyDecisions = 10_000

// decided are the Decisions of one Policy by their keys. A key holds all that
// the rules read, so nothing of it ever goes stale.
type decided struct {
	mu    sync.RWMutex
	byKey map[string]Decision
}

func (m *decided) get(key string) (Decision, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	d, ok := m.byKey[key]
	return d, ok
}

func (m *decided) keep(key string, d Decision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byKey == nil || len(m.byKey) >= manyDecisions {
		m.byKey = map[string]Decision{}
	}
	m.byKey[key] = d
}

package overview

import (
	"context"
	"sync"
	"time"

	"countersign/internal/directory"
	"countersign/internal/store"
)

const (
	// manyPeople is from how many accounts on they are not counted anew for each overview:
	// counting reads every account and its authenticators.
	manyPeople = 50_000
	// countedFor is how long a count of so many is told.
	countedFor = time.Minute
)

// people counts accounts by their state. It is safe for concurrent use: with many accounts one
// overview counts, and those that come meanwhile wait for its count.
type people struct {
	accounts *directory.Accounts
	rows     store.View
	dormant  time.Duration
	now      func() time.Time
	many     int64 // see manyPeople

	mu   sync.Mutex
	last headcount
}

// headcount is how many accounts there are of each state, and when they were counted.
type headcount struct {
	at                                                 time.Time
	all, withoutTwoFactors, dormant, suspended, atRisk int64
}

// count returns how many there are: now, or with many accounts at most [countedFor] ago.
func (p *people) count(ctx context.Context) (headcount, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if age := now.Sub(p.last.at); p.last.all >= p.many && age >= 0 && age < countedFor {
		return p.last, nil
	}
	n, err := p.accounts.CountEach(ctx, p.rows, directory.Which{Woken: now.Add(-p.dormant), Now: now},
		"", directory.WithoutTwoFactors, directory.Dormant, directory.Suspended, directory.AtRisk)
	if err != nil {
		return headcount{}, err
	}
	p.last = headcount{at: now, all: n[0], withoutTwoFactors: n[1], dormant: n[2], suspended: n[3], atRisk: n[4]}
	return p.last, nil
}

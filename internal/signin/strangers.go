package signin

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// Strangers keeps strangers from filling the log. What is nonsense - a ticket that
// leads nowhere, a call that no app of ours signed - it counts in memory, and of wrong
// answers by somebody who has shown nothing it lets so many have entries of their own
// and counts the rest. Of what it counted there is one entry a minute for each reason,
// account and neighbourhood, with how often, from when and until when. It is safe for
// concurrent use.
type Strangers struct {
	db   *store.DB
	now  func() time.Time
	told *throttle.Meter // entries of their own
	rows *throttle.Meter // attempts that are too long for their ticket

	mu    sync.Mutex
	since time.Time // of the first in sums
	sums  map[sumKey]*sum
}

// sumEvery is how long refusals are counted before they are summed up.
const sumEvery = time.Minute

// How many entries a minute strangers cause at most on one server. With all of them
// taken, an hour of strangers is some ten megabytes of log.
const (
	toldOfSource  = 30  // of their own, from one neighbourhood
	toldOfNobody  = 60  // of their own, for names that nobody has
	toldOfPeople  = 120 // of their own, for names that somebody has
	sumsOfSources = 60  // sums that name their neighbourhood
	sumsOfAll     = 120 // sums that name an account
	rowsOfPartner = 600 // attempts of one client that are too long for its State
)

// sumKey is what refusals are counted by.
type sumKey struct {
	event, reason, application, protocol, source, partner, authenticator, name string
	account                                                                    int64
}

// sum is how often, and what the first was.
type sum struct {
	entry       audit.Entry
	count       int64
	first, last time.Time
}

func newStrangers(db *store.DB, now func() time.Time) *Strangers {
	return &Strangers{db: db, now: now, told: throttle.NewMeter(sumEvery), rows: throttle.NewMeter(sumEvery), sums: map[sumKey]*sum{}}
}

// neighbourhood is where an entry says it came from, as limits count it.
func neighbourhood(source string) string {
	a, err := netip.ParseAddr(source)
	if err != nil {
		return source
	}
	return throttle.Neighbourhood(a)
}

// tells reports whether a refusal may have an entry of its own.
func (s *Strangers) tells(en audit.Entry) bool {
	now := s.now()
	whose, most := "nobody", toldOfNobody
	if en.Account != 0 {
		whose, most = "people", toldOfPeople
	}
	return s.told.Take(now, "source "+cmp.Or(neighbourhood(en.Source), en.Detail["partner"]), toldOfSource) && s.told.Take(now, whose, most)
}

// roomFor reports whether one more attempt that is too long for its State may be a row.
func (s *Strangers) roomFor(partner string) bool {
	return s.rows.Take(s.now(), partner, rowsOfPartner)
}

// record writes down a refusal in a change, if it may have an entry of its own, and
// counts it once the change is written otherwise. A change that did more than chores
// always has one: what a wrong answer uses up and whoever it is charged to do not depend
// on what noise there is.
func (s *Strangers) record(tx *store.Tx, en audit.Entry) error {
	if s.tells(en) || tx.Beyond() {
		return tx.Record(en)
	}
	tx.Unrecorded()
	tx.AfterCommit(func() { s.Count(en) })
	return nil
}

// Count counts a refusal of somebody who has shown nothing, for an entry that sums up.
// Of the entry's details the authenticator stays, and the partner where the source is
// not known.
func (s *Strangers) Count(en audit.Entry) {
	now := s.now()
	key := sumKey{event: en.Event, reason: en.Reason, application: en.Application, protocol: en.Protocol, source: neighbourhood(en.Source), authenticator: en.Detail["authenticator"], account: en.Account}
	if key.source == "" {
		key.partner = en.Detail["partner"]
	}
	if en.Account != 0 {
		key.name = en.AccountName
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sums[key] == nil && len(s.sums) >= sumsOfSources {
		key.source, key.partner, key.authenticator = "", "", ""
	}
	if s.sums[key] == nil && len(s.sums) >= sumsOfAll {
		key = sumKey{event: key.event, reason: key.reason}
	}
	if len(s.sums) == 0 {
		s.since = now
	}
	c := s.sums[key]
	if c == nil {
		c = &sum{entry: audit.Entry{Event: key.event, Outcome: audit.Refused, Reason: key.reason, Account: key.account, AccountName: key.name,
			Application: key.application, Protocol: key.protocol, Source: key.source, Detail: map[string]string{"authenticator": key.authenticator, "partner": key.partner}, Actor: audit.Actor{Name: "strangers", Via: cmp.Or(key.protocol, "countersign")}}, first: now}
		s.sums[key] = c
	}
	c.count, c.last = c.count+1, now
}

// sweep sums up what was counted for a minute.
func (s *Strangers) sweep(ctx context.Context) error {
	s.mu.Lock()
	age := s.now().Sub(s.since)
	s.mu.Unlock()
	if age >= 0 && age < sumEvery {
		return nil
	}
	return s.SumUp(ctx)
}

// SumUp writes down what was counted so far, for who reads the log or stops the
// server. What cannot be written stays counted.
func (s *Strangers) SumUp(ctx context.Context) error {
	s.mu.Lock()
	sums, since := s.sums, s.since
	s.sums = map[sumKey]*sum{}
	s.mu.Unlock()
	if len(sums) == 0 {
		return nil
	}
	err := s.db.Change(ctx, audit.Actor{Name: "strangers", Via: "countersign"}, func(tx *store.Tx) error {
		for _, key := range slices.SortedFunc(maps.Keys(sums), compareSums) {
			if err := tx.Record(sums[key].summed()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.putBack(sums, since)
	}
	return err
}

func compareSums(a, b sumKey) int {
	return cmp.Or(cmp.Compare(a.event, b.event), cmp.Compare(a.reason, b.reason), cmp.Compare(a.account, b.account), cmp.Compare(a.source, b.source),
		cmp.Compare(a.application, b.application), cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.partner, b.partner), cmp.Compare(a.authenticator, b.authenticator))
}

// putBack counts again what could not be written.
func (s *Strangers) putBack(sums map[sumKey]*sum, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = since
	for key, old := range sums {
		if now := s.sums[key]; now != nil {
			old.count, old.last = old.count+now.count, now.last
		}
		s.sums[key] = old
	}
}

// summed is the entry of a sum.
func (c *sum) summed() audit.Entry {
	en := c.entry
	en.Detail = map[string]string{"count": strconv.FormatInt(c.count, 10), "first": c.first.UTC().Format(time.RFC3339), "last": c.last.UTC().Format(time.RFC3339)}
	for _, k := range []string{"authenticator", "partner"} {
		if v := c.entry.Detail[k]; v != "" {
			en.Detail[k] = v
		}
	}
	if en.Source == "" && en.Detail["partner"] == "" {
		en.Detail["sources"] = "several or unknown"
	}
	return en
}

package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/store"
)

// begun are sessions that began or were used on this server, by their ids. Whoever hides
// the row of one, to put it back when everybody has signed out, hides it from the database
// alone.
type begun struct {
	mu     sync.Mutex
	known  map[string]beginning
	missed store.Twice[beginning] // those that had no row, by their numbers
}

type beginning struct {
	number  string
	parent  string
	account assurance.AccountID
	since   int64
	expires time.Time
}

// begunMost bounds how many there are. Of more, some are not known.
const begunMost = 100_000

func (b *begun) note(r *row, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[string]beginning{}
	}
	if len(b.known) >= begunMost {
		b.forget(now)
	}
	if _, is := b.known[string(r.id)]; is || len(b.known) < begunMost {
		b.known[string(r.id)] = beginning{r.Number, r.Parent, r.Account, r.Since, r.expires}
	}
}

func (b *begun) forget(now time.Time) {
	for id, k := range b.known {
		if !now.Before(k.expires) {
			delete(b.known, id)
		}
	}
}

func (b *begun) get(id []byte) (beginning, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.known[string(id)]
	return k, ok
}

// topics are those of an account's, and everybody's where not all are known.
func (b *begun) topics(account assurance.AccountID) (topics []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.known) >= begunMost {
		return []string{table}
	}
	for _, k := range b.known {
		if k.account == account {
			topics = append(topics, Topic(k.number))
		}
	}
	return topics
}

// of are those of an account, by their numbers.
func (b *begun) of(account assurance.AccountID) map[string]beginning {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]beginning{}
	for _, k := range b.known {
		if k.account == account {
			out[k.number] = k
		}
	}
	return out
}

func (b *begun) drop(id []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, string(id))
}

// active are those that have not run out, by their numbers.
func (b *begun) active(now time.Time) map[string]beginning {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now)
	out := make(map[string]beginning, len(b.known))
	for _, k := range b.known {
		out[k.number] = k
	}
	return out
}

// again returns those of missed that were missed the last time as well.
func (b *begun) again(missed map[string]beginning) map[string]beginning {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.missed.Missed(missed)
}

// missing reports a session that has no row and ends it, so that it does not stand when
// somebody puts it back.
func (e *Endings) missing(ctx context.Context, k beginning) error {
	if e.db.Over(table, k.number) || k.since < e.rows.epoch(k.account) {
		return nil
	}
	var n int
	err := e.db.QueryRow(ctx, `select 1 from session where number = $1`, k.number).Scan(&n)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	e.rows.report(k.number, k.account, store.Missing)
	return e.db.Change(ctx, audit.System("watch"), func(tx *store.Tx) error {
		if err := e.end(ctx, tx, k); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "session.ended", Outcome: audit.OK, Account: int64(k.account), Reason: "missing", Detail: map[string]string{"session": k.number}})
	})
}

package signin

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// proved are the attempts in which something was shown on this server, by the hashes of
// their handles. Whoever removes such a row keeps its owner from hearing that somebody
// knows their password, where the rest never came.
type proved struct {
	mu     sync.Mutex
	known  map[string]proof
	missed store.Twice[proof] // what had no row
}

type proof struct {
	id       string
	account  assurance.AccountID
	created  int64
	deadline time.Time
}

// provedMost bounds how many there are. Of more, some are not known.
const provedMost = 20_000

func (p *proved) note(hash []byte, at *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string]proof{}
	}
	if len(p.known) < provedMost {
		p.known[string(hash)] = proof{at.ID, at.Account, store.Unix(at.Created), at.Deadline}
	}
}

func (p *proved) drop(hash []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, string(hash))
}

func (p *proved) all() map[string]proof {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.known)
}

// again returns those of missed that were missed the last time as well.
func (p *proved) again(missed map[string]proof) map[string]proof {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.missed.Missed(missed)
}

// missing reports an attempt that has no row and is not over. What belongs to an account
// that was removed goes with it.
func (a *attempts) missing(ctx context.Context, hash string, k proof) error {
	if a.db.Over(attemptTable, k.id) || k.created < a.db.Newest(attemptTable, every) || a.db.Newest("account", int64(k.account)) == store.Gone {
		a.proved.drop([]byte(hash))
		return nil
	}
	var one int
	err := a.db.QueryRow(ctx, `select 1 from attempt where handle = $1`, []byte(hash)).Scan(&one)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	a.db.Report(store.Finding{Table: attemptTable, Row: hex.EncodeToString([]byte(hash)), Wrong: store.Missing, Account: int64(k.account)})
	a.proved.drop([]byte(hash))
	return nil
}

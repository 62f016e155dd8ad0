package oauth

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// Refused records that an access token of ours was brought to an application where it opens
// nothing, under the account whose it was: whoever has it may have stolen it. The same token,
// application and reason are recorded once in ten minutes, so that nobody fills the log with it.
// A token that nobody was given is nobody's, and is not recorded.
func (gs *Grants) Refused(ctx context.Context, token, application string, from netip.Addr, reason string) error {
	c, err := gs.wrap.claimOf(accessKind, token)
	if failure.ClassOf(err) == failure.Refused {
		return nil
	}
	what := refusal{c.id, application, from, reason}
	if err != nil || !gs.refused.first(what.word(), gs.now()) {
		return err
	}
	err = what.record(ctx, gs)
	if err != nil { // nothing was recorded: the next one is the first
		gs.refused.forget(what.word())
	}
	return err
}

// refusal is one token of a grant that opened nothing at an application.
type refusal struct {
	id          []byte
	application string
	from        netip.Addr
	reason      string
}

// word is what is the same of refusals that are recorded once.
func (r refusal) word() string { return number(r.id) + " " + r.application + " " + r.reason }

func (r refusal) record(ctx context.Context, gs *Grants) error {
	g, err := gs.scan(gs.db.QueryRow(ctx, `select `+columns+` from oauth_grant where id = $1`, r.id))
	if errors.Is(err, errAltered) || failure.ClassOf(err) == failure.Refused {
		return nil // swept, or not as it was left, which is an alarm of its own
	}
	if err != nil {
		return err
	}
	en := g.logged("client.token-refused", audit.Refused, r.reason)
	en.Detail["client"] = g.Client
	en.Application, en.Source = r.application, ""
	if r.from.IsValid() {
		en.Source = r.from.String()
	}
	return gs.db.Change(ctx, audit.Actor{Name: g.Client, Via: "oidc"}, func(tx *store.Tx) error { return tx.Record(en) })
}

// quiet is how long the same refusal is not recorded again, and mostRefused how many are kept in
// memory: beyond them the oldest are forgotten, and recorded again when they come.
const (
	quiet       = 10 * time.Minute
	mostRefused = 4096
)

// refusals remembers what was recorded. The zero value is empty, and safe for concurrent use.
type refusals struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// first reports whether a refusal has not been recorded in the last ten minutes, and remembers it.
func (r *refusals) first(what string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, is := r.last[what]; is && now.Sub(at).Abs() < quiet {
		return false
	}
	if r.last == nil || len(r.last) >= mostRefused {
		kept := map[string]time.Time{}
		for k, at := range r.last {
			if now.Sub(at).Abs() < quiet && len(kept) < mostRefused/2 {
				kept[k] = at
			}
		}
		r.last = kept
	}
	r.last[what] = now
	return true
}

// forget has a refusal be the first again.
func (r *refusals) forget(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, what)
}

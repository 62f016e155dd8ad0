package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"countersign/internal/directory"
	"countersign/internal/store"
)

// keyID is what a key is remembered by: no session has it, and the key cannot be read from it.
func keyID(kind, key string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + key))
	return "\x00key " + hex.EncodeToString(sum[:])
}

// rememberedKey is what was granted to a key for the same facts, or nil.
func (c *checks) rememberedKey(ctx context.Context, r Request, id string, now time.Time) *cachedGrant {
	s := c.cache.session(id, now)
	if s == nil || r.wishes() || c.judge.setting.bars(s.account, now) != "" {
		return nil
	}
	key, _, ok := c.keyFor(ctx, r, s.account, s.fresh)
	if !ok {
		return nil
	}
	return s.granted(key, now)
}

// keyFor is what a grant to a key is remembered by: also its source, since a key is for networks.
func (c *checks) keyFor(ctx context.Context, r Request, account directory.Account, fresh bool) (key string, until time.Time, ok bool) {
	p, err := c.judge.rules.Current(ctx)
	if err != nil {
		return "", time.Time{}, false
	}
	app, err := c.judge.application(ctx, r.Application)
	if err != nil || app.Bound { // a key has no session that could be bound
		return "", time.Time{}, false
	}
	m := c.judge.matter(&attempt{Request: r, Delegated: true}, app)
	policyKey, until, ok := p.Key(m.facts(account, fresh))
	return cacheKey(&r, policyKey) + "\x00" + r.Source.String(), until, ok
}

func (c *checks) keepKey(ctx context.Context, r Request, id string, place store.Place, d decision, g Grant) {
	now := c.now()
	key, until, ok := c.keyFor(ctx, r, d.account, d.fresh)
	if !ok || r.wishes() {
		return
	}
	still := c.db.Feed().Still(place, directory.Topic(d.account.ID))
	s := c.cache.session(id, now)
	if s == nil {
		s = &cachedSession{account: d.account, fresh: d.fresh, still: still, until: now.Add(trust)}
	}
	if !still.Unchanged() || s.account.ID != d.account.ID {
		return
	}
	s.keep(key, g, until)
	c.cache.keep(id, s)
}

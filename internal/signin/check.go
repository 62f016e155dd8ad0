package signin

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// checks decide over active sessions.
type checks struct {
	db       *store.DB
	judge    *judge
	sessions *sessions
	cache    *grantCache
	copies   *Copies
	now      func() time.Time
}

// Check decides over an active session: may it do this now? It makes no
// attempt and writes nothing but refusals of administration. Granted carries the Grant; Ask means that the
// person must be sent to the sign-in pages with the same request; the Step of
// either has no ticket. Wait, of reason [Binding], means that it will be granted if the
// browser binds the session to its device, which takes it a moment.
//
// What was granted is remembered by the facts that the rules read, until the
// evidence lapses, half a minute at most, or any of what it rests on changes.
// While this server cannot confirm that it hears of changes it remembers
// nothing.
func (e *Engine) Check(ctx context.Context, r Request) (Step, error) { return e.checks.check(ctx, r) }

func (c *checks) check(ctx context.Context, r Request) (Step, error) {
	if r.Action == "" {
		r.Action = SignIn
	}
	if r.Session == "" {
		return Step{State: Ask, Reason: "no-session"}, nil
	}
	now, place := c.now(), c.db.Feed().Place() // before anything is read
	p, err := c.judge.rules.Current(ctx)
	if err != nil {
		return Step{}, err
	}
	app, err := c.judge.application(ctx, r.Application)
	if err != nil {
		if failure.ClassOf(err) == failure.Refused {
			return Step{State: Denied, Public: bland, Reason: "unknown-application"}, nil
		}
		return Step{}, err
	}
	if g := c.remembered(p, &r, app, now); g != nil {
		return Step{State: Granted, Grant: g.from(&r)}, nil
	}
	return c.checkAnew(ctx, &attempt{Request: r, Created: now, Deadline: now}, place)
}

// remembered is what was granted where the rules read the same facts, or nil. A moment
// that comes is no change, and nobody is told of it: what bars an account is asked of
// what is cached as well.
func (c *checks) remembered(p *policy.Policy, r *Request, app application.Application, now time.Time) *cachedGrant {
	s := c.cache.session(r.Session, now)
	if s == nil || r.wishes() || c.judge.setting.bars(s.account, now) != "" || app.Bound && !s.bound || s.account.Partner != "" {
		return nil
	}
	m := matter{setting: c.judge.setting, Request: *r, now: now, application: app, bound: s.bound}
	facts := m.facts(s.account, s.fresh)
	key, cacheable := p.KeyAlone(&facts)
	if !cacheable {
		return nil
	}
	return s.granted(cacheKey(r, key), now)
}

// cacheKey says what a cached grant serves: what policy read, and what the
// engine itself looks at or the grant names whatever policy reads. A request
// with a wish of its own is not remembered at all.
func cacheKey(r *Request, policyKey string) string {
	return r.Application + "\x00" + r.Action + "\x00" + r.Object + "\x00" + r.Protocol + "\x00" + policyKey
}

// checkAnew reads what the session holds and decides. Nothing that it rests on was
// read before the place.
func (c *checks) checkAnew(ctx context.Context, at *attempt, place store.Place) (Step, error) {
	held, err := c.sessions.active(ctx, at.Session)
	if failure.ReasonOf(err) == OtherDevice {
		return Step{State: Ask, Reason: "no-session"}, c.copies.Note(ctx, held, at.Request)
	}
	if failure.ClassOf(err) == failure.Refused {
		return Step{State: Ask, Reason: "no-session"}, nil
	}
	if err != nil {
		return Step{}, err
	}
	at.Account, at.SessionNumber, at.bound = held.Account, held.Number, held.Bound || held.Binding && at.Application == Self
	at.Medium |= prompt.Browser // Check asks whether sending the person to the pages could help
	app, err := c.judge.application(ctx, at.Application)
	if err != nil {
		return Step{}, err
	}
	d, err := c.judge.decide(ctx, c.db, at, app, held.Evidence)
	if err != nil {
		return Step{}, err
	}
	if d.reason == hasEnded { // the session is over, and somebody else may sign in where it was
		return Step{State: Ask, Reason: "no-session"}, c.noteUnproved(ctx, at, d, d.reason)
	}
	if d.state != Granted && held.Binding {
		if soon, err := c.bindsSoon(ctx, *at, app, held); err != nil || soon {
			return Step{State: Wait, Reason: Binding}, err
		}
	}
	switch d.state {
	case Granted:
		g, err := fill(at, d, c.now())
		if err != nil {
			return Step{}, err
		}
		c.keep(ctx, place, at, held, d, g)
		return Step{State: Granted, Grant: g}, nil
	case Ask:
		return Step{State: Ask, Reason: "step-up"}, c.noteUnproved(ctx, at, d, "step-up")
	}
	step := Step{State: Denied, Reason: d.reason}
	step.says(d.told())
	return step, c.noteUnproved(ctx, at, d, d.reason)
}

// from returns the grant as this request sees it.
func (g *cachedGrant) from(r *Request) Grant {
	if g.grant.g.source == r.Source {
		return g.grant
	}
	c := *g.grant.g
	c.source = r.Source
	return Grant{g: &c}
}

// grantCache caches what active sessions were granted. A result is kept
// with the place in the feed before which nothing of it was read, and is worth
// nothing once any of its topics moved past that.
type grantCache struct {
	view     store.View
	sessions sync.Map // secret -> *cachedSession
	size     atomic.Int64
}

// most is how many sessions are cached before all are dropped: at about
// 2 KiB each this bounds the cache, and a refill costs one read per session.
const most = 50_000

// cachedSession is one session and its grants.
type cachedSession struct {
	account directory.Account
	fresh   bool
	bound   bool
	still   store.Still
	until   time.Time
	grants  sync.Map // key -> *cachedGrant
	count   atomic.Int64
}

type cachedGrant struct {
	grant Grant
	until time.Time
}

func (m *grantCache) session(secret string, now time.Time) *cachedSession {
	if !m.view.FeedFresh() {
		return nil
	}
	v, ok := m.sessions.Load(secret)
	if !ok {
		return nil
	}
	s := v.(*cachedSession)
	if !now.Before(s.until) || !s.still.Unchanged() {
		m.forget(secret)
		return nil
	}
	return s
}

func (m *grantCache) forget(secret string) {
	if _, there := m.sessions.LoadAndDelete(secret); there {
		m.size.Add(-1)
	}
}

func (s *cachedSession) granted(key string, now time.Time) *cachedGrant {
	v, ok := s.grants.Load(key)
	if !ok {
		return nil
	}
	g := v.(*cachedGrant)
	if !now.Before(g.until) {
		s.grants.Delete(key)
		return nil
	}
	return g
}

// trust is how long a session is cached without asking the session room,
// which also notes that it is in use.
const trust = 30 * time.Second

// keep caches a grant, unless anything that it rests on moved since the place.
func (c *checks) keep(ctx context.Context, place store.Place, at *attempt, held Held, d decision, g Grant) {
	now, m := c.now(), c.cache
	if d.account.Partner != "" { // whose mandate is asked for each time
		return
	}
	p, err := c.judge.rules.Current(ctx)
	app, appErr := c.judge.application(ctx, at.Application)
	if err != nil || appErr != nil {
		return
	}
	asked := c.judge.matter(at, app)
	key, until, cacheable := p.Key(asked.facts(d.account, d.fresh))
	if !cacheable || at.wishes() {
		return
	}
	still := c.db.Feed().Still(place, directory.Topic(d.account.ID), sessionTopic+held.Number, sessionTopic+held.Own)
	s := m.session(at.Session, now)
	if s == nil {
		s = &cachedSession{account: d.account, fresh: d.fresh, bound: held.Bound, still: still, until: now.Add(trust)}
		for _, end := range []time.Time{held.Expires, held.Lapses} {
			if !end.IsZero() && end.Before(s.until) {
				s.until = end
			}
		}
	}
	// What somebody else read of the session may be newer than what this grant rests
	// on: it is asked last whether that stood still.
	if !still.Unchanged() || s.account.ID != d.account.ID {
		return
	}
	s.keep(cacheKey(&at.Request, key), g, until)
	m.keep(at.Session, s)
}

// keep caches a grant until it lapses, the facts change by themselves, or the
// session has to be asked about again.
func (s *cachedSession) keep(key string, g Grant, until time.Time) {
	end := s.until
	for _, t := range []time.Time{until, g.Lapses()} {
		if !t.IsZero() && t.Before(end) {
			end = t
		}
	}
	if s.count.Add(1) > 1000 {
		s.grants.Clear()
		s.count.Store(0)
	}
	s.grants.Store(key, &cachedGrant{grant: g, until: end})
}

// keep caches a session, in the place of what was cached of it before.
func (m *grantCache) keep(secret string, s *cachedSession) {
	if _, there := m.sessions.Swap(secret, s); !there && m.size.Add(1) > most {
		m.sessions.Clear()
		m.size.Store(0)
	}
}

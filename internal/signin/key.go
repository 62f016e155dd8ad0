package signin

import (
	"context"
	"net/netip"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// Server is an Authenticator whose credentials serve only what they were issued
// for.
type Server interface {
	// Serves says, as a word for the audit log, why this credential does not
	// serve an action from a source; empty when it does. An action at an application
	// is written as [Served] writes it.
	Serves(c authenticator.Credential, action string, source netip.Addr) (string, error)
	// Until says when this credential ends by itself.
	Until(c authenticator.Credential) (time.Time, error)
}

// Served is how an automation key names what it was issued for: the action itself in Countersign
// itself, and "wiki/sign-in" at the application wiki.
func Served(application, action string) string {
	if application == Self {
		return action
	}
	return application + "/" + action
}

// HeldKey is an automation key that serves something at this moment.
type HeldKey struct {
	Number assurance.CredentialID
	Label  string
	Until  time.Time
	// Actions are those of the ones asked about that it was issued for.
	Actions []string
}

// HeldKeys lists the automation keys of an account that serve any of the actions, as [Served]
// writes them, wherever they may be used from. It is empty for a person.
func (e *Engine) HeldKeys(account directory.Account, credentials []directory.Credential, actions []string) []HeldKey {
	if account.Kind != directory.Service {
		return nil
	}
	var out []HeldKey
	for _, c := range active(credentials) {
		one := HeldKey{Number: c.ID, Label: c.Label}
		for _, action := range actions {
			if until, ok := e.judge.serves(c, action, e.now()); ok {
				one.Until, one.Actions = until, append(one.Actions, action)
			}
		}
		if len(one.Actions) > 0 {
			out = append(out, one)
		}
	}
	return out
}

// serves reports whether a credential was issued for the action and has not ended,
// and when it ends. There is no source here, so that whether it is the right one is
// left out.
func (j *judge) serves(c directory.Credential, action string, now time.Time) (time.Time, bool) {
	server, ok := j.kinds[c.Kind].(Server)
	if !ok {
		return time.Time{}, false
	}
	until, err := server.Until(approval.Given(c))
	if err != nil || !now.Before(until) {
		return until, false
	}
	why, err := server.Serves(approval.Given(c), action, netip.Addr{})
	return until, err == nil && why != "other-action"
}

// CheckKey decides over an automation key, or an app password, that came with a request: there
// is no attempt and nothing to ask. The kind is its authenticator's. The Step is
// Granted or Denied, and either leaves an entry.
//
// A key is granted to service accounts alone, only what it was issued for, and
// only if policy accepts a key there.
//
// An app password is granted to people alone: to its owner, whom the request's Name means under
// any of their names, only at the service that it was made for, which is the request's Object,
// such as "imap", and only if policy accepts it there for the action [AppPassword], whatever the
// request's is. Its first use, and each from a network that is new, is told to its owner.
//
// What was granted at an application, where a key comes with each of many requests, is
// remembered as [Engine.Check] remembers it: for half a minute at most, for the same facts from
// the same source, until anything changes that it rests on, and not while this server cannot
// confirm that it hears of changes. So a key that is used there all the time leaves two entries
// a minute. What is refused, and what is done in Countersign itself, is never remembered.
func (e *Engine) CheckKey(ctx context.Context, r Request, kind, key string) (Step, error) {
	r.Session, r.Opening, r.Medium = "", nil, prompt.API
	if r.Action == "" {
		r.Action = SignIn
	}
	r, b := bearing(bounded(r, e.kinds), e.kinds, kind, key)
	if r.Application == Self {
		step, _, err := e.keys.check(ctx, r, b)
		return step, err
	}
	c, now, place := e.checks, e.now(), e.checks.db.Feed().Place() // before anything is read
	id := keyID(b.kind, r.Name+"\x00"+b.key)
	if g := c.rememberedKey(ctx, r, id, now); g != nil {
		return Step{State: Granted, Grant: g.grant}, nil
	}
	step, d, err := e.keys.check(ctx, r, b)
	if err == nil && step.State == Granted {
		c.keepKey(ctx, r, id, place, d, step.Grant)
	}
	return step, err
}

// bearer is what comes with a request and is all its proof: an automation key or an app password.
type bearer struct {
	kind, key string
	// serves is what it must have been issued for, and by the kind of account whose it must be.
	serves, by string
	// named says that the request names its owner, who must be the same.
	named bool
}

// bearing is a request as it is decided, with what came with it.
func bearing(r Request, kinds map[string]authenticator.Authenticator, kind, key string) (Request, bearer) {
	if how := kinds[kind]; how != nil && how.Describe().Traits.Has(assurance.AppPassword) {
		r.Action = AppPassword
		return r, bearer{kind: kind, key: key, serves: Served(r.Application, r.Object), by: directory.Person, named: true}
	}
	return r, bearer{kind: kind, key: key, serves: Served(r.Application, r.Action), by: directory.Service}
}

// keys decide over automation keys.
type keys struct {
	db       *store.DB
	examiner *examiner
	judge    *judge
	endings  *endings
	road     *road
	now      func() time.Time
}

func (k *keys) check(ctx context.Context, r Request, b bearer) (step Step, d decision, err error) {
	at := &attempt{ID: newID(), Request: r, Created: k.now(), Deadline: k.now()}
	err = k.db.Change(ctx, at.actor(), func(tx *store.Tx) error {
		next := at.clone()
		reason, err := k.examiner.showKey(ctx, tx, next, b)
		if err != nil {
			return err
		}
		if reason != "" {
			step = next.denied(reason)
			return k.endings.end(ctx, tx, next, reason)
		}
		app, err := k.judge.application(ctx, r.Application)
		if err != nil {
			return err
		}
		if d, err = k.judge.decide(ctx, tx, next, app, nil); err != nil {
			return err
		}
		if d.state != Granted {
			step = next.denied(d.reason)
			return k.endings.end(ctx, tx, next, d.reason)
		}
		if err = k.noteUse(ctx, tx, next, d.account); err != nil {
			return err
		}
		step, err = k.road.follow(ctx, tx, next, d)
		return err
	})
	return step, d, err
}

// showKey finds whose key it is, checks it, and appends its evidence. It returns
// the reason of a refusal.
func (x *examiner) showKey(ctx context.Context, tx *store.Tx, at *attempt, b bearer) (string, error) {
	how, server := x.kinds[b.kind], Server(nil)
	finder, ok := how.(authenticator.Discoverer)
	if ok {
		server, ok = how.(Server)
	}
	if !ok || !how.Describe().Media.Can(at.Medium) {
		return "no-keys", nil
	}
	answer := prompt.Answer{Authenticator: b.kind, Text: b.key}
	handle, ok := finder.Discover(answer)
	if !ok {
		return "malformed", nil
	}
	c, err := x.credentials.ByHandle(ctx, tx, b.kind, handle)
	if failure.ClassOf(err) == failure.NotFound {
		return "unknown-key", nil
	}
	if err != nil {
		return "", err
	}
	shown, err := how.Check(ctx, []authenticator.Credential{approval.Given(c)}, nil, answer, x.now())
	if err != nil {
		return "", err
	}
	if !shown.OK {
		return shown.Reason, nil // whose key it is was not proved, and is not told
	}
	at.Account = c.Account
	if c.Status != directory.CredentialActive {
		return c.Status, nil
	}
	reason, err := server.Serves(approval.Given(c), b.serves, at.Source)
	if err != nil || reason != "" {
		return reason, err
	}
	if reason, err := x.owns(ctx, tx, at, b, c.Account); err != nil || reason != "" {
		return reason, err
	}
	at.Delegated = true
	at.Evidence = assurance.Append(nil, assurance.Evidence{Account: c.Account, Kind: b.kind, Credential: c.ID, Traits: shown.Traits,
		Time: x.now(), Channel: at.Protocol, Act: at.act(x.setting.reading), Until: shown.Until})
	return "", nil
}

// owns says why an account may not come with what it came with; empty when it may.
func (x *examiner) owns(ctx context.Context, tx *store.Tx, at *attempt, b bearer, id assurance.AccountID) (string, error) {
	account, err := x.people.Get(ctx, tx, id)
	switch {
	case err != nil:
		return "", err
	case account.Kind != b.by && b.by == directory.Service:
		return "not-a-service", nil
	case account.Kind != b.by:
		return "not-a-person", nil
	}
	named := account
	if b.named {
		named, err = x.people.Find(ctx, tx, at.Name)
	}
	if failure.ClassOf(err) == failure.NotFound || err == nil && named.ID != id {
		return "other-account", nil
	}
	at.Name = account.Name
	return "", err
}

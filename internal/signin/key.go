package signin

import (
	"context"
	"net/netip"

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
	// serve an action from a source; empty when it does.
	Serves(c authenticator.Credential, action string, source netip.Addr) (string, error)
}

// CheckKey decides over an automation key that came with a request: there is no
// attempt and nothing to ask. The kind is its authenticator's. The Step is
// Granted or Denied, and either leaves an entry.
//
// It grants to service accounts alone, only what the key was issued for, and
// only if policy accepts a key there.
func (e *Engine) CheckKey(ctx context.Context, r Request, kind, key string) (Step, error) {
	r.Session, r.Opening, r.Medium = "", nil, prompt.API
	at := &attempt{ID: newID(), Request: r, Created: e.now(), Deadline: e.now()}
	var step Step
	err := e.db.Change(ctx, at.actor(), func(tx *store.Tx) error {
		next := at.clone()
		reason, err := e.examiner.showKey(ctx, tx, next, kind, prompt.Answer{Authenticator: kind, Text: key})
		if err != nil {
			return err
		}
		if reason != "" {
			step = next.denied(reason)
			return e.endings.end(ctx, tx, next, reason)
		}
		app, err := e.judge.application(ctx, r.Application)
		if err != nil {
			return err
		}
		d, err := e.judge.decide(ctx, tx, next, app, nil)
		if err != nil {
			return err
		}
		if d.state != Granted {
			step = next.denied(d.reason)
			return e.endings.end(ctx, tx, next, d.reason)
		}
		step, err = e.road.follow(ctx, tx, next, d)
		return err
	})
	return step, err
}

// showKey finds whose key it is, checks it, and appends its evidence. It returns
// the reason of a refusal.
func (x *examiner) showKey(ctx context.Context, tx *store.Tx, at *attempt, kind string, answer prompt.Answer) (string, error) {
	how, server := x.kinds[kind], Server(nil)
	finder, ok := how.(authenticator.Discoverer)
	if ok {
		server, ok = how.(Server)
	}
	if !ok || !how.Describe().Media.Can(at.Medium) {
		return "no-keys", nil
	}
	handle, ok := finder.Discover(answer)
	if !ok {
		return "malformed", nil
	}
	c, err := x.credentials.ByHandle(ctx, tx, kind, handle)
	if failure.ClassOf(err) == failure.NotFound {
		return "unknown-key", nil
	}
	if err != nil {
		return "", err
	}
	shown, err := how.Check(ctx, []authenticator.Credential{given(c)}, nil, answer, x.now())
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
	reason, err := server.Serves(given(c), at.Action, at.Source)
	if err != nil || reason != "" {
		return reason, err
	}
	account, err := x.people.Get(ctx, tx, c.Account)
	if err != nil {
		return "", err
	}
	if account.Kind != directory.Service {
		return "not-a-service", nil
	}
	at.Name, at.Delegated = account.Name, true
	at.Evidence = assurance.Append(nil, assurance.Evidence{Account: c.Account, Kind: kind, Credential: c.ID, Traits: shown.Traits,
		Time: x.now(), Channel: at.Protocol, Act: at.act(x.setting.reading), Until: shown.Until})
	return "", nil
}

// Package enginetest is the engine on a real database, for tests of the rooms that stand on
// it: enrollment, recovery, incident. It owns how the rooms below them are put together and
// what a person in such a test is. Its one invariant: grants come of the engine, as in a
// server, and of nothing else.
package enginetest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/notify"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/ticket"
)

// Shows is an authenticator that shows these traits: what is right is "yes".
type Shows struct {
	Kind   string
	Traits assurance.Trait
}

// Describe says of a password and of recovery codes that a person has one of them.
func (s Shows) Describe() authenticator.Description {
	return authenticator.Description{Kind: s.Kind, Title: "A " + s.Kind, Traits: s.Traits, Media: prompt.Line | prompt.Single | prompt.Browser, First: true, Single: s.Kind == "password" || s.Kind == "recoverycode"}
}

// Ask asks for the word.
func (s Shows) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: s.Kind}, nil, nil
}

// Check takes the word for whoever has one of the kind.
func (s Shows) Check(_ context.Context, all []authenticator.Credential, _ authenticator.Memo, a prompt.Answer, _ time.Time) (authenticator.Result, error) {
	if a.Text != "yes" || len(all) == 0 {
		return authenticator.Wrong("wrong"), nil
	}
	return authenticator.Result{OK: true, Credential: all[0].ID, Traits: s.Traits}, nil
}

// Rig is the engine with the rooms below it.
type Rig struct {
	signin.Pieces
	T           testing.TB
	DB          *store.DB
	Keys        *keyring.Keyring
	Accounts    *directory.Accounts
	Groups      *directory.Groups
	Credentials *directory.Credentials
	Tickets     *ticket.Tickets
	Sessions    *session.Sessions
	Outbox      *notify.Outbox
	Rules       *signin.Rules
	kinds       []authenticator.Authenticator
}

// Open opens a database, with its clock, and puts the engine on it.
func Open(tb testing.TB, o store.Options, root keyring.Root, kinds ...authenticator.Authenticator) *Rig {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	o.Log = log
	db, keys := keyringtest.Open(tb, o, root)
	held := directory.Parts{DB: db, Keys: keys}
	r := &Rig{T: tb, DB: db, Keys: keys, Accounts: directory.NewAccounts(held), Groups: directory.NewGroups(held), Credentials: directory.NewCredentials(held),
		Tickets: ticket.New(ticket.Parts{DB: db, Keys: keys, Now: o.Now}), kinds: kinds}
	r.Sessions = session.New(session.Parts{DB: db, Keys: keys, Tickets: r.Tickets, Now: o.Now})
	known := policy.Known{Actions: append(signin.OwnActions(), signin.AppPassword), Applications: []string{signin.Self}, Protocols: []string{"test", "browser"},
		ApplicationKinds: []string{"directory"}, Tiers: []string{application.Standard}, AccountKinds: []string{directory.Person}}
	r.Rules = signin.NewRules(db, keys, func(context.Context, store.Reader) (policy.Known, error) { return known, nil }, log)
	parts := signin.Parts{DB: db, Keys: keys, Accounts: r.Accounts, Credentials: r.Credentials, Milestones: directory.NewMilestones(held), Groups: r.Groups, Sessions: r.Sessions, Rules: r.Rules, Now: o.Now, Log: log, Authenticators: kinds}
	var err error
	if parts.Applications, err = application.Open(tb.Context(), db, keys); err != nil {
		tb.Fatal(err)
	}
	if parts.Limits, err = parts.Limits.Check(); err != nil {
		tb.Fatal(err)
	}
	if r.Outbox, err = notify.NewOutbox(db, keys, o.Now); err != nil {
		tb.Fatal(err)
	}
	parts.Outbox = r.Outbox
	if r.Pieces, err = signin.New(parts); err != nil {
		tb.Fatal(err)
	}
	return r
}

// Found makes root, who administers, and a policy of one factor for all.
func (r *Rig) Found() {
	r.T.Helper()
	ctx := r.T.Context()
	storetest.Change(r.T, r.DB, func(tx *store.Tx) error {
		g, err := r.Groups.Create(ctx, tx, directory.Administrators, "Administrators", true)
		if err != nil {
			return err
		}
		a, err := r.Accounts.Create(ctx, tx, directory.NewAccount{Name: "root", Mail: "root@example.org"})
		if err != nil {
			return err
		}
		if err := r.Groups.AddMember(ctx, tx, g, a); err != nil {
			return err
		}
		_, err = r.Rules.Save(ctx, tx, "rules:\n  - {name: all, require: one-factor}\n", "test")
		return err
	})
}

// Account is somebody's.
func (r *Rig) Account(name string) directory.Account {
	r.T.Helper()
	a, err := r.Accounts.Find(r.T.Context(), r.DB, name)
	if err != nil {
		r.T.Fatal(name, err)
	}
	return a
}

// Person makes an account with an address, and with one of each of these kinds.
func (r *Rig) Person(name string, with ...string) directory.Account {
	r.T.Helper()
	storetest.Change(r.T, r.DB, func(tx *store.Tx) error {
		a, err := r.Accounts.Create(r.T.Context(), tx, directory.NewAccount{Name: name, Mail: name + "@example.org"})
		if err != nil {
			return err
		}
		for _, kind := range with {
			if _, err := r.Credentials.Add(r.T.Context(), tx, directory.Credential{Account: a.ID, Kind: kind, Label: kind, Traits: r.traits(kind), State: []byte("{}")}); err != nil {
				return err
			}
		}
		return nil
	})
	return r.Account(name)
}

// traits are those of a kind.
func (r *Rig) traits(kind string) assurance.Trait {
	for _, k := range r.kinds {
		if d := k.Describe(); d.Kind == kind {
			return d.Traits
		}
	}
	r.T.Fatalf("nothing is %q", kind)
	return 0
}

// Newest are an account's authenticators by kind, the newest of each.
func (r *Rig) Newest(name string) map[string]directory.Credential {
	r.T.Helper()
	rows, err := r.Credentials.All(r.T.Context(), r.DB, r.Account(name).ID)
	if err != nil {
		r.T.Fatal(err)
	}
	out := map[string]directory.Credential{}
	for _, c := range rows {
		out[c.Kind] = c
	}
	return out
}

// Grant is the engine's yes to an action in Countersign's own application, in a session or
// not, for whoever shows these kinds.
func (r *Rig) Grant(name, session, action, object string, with ...string) signin.Grant {
	r.T.Helper()
	req := signin.Request{Application: signin.Self, Action: action, Object: object, Name: name, Session: session, Protocol: "test", Medium: prompt.Line}
	for _, kind := range with {
		req.Opening = append(req.Opening, prompt.Answer{Authenticator: kind, Text: "yes"})
	}
	step, err := r.Engine.Begin(r.T.Context(), req)
	if err != nil || step.State != signin.Granted {
		r.T.Fatalf("%s for %s %s with %v: %v %q, %v", name, action, object, with, step.State, step.Reason, err)
	}
	return step.Grant
}

// Enters signs somebody in, in a session, and returns its secret.
func (r *Rig) Enters(name string, with ...string) string {
	r.T.Helper()
	secret, err := r.Sessions.Start(r.T.Context(), r.Grant(name, "", signin.SignIn, "", with...), "agent")
	if err != nil {
		r.T.Fatal(err)
	}
	return secret
}

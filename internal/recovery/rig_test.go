package recovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/accesspass"
	"countersign/internal/directory"
	"countersign/internal/enginetest"
	"countersign/internal/enrollment"
	"countersign/internal/keyring"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/ticket"
)

var kinds = []enginetest.Shows{
	{Kind: "password", Traits: assurance.Known},
	{Kind: "totp", Traits: assurance.Held},
	{Kind: "passkey", Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant},
	{Kind: "recoverycode", Traits: assurance.Held | assurance.Recovery},
	{Kind: "mailcode", Traits: assurance.Mailed},
}

func traitsOf(kind string) assurance.Trait {
	for _, k := range kinds {
		if k.Kind == kind {
			return k.Traits
		}
	}
	return 0
}

// lenient asks as little as a policy can, so that what holds is held by the rooms.
const lenient = `rules:
  - {name: set up, when: action == "authenticator.enroll", require: access-pass}
  - {name: back in, when: action == "account.recover", require: one-factor}
  - {name: rest, when: action == "sign-in", require: one-factor}
`

type rig struct {
	*Cases
	*Requests
	*Openings
	*Confirmations
	*Passes
	*Stops
	*Owners
	db          *store.DB
	keys        *keyring.Keyring
	people      *directory.Accounts
	credentials *directory.Credentials
	groups      *directory.Groups
	enrolled    enrollment.Pieces
	tickets     *ticket.Tickets

	t        *testing.T
	engine   *signin.Engine
	rules    *signin.Rules
	sessions *session.Sessions
	now      time.Time
	places   int
	faults   *storetest.Faults

	dsn, folder string
	root        keyring.Root
}

var began = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func setUp(t *testing.T) *rig {
	t.Helper()
	dsn := filepath.Join(t.TempDir(), "recovery.db")
	return setUpOn(t, dsn, storetest.NewFaults(t, dsn))
}

// setUpOn is setUp on a database, on a driver that breaks or on its own.
func setUpOn(t *testing.T, dsn string, faults *storetest.Faults) *rig {
	t.Helper()
	r := &rig{t: t, now: began, faults: faults, dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot()}
	r.start()
	r.found()
	return r
}

// again stops the server and starts it.
func (r *rig) again() {
	r.t.Helper()
	if err := r.db.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.start()
}

func (r *rig) start() {
	t := r.t
	t.Helper()
	clock := func() time.Time { return r.now }
	options := store.Options{DSN: r.dsn, Remember: r.folder, Now: clock}
	if r.faults != nil {
		options.Driver = r.faults.Driver
	}
	var all []authenticator.Authenticator
	for _, k := range kinds {
		all = append(all, k)
	}
	all = append(all, accesspass.Authenticator{})
	on := enginetest.Open(t, options, r.root, all...)
	r.engine, r.rules, r.sessions = on.Engine, on.Rules, on.Sessions
	endings := session.NewEndings(on.Sessions)
	r.enrolled = enrollment.New(enrollment.Parts{DB: on.DB, Accounts: on.Accounts, Credentials: on.Credentials, Tries: on.Tries, Outbox: on.Outbox, Tickets: on.Tickets, Sessions: endings, Authenticators: all,
		NewPass: accesspass.Issue, Quarantine: 24 * time.Hour, Now: clock})
	u, _ := url.Parse("https://login.test")
	made, err := New(Parts{DB: on.DB, Keys: on.Keys, Accounts: on.Accounts, Credentials: on.Credentials, Groups: on.Groups, Endings: r.enrolled.Endings, Passes: r.enrolled.Passes, Tickets: on.Tickets, Outbox: on.Outbox, Tries: on.Tries,
		EndSessions: endings.EndAllTx, PublicURL: u, Mails: true,
		Wait: WaitDefault, Dormant: 30 * 24 * time.Hour, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	r.Cases, r.Requests, r.Openings, r.Confirmations, r.Passes, r.Stops, r.Owners = made.Cases, made.Requests, made.Openings, made.Confirmations, made.Passes, made.Stops, made.Owners
	r.db, r.keys, r.people, r.credentials, r.groups, r.tickets = on.DB, on.Keys, on.Accounts, on.Credentials, on.Groups, on.Tickets
}

// Inspect looks at all rows of the room.
func (r *rig) Inspect(ctx context.Context) error {
	return errors.Join(r.Cases.Inspect(ctx), r.Requests.Inspect(ctx))
}

// found makes the groups, who is in them, and the policy.
func (r *rig) found() {
	t, people, groups := r.t, r.people, r.groups
	t.Helper()
	r.change(func(tx *store.Tx) error {
		// In this order, always: a test that writes a number into a row must know whose it is.
		for _, group := range []struct {
			name    string
			members []string
		}{{directory.Administrators, []string{"root", "rita"}}, {directory.Helpdesk, []string{"helga", "hugo"}}} {
			g, err := groups.Create(t.Context(), tx, group.name, group.name, true)
			if err != nil {
				return err
			}
			for _, name := range group.members {
				a, err := people.Create(t.Context(), tx, directory.NewAccount{Name: name, Mail: name + "@example.org"})
				if err != nil {
					return err
				}
				if err := groups.AddMember(t.Context(), tx, g, a); err != nil {
					return err
				}
			}
		}
		_, err := r.rules.Save(t.Context(), tx, lenient, "test")
		return err
	})
}

func (r *rig) try(fn func(tx *store.Tx) error) error {
	r.t.Helper()
	return storetest.Try(r.t, r.db, fn)
}

func (r *rig) change(fn func(tx *store.Tx) error) {
	r.t.Helper()
	storetest.Change(r.t, r.db, fn)
}

// remove takes an account away, as administrators do.
func (r *rig) remove(name string) {
	r.t.Helper()
	a := r.account(name)
	r.change(func(tx *store.Tx) error {
		return errors.Join(r.Forget(r.t.Context(), tx, a.ID), r.tickets.Forget(r.t.Context(), tx, a.ID), r.people.Remove(r.t.Context(), tx, a, 0))
	})
}

func (r *rig) later(d time.Duration) { r.now = r.now.Add(d) }

// person makes an account with an address, and with these kinds.
func (r *rig) person(name string, with ...string) directory.Account {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		a, err := r.people.Create(r.t.Context(), tx, directory.NewAccount{Name: name, Mail: name + "@example.org"})
		if err != nil {
			return err
		}
		for _, kind := range with {
			if err := r.addIn(tx, a, kind, nil); err != nil {
				return err
			}
		}
		return nil
	})
	return r.account(name)
}

func (r *rig) addIn(tx *store.Tx, a directory.Account, kind string, set func(*directory.Credential)) error {
	c, err := r.credentials.Add(r.t.Context(), tx, directory.Credential{Account: a.ID, Kind: kind, Label: kind, Traits: traitsOf(kind), State: []byte("{}")})
	if err != nil || set == nil {
		return err
	}
	set(&c)
	return r.credentials.Update(r.t.Context(), tx, c)
}

func (r *rig) add(name, kind string, set func(*directory.Credential)) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error { return r.addIn(tx, r.account(name), kind, set) })
}

func (r *rig) account(name string) directory.Account {
	r.t.Helper()
	a, err := r.people.Find(r.t.Context(), r.db, name)
	if err != nil {
		r.t.Fatal(name, err)
	}
	return a
}

// edit changes an account's own row.
func (r *rig) edit(name string, set func(*directory.Account)) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		a, err := r.people.Find(r.t.Context(), tx, name)
		if err != nil {
			return err
		}
		set(&a)
		return r.people.Update(r.t.Context(), tx, a)
	})
}

// all are an account's authenticators but passes, by kind: the newest of each.
func (r *rig) all(name string) map[string]directory.Credential {
	r.t.Helper()
	rows, err := r.credentials.All(r.t.Context(), r.db, r.account(name).ID)
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[string]directory.Credential{}
	for _, c := range rows {
		out[c.Kind] = c
	}
	return out
}

func (r *rig) set(name, kind string, set func(*directory.Credential)) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		c := r.all(name)[kind]
		set(&c)
		return r.credentials.Update(r.t.Context(), tx, c)
	})
}

// asks has a browser show a number; each is somewhere else.
func (r *rig) asks(name string) (secret, number string) {
	r.t.Helper()
	r.places++
	secret, s, err := r.Begin(r.t.Context(), name, netip.AddrFrom4([4]byte{198, 18, byte(r.places >> 8), byte(r.places)}))
	if err != nil {
		r.t.Fatal(err)
	}
	return secret, s.Number
}

func (r *rig) tryOpen(by, name string, o Opening) (c Case, err error) {
	r.t.Helper()
	err = r.try(func(tx *store.Tx) (err error) {
		o.Account = r.account(name)
		c, err = r.OpenTx(r.t.Context(), tx, r.account(by), o)
		return err
	})
	return c, err
}

// opens has somebody open a case for a browser of its own, and returns its secret.
func (r *rig) opens(by, name string, forgotten bool) (secret string, c Case) {
	r.t.Helper()
	secret, number := r.asks(name)
	c, err := r.tryOpen(by, name, Opening{Number: number, Check: "in-person", Note: "ticket 1", Forgotten: forgotten})
	if err != nil {
		r.t.Fatal(err)
	}
	return secret, c
}

func (r *rig) tryConfirm(by, name string, said Confirmation) error {
	r.t.Helper()
	return r.try(func(tx *store.Tx) error {
		_, err := r.ConfirmTx(r.t.Context(), tx, r.account(by), r.account(name), said)
		return err
	})
}

// word is a second person's word for the case of a browser, who heard its number.
func (r *rig) word(secret string) Confirmation {
	r.t.Helper()
	s, err := r.Poll(r.t.Context(), secret)
	if err != nil {
		r.t.Fatal(err)
	}
	return Confirmation{Case: s.Case.ID, Opener: s.Case.Opener, Check: s.Case.Check, All: s.Case.Forgotten, Number: s.Confirm, Note: "seen at the gate"}
}

func (r *rig) phase(secret string) Phase {
	r.t.Helper()
	s, err := r.Poll(r.t.Context(), secret)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.Case.Phase(r.now)
}

// lets reports whether the engine lets somebody set up how they sign in, who shows
// this pass and these kinds.
func (r *rig) lets(name, pass string, with ...string) bool {
	r.t.Helper()
	req := signin.Request{Application: signin.Self, Action: "authenticator.enroll", Object: "first authenticators", Name: name, Protocol: "test", Medium: prompt.Line | prompt.Browser}
	req.Opening = []prompt.Answer{{Authenticator: accesspass.Kind, Text: pass}}
	for _, kind := range with {
		req.Opening = append(req.Opening, prompt.Answer{Authenticator: kind, Text: "yes"})
	}
	step, err := r.engine.Begin(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return step.State == signin.Granted
}

// enters signs somebody in and returns their session.
func (r *rig) enters(name string, with ...string) (secret string, g signin.Grant) {
	r.t.Helper()
	req := signin.Request{Application: signin.Self, Name: name, Protocol: "test", Medium: prompt.Line}
	for _, kind := range with {
		req.Opening = append(req.Opening, prompt.Answer{Authenticator: kind, Text: "yes"})
	}
	step, err := r.engine.Begin(r.t.Context(), req)
	if err != nil || step.State != signin.Granted {
		r.t.Fatalf("%s with %v: %v %q, %v", name, with, step.State, step.Reason, err)
	}
	if secret, err = r.sessions.Start(r.t.Context(), step.Grant, "agent"); err != nil {
		r.t.Fatal(err)
	}
	return secret, step.Grant
}

func (r *rig) stands(secret string) bool {
	_, err := r.sessions.Active(r.t.Context(), secret)
	return err == nil
}

// mails are what is queued: address and subject, and the body of the newest.
func (r *rig) mails() (told []string, body string) {
	r.t.Helper()
	rows, err := r.db.Query(r.t.Context(), `select address, subject, body from notice order by id`)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var address, subject string
		if err := rows.Scan(&address, &subject, &body); err != nil {
			r.t.Fatal(err)
		}
		told = append(told, address+": "+subject)
	}
	return told, body
}

func (r *rig) events(event, reason string) (n int) {
	r.t.Helper()
	all, err := r.db.AuditLog().Entries(r.t.Context(), store.Filter{Event: event, Limit: 10_000})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, en := range all {
		if reason == "" || en.Reason == reason {
			n++
		}
	}
	return n
}

func named(prefix string, i int) string { return fmt.Sprintf("%s%d", prefix, i) }

package incident

import (
	"context"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/accesspass"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/notify"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// shows is an authenticator that shows what its kind says: what is right is "yes".
type shows struct {
	kind   string
	traits assurance.Trait
}

func (s shows) Describe() authenticator.Description {
	return authenticator.Description{Kind: s.kind, Title: "A " + s.kind, Traits: s.traits, Media: prompt.Line | prompt.Single | prompt.Browser, First: true, Single: s.kind == "password"}
}

func (s shows) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: s.kind}, nil, nil
}

func (s shows) Check(_ context.Context, all []authenticator.Credential, _ authenticator.Memo, a prompt.Answer, _ time.Time) (authenticator.Result, error) {
	if a.Text != "yes" || len(all) == 0 {
		return authenticator.Wrong("wrong"), nil
	}
	return authenticator.Result{OK: true, Credential: all[0].ID, Traits: s.traits}, nil
}

var kinds = []authenticator.Authenticator{
	shows{"password", assurance.Known}, shows{"totp", assurance.Held}, shows{"passkey", assurance.Held | assurance.UserVerified | assurance.PhishingResistant}, accesspass.Authenticator{},
}

type rig struct {
	*Incidents
	t          *testing.T
	engine     *signin.Engine
	recoveries recovery.Pieces
	sessions   *session.Sessions
	now        time.Time
	spare      error
}

var began = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func setUp(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, now: began}
	clock, log := func() time.Time { return r.now }, slog.New(slog.DiscardHandler)
	db, keys := keyringtest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "incident.db"), Now: clock, Log: log}, keyring.NewRoot())
	held := directory.Parts{DB: db, Keys: keys}
	people, groups, credentials := directory.NewAccounts(held), directory.NewGroups(held), directory.NewCredentials(held)
	tickets := ticket.New(ticket.Parts{DB: db, Keys: keys, Now: clock})
	sessions := session.New(session.Parts{DB: db, Keys: keys, Tickets: tickets, Now: clock})
	parts := signin.Parts{DB: db, Keys: keys, Accounts: people, Credentials: credentials, Milestones: directory.NewMilestones(held), Groups: groups, Standing: sessions, Now: clock, Log: log, Authenticators: kinds}
	known := policy.Known{Actions: signin.OwnActions(), Applications: []string{signin.Self}, Protocols: []string{"test", "browser"},
		ApplicationKinds: []string{"directory"}, Tiers: []string{application.Standard}, AccountKinds: []string{directory.Person}}
	parts.Rules = signin.NewRules(db, keys, func(context.Context, store.Reader) (policy.Known, error) { return known, nil }, log)
	var err error
	if parts.Applications, err = application.Open(t.Context(), db, keys); err != nil {
		t.Fatal(err)
	}
	if parts.Limits, err = parts.Limits.Check(); err != nil {
		t.Fatal(err)
	}
	if parts.Outbox, err = notify.NewOutbox(db, keys, clock); err != nil {
		t.Fatal(err)
	}
	deciding, err := signin.New(parts)
	if err != nil {
		t.Fatal(err)
	}
	r.engine = deciding.Engine
	enrolled := enrollment.New(enrollment.Parts{DB: db, Accounts: people, Credentials: credentials, Strangers: deciding.Strangers, Tries: deciding.Tries, Outbox: parts.Outbox, Tickets: tickets, Sessions: session.NewEndings(sessions),
		Authenticators: kinds, NewPass: accesspass.Issue, Messages: deciding.Messages, Quarantine: 24 * time.Hour, Now: clock})
	r.recoveries, err = recovery.New(recovery.Parts{DB: db, Keys: keys, Accounts: people, Credentials: credentials, Groups: groups, Endings: enrolled.Endings, Passes: enrolled.Passes, Tickets: tickets, Outbox: parts.Outbox, Tries: deciding.Tries,
		EndSessions: session.NewEndings(sessions).EndAllTx, PublicURL: &url.URL{Scheme: "https", Host: "login.test"}, Mails: true, Wait: recovery.WaitDefault, Dormant: 30 * 24 * time.Hour, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	r.sessions = sessions
	r.Incidents = New(Parts{DB: db, Accounts: people, Credentials: credentials, Groups: groups, Sessions: session.NewEndings(sessions), Notices: enrolled.Notices, Recoveries: r.recoveries.Stops, Now: clock,
		Spare: func(context.Context, store.Reader, signin.Loss) error { return r.spare }})
	r.change(func(tx *store.Tx) error {
		g, err := groups.Create(t.Context(), tx, directory.Administrators, "Administrators", true)
		if err != nil {
			return err
		}
		a, err := people.Create(t.Context(), tx, directory.NewAccount{Name: "root", Mail: "root@example.org"})
		if err != nil {
			return err
		}
		if err := groups.AddMember(t.Context(), tx, g, a); err != nil {
			return err
		}
		_, err = parts.Rules.Save(t.Context(), tx, "rules:\n  - {name: all, require: one-factor}\n", "test")
		return err
	})
	return r
}

func (r *rig) change(fn func(tx *store.Tx) error) {
	r.t.Helper()
	err := r.db.Change(r.t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK})
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) account(name string) directory.Account {
	r.t.Helper()
	a, err := r.people.Find(r.t.Context(), r.db, name)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *rig) person(name string, with ...string) directory.Account {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		a, err := r.people.Create(r.t.Context(), tx, directory.NewAccount{Name: name, Mail: name + "@example.org"})
		if err != nil {
			return err
		}
		for _, k := range kinds {
			d := k.Describe()
			for _, kind := range with {
				if kind != d.Kind {
					continue
				}
				if _, err := r.credentials.Add(r.t.Context(), tx, directory.Credential{Account: a.ID, Kind: kind, Label: kind, Traits: d.Traits, State: []byte("{}")}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return r.account(name)
}

// newest are an account's authenticators by kind, the newest of each.
func (r *rig) newest(name string) map[string]directory.Credential {
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

// enters signs somebody in, in a session.
func (r *rig) enters(name string, with ...string) string {
	r.t.Helper()
	secret, err := r.sessions.Start(r.t.Context(), r.grant(name, "", signin.SignIn, "", with...), "agent")
	if err != nil {
		r.t.Fatal(err)
	}
	return secret
}

// grant is for an action, in a session or not.
func (r *rig) grant(name, session, action, object string, with ...string) signin.Grant {
	r.t.Helper()
	req := signin.Request{Application: signin.Self, Action: action, Object: object, Name: name, Session: session, Protocol: "test", Medium: prompt.Line}
	for _, kind := range with {
		req.Opening = append(req.Opening, prompt.Answer{Authenticator: kind, Text: "yes"})
	}
	step, err := r.engine.Begin(r.t.Context(), req)
	if err != nil || step.State != signin.Granted {
		r.t.Fatalf("%s for %s %s with %v: %v %q, %v", name, action, object, with, step.State, step.Reason, err)
	}
	return step.Grant
}

// recovery opens one of somebody, which waits.
func (r *rig) recovery(name string) {
	r.t.Helper()
	_, shown, err := r.recoveries.Requests.Begin(r.t.Context(), name, netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.change(func(tx *store.Tx) error {
		_, err := r.recoveries.Openings.OpenTx(r.t.Context(), tx, r.account("root"), recovery.Opening{Account: r.account(name), Number: shown.Number, Check: "in-person", Note: "ticket 1"})
		return err
	})
}

func (r *rig) cases(name string) []recovery.Case {
	r.t.Helper()
	all, err := r.recoveries.Cases.List(r.t.Context(), r.account(name).ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// mails are those that wait, as "address: subject: body", which have these words.
func (r *rig) mails(words string) (out []string) {
	r.t.Helper()
	rows, err := r.db.Query(r.t.Context(), `select address, subject, body from notice order by id`)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var address, subject, body string
		if err := rows.Scan(&address, &subject, &body); err != nil {
			r.t.Fatal(err)
		}
		if mail := address + ": " + subject + ": " + body; strings.Contains(mail, words) {
			out = append(out, mail)
		}
	}
	return out
}

package enrollment

import (
	"context"
	"log/slog"
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
	"countersign/internal/keyring"
	"countersign/internal/notify"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// shows is an authenticator that shows what its kind says: what is right is "yes". It is
// enrolled by the same word; "again" asks for another answer, "break" breaks down.
type shows struct {
	kind   string
	traits assurance.Trait
}

func (s shows) Describe() authenticator.Description {
	return authenticator.Description{Kind: s.kind, Title: "A " + s.kind, Traits: s.traits, Media: prompt.Line | prompt.Single | prompt.Browser, First: true, Single: s.kind == "password" || s.kind == "recoverycode"}
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

// enrolls is one that people set up by themselves.
type enrolls struct{ shows }

// Offer's hint is what the person has of the kind.
func (e enrolls) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	var has []string
	for _, c := range p.Existing {
		has = append(has, c.Label)
	}
	return prompt.Prompt{Authenticator: e.kind, Label: p.Name, Hint: strings.Join(has, ", ")}, authenticator.Memo("first"), nil
}

func (e enrolls) Accept(_ context.Context, p authenticator.Person, memo authenticator.Memo, a prompt.Answer, _ time.Time) (authenticator.Enrolled, error) {
	switch a.Text {
	case "yes":
		return authenticator.Enrolled{State: []byte("{}"), Traits: e.traits, Label: e.kind + " of " + p.Name, Once: "o", Detail: string(memo)}, nil
	case "again":
		return authenticator.Enrolled{}, &authenticator.Another{Memo: authenticator.Memo("second"), Prompt: prompt.Prompt{Authenticator: e.kind, Label: "another"}, Message: authenticator.Message{To: "a@example.org", Text: "1"}}
	}
	return authenticator.Enrolled{}, &authenticator.Refused{Reason: "wrong", Public: "Not that."}
}

// binds is set up by a device that signs a code; here that is the code itself.
type binds struct{ enrolls }

func (b binds) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: b.kind}, authenticator.Memo(ticket.NewSecret()), nil
}

func (binds) Code(memo authenticator.Memo) (string, error) { return string(memo), nil }

func (binds) Proposes(code string, proposal []byte) bool { return string(proposal) == "signed "+code }

func (b binds) Accept(_ context.Context, _ authenticator.Person, memo authenticator.Memo, a prompt.Answer, _ time.Time) (authenticator.Enrolled, error) {
	if string(a.Data) != "signed "+string(memo) {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "no-device", Public: "No device yet."}
	}
	return authenticator.Enrolled{State: []byte("{}"), Traits: b.traits, Label: "app"}, nil
}

// hands is one that is assigned by a text.
type hands struct{ shows }

func (h hands) Assign(text []byte, _ time.Time) (authenticator.Enrolled, error) {
	if string(text) != "card" {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "no-card", Public: "That is no card."}
	}
	return authenticator.Enrolled{State: []byte("{}"), Traits: h.traits, Label: "card"}, nil
}

var kinds = []authenticator.Authenticator{
	enrolls{shows{"password", assurance.Known}}, enrolls{shows{"totp", assurance.Held}},
	enrolls{shows{"passkey", assurance.Held | assurance.UserVerified | assurance.PhishingResistant}}, enrolls{shows{"recoverycode", assurance.Held | assurance.Recovery}},
	enrolls{shows{"smscode", assurance.Held | assurance.Restricted}}, enrolls{shows{"mailcode", assurance.Mailed}},
	accesspass.Authenticator{}, binds{enrolls{shows{"push", assurance.Held}}}, hands{shows{"certificate", assurance.Held}},
}

// pins are PINs of totp: the state says it.
type pins struct{}

func (pins) PINState(kind string, state []byte) string {
	if kind != "totp" {
		return ""
	}
	if string(state) == "{}" {
		return "none"
	}
	return string(state)
}

func (pins) Set(_ string, _ []byte, pin string) (authenticator.Enrolled, error) {
	if pin == "1234" {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "weak", Public: "Guessed first."}
	}
	return authenticator.Enrolled{State: []byte("set"), Traits: assurance.Held | assurance.Known}, nil
}

func (pins) Give(string, []byte) (authenticator.Enrolled, string, error) {
	return authenticator.Enrolled{State: []byte("first"), Traits: assurance.Held}, "246810", nil
}

func (pins) Clear(_ string, state []byte) (authenticator.Enrolled, error) {
	if string(state) == "first" {
		return authenticator.Enrolled{State: []byte("wanted"), Traits: assurance.Held}, nil
	}
	return authenticator.Enrolled{State: []byte("{}"), Traits: assurance.Held}, nil
}

type rig struct {
	*Enrollments
	*Listing
	*Changes
	*Endings
	*PINs
	*Passes
	*Keys
	*Notices
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	tickets     *ticket.Tickets
	sessions    *session.Sessions

	t      *testing.T
	engine *signin.Engine
	now    time.Time
	spare  error
}

var began = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func setUp(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, now: began}
	clock, log := func() time.Time { return r.now }, slog.New(slog.DiscardHandler)
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "enrollment.db"), Now: clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keys, err := keyring.Open(t.Context(), db, keyring.NewRoot())
	if err != nil {
		t.Fatal(err)
	}
	held := directory.Parts{DB: db, Keys: keys}
	people, groups, credentials := directory.NewAccounts(held), directory.NewGroups(held), directory.NewCredentials(held)
	tickets := ticket.New(ticket.Parts{DB: db, Keys: keys, Now: clock})
	sessions := session.New(session.Parts{DB: db, Keys: keys, Tickets: tickets, Now: clock})
	parts := signin.Parts{DB: db, Keys: keys, Accounts: people, Credentials: credentials, Milestones: directory.NewMilestones(held), Groups: groups, Standing: sessions, Now: clock, Log: log, Authenticators: kinds}
	known := policy.Known{Actions: signin.OwnActions(), Applications: []string{signin.Self}, Protocols: []string{"test", "browser"},
		ApplicationKinds: []string{"directory"}, Tiers: []string{application.Standard}, AccountKinds: []string{directory.Person}}
	parts.Rules = signin.NewRules(db, keys, func(context.Context, store.Reader) (policy.Known, error) { return known, nil }, log)
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
	made := New(Parts{DB: db, Accounts: people, Credentials: credentials, Strangers: deciding.Strangers, Tries: deciding.Tries, Outbox: parts.Outbox, Tickets: tickets, Sessions: session.NewEndings(sessions), Authenticators: kinds, NewPass: accesspass.Issue,
		PINs: pins{}, Messages: deciding.Messages, Quarantine: 24 * time.Hour, Now: clock,
		Spare: func(context.Context, store.Reader, signin.Loss) error { return r.spare }})
	r.Enrollments, r.Listing, r.Changes, r.Endings, r.PINs, r.Passes, r.Keys, r.Notices = made.Enrollments, made.Listing, made.Changes, made.Endings, made.PINs, made.Passes, made.Keys, made.Notices
	r.db, r.people, r.credentials, r.tickets, r.sessions = db, people, credentials, tickets, sessions
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

func (r *rig) try(fn func(tx *store.Tx) error) error {
	return r.db.Change(r.t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK})
	})
}

func (r *rig) change(fn func(tx *store.Tx) error) {
	r.t.Helper()
	if err := r.try(fn); err != nil {
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
		for _, kind := range with {
			traits := r.kind(kind).Describe().Traits
			if _, err := r.credentials.Add(r.t.Context(), tx, directory.Credential{Account: a.ID, Kind: kind, Label: kind, Traits: traits, State: []byte("{}")}); err != nil {
				return err
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

func (r *rig) mails() (out []string) {
	r.t.Helper()
	rows, err := r.db.Query(r.t.Context(), `select address, subject from notice order by id`)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var address, subject string
		if err := rows.Scan(&address, &subject); err != nil {
			r.t.Fatal(err)
		}
		out = append(out, address+": "+subject)
	}
	return out
}

func (r *rig) events(event string) int {
	all, err := r.db.AuditLog().Entries(r.t.Context(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	return len(all)
}

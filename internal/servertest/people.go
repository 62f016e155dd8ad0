package servertest

import (
	"context"
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/key"
	"countersign/internal/admin/nouns"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/totp"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/server"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	hardware "countersign/internal/token"
)

// Check asks what a session may do in Countersign itself.
func (w *World) Check(secret, action, object string) signin.Step {
	w.T.Helper()
	s, err := w.Engine.Check(context.Background(), signin.Request{Application: signin.Self, Action: action, Object: object, Session: secret, Protocol: "browser", Medium: prompt.Browser})
	if err != nil {
		w.T.Fatal(err)
	}
	return s
}

// Promote makes an account an administrator.
func (w *World) Promote(name string) {
	w.T.Helper()
	w.Join(name, directory.Administrators)
}

// Join puts an account into a group.
func (w *World) Join(name, team string) {
	w.T.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Accounts.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		group, err := w.Groups.Find(ctx, tx, team)
		if err != nil {
			return err
		}
		if err := w.Groups.AddMember(ctx, tx, group, d); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.joined", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// Key issues an automation key for an action, and says what keeps it from that.
func (o *Clerk) Key(action string) (string, error) {
	var out key.Key
	err := o.Do(context.Background(), "key.issue", map[string]any{"account": "robot", "actions": []string{action}, "networks": []string{"127.0.0.0/8"}}, &out)
	return out.Key, err
}

// ByKey is what a key is granted for a command.
func ByKey(w *World, key string, c admin.Command) signin.Step {
	w.T.Helper()
	step, err := w.Engine.CheckKey(context.Background(), signin.Request{Application: signin.Self, Action: c.Action(), Object: c.Object(), Protocol: "api", Source: netip.MustParseAddr("127.0.0.1")}, "apikey", key)
	if err != nil {
		w.T.Fatal(err)
	}
	return step
}

// Command is a command of admin with its fields.
func Command(t testing.TB, action string, in map[string]any) admin.Command {
	t.Helper()
	s, ok := nouns.Commands().Find(action)
	if !ok {
		t.Fatalf("no command %s", action)
	}
	cmd := s.New()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, cmd); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// office is a world with a VPN and clerks who administer it with a password and codes.
func OfficeOf(w *World, names ...string) []*Clerk {
	w.T.Helper()
	if err := w.PlantApplications(context.Background(), "wiki.test", DrillSecret); err != nil {
		w.T.Fatal(err)
	}
	var out []*Clerk
	for _, name := range names {
		out = append(out, &Clerk{W: w, Name: name, Person: w.Administrator(name)})
	}
	return out
}

// PolicyVersion is the version in force.
func PolicyVersion(w *World) int64 {
	w.T.Helper()
	d, err := w.Rules.Latest(context.Background(), w.DB)
	if err != nil {
		w.T.Fatal(err)
	}
	return d.Version
}

func Administers(w *World, name string) bool {
	w.T.Helper()
	d, err := w.Accounts.Find(context.Background(), w.DB, name)
	if err != nil {
		w.T.Fatal(err)
	}
	return d.Administers()
}

// StatusOf is the state of an account's newest authenticator of a kind.
func StatusOf(w *World, name, kind string) (status string) {
	w.T.Helper()
	for _, c := range AuthenticatorsOf(w, name) {
		if c.Kind == kind {
			status = c.Status
		}
	}
	return status
}

// RaiseRisk puts accounts at risk without more.
func RaiseRisk(w *World, names ...string) {
	w.T.Helper()
	for _, name := range names {
		Edit(w, name, func(a *directory.Account) { a.Risk = w.Now().Truncate(time.Microsecond) })
	}
}

// Edit changes an account's own row.
func Edit(w *World, name string, change func(*directory.Account)) {
	w.T.Helper()
	ctx := w.T.(*testing.T).Context()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		a, err := w.Accounts.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		change(&a)
		if err := w.Accounts.Update(ctx, tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.account", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// Suspend suspends an account, as an administrator elsewhere would.
func (w *World) Suspend(name string) {
	w.T.Helper()
	err := w.DB.Change(context.Background(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a, err := w.Accounts.Find(context.Background(), tx, name)
		if err != nil {
			return err
		}
		a.State = directory.Suspended
		if err := w.Accounts.Update(context.Background(), tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "account.suspended", Outcome: "ok", Account: int64(a.ID), AccountName: a.Name})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// Follows opens a pass's link and takes it.
func Follows(p *Person, link string) {
	p.W.T.Helper()
	p.Get(link)
	_, code, _ := strings.Cut(link, "code=")
	p.Post("/welcome", "code", code)
}

// AuthenticatorsOf returns what an account has to sign in with, in every state.
func AuthenticatorsOf(w *World, name string) []directory.Credential {
	w.T.Helper()
	ctx := context.Background()
	account, err := w.Accounts.Find(ctx, w.DB, name)
	if err != nil {
		w.T.Fatal(err)
	}
	all, err := w.Credentials.All(ctx, w.DB, account.ID)
	if err != nil {
		w.T.Fatal(err)
	}
	return all
}

// Revokes has an administrator revoke an account's authenticators of a kind.
func Revokes(w *World, desk *Clerk, name, kind string) {
	w.T.Helper()
	for _, c := range AuthenticatorsOf(w, name) {
		if c.Kind != kind || c.Status == directory.CredentialRevoked {
			continue
		}
		if err := desk.Do(context.Background(), "authenticator.revoke", map[string]any{"account": name, "id": c.ID, "reason": "lost"}, nil); err != nil {
			w.T.Fatal(err)
		}
	}
}

// Stock puts a token that goes by the clock into stock, as an import does.
func Stock(w *World, serial string) {
	w.T.Helper()
	key, err := otp.NewKey(otp.SHA1, 6)
	if err != nil {
		w.T.Fatal(err)
	}
	e, err := new(totp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Period: 30, Label: serial})
	if err != nil {
		w.T.Fatal(err)
	}
	err = w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		if err := w.Hardware.Add(context.Background(), tx, []hardware.Token{{Serial: serial, Kind: totp.Kind, Detail: "SHA1, 6 digits", Seed: e.State}}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "token.imported", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// Tampers changes the database of a world behind its back.
func Tampers(w *World, statements ...string) {
	w.T.Helper()
	storetest.Intrude(w.T, filepath.Join(w.Folder, server.DatabaseFile), statements...)
}

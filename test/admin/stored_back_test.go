package admin

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/oauth"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// wearsOn does to the row of each table, as people do, what makes a copy of it an older
// one. A table that is not here has rows that are written once, or of which an older copy
// is harmless: see putBack.
var wearsOn = map[string]func(v *servertest.Vault){
	"account":       func(v *servertest.Vault) { v.Suspend("carl") },
	"account_alias": func(v *servertest.Vault) { v.Does("account.remove", map[string]any{"name": "gone"}) },
	"team":          func(v *servertest.Vault) { v.Does("group.remove", map[string]any{"name": "former"}) },
	"membership": func(v *servertest.Vault) {
		v.Does("group.member.remove", map[string]any{"group": "staff", "account": "ada"})
	},
	"credential": func(v *servertest.Vault) {
		v.Later(30 * time.Second)
		if s := v.Begin(servertest.Line("ada", servertest.Passphrase, v.Ada.Code())); s.State != signin.Granted {
			v.T.Fatal(s.Reason)
		}
	},
	"guess":   func(v *servertest.Vault) { v.Begin(servertest.Line("root", "another wrong password", "")) },
	"attempt": func(v *servertest.Vault) { v.Begun.Post("/sign-in", "authenticator", "totp", "text", v.Ada.Code()) },
	"ticket": func(v *servertest.Vault) {
		if _, err := v.Handovers.Accept(context.Background(), v.Hand, servertest.OtherHost, session.Visit{Application: "wiki"}); err != nil {
			v.T.Fatal(err)
		}
	},
	"session":     func(v *servertest.Vault) { v.Left.Post("/sign-out") },
	"application": func(v *servertest.Vault) { v.Equipment() },
	"wrapped_key": func(v *servertest.Vault) {
		if err := v.Keys.RotateDataKey(context.Background(), audit.System("test"), "form"); err != nil {
			v.T.Fatal(err)
		}
	},
	"declaration":      func(v *servertest.Vault) { v.Does("coverage.withdraw", map[string]any{"row": "T1669"}) },
	"drill_result":     func(v *servertest.Vault) { v.Later(30 * time.Second); v.Drilled(attack.Failed) },
	"approval":         func(v *servertest.Vault) { decides(v, approval.Denies) },
	"wake":             func(v *servertest.Vault) { decides(v, approval.Approved) },
	"app_count":        func(v *servertest.Vault) { v.Device.Look("000000") },
	"token":            func(v *servertest.Vault) { v.Does("token.revoke", map[string]any{"serial": "SN-1", "reason": "lost"}) },
	"recovery_request": func(v *servertest.Vault) { opensCase(v, "carl", v.Asks) },
	"recovery": func(v *servertest.Vault) {
		alters(v, func(ctx context.Context, tx *store.Tx) error {
			lost, err := v.Installation.Accounts.Find(ctx, tx, v.Lost)
			if err != nil {
				return err
			}
			_, err = v.Recoveries.Stops.DoubtTx(ctx, tx, lost)
			return err
		})
	},
	"external_id": func(v *servertest.Vault) {
		alters(v, func(ctx context.Context, tx *store.Tx) error {
			client, err := v.Installation.Accounts.Find(ctx, tx, "provisioner")
			if err != nil {
				return err
			}
			ada, err := v.Installation.Accounts.Find(ctx, tx, "ada")
			if err != nil {
				return err
			}
			_, err = v.Externals.Set(ctx, tx, directory.External{Client: client.ID, Kind: directory.ExternalUser, Subject: int64(ada.ID)}, "00u2")
			return err
		})
	},
	"oauth_grant": func(v *servertest.Vault) {
		if err := v.Grants.End(context.Background(), audit.System("test"), v.Given, "test"); err != nil {
			v.T.Fatal(err)
		}
	},
	"oauth_logout": func(v *servertest.Vault) {
		err := v.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
			if err := oauth.NewConnections(v.Grants).SessionEndedTx(context.Background(), tx, v.Given.Account, v.Given.Session); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "session.ended", Outcome: audit.OK})
		})
		if err != nil {
			v.T.Fatal(err)
		}
	},
	"signal_party": func(v *servertest.Vault) {
		v.Does("stream.set-status", map[string]any{"name": "elsewhere", "status": "paused"})
	},
	"saml_metadata": func(v *servertest.Vault) {
		v.Does("rollover.announce", map[string]any{"purpose": "saml"})
		v.ReadsMetadata()
	},
	"offline_list": func(v *servertest.Vault) {
		v.Does("offline.revoke", map[string]any{"host": "gate1.example.org", "login": "carl", "reason": "the paper is gone"})
	},
}

// older puts the row back that was saved before people went on.
func older(v *servertest.Vault, table string, s stored) tampering {
	v.T.Helper()
	where := s.where
	if s.oldWhere != "" {
		where = s.oldWhere
	}
	r := rows(v.Vandal, table, where)[0]
	return tampering{name: table + ": an older row put back", table: table, row: r, expects: s.putBack,
		do: func() error {
			delete(v.Vandal, table, r, s.key)
			return insert(v.Vandal, table, r)
		}}
}

// The promise: a row that is put back as it once was is not believed, and is noticed:
// beside the running server.
func TestEveryRowPutBack(t *testing.T) {
	for table, goOn := range wearsOn {
		t.Run(table, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, dsn string) {
				v := servertest.NewVault(t, dsn)
				quietly(v)
				a := older(v, table, database[table])
				goOn(v)
				isCalm(v, "after people went on")
				mark := mark(v)
				if err := a.do(); err != nil {
					t.Fatal(err)
				}
				judgeSince(v, a, mark)
			})
		})
	}
}

// The promise: a restart forgets nothing of that.
func TestEveryRowPutBackWhileStopped(t *testing.T) {
	for table, goOn := range wearsOn {
		t.Run(table, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, dsn string) {
				v := servertest.NewVault(t, dsn)
				a := older(v, table, database[table])
				goOn(v)
				mark := mark(v)
				starts := v.Again(func() {
					if err := a.do(); err != nil {
						t.Fatal(err)
					}
				}, func() {})
				if starts {
					judgeSince(v, a, mark)
				}
			})
		})
	}
}

// copies are rows under another key, and rows that are given to somebody else.
func copies(v *servertest.Vault, table string, s stored) (all []tampering) {
	v.T.Helper()
	r := rows(v.Vandal, table, s.where)[0]
	c := maps.Clone(r)
	for _, column := range append(slices.Clone(s.key), strings.Fields(s.unique)...) {
		if n, ok := c[column].(int64); ok {
			c[column] = n + 100_000
		} else {
			c[column] = other(c[column])
		}
	}
	all = append(all, tampering{name: table + ": a copy", table: table, row: c, expects: s.copied,
		do: func() error { return insert(v.Vandal, table, c) }, undo: func() { delete(v.Vandal, table, c, s.key) }})
	if _, owned := r["account"]; owned && r["account"] != int64(0) {
		m := maps.Clone(r)
		if m["account"] = numberOf(v, "carl"); m["account"] == r["account"] {
			m["account"] = numberOf(v, "helga")
		}
		all = append(all, tampering{name: table + ": moved to somebody else", table: table, row: r, expects: s.moved,
			do: func() error { return set(v.Vandal, table, r, s.key, "account", m["account"]) }, undo: func() { delete(v.Vandal, table, m, s.key); back(v.Vandal, table, r) }})
	}
	return all
}

func numberOf(v *servertest.Vault, name string) int64 {
	v.T.Helper()
	a, err := v.Installation.Accounts.Find(context.Background(), v.DB, name)
	if err != nil {
		v.T.Fatal(err)
	}
	return int64(a.ID)
}

package cli

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
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// wearsOn does to the row of each table, as people do, what makes a copy of it an older
// one. A table that is not here has rows that are written once, or of which an older copy
// is harmless: see putBack.
var wearsOn = map[string]func(v *vault){
	"account":       func(v *vault) { v.suspend("carl") },
	"account_alias": func(v *vault) { v.does("account.remove", map[string]any{"name": "gone"}) },
	"team":          func(v *vault) { v.does("group.remove", map[string]any{"name": "former"}) },
	"membership":    func(v *vault) { v.does("group.member.remove", map[string]any{"group": "staff", "account": "ada"}) },
	"credential": func(v *vault) {
		v.later(30 * time.Second)
		if s := v.begin(line("ada", passphrase, v.ada.code())); s.State != signin.Granted {
			v.t.Fatal(s.Reason)
		}
	},
	"guess":   func(v *vault) { v.begin(line("root", "another wrong password", "")) },
	"attempt": func(v *vault) { v.begun.post("/sign-in", "authenticator", "totp", "text", v.ada.code()) },
	"ticket": func(v *vault) {
		if _, err := v.Handovers.Accept(context.Background(), v.hand, otherHost, session.Visit{Application: "wiki"}); err != nil {
			v.t.Fatal(err)
		}
	},
	"session":     func(v *vault) { v.left.post("/sign-out") },
	"application": func(v *vault) { v.equipment() },
	"wrapped_key": func(v *vault) {
		if err := v.Keys.RotateDataKey(context.Background(), audit.System("test"), "form"); err != nil {
			v.t.Fatal(err)
		}
	},
	"declaration":      func(v *vault) { v.does("coverage.withdraw", map[string]any{"row": "T1669"}) },
	"drill_result":     func(v *vault) { v.later(30 * time.Second); v.drilled(attack.Failed) },
	"approval":         func(v *vault) { v.decides(approval.Denies) },
	"wake":             func(v *vault) { v.decides(approval.Approved) },
	"app_count":        func(v *vault) { v.device.look("000000") },
	"token":            func(v *vault) { v.does("token.revoke", map[string]any{"serial": "SN-1", "reason": "lost"}) },
	"recovery_request": func(v *vault) { v.opens("carl", v.asks) },
	"recovery": func(v *vault) {
		v.alters(func(ctx context.Context, tx *store.Tx) error {
			lost, err := v.Installation.Directory.Find(ctx, tx, v.lost)
			if err != nil {
				return err
			}
			_, err = v.Recoveries.Stops.DoubtIn(ctx, tx, lost)
			return err
		})
	},
	"offline_list": func(v *vault) {
		v.does("offline.revoke", map[string]any{"host": "gate1.example.org", "login": "carl", "reason": "the paper is gone"})
	},
}

// older puts the row back that was saved before people went on.
func (v *vault) older(table string, s stored) tampering {
	v.t.Helper()
	where := s.where
	if s.oldWhere != "" {
		where = s.oldWhere
	}
	r := v.rows(table, where)[0]
	return tampering{name: table + ": an older row put back", table: table, row: r, expects: s.putBack,
		do: func() error {
			v.delete(table, r, s.key)
			return v.insert(table, r)
		}}
}

// The promise: a row that is put back as it once was is not believed, and is noticed:
// beside the running server.
func TestEveryRowPutBack(t *testing.T) {
	for table, goOn := range wearsOn {
		t.Run(table, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, dsn string) {
				v := newVault(t, dsn)
				v.quietly()
				a := v.older(table, database[table])
				goOn(v)
				v.isCalm("after people went on")
				if err := a.do(); err != nil {
					t.Fatal(err)
				}
				v.judge(a)
			})
		})
	}
}

// The promise: a restart forgets nothing of that.
func TestEveryRowPutBackWhileStopped(t *testing.T) {
	for table, goOn := range wearsOn {
		t.Run(table, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, dsn string) {
				v := newVault(t, dsn)
				a := v.older(table, database[table])
				goOn(v)
				mark := v.mark()
				starts := v.again(func() {
					if err := a.do(); err != nil {
						t.Fatal(err)
					}
				}, func() {})
				if starts {
					v.judgeSince(a, mark)
				}
			})
		})
	}
}

// copies are rows under another key, and rows that are given to somebody else.
func (v *vault) copies(table string, s stored) (all []tampering) {
	v.t.Helper()
	r := v.rows(table, s.where)[0]
	c := maps.Clone(r)
	for _, column := range append(slices.Clone(s.key), strings.Fields(s.unique)...) {
		if n, ok := c[column].(int64); ok {
			c[column] = n + 100_000
		} else {
			c[column] = other(c[column])
		}
	}
	all = append(all, tampering{name: table + ": a copy", table: table, row: c, expects: s.copied,
		do: func() error { return v.insert(table, c) }, undo: func() { v.delete(table, c, s.key) }})
	if _, owned := r["account"]; owned && r["account"] != int64(0) {
		m := maps.Clone(r)
		if m["account"] = v.numberOf("carl"); m["account"] == r["account"] {
			m["account"] = v.numberOf("helga")
		}
		all = append(all, tampering{name: table + ": moved to somebody else", table: table, row: r, expects: s.moved,
			do: func() error { return v.set(table, r, s.key, "account", m["account"]) }, undo: func() { v.delete(table, m, s.key); v.back(table, r) }})
	}
	return all
}

func (v *vault) numberOf(name string) int64 {
	v.t.Helper()
	a, err := v.Installation.Directory.Find(context.Background(), v.DB, name)
	if err != nil {
		v.t.Fatal(err)
	}
	return int64(a.ID)
}

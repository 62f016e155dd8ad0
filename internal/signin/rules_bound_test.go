package signin

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/policy"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// governed is a database with a policy, which is closed and opened again as a server is.
type governed struct {
	*Rules
	t            *testing.T
	dsn, folder  string
	root         keyring.Root
	first, newer Document
}

func newGoverned(t *testing.T, dsn string) *governed {
	t.Helper()
	g := &governed{t: t, dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot()}
	g.open()
	g.first, g.newer = g.save(anyFactor), g.save(denying)
	return g
}

func (g *governed) open() {
	g.t.Helper()
	db, keys := keyringtest.Open(g.t, store.Options{DSN: g.dsn, Remember: g.folder}, g.root)
	g.Rules = NewRules(db, keys, func(context.Context, store.Reader) (policy.Known, error) { return vocabulary(nil), nil }, slog.New(slog.DiscardHandler))
	g.Watch()
}

func (g *governed) again() {
	g.t.Helper()
	if err := g.db.Close(); err != nil {
		g.t.Fatal(err)
	}
	g.open()
}

func (g *governed) save(document string) (d Document) {
	g.t.Helper()
	err := g.db.Change(g.t.Context(), storetest.Actor, func(tx *store.Tx) (err error) {
		if d, err = g.Save(g.t.Context(), tx, document, "test"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return d
}

func (g *governed) sabotage(query string, args ...any) {
	g.t.Helper()
	storetest.Sabotage(g.t, g.db, query, args...)
	g.gen.Add(1)
}

// denies reports whether the newest policy is in force.
func (g *governed) denies() error {
	p, err := g.Current(g.t.Context())
	if err == nil && p != nil && len(p.Rules()) == 1 {
		if _, no := p.Decide(policy.Facts{}).Requirement.Denied(); !no {
			return errors.New("an older policy is in force")
		}
	}
	return err
}

// Whoever writes to the database takes no policy back: the newest one stays in force where
// it is in memory, nothing is decided where it is not, and the log says so once.
func TestAnOlderPolicyIsNeverInForce(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	const newest = `version = (select max(version) from policy)`
	for name, c := range map[string]struct {
		do    func(g *governed)
		wrong string
		row   func(g *governed) int64
		stays bool // also after a restart
	}{
		"the newest deleted":        {func(g *governed) { g.sabotage(`delete from policy where ` + newest) }, store.Missing, (*governed).newest, false},
		"all deleted":               {func(g *governed) { g.sabotage(`delete from policy`) }, store.Missing, (*governed).newest, false},
		"the newest's text changed": {func(g *governed) { g.sabotage(`update policy set body = $1 where `+newest, anyFactor) }, store.Altered, (*governed).newest, false},
		"its author":                {func(g *governed) { g.sabotage(`update policy set author = 'eve' where ` + newest) }, store.Altered, (*governed).newest, false},
		"its time":                  {func(g *governed) { g.sabotage(`update policy set created = created + 1 where ` + newest) }, store.Altered, (*governed).newest, false},
		"its MAC": {func(g *governed) {
			g.sabotage(`update policy set mac = (select mac from policy where version = $1) where version = $2`, g.first.Version, g.newest())
		}, store.Altered, (*governed).newest, false},
		"the older one copied behind it": {func(g *governed) {
			g.sabotage(`insert into policy (body, author, created, mac) select body, author, created, mac from policy where version = $1`, g.first.Version)
		}, store.Altered, nil, true},
		"the newest's text taken from the older": {func(g *governed) {
			g.sabotage(`update policy set body = $1, author = $2, created = $3, mac = (select mac from policy where version = $4) where version = $5`,
				g.first.Body, g.first.Author, g.first.Created, g.first.Version, g.newer.Version)
		}, store.Altered, (*governed).newest, false},
		"the older one deleted": {func(g *governed) { g.sabotage(`delete from policy where version = $1`, g.first.Version) }, "", nil, true},
		"an older one changed": {func(g *governed) { g.sabotage(`update policy set body = 'x' where version = $1`, g.first.Version) }, store.Altered,
			func(g *governed) int64 { return g.first.Version }, true},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				g := newGoverned(t, dsn)
				if err := errors.Join(g.denies(), g.Inspect(t.Context())); err != nil {
					t.Fatal(err)
				}
				storetest.Quiet(t, g.db)
				c.do(g)
				row := ""
				if c.row != nil {
					row = strconv.FormatInt(c.row(g), 10)
				}
				if err := g.denies(); err != nil {
					t.Errorf("while it runs: %v", err)
				}
				for range 2 {
					if err := g.Inspect(t.Context()); err != nil {
						t.Error(err)
					}
				}
				if c.wrong != "" {
					storetest.Alarmed(t, g.db, "policy", row, c.wrong)
				} else {
					storetest.Quiet(t, g.db)
				}
				g.again()
				for c.stays && g.denies() != nil && !g.db.View().CaughtUp() { // until then what is not ours may stand for what is missing
					time.Sleep(time.Millisecond)
				}
				if err := g.denies(); c.stays != (err == nil) || err != nil && !errors.Is(err, errPolicyGone) {
					t.Errorf("after a restart: %v", err)
				}
				if err := g.Inspect(t.Context()); err != nil {
					t.Error(err)
				}
				if c.wrong != "" {
					storetest.Alarmed(t, g.db, "policy", row, c.wrong)
				}
				g.save(denying)
				if err := g.denies(); err != nil {
					t.Errorf("set anew: %v", err)
				}
			})
		})
	}
}

// A server that has not the newest document in memory does not go on with an older one
// that it has, and one that knows of none believes no document below one of others.
func TestAServerThatDoesNotHaveTheNewestPolicyDecidesNothing(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		g := newGoverned(t, dsn)
		other := NewRules(g.db, g.keys, g.known, g.log)
		if _, err := other.Current(t.Context()); err != nil {
			t.Fatal(err)
		}
		newest := g.save(denying)
		g.sabotage(`delete from policy where version = $1`, newest.Version)
		other.gen.Add(1)
		if _, err := other.Current(t.Context()); !errors.Is(err, directory.ErrTampered) {
			t.Errorf("it has the second newest: %v", err)
		}
		if _, err := g.Latest(t.Context(), g.db); !errors.Is(err, errPolicyGone) {
			t.Errorf("the newest: %v", err)
		}
		if all, err := g.Versions(t.Context(), g.db, 0, 10); err != nil || len(all) != 2 {
			t.Errorf("the history: %d, %v", len(all), err)
		}
	})
}

// Numbers that were given before are given to no other document.
func TestNumbersOfPoliciesAreGivenOnce(t *testing.T) {
	g := newGoverned(t, t.TempDir()+"/test.db")
	g.sabotage(`delete from policy where version = $1`, g.newer.Version)
	err := g.db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if _, err := tx.Exec(t.Context(), `insert into policy (version, body, author, created, mac) values ($1, 'x', 'x', 0, $2)`, g.newer.Version+1, []byte{}); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), `delete from policy where version > $1`, g.first.Version); err != nil {
			return err
		}
		tx.Anchor(PolicyTopic, 0, g.newer.Version+10) // as though there had been that many
		return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = g.db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if _, err := g.Save(t.Context(), tx, anyFactor, "test"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
	})
	if !errors.Is(err, errNumbers) {
		t.Errorf("%v", err)
	}
}

// The policy of a release before counts as the newest once it is bound.
func TestThePolicyOfBeforeIsBound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		g := &governed{t: t, dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot()}
		g.open()
		if err := g.Bind(t.Context()); err != nil || g.newest() != 0 {
			t.Fatalf("none: %d, %v", g.newest(), err)
		}
		for _, body := range []string{anyFactor, denying} {
			err := g.db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
				d := Document{Body: body, Author: "test", Created: store.Unix(tx.Now())}
				if err := tx.QueryRow(t.Context(), `insert into policy (body, author, created, mac) values ($1,$2,$3,$4) returning version`, body, d.Author, d.Created, []byte{}).Scan(&d.Version); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), `update policy set mac = $2 where version = $1`, d.Version, g.keys.MAC("policy", d.fields()))
				return errors.Join(err, tx.Record(audit.Entry{Event: "test", Outcome: audit.OK}))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := g.Bind(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := g.denies(); err != nil {
			t.Fatal(err)
		}
		g.sabotage(`delete from policy where version = (select max(version) from policy)`)
		g.again()
		if err := g.denies(); !errors.Is(err, errPolicyGone) {
			t.Errorf("%v", err)
		}
	})
}

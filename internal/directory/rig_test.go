package directory

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

type rig struct {
	kept
	people      *Accounts
	groups      *Groups
	credentials *Credentials
	milestones  *Milestones
	survey      *Survey
	inspection  *Inspection
	binding     *Binding
	dsn, folder string
	root        keyring.Root
}

func setUp(t *testing.T) *rig {
	t.Helper()
	return setUpOn(t, filepath.Join(t.TempDir(), "directory.db"))
}

func setUpOn(t *testing.T, dsn string) *rig {
	t.Helper()
	r := &rig{dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot()}
	t.Cleanup(func() { r.db.Close() })
	r.open(t)
	return r
}

func (r *rig) open(t *testing.T) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: r.dsn, Remember: r.folder, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Open(t.Context(), db, r.root)
	if err != nil {
		t.Fatal(err)
	}
	p := Parts{DB: db, Keys: keys}
	r.kept, r.people, r.groups, r.credentials, r.milestones = keptBy(p), NewAccounts(p), NewGroups(p), NewCredentials(p), NewMilestones(p)
	r.survey, r.inspection, r.binding = NewSurvey(p), NewInspection(p), NewBinding(p)
}

// restart is this server after a stop and a start.
func (r *rig) restart(t *testing.T) {
	t.Helper()
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	r.open(t)
}

// alarmed waits until a row of a table is an alarm, and fails where one is so twice.
func (r *rig) alarmed(t *testing.T, table, wrong string) (found store.Finding) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		said, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: store.TamperedEvent, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		times := map[store.Finding]int{}
		for _, e := range said {
			f := store.Finding{Table: e.Detail["table"], Row: e.Detail["row"], Wrong: e.Reason, Account: e.Account}
			if times[f]++; times[f] > 1 {
				t.Fatalf("%+v is an alarm twice", f)
			}
			if f.Table == table && f.Wrong == wrong {
				found = f
			}
		}
		if found.Table != "" {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("no alarm says that a row of %s is %s: %v", table, wrong, times)
		}
	}
}

// try runs one audited change and returns its error.
func (r *rig) try(t *testing.T, fn func(tx *store.Tx) error) error {
	t.Helper()
	return storetest.Try(t, r.db, fn)
}

func (r *rig) change(t *testing.T, fn func(tx *store.Tx) error) {
	t.Helper()
	storetest.Change(t, r.db, fn)
}

// sabotage runs plain SQL, as somebody with write access to the database would.
func (r *rig) sabotage(t *testing.T, query string, args ...any) {
	t.Helper()
	r.change(t, func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), query, args...); return err })
}

func (r *rig) account(t *testing.T, n NewAccount) (a Account) {
	t.Helper()
	r.change(t, func(tx *store.Tx) (err error) { a, err = r.people.Create(t.Context(), tx, n); return err })
	return a
}

func (r *rig) group(t *testing.T, name string, privileged bool, members ...Account) (g Group) {
	t.Helper()
	r.change(t, func(tx *store.Tx) (err error) {
		if g, err = r.groups.Create(t.Context(), tx, name, name, privileged); err != nil {
			return err
		}
		for _, a := range members {
			if err := r.groups.AddMember(t.Context(), tx, g, a); err != nil {
				return err
			}
		}
		return nil
	})
	return g
}

func (r *rig) credential(t *testing.T, c Credential) (out Credential) {
	t.Helper()
	r.change(t, func(tx *store.Tx) (err error) { out, err = r.credentials.Add(t.Context(), tx, c); return err })
	return out
}

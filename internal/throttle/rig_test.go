package throttle

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// rig is a Throttle with the limits of nobody who chose, on a real database, and a clock that
// stands still.
type rig struct {
	*Throttle
	t     testing.TB
	db    *store.DB
	clock *storetest.Watch
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, clock: storetest.NewWatch(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC))}
	db, keys := keyringtest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Now: r.clock.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}, keyring.NewRoot())
	limits, err := Limits{}.Check()
	if err != nil {
		t.Fatal(err)
	}
	r.db = db
	if r.Throttle, err = New(db, keys, limits, r.clock.Now); err != nil {
		t.Fatal(err)
	}
	return r
}

// change writes as whatever room it is that writes.
func (r *rig) change(f func(tx *store.Tx) error) {
	r.t.Helper()
	storetest.Change(r.t, r.db, f)
}

// wrong has somebody answer wrong, and returns what that was charged to, and why it was not
// compared.
func (r *rig) wrong(by Requester, of Target) (b Budget, refusal string) {
	r.t.Helper()
	r.change(func(tx *store.Tx) (err error) {
		if b, refusal, err = r.Read(r.t.Context(), tx, by, of); err != nil || refusal != "" {
			return err
		}
		return r.Charge(r.t.Context(), tx, &b)
	})
	return b, refusal
}

// counted is what is charged to a subject in the database.
func (r *rig) counted(key string) (n int64) {
	r.t.Helper()
	if err := r.db.QueryRow(r.t.Context(), `select coalesce(sum(count), 0) from guess where subject = $1`, key).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// note notes that an account was let in from an address.
func (r *rig) note(account assurance.AccountID, from netip.Addr) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		return r.NotePlace(r.t.Context(), tx, Origin{Source: from}, account, Place{})
	})
}

// ada's password, and where she and a stranger are.
const (
	ada      = assurance.AccountID(7)
	password = assurance.CredentialID(70)
)

var (
	home    = netip.MustParseAddr("192.0.2.7")
	outside = netip.MustParseAddr("203.0.113.1")
)

func adas() Target {
	return Target{Account: ada, Kind: "password", Credentials: []assurance.CredentialID{password}}
}

// someone is whoever types her name at an address.
func someone(at netip.Addr) Requester { return Requester{Origin: Origin{Source: at}, Name: "ada"} }

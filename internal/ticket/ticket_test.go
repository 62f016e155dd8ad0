package ticket

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
)

type rig struct {
	*Tickets
	now time.Time
	// Where the server keeps everything, so that it can be stopped and started.
	dsn, folder string
	root        keyring.Root
}

var began = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func setUp(t *testing.T) *rig { return setUpOn(t, filepath.Join(t.TempDir(), "ticket.db")) }

func setUpOn(t *testing.T, dsn string) *rig {
	t.Helper()
	r := &rig{now: began, dsn: dsn, folder: filepath.Join(t.TempDir(), "remembered"), root: keyring.NewRoot()}
	r.open(t)
	return r
}

// open starts a server, which has forgotten all that is not kept.
func (r *rig) open(t *testing.T) {
	t.Helper()
	db, keys := keyringtest.Open(t, store.Options{DSN: r.dsn, Remember: r.folder, Now: func() time.Time { return began }}, r.root)
	r.Tickets = New(Parts{DB: db, Keys: keys, Now: func() time.Time { return r.now }})
}

func (r *rig) issue(t *testing.T, s Spec) string {
	t.Helper()
	secret, err := r.Issue(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func (r *rig) sabotage(t *testing.T, query string, args ...any) {
	t.Helper()
	err := r.db.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := tx.Exec(t.Context(), query, args...); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.sabotage", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) rows(t *testing.T) (n int) {
	t.Helper()
	if err := r.db.QueryRow(t.Context(), `select count(*) from ticket`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

var link = Spec{Kind: "link", Owner: 3, Payload: []byte("payload"), Lifetime: time.Minute}

func TestTakenOnce(t *testing.T) {
	r := setUp(t)
	secret := r.issue(t, link)
	for range 2 { // looking takes nothing
		got, err := r.Peek(t.Context(), "link", secret)
		if err != nil || string(got.Payload) != "payload" || got.Owner != 3 || !got.Expires.Equal(r.now.Add(time.Minute)) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if got, err := r.Take(t.Context(), "link", secret); err != nil || string(got.Payload) != "payload" || got.Owner != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := r.Take(t.Context(), "link", secret); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("taken again: %v", err)
	}
	if _, err := r.Peek(t.Context(), "link", secret); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("looked at after: %v", err)
	}
}

func TestOneOfManyTakers(t *testing.T) {
	r := setUp(t)
	secret := r.issue(t, link)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 64 {
		wg.Go(func() {
			if _, err := r.Take(t.Context(), "link", secret); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of 64 got it", won)
	}
}

// A ticket of one kind is nothing to another, one with another secret nothing at all.
func TestWrongSecrets(t *testing.T) {
	r := setUp(t)
	secret := r.issue(t, link)
	for name, c := range map[string]struct{ kind, secret string }{
		"another kind": {"pass", secret}, "no kind": {"", secret}, "nothing": {"link", ""}, "no base64": {"link", "!" + secret[1:]}, "cut": {"link", secret[:len(secret)-4]},
		"longer": {"link", secret + "AAAA"}, "another": {"link", NewSecret()}, "padded": {"link", secret + "="},
	} {
		if _, err := r.Peek(t.Context(), c.kind, c.secret); failure.ReasonOf(err) != "unknown-ticket" {
			t.Errorf("%s: Peek says %v", name, err)
		}
		if _, err := r.Take(t.Context(), c.kind, c.secret); failure.ReasonOf(err) != "unknown-ticket" {
			t.Errorf("%s: Take says %v", name, err)
		}
	}
	if r.rows(t) != 1 {
		t.Error("the ticket went with a wrong secret")
	}
}

func TestLateTicket(t *testing.T) {
	r := setUp(t)
	secret, other := r.issue(t, link), r.issue(t, Spec{Kind: "link", Lifetime: time.Hour})
	r.now = r.now.Add(time.Minute - time.Microsecond)
	if _, err := r.Peek(t.Context(), "link", secret); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Microsecond)
	if _, err := r.Peek(t.Context(), "link", secret); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("late: %v", err)
	}
	if _, err := r.Take(t.Context(), "link", secret); failure.ReasonOf(err) != "unknown-ticket" || r.rows(t) != 1 {
		t.Errorf("late: %v, %d rows are left of 2", err, r.rows(t))
	}
	r.issue(t, link)
	r.now = r.now.Add(2 * time.Minute)
	if err := r.Sweep(t.Context()); err != nil || r.rows(t) != 1 {
		t.Errorf("%v, %d rows after sweeping", err, r.rows(t))
	}
	if _, err := r.Take(t.Context(), "link", other); err != nil {
		t.Errorf("one that is not late: %v", err)
	}
}

func TestSpecs(t *testing.T) {
	r := setUp(t)
	for name, s := range map[string]Spec{
		"no kind": {Lifetime: time.Minute}, "no lifetime": {Kind: "link"}, "a past one": {Kind: "link", Lifetime: -time.Second},
		"a long payload": {Kind: "link", Lifetime: time.Minute, Payload: make([]byte, 1<<16+1)}, "a short secret": {Kind: "link", Lifetime: time.Minute, Secret: "abc"},
	} {
		if _, err := r.Issue(t.Context(), s); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if r.rows(t) != 0 {
		t.Error("something was written")
	}
	own := NewSecret()
	if got := r.issue(t, Spec{Kind: "link", Lifetime: time.Minute, Secret: own, Payload: make([]byte, 1<<16)}); got != own {
		t.Errorf("%q is not the secret that was given", got)
	}
	if Name(own) == Name(NewSecret()) || strings.Contains(Name(own), own) || len(Name(own)) != 24 {
		t.Error("Name")
	}
}

// Whoever can write to the database gives nobody another's ticket.
func TestRowsChangedBehindOurBack(t *testing.T) {
	for name, query := range map[string]string{
		"another owner": `update ticket set owner = 4`,
		"another kind":  `update ticket set kind = 'pass'`,
		"moved payload": `update ticket set payload = (select payload from ticket o where o.owner = 9) where owner = 3`,
	} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t)
			secret := r.issue(t, link)
			r.issue(t, Spec{Kind: "link", Owner: 9, Payload: []byte("theirs"), Lifetime: time.Minute})
			r.sabotage(t, query)
			for _, kind := range []string{"link", "pass"} {
				if got, err := r.Take(t.Context(), kind, secret); err == nil {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

// What is taken inside a change that fails is there still.
func TestTakenInsideAChangeThatFails(t *testing.T) {
	r := setUp(t)
	secret := r.issue(t, link)
	broken := errors.New("broken")
	err := r.db.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := r.TakeTx(t.Context(), tx, "link", secret); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if _, err := r.Take(t.Context(), "link", secret); err != nil {
		t.Error(err)
	}
}

func TestDropAll(t *testing.T) {
	r := setUp(t)
	secret := r.issue(t, link)
	err := r.db.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		n, err := DropAllTx(t.Context(), tx)
		if err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
		return tx.Record(audit.Entry{Event: "test.dropped", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Peek(t.Context(), "link", secret); err == nil {
		t.Error("it is there still")
	}
}

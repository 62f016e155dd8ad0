package keyring

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// node is a server with a folder of its own.
type node struct {
	*Keyring
	t           *testing.T
	dsn, folder string
	root        Root
}

func newNode(t *testing.T, dsn string) *node {
	t.Helper()
	n := &node{t: t, dsn: dsn, folder: t.TempDir(), root: NewRoot()}
	if err := n.open(); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) open() error {
	n.t.Helper()
	db, err := store.Open(n.t.Context(), store.Options{DSN: n.dsn, Remember: n.folder, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { db.Close() })
	k, err := Open(n.t.Context(), db, n.root)
	if err != nil {
		db.Close()
		return err
	}
	n.Keyring = k
	return nil
}

// again stops the server and starts it, and says why it does not start.
func (n *node) again() error {
	n.t.Helper()
	if err := n.db.Close(); err != nil {
		n.t.Fatal(err)
	}
	return n.open()
}

func (n *node) rotate(p Purpose) {
	n.t.Helper()
	if err := n.RotateDataKey(n.t.Context(), operator, p); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) row(p Purpose, generation uint32) string {
	n.t.Helper()
	all, err := n.List(n.t.Context())
	for _, k := range all {
		if k.Purpose == p && k.Generation == generation {
			return strconv.FormatInt(k.ID, 10)
		}
	}
	n.t.Fatalf("no key for %s, %v", p, err)
	return ""
}

// Whatever somebody does to the table of keys, the server that runs goes on with the keys
// that it has, the log says so once, and the next start makes no key a second time: it
// refuses, or goes on with all of them.
func TestKeysAreNeverMadeTwice(t *testing.T) {
	gone := func(p Purpose, g string) string { return string(p) + " generation " + g }
	for name, c := range map[string]struct {
		query      string
		row, wrong string
		says       string // at the next start; empty where it starts
	}{
		"a purpose deleted":      {`delete from wrapped_key where purpose = 'token'`, gone(Token, "1"), store.Missing, "was made and is missing"},
		"the newest deleted":     {`delete from wrapped_key where purpose = 'ticket' and retired = 0`, gone(Ticket, "3"), store.Missing, "generation 3, was made and is missing"},
		"the first deleted":      {`delete from wrapped_key where id = (select min(id) from wrapped_key where purpose = 'ticket')`, gone(Ticket, "1"), store.Missing, "generation 1, was made and is missing"},
		"one in between deleted": {`delete from wrapped_key where id = (select min(id) + 1 from wrapped_key where purpose = 'ticket' and id < (select max(id) from wrapped_key)) or purpose = 'ticket' and id = (select max(id) - 1 from wrapped_key)`, "", store.Missing, "is missing"},
		"all but the log's":      {`delete from wrapped_key where purpose not in ('audit-mac', 'audit-sign')`, gone(Account, "1"), store.Missing, "was made and is missing"},
		"all":                    {`delete from wrapped_key`, gone(Account, "1"), store.Missing, errBegun.Error()},
		"a copy":                 {`insert into wrapped_key (purpose, wrapped, created) select purpose, wrapped, created from wrapped_key where purpose = 'token'`, "", store.Altered, "is there twice"},
		"another purpose":        {`update wrapped_key set purpose = 'team' where purpose = 'token'`, "token 1", store.Altered, "does not open though others do"},
		"another time":           {`update wrapped_key set created = created + 1 where purpose = 'token'`, "token 1", store.Altered, "does not open though others do"},
		"another's key":          {`update wrapped_key set wrapped = (select wrapped from wrapped_key where purpose = 'team') where purpose = 'token'`, "token 1", store.Altered, "does not open though others do"},
		"every one altered":      {`update wrapped_key set created = created + 1`, "all", store.Altered, ErrWrongRoot.Error()},
		"retired":                {`update wrapped_key set retired = 1`, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				n := newNode(t, dsn)
				n.rotate(Ticket)
				n.rotate(Ticket)
				place := AAD{Table: "ticket", Column: "payload"}
				sealed := n.Seal(Ticket, place, []byte("x"))
				if err := n.Inspect(t.Context()); err != nil {
					t.Fatal(err)
				}
				storetest.Quiet(t, n.db)
				row := c.row
				if row == "token 1" {
					row = n.row(Token, 1)
				}
				storetest.Sabotage(t, n.db, c.query)
				for range 2 {
					n.reload(0)
					if err := n.Inspect(t.Context()); err != nil {
						t.Error(err)
					}
				}
				if got, err := n.Open(Ticket, place, sealed); err != nil || string(got) != "x" {
					t.Errorf("the server that runs has lost its keys: %v", err)
				}
				if c.wrong == "" {
					storetest.Quiet(t, n.db)
				} else {
					storetest.Alarmed(t, n.db, rowKind, row, c.wrong)
				}
				if _, err := n.List(t.Context()); err != nil && c.row != "all" {
					t.Errorf("they cannot be shown: %v", err)
				}
				if c.wrong != "" {
					if err := n.RotateDataKey(t.Context(), operator, Ticket); err == nil {
						t.Error("a key is rotated while others are missing")
					}
					if err := n.RotateRoot(t.Context(), operator, NewRoot()); err == nil {
						t.Error("the root key is rotated while others are missing")
					}
				}
				if err := n.again(); c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
					t.Errorf("the next start: %v, want %q", err, c.says)
				}
				// Without what it remembers, too: the log says what was made.
				if n.folder = t.TempDir(); c.says != "" && name != "the newest deleted" {
					if err := n.open(); err == nil || !strings.Contains(err.Error(), c.says) {
						t.Errorf("a start that remembers nothing: %v, want %q", err, c.says)
					}
				}
			})
		})
	}
}

// A server that remembers nothing learns from the log that the newest key is missing.
func TestAnUndoneRotationIsFound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		n := newNode(t, dsn)
		n.rotate(Ticket)
		storetest.Sabotage(t, n.db, `delete from wrapped_key where purpose = 'ticket' and retired = 0`)
		n.db.Close()
		n.folder = t.TempDir()
		err := n.open()
		if err != nil {
			if !strings.Contains(err.Error(), "generation 2, was made and is missing") {
				t.Error(err)
			}
			return // it had read the log in time
		}
		if err := n.Inspect(t.Context()); err != nil {
			t.Error(err)
		}
		if err := n.db.View().Hear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.Inspect(t.Context()); err != nil {
			t.Error(err)
		}
		storetest.Alarmed(t, n.db, rowKind, "ticket generation 2", store.Missing)
	})
}

// A log of which somebody has taken away the entry that says which keys were made gives
// nobody new keys.
func TestALogWithGapsMakesNoKeys(t *testing.T) {
	for name, query := range map[string]string{
		"the entry removed": `delete from audit_entry where seq = 0`,
		"the entry altered": `update audit_entry set body = (select body from audit_entry where seq = 1), mac = (select mac from audit_entry where seq = 1) where seq = 0`,
		"the end removed":   `delete from audit_entry where seq > 0`,
	} {
		t.Run(name, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "test.db")
			n := newNode(t, dsn)
			storetest.Sabotage(t, n.db, `delete from wrapped_key where purpose = 'token'`)
			n.db.Close()
			n.folder = ""
			file := storetest.File(t, dsn)
			if _, err := file.ExecContext(t.Context(), query); err != nil {
				t.Fatal(err)
			}
			if err := n.open(); err == nil {
				t.Error("it starts")
			}
		})
	}
}

// Two keys that are rotated one right after the other are both known on another server at
// once: nothing that was sealed under them is taken for altered.
func TestKeysRotatedOneAfterTheOther(t *testing.T) {
	db, root := database(t), NewRoot()
	k := open(t, db, root)
	other := open(t, db, root)
	for _, p := range []Purpose{Ticket, Team, Token} {
		if err := k.RotateDataKey(t.Context(), operator, p); err != nil {
			t.Fatal(err)
		}
		f := NewFields().Int(1)
		if !other.VerifyMAC(p, f, k.MAC(p, f)) {
			t.Errorf("%s is not known on the other server", p)
		}
	}
}

// A root key that was rotated on another server is no alarm, on this one.
func TestARootRotatedElsewhereIsNoAlarm(t *testing.T) {
	n := newNode(t, storetest.Postgres(t))
	other := &node{t: t, dsn: n.dsn, folder: t.TempDir(), root: n.root}
	if err := other.open(); err != nil {
		t.Fatal(err)
	}
	if err := n.RotateRoot(t.Context(), operator, NewRoot()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(other.Inspect(t.Context()), n.Inspect(t.Context())); err != nil {
			t.Error(err)
		}
	}
	other.db.Report(store.Finding{Table: "x", Row: "the next in line", Wrong: store.Missing})
	storetest.Alarmed(t, other.db, "x", "", store.Missing)
	if all, err := other.db.Alarms().Unseen(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	other.opened = time.Now().Add(time.Hour) // as though it had been rotated long before it started
	if err := other.Inspect(t.Context()); err != nil {
		t.Error(err)
	}
	storetest.Alarmed(t, other.db, rowKind, "all", store.Altered)
}

// The keys of a release before are known once they are bound.
func TestKeysOfBeforeAreBound(t *testing.T) {
	n := newNode(t, filepath.Join(t.TempDir(), "test.db"))
	n.db.Close()
	n.folder = ""
	if err := n.open(); err != nil {
		t.Fatal(err)
	}
	number := store.NumberOf(string(Token))
	if err := n.Bind(t.Context()); err != nil || n.db.Newest(rowKind, number) != 1 {
		t.Errorf("%d, %v", n.db.Newest(rowKind, number), err)
	}
	all, err := n.db.AuditLog().Entries(t.Context(), store.Filter{Event: "installation.bound"})
	if err != nil || len(all) != 1 || all[0].Outcome != audit.OK || !strings.Contains(all[0].Versions, rowKind+"/") {
		t.Errorf("%+v, %v", all, err)
	}
}

package ticket

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func (r *rig) intrude(t *testing.T, statements ...string) {
	t.Helper()
	storetest.Intrude(t, r.dsn, statements...)
}

func (r *rig) inspect(t *testing.T) {
	t.Helper()
	if err := r.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// refuses fails where a ticket opens, looked at or taken.
func (r *rig) refuses(t *testing.T, what, kind, secret string) {
	t.Helper()
	if got, err := r.Peek(t.Context(), kind, secret); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("%s: Peek says %+v, %v", what, got, err)
	}
	if got, err := r.Take(t.Context(), kind, secret); failure.ReasonOf(err) != "unknown-ticket" {
		t.Errorf("%s: Take says %+v, %v", what, got, err)
	}
}

func (r *rig) change(t *testing.T, f func(tx *store.Tx) error) {
	t.Helper()
	err := r.db.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever writes into a column of a ticket has none, neither that one nor another, and is
// seen: when it is used, and when it is not.
func TestEveryColumnIsBound(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		mine := NewSecret()
		h, _ := hash("link", mine)
		for column, set := range map[string]string{
			"hash":     "hash = {" + hex.EncodeToString(h) + "}",
			"kind":     "kind = 'pass'",
			"owner":    "owner = 9",
			"nobody's": "owner = 0",
			"payload":  "payload = (select o.payload from ticket o where o.owner = 9)",
			"odd seal": "payload = {00}",
			"created":  "created = created + 1",
			"expires":  fmt.Sprintf("expires = %d", began.Add(time.Hour).UnixMicro()),
		} {
			for _, used := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s used %v", column, used), func(t *testing.T) {
					r := setUpOn(t, storetest.Another(t, dsn))
					secret := r.issue(t, link)
					other := r.issue(t, Spec{Kind: "link", Owner: 9, Payload: []byte("theirs"), Lifetime: time.Minute})
					r.intrude(t, `update ticket set `+set+` where owner = 3`)
					if used {
						if column == "kind" { // nobody finds it any more
							r.inspect(t)
						}
						r.refuses(t, "the row", "link", secret)
						r.refuses(t, "of another kind", "pass", secret)
						r.refuses(t, "the attacker's", "link", mine)
					} else {
						r.inspect(t)
						r.inspect(t)
					}
					if _, err := r.Take(t.Context(), "link", other); err != nil {
						t.Errorf("somebody else's: %v", err)
					}
					storetest.OneAlarm(t, r.db, "ticket", store.Altered)
				})
			}
		}
	})
}

const keepRows, putBack = `create table kept as select * from ticket`, `insert into ticket select * from kept`

// A ticket that was taken, or is worth nothing any more, is not good again when its row is
// put back: on this server, after a restart, and on another one that reads the log.
func TestPutBack(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	void := func(t *testing.T, r *rig, _ string) {
		r.change(t, func(tx *store.Tx) error { return r.VoidTx(t.Context(), tx, "link") })
	}
	drop := func(t *testing.T, r *rig, _ string) {
		r.change(t, func(tx *store.Tx) error { _, err := DropAllTx(t.Context(), tx); return err })
	}
	take := func(t *testing.T, r *rig, secret string) {
		if _, err := r.Take(t.Context(), "link", secret); err != nil {
			t.Fatal(err)
		}
	}
	takeIn := func(t *testing.T, r *rig, secret string) {
		r.change(t, func(tx *store.Tx) error { _, err := r.TakeTx(t.Context(), tx, "link", secret); return err })
	}
	told := func(t *testing.T, r *rig, secret string) {
		got, err := r.Take(t.Context(), "link", secret)
		if err != nil {
			t.Fatal(err)
		}
		r.change(t, func(tx *store.Tx) error { got.TakenTx(tx); return nil })
	}
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		for _, c := range []struct {
			how    string
			end    func(t *testing.T, r *rig, secret string)
			hidden bool // the row was not there when it happened
			silent bool // no entry says so: only the server knows that did it
		}{{"taken", take, false, true}, {"taken in a change", takeIn, false, false}, {"taken before a change", told, false, false},
			{"void", void, false, false}, {"dropped", drop, false, false}, {"hidden and void", void, true, false}, {"hidden and dropped", drop, true, false}} {
			for _, when := range []string{"looked at", "taken again", "not used", "after a restart", "on another server"} {
				if (when == "on another server") != strings.HasPrefix(dsn, "postgres") || c.silent && when == "on another server" {
					continue
				}
				t.Run(c.how+" "+when, func(t *testing.T) {
					r := setUpOn(t, storetest.Another(t, dsn))
					other := r
					if when == "on another server" {
						other = &rig{now: r.now, dsn: r.dsn, folder: filepath.Join(t.TempDir(), "remembered"), root: r.root}
						other.open(t)
					}
					r.now = began.Add(-overlap)
					secret := r.issue(t, Spec{Kind: "link", Payload: []byte("payload"), Lifetime: 10 * time.Minute})
					r.now = began
					r.intrude(t, keepRows)
					if c.hidden {
						r.intrude(t, `delete from ticket`)
					}
					c.end(t, r, secret)
					r.intrude(t, putBack)
					if other != r {
						other.hears(t, secret)
					}
					switch when {
					case "taken again":
						if _, err := r.Take(t.Context(), "link", secret); failure.ReasonOf(err) != "unknown-ticket" {
							t.Errorf("it is good again: %v", err)
						}
					case "not used":
						r.inspect(t)
						r.inspect(t)
					case "after a restart":
						r.db.Close()
						r.open(t)
						r.refuses(t, "it", "link", secret)
					default:
						other.refuses(t, "it", "link", secret)
					}
					storetest.OneAlarm(t, other.db, "ticket", store.Returned)
				})
			}
		}
	})
}

// hears waits until a server knows that a ticket is over.
func (r *rig) hears(t *testing.T, secret string) {
	t.Helper()
	h, _ := hash("link", secret)
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got, err := scan(r.db.QueryRow(t.Context(), `select `+columns+` from ticket where hash = $1`, h))
		if err != nil {
			t.Fatal(err)
		}
		if over, _ := r.over(got); over {
			return
		}
		if time.Now().After(until) {
			t.Fatal("the other server never heard of it")
		}
	}
}

// However many there are, the last is looked at as well.
func TestInspectPages(t *testing.T) {
	r := setUp(t)
	r.change(t, func(tx *store.Tx) error {
		for range inspectPage + 1 {
			if _, err := r.IssueTx(t.Context(), tx, link); err != nil {
				return err
			}
		}
		return nil
	})
	r.inspect(t)
	r.intrude(t, `update ticket set owner = 9 where hash = (select max(hash) from ticket)`)
	r.inspect(t)
	storetest.OneAlarm(t, r.db, "ticket", store.Altered)
}

// Whoever holds a secret may be given another ticket of it when the first is taken.
func TestIssuedAgain(t *testing.T) {
	r := setUp(t)
	secret := r.issue(t, link)
	r.change(t, func(tx *store.Tx) error {
		if _, err := r.TakeTx(t.Context(), tx, "link", secret); err != nil {
			return err
		}
		_, err := r.IssueTx(t.Context(), tx, Spec{Kind: "link", Owner: 3, Payload: []byte("next"), Lifetime: time.Minute, Secret: secret})
		return err
	})
	r.inspect(t)
	if got, err := r.Take(t.Context(), "link", secret); err != nil || string(got.Payload) != "next" {
		t.Errorf("%+v, %v", got, err)
	}
	if a := storetest.Alarms(t, r.db); len(a) != 0 {
		t.Errorf("alarms of nothing: %q", a)
	}
}

// What becomes void becomes so for those of its kind that nobody owns, and of before.
func TestVoidIsOfBefore(t *testing.T) {
	r := setUp(t)
	nobodys := Spec{Kind: "link", Lifetime: time.Minute}
	hers, another, before := r.issue(t, link), r.issue(t, Spec{Kind: "pass", Lifetime: time.Minute}), r.issue(t, nobodys)
	r.intrude(t, keepRows)
	r.change(t, func(tx *store.Tx) error { return r.VoidTx(t.Context(), tx, "link") })
	r.intrude(t, `delete from ticket`, putBack) // of the same moment: it is over, and no alarm
	after := r.issue(t, nobodys)
	r.refuses(t, "one of before", "link", before)
	r.inspect(t)
	for secret, kind := range map[string]string{hers: "link", another: "pass", after: "link"} {
		if _, err := r.Take(t.Context(), kind, secret); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if a := storetest.Alarms(t, r.db); len(a) != 0 {
		t.Errorf("alarms of nothing: %q", a)
	}
}

// A change that takes a ticket of which all are over takes none, and says nothing of one
// that began in the same moment.
func TestLateIsNoAlarm(t *testing.T) {
	r := setUp(t)
	secret := r.issue(t, link)
	r.intrude(t, keepRows)
	if _, err := r.Take(t.Context(), "link", secret); err != nil {
		t.Fatal(err)
	}
	r.now = began.Add(2 * time.Minute)
	r.intrude(t, putBack)
	r.inspect(t)
	if a := storetest.Alarms(t, r.db); len(a) != 0 {
		t.Errorf("alarms of nothing: %q", a)
	}
}

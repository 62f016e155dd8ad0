package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// onEach runs a test on both engines.
func onEach(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		f(t, setUpAt(t, place{dsn, filepath.Join(t.TempDir(), "remembered"), keyring.NewRoot()}))
	})
}

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

// refuses fails where a session stands.
func (r *rig) refuses(t *testing.T, what, secret string) {
	t.Helper()
	if r.stands(t, secret) {
		t.Errorf("%s is believed", what)
	}
}

func hashed(secret string) string {
	id, _ := hash(secret)
	return hex.EncodeToString(id)
}

// changes are what can be written into each column of a session.
func changes(r *rig) map[string]string {
	mine := sha256.Sum256(make([]byte, 32))
	later := began.Add(20 * time.Hour).UnixMicro()
	return map[string]string{
		"id":       "id = {" + hex.EncodeToString(mine[:]) + "}",
		"number":   "number = 'AAAAAAAAAAAA'",
		"account":  fmt.Sprintf("account = %d", r.ids["bob"]),
		"parent":   "parent = 'AAAAAAAAAAAA'",
		"host":     "host = 'https://wiki.example.org'",
		"payload":  "payload = (select o.payload from session o where o.account <> session.account limit 1)",
		"source":   "source = '192.0.2.1'",
		"agent":    "agent = 'another'",
		"created":  "created = created - 1",
		"seen":     fmt.Sprintf("seen = %d", later),
		"expires":  fmt.Sprintf("expires = %d", later),
		"ended":    "ended = 1",
		"mac":      "mac = (select o.mac from session o where o.account <> session.account limit 1)",
		"no mac":   "mac = null",
		"odd mac":  "mac = {00}",
		"odd seal": "payload = {00}",
	}
}

// Whoever writes into a column of a session's row has no session, neither that one nor
// another, and is seen: when it is used, and when it is not.
func TestEveryColumnIsBound(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	onEach(t, func(t *testing.T, first *rig) {
		for column, set := range changes(first) {
			for _, used := range []bool{true, false} {
				if !used && strings.HasPrefix(first.dsn, "postgres") {
					continue
				}
				t.Run(fmt.Sprintf("%s used %v", column, used), func(t *testing.T) {
					r := setUpAt(t, place{storetest.Another(t, first.dsn), filepath.Join(t.TempDir(), "remembered"), keyring.NewRoot()})
					hers, his := r.start(t, "ada", "strong"), r.start(t, "bob", "weak")
					r.intrude(t, `update session set `+set+` where id = {`+hashed(hers)+`}`)
					if used {
						r.refuses(t, "the row", hers)
						r.refuses(t, "the attacker's secret", secretOf(make([]byte, 32)))
						for _, name := range []string{"ada", "bob"} {
							list, err := r.List(t.Context(), r.ids[name])
							if want := map[string]int{"ada": 0, "bob": 1}[name]; err != nil || len(list) != want {
								t.Errorf("%d of %s's are listed, %v", len(list), name, err)
							}
						}
						if column == "id" || column == "number" || column == "account" { // not found by what it was
							r.inspect(t)
						}
					} else {
						r.inspect(t)
					}
					if !r.stands(t, his) {
						t.Error("somebody else's ended")
					}
					storetest.OneAlarm(t, r.db, "session", store.Altered)
				})
			}
		}
	})
}

// end is one of the ways in which a session ends.
var ends = map[string]func(t *testing.T, r *rig, secret string){
	"signed out": func(t *testing.T, r *rig, secret string) {
		if err := r.SignOut(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	},
	"all ended": func(t *testing.T, r *rig, _ string) {
		r.change(t, func(tx *store.Tx) error { _, err := r.EndAllTx(t.Context(), tx, r.ids["ada"], ""); return err })
	},
	"everybody's ended": func(t *testing.T, r *rig, _ string) {
		r.change(t, func(tx *store.Tx) error { _, err := EndEverybodysTx(t.Context(), tx); return err })
	},
	"raised": func(t *testing.T, r *rig, secret string) {
		if _, err := r.Raise(t.Context(), secret, r.grant(t, "ada", "strong"), "agent"); err != nil {
			t.Fatal(err)
		}
	},
	"taken over": func(t *testing.T, r *rig, secret string) {
		if _, err := r.Raise(t.Context(), secret, r.grant(t, "bob", "strong"), "agent"); err != nil {
			t.Fatal(err)
		}
	},
}

const keepRows, putBack = `create table kept as select * from session`, `insert into session select * from kept`

// A session that is over stays over when its row is put back from an older copy.
func TestEndedSessionsPutBack(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	onEach(t, func(t *testing.T, first *rig) {
		for how, end := range ends {
			for _, when := range []string{"used", "not used", "after a restart", "on another server"} {
				if (when == "on another server") != strings.HasPrefix(first.dsn, "postgres") {
					continue
				}
				t.Run(how+" "+when, func(t *testing.T) {
					r := setUpAt(t, place{storetest.Another(t, first.dsn), filepath.Join(t.TempDir(), "remembered"), keyring.NewRoot()})
					other := r
					r.now = began.Add(-2 * overlap)
					if when == "on another server" {
						other = &rig{now: r.now, ids: r.ids, place: place{r.dsn, filepath.Join(t.TempDir(), "remembered"), r.root}}
						other.open(t)
					}
					hers := r.start(t, "ada", "weak")
					host := r.accepted(t, hers)
					r.intrude(t, keepRows)
					r.now, other.now = began, began
					end(t, r, hers)
					r.refuses(t, "it stands at once", hers)
					if other != r {
						r.caught(t, other)
					}
					r.intrude(t, `delete from session where number in (select number from kept)`, putBack)
					switch when {
					case "not used":
						r.inspect(t)
						r.inspect(t)
						r.said(t, store.Returned)
					case "after a restart":
						r.restart(t)
					}
					other.refuses(t, "the row of before", hers)
					if how != "raised" { // what hangs from a number goes on with it, and its row was there
						other.refuses(t, "its host's row of before", host)
					}
					for _, a := range storetest.Alarms(t, other.db) {
						if a != "session returned" {
							t.Errorf("an alarm that %s", a)
						}
					}
					other.said(t, store.Returned)
				})
			}
		}
	})
}

// caught waits until another server has heard that something is over.
func (r *rig) caught(t *testing.T, other *rig) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		all, err := other.Sessions.rows.all(other.db.Query(t.Context(), `select `+columns+` from kept`))
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(all, other.Sessions.rows.over) {
			return
		}
		if time.Now().After(until) {
			t.Fatal("the other server never heard of it")
		}
	}
}

// said waits for an alarm among others.
func (r *rig) said(t *testing.T, wrong string) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !slices.Contains(storetest.Alarms(t, r.db), "session "+wrong); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("no alarm of a session that is %s, but %q", wrong, storetest.Alarms(t, r.db))
		}
	}
}

// Somebody who hides a session's row while it is ended, and puts it back then, has nothing.
func TestHiddenSessions(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for how, end := range map[string]func(t *testing.T, r *rig, secret, number string){
		"signed out": func(t *testing.T, r *rig, secret, _ string) { ends["signed out"](t, r, secret) },
		"all ended":  func(t *testing.T, r *rig, secret, _ string) { ends["all ended"](t, r, secret) },
		"ended": func(t *testing.T, r *rig, _, number string) {
			if err := r.End(t.Context(), audit.System("test"), r.ids["ada"], number, "x"); err != nil {
				t.Fatal(err)
			}
		},
		"raised":            func(t *testing.T, r *rig, secret, _ string) { ends["raised"](t, r, secret) },
		"missed":            func(t *testing.T, r *rig, _, _ string) { r.inspect(t); r.inspect(t) },
		"everybody's ended": func(t *testing.T, r *rig, secret, _ string) { ends["everybody's ended"](t, r, secret) },
	} {
		for what, hide := range map[string][2]string{
			"removed": {`delete from session`, putBack},
			"altered": {`update session set agent = 'x'`, `update session set agent = 'agent'`},
			"moved":   {`update session set account = account + 100`, `update session set account = account - 100`},
			"named":   {`update session set number = 'AAAAAAAAAAAA'`, `update session set number = (select number from kept) where number = 'AAAAAAAAAAAA'`},
		} {
			if how == "missed" && what != "removed" && what != "named" || how == "everybody's ended" && what != "removed" {
				continue // there is a row, which is reported
			}
			t.Run(how+" "+what, func(t *testing.T) {
				r := setUp(t)
				hers := r.start(t, "ada", "weak")
				number := r.number(t, hers)
				r.intrude(t, keepRows, hide[0])
				end(t, r, hers, number)
				r.intrude(t, hide[1])
				r.refuses(t, "the row that was hidden", hers)
			})
		}
	}
}

// Nobody remembers a session that was hidden while all of its account's ended, nor one
// that this server has only heard of in a request.
func TestHiddenSessionsAreNotRemembered(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "weak")
	number := r.number(t, hers)
	for range 2 {
		still := r.db.Feed().Still(r.db.Feed().Place(), Topic(number))
		r.change(t, func(tx *store.Tx) error { return nil })
		if !still.Unchanged() {
			t.Fatal("it moved by itself")
		}
		r.intrude(t, `delete from session`)
		ends["all ended"](t, r, hers)
		if still.Unchanged() {
			t.Error("it is remembered as if it stood")
		}
		r.restart(t)
		hers = r.start(t, "ada", "weak")
		r.restart(t)
		number = r.number(t, hers)
	}
}

// What all of an account's sessions end with is for those of before: not the one that is
// kept, nor those that begin then, nor anybody else's.
func TestOneIsKept(t *testing.T) {
	onEach(t, func(t *testing.T, r *rig) {
		kept, gone, his := r.start(t, "ada", "weak"), r.start(t, "ada", "weak"), r.start(t, "bob", "weak")
		host := r.accepted(t, kept)
		number := r.number(t, kept)
		r.intrude(t, keepRows)
		r.change(t, func(tx *store.Tx) error { _, err := r.EndAllTx(t.Context(), tx, r.ids["ada"], number); return err })
		next := r.start(t, "ada", "weak")
		for range 2 {
			for what, secret := range map[string]string{"the one kept": kept, "its host's": host, "the next": next, "bob's": his} {
				if !r.stands(t, secret) {
					t.Errorf("%s ended", what)
				}
			}
			r.refuses(t, "the other", gone)
			r.inspect(t)
			r.restart(t)
		}
		if a := storetest.Alarms(t, r.db); len(a) != 0 {
			t.Errorf("alarms of nothing: %q", a)
		}
		r.intrude(t, `delete from session where number = '`+number+`'`, `insert into session select * from kept where number = '`+number+`'`)
		r.refuses(t, "the row of before the others ended", kept)
	})
}

// A session's use is written only into the row that was read: one that was ended or raised
// meanwhile is not broken by it.
func TestSeenMeanwhile(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "weak")
	number := r.number(t, hers)
	read, err := r.Sessions.rows.byNumber(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	r.change(t, func(tx *store.Tx) error { _, err := r.EndAllTx(t.Context(), tx, r.ids["ada"], number); return err })
	r.now = began.Add(5 * time.Minute)
	if err := r.touch(t.Context(), read); err != nil || !r.stands(t, hers) {
		t.Errorf("the use of a row that was written since broke it: %v", err)
	}
	r.inspect(t)
	if a := storetest.Alarms(t, r.db); len(a) != 0 {
		t.Errorf("alarms of nothing: %q", a)
	}
}

// A session that has run out and was swept, or that began while others ended, is no alarm.
func TestNoAlarmOfNothing(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "weak")
	r.intrude(t, keepRows)
	r.now = began.Add(overlap - 2*time.Microsecond)
	r.change(t, func(tx *store.Tx) error { _, err := r.EndAllTx(t.Context(), tx, r.ids["ada"], ""); return err })
	r.now = began.Add(49 * time.Hour)
	if err := errors.Join(r.Sweep(t.Context()), r.Inspect(t.Context()), r.Inspect(t.Context())); err != nil {
		t.Fatal(err)
	}
	r.intrude(t, putBack)
	r.refuses(t, "a late one", hers)
	r.inspect(t)
	if a := storetest.Alarms(t, r.db); len(a) != 0 {
		t.Errorf("alarms of nothing: %q", a)
	}
}

// A row that begins while all of the account's end is over, and no alarm; one that began
// long before and was hidden then is one.
func TestOverlap(t *testing.T) {
	for after, want := range map[time.Duration]int{overlap - 2*time.Microsecond: 0, overlap - time.Microsecond: 1, time.Hour - time.Second: 1} {
		r := setUp(t)
		hers := r.start(t, "ada", "weak")
		r.intrude(t, keepRows, `delete from session`)
		r.now = began.Add(after)
		r.change(t, func(tx *store.Tx) error { _, err := r.EndAllTx(t.Context(), tx, r.ids["ada"], ""); return err })
		r.intrude(t, putBack)
		r.refuses(t, "one that was hidden", hers)
		if want > 0 {
			storetest.OneAlarm(t, r.db, "session", store.Returned)
		}
		if a := storetest.Alarms(t, r.db); len(a) != want {
			t.Errorf("%s after: %q", after, a)
		}
	}
}

// However many there are, the last is looked at as well.
func TestInspectPages(t *testing.T) {
	r := setUp(t)
	r.change(t, func(tx *store.Tx) error {
		for range inspectPage + 1 {
			if _, err := r.Sessions.rows.insert(t.Context(), tx, &row{payload: payload{Number: newNumber(), Account: r.ids["ada"]}}); err != nil {
				return err
			}
		}
		return nil
	})
	r.inspect(t)
	r.intrude(t, `update session set agent = 'x' where id = (select max(id) from session)`)
	r.inspect(t)
	storetest.OneAlarm(t, r.db, "session", store.Altered)
}

// The end of a session is said once, and for as long as it would have stood.
func TestEndIsSaidOnce(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "strong")
	number := r.number(t, hers)
	if err := r.End(t.Context(), audit.System("test"), r.ids["ada"], number, "x"); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("session/%s=over:%d", number, began.Add(12*time.Hour).Unix()+1)
	if ended := r.events(t, "session.ended"); len(ended) != 1 || ended[0].Versions != want {
		t.Errorf("%+v, want %s", ended, want)
	}
}

// A session whose row is gone is missed when it was missed before: another server may have
// ended it with everybody's just now.
func TestMissedTwice(t *testing.T) {
	r := setUp(t)
	hers, his := r.start(t, "ada", "weak"), r.start(t, "bob", "weak")
	r.intrude(t, keepRows, `delete from session where id = {`+hashed(hers)+`}`)
	r.inspect(t)
	if n := len(r.events(t, "session.ended")); n != 0 {
		t.Errorf("%d ended that may be over for everybody", n)
	}
	for range 2 {
		r.inspect(t)
	}
	if ended := r.events(t, "session.ended"); len(ended) != 1 || ended[0].Reason != "missing" || ended[0].Account != int64(r.ids["ada"]) {
		t.Errorf("%+v", ended)
	}
	storetest.OneAlarm(t, r.db, "session", store.Missing)
	if !r.stands(t, his) {
		t.Error("another's ended")
	}
}

// What is known here of sessions is bounded, and those that have run out make room.
func TestBegunIsBounded(t *testing.T) {
	var b begun
	add := func(n int, expires time.Time) {
		id := sha256.Sum256(fmt.Append(nil, n))
		b.note(&row{id: id[:], payload: payload{Number: fmt.Sprint(n)}, expires: expires}, began)
	}
	add(0, began)
	for n := range begunMost {
		add(n+1, began.Add(time.Hour))
	}
	if topics := b.topics(1); len(topics) != 1 || topics[0] != table {
		t.Errorf("where not all are known, %q move", topics)
	}
	if id := sha256.Sum256([]byte("0")); len(b.known) != begunMost {
		t.Errorf("%d are known", len(b.known))
	} else if _, is := b.get(id[:]); is {
		t.Error("one that has run out takes the place of one that has not")
	}
	add(begunMost+1, began.Add(time.Hour))
	if len(b.known) != begunMost || len(b.active(began)) != begunMost || len(b.active(began.Add(time.Hour))) != 0 {
		t.Errorf("%d are known", len(b.known))
	}
}

// Who is told that they have signed out has, and whoever has not begun is told nothing.
func TestSignOutOfNothing(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "weak")
	n := len(r.events(t, "session.ended"))
	for _, secret := range []string{"", "x", secretOf(make([]byte, 32)), At(wiki, hers)} {
		if err := r.SignOut(t.Context(), secret); err != nil {
			t.Errorf("%q: %v", secret, err)
		}
	}
	if !r.stands(t, hers) || len(r.events(t, "session.ended")) != n {
		t.Error("something ended")
	}
	if err := r.End(t.Context(), audit.System("test"), r.ids["ada"], "no number", "x"); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("what is no number was ended: %v", err)
	}
}

func (r *rig) events(t *testing.T, event string) []audit.Entry {
	t.Helper()
	entries, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

package overview

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// clock stands at the first hour of a day that in UTC has not begun.
func clock() time.Time { return time.Date(2026, 12, 1, 0, 30, 0, 0, time.FixedZone("JST", 9*3600)) }

const today = "2026-12-01"

// aLog is a database with these entries, numbered.
func aLog(t *testing.T, entries ...audit.Entry) *store.DB {
	t.Helper()
	db, _ := keyringtest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "counts.db"), Now: clock}, keyring.NewRoot())
	write(t, db, entries...)
	return db
}

func write(t *testing.T, db *store.DB, entries ...audit.Entry) {
	t.Helper()
	for _, e := range entries {
		storetest.Change(t, db, func(tx *store.Tx) error { return tx.Record(e) })
	}
	if err := db.View().Hear(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var (
	granted = audit.Entry{Event: "signin.granted", Outcome: audit.OK, AccountName: "ada", Detail: map[string]string{"shown": "password, totp"}}
	wrong   = audit.Entry{Event: "answer.refused", Outcome: audit.Refused, Reason: "wrong"}
	alarm   = audit.Entry{Event: "alarm.guessing", Outcome: audit.OK, Reason: "source"}
)

// told is what an overview shows of today.
func told(t *testing.T, c *Counts) string {
	t.Helper()
	l, err := c.look(t.Context(), pagesAtOnce)
	if err != nil {
		t.Fatal(err)
	}
	alarms, err := c.alarms(t.Context(), l.rings, mostRaised)
	if err != nil {
		t.Fatal(err)
	}
	d := l.days[len(l.days)-1]
	if d.Day != today || len(l.days) != shownDays {
		t.Errorf("%d days until %s", len(l.days), d.Day)
	}
	return fmt.Sprintf("%d let in, refused %v, shown %v, %d alarms", d.LetIn, d.Refused, d.Shown, len(alarms))
}

// kept is every count that the table holds, with how far was counted.
func kept(t *testing.T, db *store.DB) string {
	t.Helper()
	rows, err := db.Query(t.Context(), `select day, what, n from counted order by day, what`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var day, n int64
		var what string
		if err := rows.Scan(&day, &what, &n); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(day, " ", what, " ", n))
	}
	return strings.Join(out, "\n")
}

func catchUp(t *testing.T, c *Counts) {
	t.Helper()
	if all, err := c.CatchUp(t.Context(), 10); err != nil || !all {
		t.Fatalf("counted all: %t, %v", all, err)
	}
}

// What an entry counts as, and what counts as nothing. No text of anybody's becomes a word.
func TestWhatAnEntryCountsAs(t *testing.T) {
	hostile := "<img src=x>"
	refusal := func(event, reason string) audit.Entry {
		return audit.Entry{Event: event, Outcome: audit.Refused, Reason: reason}
	}
	for want, all := range map[string][]audit.Entry{
		"let in, shown password, shown totp": {granted, {Event: "signin.granted", Action: signin.SignIn, Detail: map[string]string{"shown": "password, totp, password"}}},
		"let in":                             {{Event: "signin.granted"}},
		"let in, shown other":                {{Event: "signin.granted", Detail: map[string]string{"shown": hostile}}, {Event: "signin.granted", Detail: map[string]string{"shown": strings.Repeat("a", longestWord+1)}}},
		"refused wrong":                      {wrong, refusal("signin.refused", "wrong"), refusal("action.refused", "wrong"), refusal("command.refused", "wrong")},
		"refused other":                      {refusal("signin.refused", hostile)},
		"": {{Event: "signin.granted", Action: "account.create", Detail: map[string]string{"shown": "totp"}}, refusal("action.refused", "step-up"), refusal("recovery.refused", "wrong"),
			{Event: "signin.refused", Outcome: audit.OK, Reason: "wrong"}, alarm},
	} {
		for _, e := range all {
			if got := strings.Join(sorts(e), ", "); got != want {
				t.Errorf("%+v counts as %q, not %q", e, got, want)
			}
		}
	}
	for count, want := range map[string]int64{"7": 7, "": 1, "-7": 1, "0": 1, "99999999999999": 1, "x": 1} {
		e := wrong
		if e.Detail = map[string]string{"count": count, "last": "2026-12-01T00:00:00Z"}; times(e) != want {
			t.Errorf("%q stands for %d, not %d", count, times(e), want)
		}
		if e.Detail = map[string]string{"count": count}; times(e) != 1 {
			t.Errorf("%q, which is no sum, stands for %d", count, times(e))
		}
	}
	d := Day{Refused: map[string]int64{}, Shown: map[string]int64{}}
	for i := range 2 * mostReasons {
		d.add(refused+fmt.Sprint("r", i), 1)
	}
	if sum := slices.Sorted(maps.Keys(d.Refused)); len(sum) != mostReasons+1 || d.Refused["other"] != mostReasons {
		t.Errorf("%d sorts, of which %d are others", len(sum), d.Refused["other"])
	}
}

// The promise: what is shown is the same before the server has counted it and after, by the day
// of the installation's zone, and to look keeps nothing.
func TestLookedAtAsCounted(t *testing.T) {
	db := aLog(t, granted, wrong, alarm)
	c := NewCounts(db, clock)
	const want = "1 let in, refused map[wrong:1], shown map[password:1 totp:1], 1 alarms"
	if got := told(t, c); got != want {
		t.Errorf("before: %s", got)
	}
	if rows := kept(t, db); rows != "" {
		t.Errorf("to look kept %s", rows)
	}
	catchUp(t, c)
	if got := told(t, c); got != want {
		t.Errorf("after: %s", got)
	}
	rows := kept(t, db)
	catchUp(t, c)
	if again := kept(t, db); again != rows {
		t.Errorf("%s\nand counted again\n%s", rows, again)
	}
	write(t, db, granted)
	if got := told(t, c); !strings.HasPrefix(got, "2 let in") {
		t.Errorf("with one more: %s", got)
	}
}

// The promise: of two servers that read the same entries one counts them, the first time and
// every time after.
func TestTwoServersCountOnce(t *testing.T) {
	db := aLog(t, granted)
	one, two := NewCounts(db, clock), NewCounts(db, clock)
	for _, first := range []bool{true, false} {
		at, err := one.reached(t.Context())
		if err != nil || at.begun == first {
			t.Fatalf("%+v, %v", at, err)
		}
		got, _, err := one.page(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		catchUp(t, two)
		rows := kept(t, db)
		if err := one.keep(t.Context(), at, got); err != nil {
			t.Error(err)
		}
		if again := kept(t, db); again != rows {
			t.Errorf("%s\nand the other server\n%s", rows, again)
		}
		write(t, db, granted, alarm)
	}
}

// Whoever can write to the tables makes no alarm of what is none, and whoever puts an older log
// back has what comes after it counted.
func TestCountsThatSomebodyWrote(t *testing.T) {
	db := aLog(t, granted, alarm)
	c := NewCounts(db, clock)
	catchUp(t, c)
	for _, seq := range []int{0, 1, 4711} {
		storetest.Sabotage(t, db, fmt.Sprintf(`insert into raised (seq) values (%d) on conflict do nothing`, seq))
	}
	if got := told(t, c); !strings.HasSuffix(got, " 1 alarms") {
		t.Errorf("rows that somebody wrote: %s", got)
	}
	storetest.Sabotage(t, db, `update counted set n = 4711 where what = 'next'`)
	write(t, db)
	catchUp(t, c)
	write(t, db, granted, alarm)
	catchUp(t, c)
	if got := told(t, c); !strings.HasPrefix(got, "2 let in") || !strings.HasSuffix(got, " 2 alarms") {
		t.Errorf("after an older log was put back: %s", got)
	}
}

// What is older than is kept goes with the next count.
func TestOldCountsGo(t *testing.T) {
	db := aLog(t, granted)
	c := NewCounts(db, clock)
	old, new := dayOf(clock())-keptDays-1, dayOf(clock())-keptDays
	for _, day := range []int64{old, new} {
		storetest.Sabotage(t, db, fmt.Sprintf(`insert into counted (day, what, n) values (%d, 'let in', 1)`, day))
	}
	catchUp(t, c)
	if rows := kept(t, db); strings.Contains(rows, fmt.Sprint(old)) || !strings.Contains(rows, fmt.Sprint(new)) {
		t.Errorf("kept:\n%s", rows)
	}
}

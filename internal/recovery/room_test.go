package recovery

import (
	"net/netip"
	"testing"
	"time"

	"countersign/internal/store"
)

// Of very many browsers those of the source that has most make room for the next, and
// nobody is refused: not those of other sources, and last of all those of somebody who
// was let in from there. It is looked for now and then, and what has run out goes first.
func TestManyBrowsersMakeRoom(t *testing.T) {
	r := setUp(t)
	bob := r.person("bob", "password")
	count := func(where string) (n int) {
		t.Helper()
		if err := r.db.QueryRow(t.Context(), `select count(*) from recovery_request where `+where).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	crowd := func(n int, source string, expires time.Time) {
		t.Helper()
		r.change(func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `insert into recovery_request (secret, account, number, source, created, expires, mac)
				with recursive n(i) as (select 1 union all select i + 1 from n where i < $1)
				select randomblob(32), case when $2 = 'home' then $3 else -i end, $2 || i, $2, 1, $4, x'00' from n`, n, source, int64(bob.ID), store.Unix(expires))
			return err
		})
	}
	asks := func() {
		t.Helper()
		secret, s, err := r.Begin(t.Context(), "bob", netip.MustParseAddr("192.0.2.1"))
		if err != nil {
			t.Fatal(err)
		}
		if look, err := r.Poll(t.Context(), secret); err != nil || look.Number != s.Number {
			t.Errorf("its number is not there: %+v, %v", look, err)
		}
	}
	later := r.now.Add(requestLife)
	crowd(5, "late", r.now)
	r.asked.Store(roomEvery - 2)
	if asks(); count(`source = 'late'`) != 5 {
		t.Error("it is looked for each time")
	}
	crowd(mostAtOnce-132, "flood", later)
	crowd(100, "office", later)
	crowd(30, "home", later)
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `insert into known_source (account, source, seen) values ($1, 'source/home', $2)`, int64(bob.ID), store.Unix(r.now))
		return err
	})
	if asks(); count(`source = 'late'`) != 0 || count(`source = 'flood'`) != mostAtOnce-132 {
		t.Errorf("with one less than there may be: %d that have run out, %d of the flood", count(`source = 'late'`), count(`source = 'flood'`))
	}
	r.asked.Store(roomEvery - 1)
	asks()
	for source, want := range map[string]int{"flood": mostAtOnce - 132 - roomMade, "office": 100, "home": 30, "192.0.2.1": 3} {
		if n := count(`source = '` + source + `'`); n != want {
			t.Errorf("%d browsers of %s are left, want %d", n, source, want)
		}
	}
	if n := count(`source = 'flood' and number = 'flood1'`) + count(`source = 'flood' and number = 'flood2500'`); n != 0 {
		t.Error("the oldest are not the first to go")
	}

	// Where one that was let in is all that is left, they go as well.
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `delete from recovery_request`)
		return err
	})
	crowd(mostAtOnce, "home", later)
	r.asked.Store(roomEvery - 1)
	if asks(); count(`source = 'home'`) != mostAtOnce-roomMade {
		t.Errorf("%d of those at home are left", count(`source = 'home'`))
	}
}

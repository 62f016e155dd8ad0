package signin

import (
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// What the engine and the rooms below it keep of an account is forgotten with it, in every
// table of theirs, and nothing of anybody else. What waits in approval stays until it is
// over, and budgets until their window ends: both are found by no account.
func TestForgetIsOfEveryTable(t *testing.T) {
	r := newRig(t, anyFactor)
	ada, bob := r.person("ada"), r.person("bob")
	for table, plant := range map[string]string{
		"attempt":      `insert into attempt (handle, step, account, payload, created, expires) values (randomblob(8), 1, $1, x'00', 1, 9000000000000000)`,
		"message":      `insert into message (account, payload, due, expires) values ($1, x'00', 1, 9000000000000000)`,
		"sent":         `insert into sent (account, source, at) values ($1, '192.0.2.7', 1)`,
		"wake":         `insert into wake (approval, account, state, created) values ($1, $1, 'waiting', 1)`,
		"quiet":        `insert into quiet (account, begins, ends, zone) values ($1, 0, 60, 'UTC')`,
		"prompted":     `insert into prompted (account, day, what, n) values ($1, 1, 'asked', 1)`,
		"app_count":    `insert into app_count (credential, account, count, last) values ($1, $1, 1, x'00')`,
		"known_source": `insert into known_source (account, source, seen) values ($1, 'source/192.0.2.7', 1)`,
	} {
		for _, id := range []int64{int64(ada.ID), int64(bob.ID)} {
			storetest.Sabotage(t, r.DB, plant, id)
		}
		has := func(account int64) (n int) {
			t.Helper()
			if err := r.DB.QueryRow(t.Context(), `select count(*) from `+table+` where account = $1`, account).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if has(int64(ada.ID)) != 1 || has(int64(bob.ID)) != 1 {
			t.Fatalf("%s holds nothing to forget", table)
		}
		r.change(func(tx *store.Tx) error { return r.Forget(t.Context(), tx, ada.ID) })
		if a, b := has(int64(ada.ID)), has(int64(bob.ID)); a != 0 || b != 1 {
			t.Errorf("%s has %d rows of who is forgotten, and %d of another", table, a, b)
		}
	}
}

package recovery

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// A round of the sweep finds by itself what is wrong behind a row that is as it was left.
func TestARoundFindsWhatNobodyAsksFor(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password", "totp")
	r.person("dora", "password", "totp")
	r.person("eve", "password", "totp")
	r.opens("helga", "dora", false)
	_, bobs := r.opens("hugo", "bob", false)
	r.asks("eve")
	r.asks("eve")
	r.inspects()
	storetest.Quiet(t, r.db)
	a := storetest.NewAttacker(t, r.dsn)
	a.Do(`update recovery set note = 'x' where id = $1`, bobs.ID)
	if err := r.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.OneAlarm(t, r.db, "recovery", store.Altered)
	a.Do(`update recovery_request set source = 'x' where id = (select max(id) from recovery_request)`)
	if err := r.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.Alarmed(t, r.db, "recovery_request", "", store.Altered)
	storetest.Alarmed(t, r.db, "recovery", strconv.FormatInt(bobs.ID, 10), store.Altered)
}

// An account whose newest case is somebody else's has lost its own: nobody knows how far it
// is. Whose it is loses nothing.
func TestACaseOfAnotherAccountIsLost(t *testing.T) {
	r := setUp(t)
	dora := r.person("dora", "password", "totp")
	bob := r.person("bob", "password", "totp")
	_, c := r.opens("helga", "bob", false)
	r.change(func(tx *store.Tx) error {
		tx.Anchor(lastKind, int64(dora.ID), c.ID)
		tx.Anchor(endKind, int64(dora.ID), store.Unix(r.now.Add(time.Hour)))
		return nil
	})
	for id, want := range map[assurance.AccountID]bool{bob.ID: false, dora.ID: true} {
		if lost, err := r.lost(t.Context(), r.db, id); err != nil || lost != want {
			t.Errorf("of account %d: lost %t, %v", id, lost, err)
		}
	}
}

// However many cases there are, a round looks at the last as well, and ends.
func TestARoundOfManyCases(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password", "totp")
	_, c := r.opens("helga", "bob", false)
	c.state = stateStopped
	r.change(func(tx *store.Tx) error {
		for range inspectPage {
			c.ID++
			c.secret = hash(strconv.FormatInt(c.ID, 10))
			_, err := tx.Exec(t.Context(), `insert into recovery (`+caseColumns+`) values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17)`,
				c.ID, int64(c.Account), c.secret, int64(c.Opener), c.Check, c.Note, store.Bit(c.Forgotten), store.Bit(c.Second), c.state, int64(c.Confirmer), c.Taken,
				store.Unix(c.Opened), store.Unix(c.Due), store.Unix(c.Ends), store.Unix(c.Collected), c.version, r.keys.MAC(keyring.Recovery, c.fields()))
			if err != nil {
				return err
			}
		}
		return nil
	})
	round := func() {
		t.Helper()
		soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := r.Inspect(soon); err != nil {
			t.Error(err)
		}
	}
	round()
	storetest.Quiet(t, r.db)
	storetest.NewAttacker(t, r.dsn).Do(`update recovery set note = 'x' where id = $1`, c.ID)
	round()
	storetest.OneAlarm(t, r.db, "recovery", store.Altered)
}

// A round asks for a case by its number only where it is not among those that it read, and
// reports it when it is not there.
func TestARoundAsksForWhatIsMissing(t *testing.T) {
	r := setUp(t)
	var ids []int64
	for _, name := range []string{"bob", "dora", "eve"} {
		r.person(name, "password", "totp")
		_, c := r.opens("helga", name, false)
		ids = append(ids, c.ID)
	}
	var asked atomic.Int64
	r.faults.AroundReads(func(query string) {
		if query == again {
			asked.Add(1)
		}
	})
	if err := r.Inspect(t.Context()); err != nil || asked.Load() != 0 {
		t.Errorf("%d cases that are there were asked for, %v", asked.Load(), err)
	}
	storetest.NewAttacker(t, r.dsn).Do(`delete from recovery where id = $1`, ids[1])
	if err := r.Inspect(t.Context()); err != nil || asked.Load() == 0 {
		t.Errorf("the one that is missing was not asked for, %v", err)
	}
	storetest.OneAlarm(t, r.db, "recovery", store.Missing)
}

// All cases of a release before are bound at once, one page after the other, by the MAC of
// then: of which a pass was taken as well as of which none was.
func TestAllPagesAreBound(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password", "totp")
	_, c := r.opens("helga", "bob", false)
	last := c.ID + bindPage
	r.change(func(tx *store.Tx) error {
		c.version, c.state = 0, stateStopped
		for c.ID++; c.ID <= last; c.ID++ {
			c.secret, c.Collected = hash(strconv.FormatInt(c.ID, 10)), time.Time{}
			f := keyring.NewFields().Int(c.ID).Int(int64(c.Account)).Bytes(c.secret).Int(int64(c.Opener)).String(c.Check).String(c.Note).Int(0).Int(store.Bit(c.Second)).
				String(c.state).Int(0).Int(0).Int(store.Unix(c.Opened)).Int(store.Unix(c.Due)).Int(store.Unix(c.Ends))
			if c.ID%2 == 0 {
				c.Collected = r.now
				f.Int(store.Unix(r.now))
			}
			_, err := tx.Exec(t.Context(), `insert into recovery (`+caseColumns+`) values ($1,$2,$3,$4,$5,$6,0,$7,$8,0,0,$9,$10,$11,$12,0,$13)`,
				c.ID, int64(c.Account), c.secret, int64(c.Opener), c.Check, c.Note, store.Bit(c.Second), c.state,
				store.Unix(c.Opened), store.Unix(c.Due), store.Unix(c.Ends), store.Unix(c.Collected), r.keys.MAC(keyring.Recovery, f))
			if err != nil {
				return err
			}
		}
		_, err := tx.Exec(t.Context(), `update recovery set version = 0 where id = $1`, last-bindPage) // of nobody: it has no MAC of then
		return err
	})
	if err := Bind(t.Context(), r.db, r.keys); err != nil {
		t.Fatal(err)
	}
	var bound int64
	if err := r.db.QueryRow(t.Context(), `select count(*) from recovery where version = 1`).Scan(&bound); err != nil || bound != bindPage {
		t.Errorf("%d of %d are bound, %v", bound, bindPage, err)
	}
	for id := last - bindPage + 1; id <= last; id++ {
		if r.db.Newest(rowKind, id) != 1 {
			t.Fatalf("nobody knows of case %d", id)
		}
	}
}

// Every case is dropped, also behind those of a release before, which go.
func TestAllAreDropped(t *testing.T) {
	r := setUp(t)
	for _, name := range []string{"bob", "dora", "eve"} {
		r.person(name, "password", "totp")
		if _, c := r.opens("helga", name, false); name != "eve" {
			makeOld(r, c)
		}
	}
	r.change(func(tx *store.Tx) error {
		n, err := DropAllTx(t.Context(), tx, r.keys)
		if n != 3 {
			t.Errorf("%d are dropped", n)
		}
		return err
	})
	if all, err := r.List(t.Context(), 0); err != nil || len(all) != 1 || all[0].Phase(r.now) != Stopped || all[0].Account != r.account("eve").ID {
		t.Errorf("%+v, %v", all, err)
	}
}

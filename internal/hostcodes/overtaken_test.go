package hostcodes

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// A list that is changed while all are read is there as it is then, though another was put
// back, which is none; one that is changed all the time is a breakdown and no alarm.
func TestAListThatIsChangedWhileItIsRead(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		d := newDesk(t, dsn)
		a := storetest.NewAttacker(t, dsn)
		if err := d.db.Close(); err != nil {
			t.Fatal(err)
		}
		f := storetest.NewFaults(t, dsn)
		db, keys := keyringtest.Open(t, store.Options{DSN: dsn, Remember: d.folder, Driver: f.Driver}, d.root)
		d.Lists = New(Parts{DB: db, Keys: keys})
		old := a.Copy("offline_list", "login = 'ops'")
		if f := d.used("ops", 2); f.Used != 2 {
			t.Fatalf("%+v", f)
		}
		a.PutBack(old, "id")
		var number, changes atomic.Int64 // the last code that was used, and how often one will be
		var read atomic.Bool
		number.Store(2)
		changes.Store(1)
		f.AroundReads(func(query string) {
			if strings.HasSuffix(query, "order by host, login") {
				read.Store(true)
			}
			// Ops is read before root, and looked at once more.
			if strings.HasPrefix(query, again) && read.Swap(false) && changes.Add(-1) >= 0 {
				if u := d.used("root", int(number.Add(1))); u.Used == 0 {
					t.Errorf("%+v", u)
				}
			}
		})
		if got := d.logins(); got != "root" {
			t.Errorf("changed once: %q", got)
		}
		all, err := d.All(t.Context())
		if err != nil || len(all) != 1 || all[0].Next != int(number.Load()) {
			t.Errorf("%+v, %v", all, err)
		}
		storetest.OneAlarm(t, d.db, "offline_list", store.Older)
		changes.Store(mostReads)
		if all, err := d.All(t.Context()); !errors.Is(err, store.ErrUnavailable) || len(all) != 0 {
			t.Errorf("changed all the time: %+v, %v", all, err)
		}
	})
}

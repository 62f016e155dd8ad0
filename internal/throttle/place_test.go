package throttle

import (
	"net/netip"
	"testing"
	"time"

	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func from(address string) Origin {
	return Origin{Application: "vpn", Source: netip.MustParseAddr(address)}
}

// An address is known while somebody was let in from it lately, whoever that was,
// and behind all others after many wrong answers, known or not.
func TestPriority(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		db, err := store.Open(t.Context(), store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		keys, err := keyring.Open(t.Context(), db, keyring.NewRoot())
		if err != nil {
			t.Fatal(err)
		}
		g, err := New(db, keys, Limits{}, func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		err = db.Housekeep(t.Context(), "test", func(tx *store.Tx) error {
			for _, row := range []struct {
				source string
				seen   time.Time
			}{{"source/192.0.2.1", now.Add(-time.Hour)}, {"source/192.0.2.2", now.Add(-31 * day)}, {"source/192.0.2.3", now.Add(-time.Hour)}, {"source/2001:db8:0:1::/64", now.Add(-time.Hour)}} {
				if err := g.places.writePlace(t.Context(), tx, note{7, row.source}, store.Unix(row.seen)); err != nil {
					return err
				}
			}
			for source, since := range map[string]time.Time{"source/192.0.2.3": now.Add(-time.Minute), "source/192.0.2.4": now.Add(-time.Minute), "source/192.0.2.5": now.Add(-sourceWindow)} {
				if err := g.budgets.ledger.write(t.Context(), tx, []guessRow{{subject: source, count: suspectAfter, since: store.Unix(since)}}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for address, want := range map[string]priority{
			"192.0.2.1": known, "::ffff:192.0.2.1": known, "2001:db8:0:1::7": known, "192.0.2.2": strange, "192.0.2.3": suspect, "192.0.2.4": suspect,
			"192.0.2.5": strange, "192.0.2.6": strange, "2001:db8:0:2::7": strange,
		} {
			if got, err := g.Position(t.Context(), db, from(address)); err != nil || got.priority != want {
				t.Errorf("%s: %+v, %v, want %d", address, got, err, want)
			}
		}
		if got, err := g.Position(t.Context(), db, Origin{}); err != nil || got != (Position{priority: strange}) {
			t.Errorf("no address: %+v, %v", got, err)
		}
		for address, wrong := range map[string]int{"192.0.2.1": 0, "192.0.2.4": suspectAfter, "192.0.2.5": 0} { // the last one's are too long ago
			if got, err := g.Position(t.Context(), db, from(address)); err != nil || got.wrong != wrong {
				t.Errorf("%s: %+v, %v, want %d wrong", address, got, err, wrong)
			}
		}
	})
}

package admin

import (
	"context"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/recovery"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// alters runs a change without a command.
func alters(v *servertest.Vault, fn func(ctx context.Context, tx *store.Tx) error) {
	v.T.Helper()
	ctx := context.Background()
	err := v.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.changed", Outcome: audit.OK})
	})
	if err != nil {
		v.T.Fatal(err)
	}
}

// decides answers what waits under a number in ada's app.
func decides(v *servertest.Vault, decision string) {
	v.T.Helper()
	id, text, refused := v.Device.Look(v.Waits)
	if refused == "" {
		refused = v.Device.Decide(id, v.Waits, text, decision)
	}
	if refused != "" {
		v.T.Fatalf("the app was refused: %s", refused)
	}
}

// opensCase opens a recovery for the browser that shows a number.
func opensCase(v *servertest.Vault, name, number string) {
	v.T.Helper()
	v.Vouches("helga", name, func(tx *store.Tx, helga, lost directory.Account) error {
		_, err := v.Recoveries.Openings.OpenTx(context.Background(), tx, helga, recovery.Opening{Account: lost, Number: number, Check: "in-person", Note: "ticket 2"})
		return err
	})
}

// The vault is worth attacking: every table has rows, but for those of the log that only
// wait for a moment, and alarms.
func TestVaultIsFull(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		v := servertest.NewVault(t, dsn)
		for _, table := range tables(v.Vandal) {
			if n := v.Number("select count(*) from " + table); n == 0 && table != "alarm" && table != "audit_inbox" && table != "audit_checkpoint" {
				t.Errorf("%s is empty", table)
			}
		}
	})
}

// calm takes note of all alarms and looks again, at rows that are well again, until there is
// none: so that the next alarm shows.
func calm(v *servertest.Vault) {
	v.T.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		alters(v, func(ctx context.Context, tx *store.Tx) error {
			_, err := v.DB.Alarms().See(ctx, tx, v.Now())
			return err
		})
		for range 2 { // what was recorded a moment ago may be well only the second time
			if err := v.Inspect(context.Background()); err != nil {
				v.T.Fatal(err)
			}
		}
		alarms, err := v.DB.Alarms().Unseen(context.Background())
		if err != nil {
			v.T.Fatal(err)
		}
		if len(alarms) == 0 {
			return
		}
		if time.Now().After(deadline) {
			v.T.Fatalf("it does not become calm: %v", alarms)
		}
	}
}

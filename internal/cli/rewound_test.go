package cli

import (
	"net/http"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// The promise: what was under way when a database is put back ends, because its pass
// may have been taken since.
func TestRecoveryEndsWhenTheDatabaseIsPutBack(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	browser, number := d.Asks("bob")
	waiting, _ := d.Asks("bob")
	d.Opens(d.Helga, "bob", number)
	var out rolledBack
	if err := (&rollbackRecovery{db: d.DB, keys: d.Keys}).end(t.Context(), &out); err != nil || out.Recoveries != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	d.Later(25 * time.Hour)
	for _, p := range []*servertest.Person{browser, waiting} {
		if got := p.GoesOn(); got != http.StatusForbidden {
			t.Errorf("it goes on: %d", got)
		}
	}
}

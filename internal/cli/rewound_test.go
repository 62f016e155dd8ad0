package cli

import (
	"net/http"
	"testing"
	"time"
)

// The promise: what was under way when a database is put back ends, because its pass
// may have been taken since.
func TestRecoveryEndsWhenTheDatabaseIsPutBack(t *testing.T) {
	d := withHelpDesk(t, "")
	browser, number := d.asks("bob")
	waiting, _ := d.asks("bob")
	d.opens(d.helga, "bob", number)
	var out rewound
	if err := (&rewinding{db: d.DB, keys: d.Keys}).end(t.Context(), &out); err != nil || out.Recoveries != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	d.later(25 * time.Hour)
	for _, p := range []*person{browser, waiting} {
		if got := p.goesOn(); got != http.StatusForbidden {
			t.Errorf("it goes on: %d", got)
		}
	}
}

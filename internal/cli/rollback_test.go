package cli

import (
	"net/http"
	"reflect"
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

// The name that rollback-recovery had before still works, for scripts; the help does not
// show it.
func TestFormerNameOfRollbackRecovery(t *testing.T) {
	p, err := parser(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	for name, hidden := range map[string]bool{"rollback-recovery": false, "rewound": true} {
		c, err := p.Parse([]string{name, "--keep", "hotp"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := c.Selected(); n.Hidden != hidden || n.Target.Type() != reflect.TypeFor[rollbackCommand]() {
			t.Errorf("%s is %v, hidden: %t", name, n.Target.Type(), n.Hidden)
		}
	}
}

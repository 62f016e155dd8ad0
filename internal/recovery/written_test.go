package recovery

import (
	"errors"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// A case that cannot be written is left as it is, and whoever changed it hears so; one
// that was changed meanwhile is a conflict.
func TestWhatCannotBeWritten(t *testing.T) {
	for name, ends := range map[string]func(r *rig, tx *store.Tx) error{
		"its passes end":        func(r *rig, tx *store.Tx) error { return r.FinishTx(t.Context(), tx, r.account("bob").ID) },
		"the account is closed": func(r *rig, tx *store.Tx) error { return r.CloseTx(t.Context(), tx, r.account("bob").ID) },
		"it is stopped":         func(r *rig, tx *store.Tx) error { _, err := r.StopTx(t.Context(), tx, r.account("bob").ID); return err },
		"its owner disowns it":  func(r *rig, tx *store.Tx) error { _, err := r.DoubtTx(t.Context(), tx, r.account("bob")); return err },
	} {
		r := setUp(t)
		r.person("bob", "password", "totp")
		secret, _ := r.opens("helga", "bob", false)
		r.later(25 * time.Hour)
		if _, _, err := r.Collect(t.Context(), secret, ""); err != nil {
			t.Fatal(err)
		}
		r.later(time.Second)
		var heard error
		r.faults.ArmAt("update recovery set", 0, storetest.Before)
		err := r.try(func(tx *store.Tx) error {
			heard = ends(r, tx)
			return heard
		})
		if !r.faults.Disarm() || !errors.Is(heard, storetest.ErrInjected) || err == nil || failure.ClassOf(err) == failure.Conflict {
			t.Errorf("%s: %v, %v", name, heard, err)
		}
		if phase := r.phase(secret); phase != Collected {
			t.Errorf("%s: it is %v", name, phase)
		}
		if _, _, err := r.Collect(t.Context(), secret, ""); err != nil {
			t.Errorf("%s: it is over, and could not be written: %v", name, err)
		}
	}
	r := setUp(t)
	r.person("bob", "password", "totp")
	secret, was := r.opens("helga", "bob", false)
	if err := r.try(func(tx *store.Tx) error {
		next := was
		was.version, next.state = was.version+1, stateStopped
		return r.write(t.Context(), tx, was, next)
	}); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("changed meanwhile: %v", err)
	}
	if phase := r.phase(secret); phase != Waiting {
		t.Errorf("changed meanwhile, it is %v", phase)
	}
}

// The entry of a pass says how many authenticators its case revoked. What somebody else
// took before is taken over and not counted again.
func TestHowManyWereRevoked(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password", "totp", "passkey")
	revokeKind(r, "totp", directory.ByAdministrator)
	secret, _ := r.opens("helga", "bob", true)
	if err := r.tryConfirm("rita", "bob", r.word(secret)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Collect(t.Context(), secret, ""); err != nil {
		t.Fatal(err)
	}
	all, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: "recovery.collected"})
	if err != nil || len(all) != 1 || all[0].Detail["revoked"] != "2" {
		t.Errorf("%+v, %v", all, err)
	}
	if c := r.all("bob")["totp"]; c.End.Cause != directory.BySureRecovery {
		t.Errorf("what was taken before is %s by %s", c.Status, c.End.Cause)
	}
}

package throttle

import (
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"errors"
	"slices"
	"strings"
	"testing"
)

// A row follows a run that is over or about to be, and no other.
func TestWhatFollowsARun(t *testing.T) {
	skew := store.ClockBound.Microseconds()
	m := run{since: 1000, until: 1000 + 10*skew}
	for since, want := range map[int64]bool{999: false, 1000: false, 1001: false, 1000 + 9*skew - 1: false, 1000 + 9*skew: true, 1000 + 10*skew: true} {
		if row := (&guessRow{since: since}); row.follows(m) != want {
			t.Errorf("%d: %t", since, !want)
		}
	}
	if (&guessRow{since: 1000}).follows(run{since: 1000, until: 1000}) {
		t.Error("itself")
	}
}

// What is charged before a check is kept over a restart only once it is decided, and what
// was wrong before it is kept throughout.
func TestWhatIsUnderWayIsNotKept(t *testing.T) {
	r := newRig(t)
	kept := func() bool {
		return strings.Contains("\n"+string(r.budgets.ledger.owned.bytes()), "\n"+credentialKey(password))
	}
	for i, right := range []bool{false, true} {
		var b Budget
		r.change(func(tx *store.Tx) (err error) {
			if b, _, err = r.Read(t.Context(), tx, someone(outside), adas()); err != nil {
				return err
			}
			return r.Hold(t.Context(), tx, &b)
		})
		if kept() != (i > 0) {
			t.Errorf("%t under way: %q", right, r.budgets.ledger.owned.bytes())
		}
		if !right {
			r.Decide(b)
			r.Decide(b) // once
			if !kept() {
				t.Errorf("decided: %q", r.budgets.ledger.owned.bytes())
			}
			continue
		}
		r.change(func(tx *store.Tx) error { return r.Refund(t.Context(), tx, b, password, true) })
		if r.counted(credentialKey(password)) != 0 {
			t.Error("what was right is charged")
		}
	}
	if err := r.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.Quiet(t, r.db)
}

// What a transaction would refuse only for what this server remembers runs once more, with
// all of the log heard; any other error comes back as it is.
func TestConfirm(t *testing.T) {
	r := newRig(t)
	if _, why := r.wrong(someone(outside), adas()); why != "" {
		t.Fatal(why)
	}
	storetest.Sabotage(t, r.db, `delete from guess`)
	var told []bool
	by := someone(outside)
	err := r.Confirm(t.Context(), func(heard bool) error {
		told, by.Heard = append(told, heard), heard
		b, why, err := r.Read(t.Context(), r.db, by, adas())
		if err == nil && (why != "" || b.Wrong(password) != 1) {
			t.Errorf("%q, %d wrong", why, b.Wrong(password))
		}
		return err
	})
	if err != nil || !slices.Equal(told, []bool{false, true}) {
		t.Errorf("%v, %v", told, err)
	}
	other := errors.New("something else")
	told = nil
	if err := r.Confirm(t.Context(), func(heard bool) error { told = append(told, heard); return other }); err != other || len(told) != 1 {
		t.Errorf("%v, %v", told, err)
	}
}

package drill

import (
	"testing"

	"countersign/internal/attack"
)

// The rows that say they have a drill are those that have one.
func TestRowsKnowTheirDrills(t *testing.T) {
	has := map[string]bool{}
	for _, d := range rows() {
		if has[d.id] {
			t.Errorf("%s has two drills", d.id)
		}
		has[d.id] = true
		if _, known := attack.ByID(d.id); !known {
			t.Errorf("%s is not a row", d.id)
		}
	}
	for _, r := range attack.Rows() {
		if (r.Drill != "") != has[r.ID] {
			t.Errorf("%s says %q of its drill", r.ID, r.Drill)
		}
	}
	if len(has) < 15 {
		t.Error("the list of drills shrank")
	}
}

// A proof that was not tried, and a control that does not get through, are never
// called passed.
func TestNothingIsCalledPassedByItself(t *testing.T) {
	if (Result{}).Passed() {
		t.Error("the zero result passed")
	}
	good := Result{Blocked: Proof{State: Passed}, Audited: Proof{State: Passed}, Honest: Proof{State: Passed}}
	if !good.Passed() {
		t.Error("a deployment's three proofs are enough")
	}
	for name, spoil := range map[string]func(*Result){
		"skipped": func(r *Result) { r.Skipped = "why" }, "control": func(r *Result) { r.Control.State = Failed }, "closed": func(r *Result) { r.Closed.State = Failed },
		"blocked": func(r *Result) { r.Blocked.State = NotTried }, "audited": func(r *Result) { r.Audited.State = Failed }, "honest": func(r *Result) { r.Honest.State = NotTried },
	} {
		r := good
		if spoil(&r); r.Passed() {
			t.Errorf("it passed with %s spoilt", name)
		}
	}
	if p := (arm{tries: []Try{{Name: "a"}, {Name: "b", Open: true}}}).blocked(); p.State != Failed {
		t.Error("an open door is no failure")
	}
}

package signin

import (
	"fmt"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

const keepApprovals, putApprovalsBack = `create table kept as select * from approval`, `insert into approval select * from kept`

// Whoever writes into a column of what waits to be approved has nothing approved, and is
// seen: when it is looked for, and when it is not.
func TestEveryColumnOfAnApprovalIsBound(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for column, set := range map[string]string{
		"account":  "account = 9",
		"number":   "number = {00}",
		"payload":  "payload = (select o.payload from approval o where o.state = 'refused')",
		"odd seal": "payload = {00}",
		"state":    "state = 'approved'",
		"used":     "state = 'used'",
		"created":  "created = created - 1",
		"expires":  "expires = expires + 60000000",
		"mac":      "mac = (select o.mac from approval o where o.state = 'refused')",
		"no mac":   "mac = null",
		"odd mac":  "mac = {00}",
	} {
		for _, used := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s used %v", column, used), func(t *testing.T) {
				p := withPhone(t)
				first, number := p.waits()
				w := p.finds(number)
				if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Denies}); err != nil {
					t.Fatal(err)
				}
				s, number := p.waits()
				w = p.finds(number)
				storetest.Quiet(t, p.DB)
				storetest.Intrude(t, p.options.DSN, fmt.Sprintf(`update approval set %s where id = %d`, set, w.ID))
				if used {
					if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}); err == nil {
						t.Error("it was approved")
					}
					if next := p.look(s); next.State == Granted {
						t.Error("it was granted")
					}
					if column == "account" { // nobody looks there
						p.inspects()
					}
				} else {
					p.inspects()
					p.inspects()
				}
				if next := p.look(first); next.Reason != "refused-elsewhere" {
					t.Errorf("another: %+v", next)
				}
				storetest.Alarmed(t, p.DB, "approval", fmt.Sprint(w.ID), store.Altered)
			})
		}
	}
}

func (r *rig) inspects() {
	r.t.Helper()
	if err := r.Inspect(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// What was answered is not as before when its row is put back: what was refused does not
// wait again, and what was approved lets nobody go on twice.
func TestAnsweredApprovalsPutBack(t *testing.T) {
	for _, decision := range []string{approval.Denies, approval.Approved, "used"} {
		for _, used := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s used %v", decision, used), func(t *testing.T) {
				p := withPhone(t)
				s, number := p.waits()
				w := p.finds(number)
				says := approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}
				if decision != "used" {
					storetest.Intrude(t, p.options.DSN, keepApprovals)
					says.Decision = decision
				}
				if err := p.says(says); err != nil {
					t.Fatal(err)
				}
				if decision == "used" {
					storetest.Intrude(t, p.options.DSN, keepApprovals, `create table before as select * from attempt`)
					if next := p.look(s); next.State != Granted {
						t.Fatalf("%+v", next)
					}
					storetest.Intrude(t, p.options.DSN, `delete from attempt`, `insert into attempt select * from before`)
				}
				storetest.Intrude(t, p.options.DSN, `delete from approval`, putApprovalsBack)
				if !used {
					p.inspects()
					p.inspects()
				} else {
					says.Decision = approval.Approved
					if err := p.says(says); err == nil {
						t.Error("it was approved once more")
					}
					if next := p.look(s); next.State == Granted {
						t.Error("it was granted once more")
					}
				}
				storetest.Alarmed(t, p.DB, "approval", fmt.Sprint(w.ID), store.Older)
			})
		}
	}
}

// An approval that was answered is its row's: nobody moves it to another number.
func TestAnAnsweredApprovalIsItsRows(t *testing.T) {
	p := withPhone(t)
	s, number := p.waits()
	w := p.finds(number)
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}); err != nil {
		t.Fatal(err)
	}
	storetest.Intrude(t, p.options.DSN, `update approval set id = id + 1`)
	p.inspects()
	if next := p.look(s); next.State == Granted {
		t.Error("granted by what was moved")
	}
	storetest.Alarmed(t, p.DB, "approval", fmt.Sprint(w.ID+1), store.Altered)
}

// A row that is not believed is left out of what an owner disowns, and keeps nothing else
// from being disowned.
func TestDisownedBesideAnAlteredRow(t *testing.T) {
	p := withPhone(t)
	s, number := p.waits()
	w := p.finds(number)
	p.clock.Later(time.Minute)
	second, _ := p.waits()
	storetest.Intrude(t, p.options.DSN, fmt.Sprintf(`update approval set created = created + 1 where id = %d`, w.ID))
	if err := p.Apps.NotMe(t.Context(), p.call("disown")); err != nil && failure.ClassOf(err) != failure.Refused {
		t.Fatal(err)
	}
	if next := p.look(second); next.Reason != "refused-elsewhere" {
		t.Errorf("what was disowned: %+v", next)
	}
	if next := p.look(s); next.State == Granted {
		t.Error("it was granted")
	}
}

package approval

import (
	"countersign/internal/failure"
	"testing"
)

// Of several servers that read the same rows one wakes, one raises the alarm, and one
// counts; the others find that it is done, which is no breakdown.
func TestOneServerWakes(t *testing.T) {
	b := withBells(t)
	b.waits()
	due := b.due()
	for server, want := range []int{1, 0, 0} {
		apps, _, err := b.Pushes.take(t.Context(), due)
		if err != nil || len(apps) != want {
			t.Errorf("server %d: %d apps, %v", server, len(apps), err)
		}
	}
	if got := b.today(); got.Pushed != 1 || len(b.events("push.sent")) != 1 {
		t.Errorf("%+v", got)
	}
	for range b.limits.PushSoon {
		b.waits()
	}
	if due = b.due(); due.state != "held" {
		t.Fatalf("the row is %s", due.state)
	}
	for server := range 3 {
		if err := b.Pushes.held(t.Context(), due); err != nil {
			t.Errorf("server %d: %v", server, err)
		}
	}
	if got := b.today(); got.Closed != 1 || len(b.events("alarm.push-flood")) != 1 {
		t.Errorf("kept back %d times, %d alarms", got.Closed, len(b.events("alarm.push-flood")))
	}
	// The next one is counted, without another alarm, and once as well.
	b.waits()
	due = b.due()
	for server := range 2 {
		if err := b.Pushes.held(t.Context(), due); err != nil {
			t.Errorf("the next, server %d: %v", server, err)
		}
	}
	if got := b.today(); got.Closed != 2 || len(b.events("alarm.push-flood")) != 1 {
		t.Errorf("kept back %d times, %d alarms", got.Closed, len(b.events("alarm.push-flood")))
	}
}

// The alarm of a flood, and what is counted of it, are one: where the owner cannot be
// found any more there is neither, and whoever wakes is told that it broke down.
func TestAnAlarmThatBreaksDown(t *testing.T) {
	b := withBells(t)
	for range b.limits.PushSoon + 1 {
		b.waits()
	}
	due := b.due()
	due.account += 1000
	if err := b.Pushes.held(t.Context(), due); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("%v", err)
	}
	if state := b.due().state; state != "held" || b.today().Closed != 0 || len(b.events("alarm.push-flood")) != 0 {
		t.Errorf("it was taken all the same: %s, %+v", b.due().state, b.today())
	}
}

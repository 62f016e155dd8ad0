package signin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// row is the row of the newest request to wake an app, and how it stands.
func (b *bells) row() (approval int64, state string) {
	b.t.Helper()
	if err := b.DB.QueryRow(b.t.Context(), `select approval, state from wake order by approval desc limit 1`).Scan(&approval, &state); err != nil {
		b.t.Fatal(err)
	}
	return approval, state
}

// due is the newest request to wake an app.
func (b *bells) due() wakeRow {
	b.t.Helper()
	rows, err := b.Pushes.wakes.read(b.t.Context(), b.DB, `order by approval desc limit 1`)
	if err != nil || len(rows) != 1 {
		b.t.Fatal(len(rows), err)
	}
	return rows[0]
}

// An app is woken, and the waking counted, for what still waits when its turn comes: not
// for what was refused meanwhile, nor where no app gave an address.
func TestWhatIsAnsweredWakesNobody(t *testing.T) {
	b := withBells(t)
	b.give(b.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	p, _ := shownElsewhere(b.waits())
	b.approves(p.Number, true)
	if n := b.wakes(); n != 0 || b.today(b.ada).Pushed != 0 {
		t.Errorf("refused meanwhile: %d woken, %+v", n, b.today(b.ada))
	}
	if sent := b.events("push.sent"); len(sent) != 1 || sent[0].Outcome != audit.Refused || sent[0].Reason != "late" || sent[0].Application != Self {
		t.Errorf("the log says %+v", sent)
	}
	b.clock.later(approvalLife)
	p, _ = shownElsewhere(b.waits())
	b.approves(p.Number, false)
	if n := b.wakes(); n != 0 || len(b.events("push.sent")) != 1 {
		t.Errorf("approved meanwhile: %d woken", n)
	}
	b.clock.later(approvalLife)
	b.waits()
	if n := b.wakes(); n != 1 || b.today(b.ada).Pushed != 1 {
		t.Errorf("what waits: %d woken, %+v", n, b.today(b.ada))
	}
	b.alter(b.app, func(c *directory.Credential) { c.State = nil })
	b.clock.later(approvalLife)
	b.waits()
	if n := b.wakes(); n != 0 || b.today(b.ada).Pushed != 1 {
		t.Errorf("without an address: %d woken, %+v", n, b.today(b.ada))
	}
}

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
	if got := b.today(b.ada); got.Pushed != 1 || len(b.events("push.sent")) != 1 {
		t.Errorf("%+v", got)
	}
	for range b.Limits.PushSoon {
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
	if got := b.today(b.ada); got.Closed != 1 || len(b.events("alarm.push-flood")) != 1 {
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
	if got := b.today(b.ada); got.Closed != 2 || len(b.events("alarm.push-flood")) != 1 {
		t.Errorf("kept back %d times, %d alarms", got.Closed, len(b.events("alarm.push-flood")))
	}
}

// The alarm of a flood, and what is counted of it, are one: where the owner cannot be
// found any more there is neither, and whoever wakes is told that it broke down.
func TestAnAlarmThatBreaksDown(t *testing.T) {
	b := withBells(t)
	for range b.Limits.PushSoon + 1 {
		b.waits()
	}
	due := b.due()
	due.account += 1000
	if err := b.Pushes.held(t.Context(), due); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("%v", err)
	}
	if _, state := b.row(); state != "held" || b.today(b.ada).Closed != 0 || len(b.events("alarm.push-flood")) != 0 {
		t.Errorf("it was taken all the same: %s, %+v", state, b.today(b.ada))
	}
}

// What cannot be recorded of a push that failed is in the server's log, and stops nobody;
// what was recorded is not said to be missing.
func TestAPushThatIsNotRecorded(t *testing.T) {
	b := withBells(t)
	log := &bytes.Buffer{}
	b.Pushes.log = slog.New(slog.NewTextHandler(log, nil))
	wake := func(send WakeUp) {
		t.Helper()
		b.waits()
		if n, err := b.Pushes.Wake(t.Context(), send); n != 1 || err != nil {
			t.Errorf("%d woken, %v", n, err)
		}
		b.clock.later(approvalLife)
	}
	const lost = "could not be recorded"
	wake(func(context.Context, authenticator.Address) error { return nil })
	if log.Len() != 0 {
		t.Errorf("of one that arrived: %s", log)
	}
	wake(func(context.Context, authenticator.Address) error { return errors.New("away") })
	if !strings.Contains(log.String(), "could not be woken") || strings.Contains(log.String(), lost) {
		t.Errorf("of one that failed: %s", log)
	}
	wake(func(context.Context, authenticator.Address) error {
		b.change(func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `delete from credential where id = $1`, int64(b.app.ID))
			return err
		})
		return failure.New(failure.NotFound, "Nobody is there.")
	})
	if !strings.Contains(log.String(), lost) || len(b.events("push.failed")) != 1 {
		t.Errorf("of one that is gone with its app: %s; %d entries", log, len(b.events("push.failed")))
	}
}

// What somebody leaves unanswered closes nothing of anybody else's: mallory, whose own
// app is flooded, keeps no push from ada.
func TestAFloodIsOnesOwn(t *testing.T) {
	b := withBells(t)
	mallory := b.person("mallory")
	b.give(mallory, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
	b.give(mallory, "push", authenticator.Enrolled{Traits: assurance.Held | assurance.UserVerified, State: []byte("https://push.test/mallory")})
	for i := range b.Limits.PushSoon + 1 {
		if s := b.begin(b.line("mallory")); s.State != Wait {
			t.Fatalf("%+v", s)
		}
		if i == b.Limits.PushSoon {
			break // and is held back, beside what waits for ada
		}
		if n := b.wakes(); n != 1 {
			t.Errorf("the %dth of mallory's: %d woken", i+1, n)
		}
	}
	b.waits()
	if n := b.wakes(); n != 1 || b.rung[len(b.rung)-1] != "https://push.test/ada" {
		t.Errorf("beside what is held back %d are woken: %v", n, b.rung)
	}
	if alarms := b.events("alarm.push-flood"); len(alarms) != 1 || alarms[0].AccountName != "mallory" {
		t.Errorf("the log says %+v", alarms)
	}
}

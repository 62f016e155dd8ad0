package signin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// wakeRow is a row of wake, as somebody keeps it to put it back.
type wakeRow struct {
	approval, account int64
	state             string
	created           int64
	mac               []byte
}

// due is the newest request to wake an app.
func (b *bells) due() (row wakeRow) {
	b.t.Helper()
	err := b.DB.QueryRow(b.t.Context(), `select approval, account, state, created, mac from wake order by approval desc limit 1`).
		Scan(&row.approval, &row.account, &row.state, &row.created, &row.mac)
	if err != nil {
		b.t.Fatal(err)
	}
	return row
}

// putBack writes a row as it was once.
func (b *bells) putBack(row wakeRow) {
	b.t.Helper()
	b.sabotage(`insert into wake (approval, account, state, created, mac) values ($1,$2,$3,$4,$5)`, row.approval, row.account, row.state, row.created, row.mac)
}

// called is ada's app, which says something for the nth time, as whatever signs for it.
func (b *bells) called(n int64, signature string) approval.AppCall {
	return approval.AppCall{Kind: "push", App: b.app.Handle, Moment: b.Apps.Moment(), Count: n, Signature: []byte(signature), Source: home}
}

// closed reports whether a server would wake nobody for one more sign-in of ada's, because
// too much was left unanswered or disowned. Nothing is left of asking.
func (b *bells) closed(r *rig) bool {
	b.t.Helper()
	if err := r.DB.View().Hear(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	undone, state := errors.New("undone"), ""
	err := r.DB.Change(b.t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if err := r.Pushes.Queue(b.t.Context(), tx, b.ada.ID, 1<<40); err != nil {
			return err
		}
		if err := tx.QueryRow(b.t.Context(), `select state from wake where approval = $1`, int64(1)<<40).Scan(&state); err != nil {
			return err
		}
		return undone
	})
	if !errors.Is(err, undone) {
		b.t.Fatal(err)
	}
	return state == "held"
}

// An app is woken, and the waking counted, for what still waits when its turn comes: not
// for what was refused meanwhile, nor where no app gave an address.
func TestWhatIsAnsweredWakesNobody(t *testing.T) {
	b := withBells(t)
	b.give(b.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	p, _ := shownElsewhere(b.waits())
	b.approves(p.Number, true)
	if n := b.wakes(); n != 0 || promptedToday(b.rig, b.ada).Pushed != 0 {
		t.Errorf("refused meanwhile: %d woken, %+v", n, promptedToday(b.rig, b.ada))
	}
	if sent := b.events("push.sent"); len(sent) != 1 || sent[0].Outcome != audit.Refused || sent[0].Reason != "late" || sent[0].Application != Self {
		t.Errorf("the log says %+v", sent)
	}
	b.clock.Later(approvalLife)
	p, _ = shownElsewhere(b.waits())
	b.approves(p.Number, false)
	if n := b.wakes(); n != 0 || len(b.events("push.sent")) != 1 {
		t.Errorf("approved meanwhile: %d woken", n)
	}
	b.clock.Later(approvalLife)
	b.waits()
	if n := b.wakes(); n != 1 || promptedToday(b.rig, b.ada).Pushed != 1 {
		t.Errorf("what waits: %d woken, %+v", n, promptedToday(b.rig, b.ada))
	}
	b.alter(b.app, func(c *directory.Credential) { c.State = nil })
	b.clock.Later(approvalLife)
	b.waits()
	if n := b.wakes(); n != 0 || promptedToday(b.rig, b.ada).Pushed != 1 {
		t.Errorf("without an address: %d woken, %+v", n, promptedToday(b.rig, b.ada))
	}
}

// What cannot be recorded of a push that failed is in the server's log, and stops nobody;
// what was recorded is not said to be missing.
func TestAPushThatIsNotRecorded(t *testing.T) {
	b := withBells(t)
	log := &bytes.Buffer{}
	b.Parts.Log = slog.New(slog.NewTextHandler(log, nil))
	b.remake()
	wake := func(send approval.WakeUp) {
		t.Helper()
		b.waits()
		if n, err := b.Pushes.Wake(t.Context(), send); n != 1 || err != nil {
			t.Errorf("%d woken, %v", n, err)
		}
		b.clock.Later(approvalLife)
	}
	const lost = "could not be recorded"
	wake(func(context.Context, authenticator.Address) error { return nil })
	if log.Len() != 0 {
		t.Errorf("of one that arrived: %s", log)
	}
	wake(func(context.Context, authenticator.Address) error { return errors.New("away") })
	if !strings.Contains(log.String(), "could not be sent") || strings.Contains(log.String(), lost) {
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

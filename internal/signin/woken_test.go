package signin

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/outbox"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// ringing is an app that is woken at the address that is its state.
type ringing struct{ rightElsewhere }

func (ringing) Address(c authenticator.Credential) (authenticator.Address, bool) {
	return authenticator.Address{Endpoint: string(c.State)}, len(c.State) > 0
}

func (ringing) Move(_ authenticator.Credential, to authenticator.Address) ([]byte, error) {
	return []byte(to.Endpoint), nil
}

// bells is an installation in which ada has a password and an app, and whoever knows the
// password has sign-ins wait.
type bells struct {
	*rig
	ada  directory.Account
	app  directory.Credential
	rung []string
	fail error
}

func withBells(t *testing.T) *bells {
	t.Helper()
	return withBellsIn(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db")})
}

func withBellsIn(t *testing.T, o store.Options) *bells {
	t.Helper()
	kinds := everyKind(t)
	for i, how := range kinds {
		switch how.Describe().Kind {
		case "password":
			kinds[i] = plainly{how}
		case "passkey":
			kinds[i] = right{how}
		case "push":
			kinds[i] = ringing{rightElsewhere{right{how}, how.(authenticator.Approver)}}
		}
	}
	b := &bells{rig: newRigIn(t, o, twoFactors, kinds...)}
	b.ada = b.person("ada")
	b.give(b.ada, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
	b.app = b.give(b.ada, "push", authenticator.Enrolled{Traits: assurance.Held | assurance.UserVerified, Handle: "app-of-ada", State: []byte("https://push.test/ada")})
	return b
}

func (b *bells) waits() Step {
	b.t.Helper()
	return b.begin(b.line("ada"))
}

// line is a sign-in of the VPN by somebody who knows the password.
func (b *bells) line(name string) Request {
	return Request{Application: "vpn", Name: name, Source: home, Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}}
}

// wakes has a server wake what is due, and returns how many it woke.
func (b *bells) wakes() int {
	b.t.Helper()
	rung := make(chan string, 100)
	n, err := b.Pushes.Wake(b.t.Context(), func(_ context.Context, to authenticator.Address) error {
		rung <- to.Endpoint
		return b.fail
	})
	if err != nil {
		b.t.Fatal(err)
	}
	close(rung)
	for to := range rung {
		b.rung = append(b.rung, to)
	}
	return n
}

// An app is woken once for what waits, where it said, and no more once it is late.
func TestAnAppIsWokenOnce(t *testing.T) {
	b := withBells(t)
	if n := b.wakes(); n != 0 {
		t.Errorf("%d woken before anything waits", n)
	}
	if s := b.waits(); s.State != Wait {
		t.Fatalf("%+v", s)
	}
	if n := b.wakes(); n != 1 || len(b.rung) != 1 || b.rung[0] != "https://push.test/ada" {
		t.Errorf("%d woken: %v", n, b.rung)
	}
	if n := b.wakes(); n != 0 {
		t.Errorf("%d woken again", n)
	}
	sent := b.events("push.sent")
	if len(sent) != 1 || sent[0].Outcome != audit.OK || sent[0].Detail["apps"] != "1" || sent[0].Application != "vpn" || sent[0].AccountName != "ada" {
		t.Errorf("the log says %+v", sent)
	}
	b.clock.Later(approvalLife)
	b.waits()
	b.clock.Later(approvalLife)
	if n := b.wakes(); n != 0 {
		t.Errorf("%d woken for what is late", n)
	}
	if sent = b.events("push.sent"); len(sent) != 2 || sent[1].Outcome != audit.Refused || sent[1].Reason != "late" || sent[1].Detail["apps"] != "0" {
		t.Errorf("the log says %+v", sent)
	}
}

// Nobody's app is woken that is new, switched off, or gave no address.
func TestWhichAppsAreWoken(t *testing.T) {
	for name, change := range map[string]func(c *directory.Credential, now time.Time){
		"in quarantine": func(c *directory.Credential, now time.Time) { c.Quarantine = now.Add(time.Hour) },
		"switched off":  func(c *directory.Credential, _ time.Time) { c.Status = directory.CredentialDisabled },
		"no address":    func(c *directory.Credential, _ time.Time) { c.State = nil },
	} {
		b := withBells(t)
		b.give(b.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")}) // so that something can be waited for
		b.alter(b.app, func(c *directory.Credential) { change(c, b.Now()) })
		if s := b.waits(); s.State != Wait {
			t.Fatalf("%s: %+v", name, s)
		}
		if n := b.wakes(); n != 0 {
			t.Errorf("%s: %d woken", name, n)
		}
	}
}

// After three that nobody answers the next is held back: an alarm and a mail, once.
func TestAFloodIsHeldBack(t *testing.T) {
	b := withBells(t)
	for i := range 3 {
		if s := b.waits(); s.State != Wait {
			t.Fatalf("%d: %+v", i, s)
		}
		if n := b.wakes(); n != 1 {
			t.Errorf("the %dth: %d woken", i+1, n)
		}
		b.clock.Later(approvalLife)
	}
	for range 2 {
		if s := b.waits(); s.State != Wait {
			t.Fatalf("it waits all the same: %+v", s)
		}
		if n := b.wakes(); n != 0 {
			t.Errorf("%d woken in a flood", n)
		}
		alarms := b.events("alarm.push-flood")
		if len(alarms) != 1 || alarms[0].AccountName != "ada" {
			t.Errorf("the log says %+v", alarms)
		}
		var told int64
		if err := b.DB.QueryRow(t.Context(), `select count(*) from notice where account = $1 and subject = $2`, int64(b.ada.ID), "Sign-ins as you were left unanswered").Scan(&told); err != nil || told != 1 {
			t.Errorf("told %d times, %v", told, err)
		}
		b.clock.Later(approvalLife)
	}
	b.clock.Later(wakeDailyIn)
	b.waits()
	if n := b.wakes(); n != 1 {
		t.Errorf("a day later: %d woken", n)
	}
}

// A push that fails is in the log; an app that is gone is not woken again.
func TestWhoCannotBeWoken(t *testing.T) {
	b := withBells(t)
	b.fail = errors.New("the push service is away")
	b.waits()
	b.wakes()
	failed := b.events("push.failed")
	if len(failed) != 1 || failed[0].Outcome != audit.Failed || failed[0].AccountName != "ada" || len(b.events("app.address")) != 0 {
		t.Errorf("the log says %+v", failed)
	}
	b.clock.Later(approvalLife)
	b.fail = failure.New(failure.NotFound, "Nobody is there.")
	b.waits()
	if n := b.wakes(); n != 1 {
		t.Errorf("%d woken", n)
	}
	if moved := b.events("app.address"); len(moved) != 1 || moved[0].Detail["woken"] != "false" {
		t.Errorf("the log says %+v", moved)
	}
	b.fail = nil
	b.clock.Later(wakeDailyIn)
	b.waits()
	if n := b.wakes(); n != 0 {
		t.Errorf("%d woken that are gone", n)
	}
}

// A code is carried once; what fails is tried three times, ten seconds apart, and then
// given up; what is over or was changed is given up without being carried.
func TestCodesAreCarried(t *testing.T) {
	r, ada, _ := withAda(t)
	queue := func() {
		t.Helper()
		r.clock.Later(2 * time.Hour)
		r.change(func(tx *store.Tx) error {
			did, err := r.Messages.Send(t.Context(), tx, outbox.Sending{Account: ada.ID}, authenticator.Message{To: "+4930123", Text: "the code"})
			if !did {
				t.Error("it was not queued")
			}
			return err
		})
	}
	tried := 0
	carry := func(outcome error) (n int) {
		t.Helper()
		before := tried
		err := carryAll(r.Messages, t.Context(), func(_ context.Context, m authenticator.Message) error {
			if tried++; m.To != "+4930123" || m.Text != "the code" {
				t.Errorf("carried %+v", m)
			}
			return outcome
		})
		if err != nil {
			t.Fatal(err)
		}
		return tried - before
	}
	lost := func() int { return len(r.events("code.undelivered")) }
	away := errors.New("the gateway is away")

	queue()
	if n := carry(nil); n != 1 || lost() != 0 {
		t.Errorf("carried %d times, %d lost", n, lost())
	}
	r.clock.Later(time.Minute)
	if n := carry(nil); n != 0 {
		t.Errorf("carried again: %d", n)
	}
	queue()
	for try := range carryTries {
		if lost() != 0 {
			t.Errorf("given up after %d", try)
		}
		if n := carry(away); n != 1 {
			t.Errorf("try %d: %d", try+1, n)
		}
		if n := carry(away); n != 0 {
			t.Errorf("tried again at once, after %d", try+1)
		}
		r.clock.Later(carryPause)
	}
	if n := carry(away); n != 0 || lost() != 1 {
		t.Errorf("after three: %d more, %d lost", n, lost())
	}
	queue()
	r.clock.Later(messageLife)
	if n := carry(nil); n != 0 || lost() != 2 {
		t.Errorf("what is over: %d, %d lost", n, lost())
	}
	queue()
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `update message set account = account + 1`)
		return err
	})
	for range carryTries {
		if n := carry(nil); n != 0 {
			t.Errorf("what was moved to another account was carried")
		}
		r.clock.Later(carryPause)
	}
	if lost() != 3 {
		t.Errorf("%d lost", lost())
	}
	if entries := r.events("code.undelivered"); entries[0].Outcome != audit.Failed {
		t.Errorf("%+v", entries[0])
	}
}

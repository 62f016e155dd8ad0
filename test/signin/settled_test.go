package signin

import (
	"context"
	"sync"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/servertest"
)

// The promise: a sign-in that waits goes on in the moment in which it is approved or
// refused, on whatever server that is; nobody else's answer wakes it.
func TestWhoWaitsIsWoken(t *testing.T) {
	w, other, ada, _ := servertest.TwoNodes(t)
	bob := w.EnrollCodes("bob")
	his, browser := w.Phone(), w.Person()
	browser.Comes("bob", bob.Secret)
	browser.AddPhone(his)
	device := servertest.WithPhone(w, ada)
	other.Skew.Store(w.Skew.Load())

	for _, decision := range []string{approval.Approved, approval.Denies} {
		w.Later(time.Hour)
		other.Skew.Store(w.Skew.Load())
		hers, foreign := w.Begin(servertest.Display("ada", servertest.Passphrase)), w.Begin(servertest.Display("bob", servertest.Passphrase))
		number, _ := servertest.Elsewhere(hers)
		another, _ := servertest.Elsewhere(foreign)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		var all sync.WaitGroup
		for _, world := range []*servertest.World{w, other} {
			all.Go(func() {
				if err := world.Engine.AwaitApproval(ctx, hers.Ticket); err != nil || ctx.Err() != nil {
					t.Errorf("%s: not woken: %v, %v", decision, err, ctx.Err())
				}
			})
		}
		patient, done := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := w.Engine.AwaitApproval(patient, foreign.Ticket); err != nil || patient.Err() == nil {
			t.Errorf("what nobody answered is settled: %v", err)
		}
		done()
		his.Approve(another)
		patient, done = context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := w.Engine.AwaitApproval(patient, hers.Ticket); err != nil || patient.Err() == nil {
			t.Errorf("somebody else's approval wakes hers: %v", err)
		}
		done()
		id, text, refused := device.Look(number)
		if refused != "" {
			t.Fatal(refused)
		}
		if r := device.Decide(id, number, text, decision); r != "" {
			t.Fatal(r)
		}
		all.Wait()
		stop()
		if err := w.Engine.AwaitApproval(t.Context(), hers.Ticket); err != nil {
			t.Errorf("after it was answered: %v", err)
		}
	}
	if err := w.Engine.AwaitApproval(t.Context(), "nothing"); err == nil {
		t.Error("a ticket that is none is settled")
	}
}

// The promise: the page that waits is held until there is something to go on with.
func TestWaitingPageGoesOn(t *testing.T) {
	w, _, browser, key := servertest.WithPasskey(t)
	page := w.Person()
	page.AsksElsewhere()
	number := servertest.Last(t, servertest.PageNumber, page.Page)
	done := make(chan struct{})
	go func() { defer close(done); page.Get("/sign-in/wait?held=yes") }()
	browser.Transfer(number, key)
	<-done
	if !page.Inside() {
		t.Errorf("the page did not go on:\n%s", page.Page)
	}
}

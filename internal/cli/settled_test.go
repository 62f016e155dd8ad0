package cli

import (
	"context"
	"countersign/internal/approval"
	"sync"
	"testing"
	"time"
)

// The promise: a sign-in that waits goes on in the moment in which it is approved or
// refused, on whatever server that is; nobody else's answer wakes it.
func TestWhoWaitsIsWoken(t *testing.T) {
	w, other, ada, _ := twoNodes(t)
	bob := w.enrollCodes("bob")
	his, browser := w.phone(), w.person()
	browser.comes("bob", bob.secret)
	browser.addPhone(his)
	device := w.withPhone(ada)
	other.skew.Store(w.skew.Load())

	for _, decision := range []string{approval.Approved, approval.Denies} {
		w.later(time.Hour)
		other.skew.Store(w.skew.Load())
		hers, foreign := w.begin(display("ada", passphrase)), w.begin(display("bob", passphrase))
		number, _ := elsewhere(hers)
		another, _ := elsewhere(foreign)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		var all sync.WaitGroup
		for _, world := range []*world{w, other} {
			all.Go(func() {
				if err := world.Engine.Settled(ctx, hers.Ticket); err != nil || ctx.Err() != nil {
					t.Errorf("%s: not woken: %v, %v", decision, err, ctx.Err())
				}
			})
		}
		patient, done := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := w.Engine.Settled(patient, foreign.Ticket); err != nil || patient.Err() == nil {
			t.Errorf("what nobody answered is settled: %v", err)
		}
		done()
		his.approve(another)
		patient, done = context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := w.Engine.Settled(patient, hers.Ticket); err != nil || patient.Err() == nil {
			t.Errorf("somebody else's approval wakes hers: %v", err)
		}
		done()
		id, text, refused := device.look(number)
		if refused != "" {
			t.Fatal(refused)
		}
		if r := device.decide(id, number, text, decision); r != "" {
			t.Fatal(r)
		}
		all.Wait()
		stop()
		if err := w.Engine.Settled(t.Context(), hers.Ticket); err != nil {
			t.Errorf("after it was answered: %v", err)
		}
	}
	if err := w.Engine.Settled(t.Context(), "nothing"); err == nil {
		t.Error("a ticket that is none is settled")
	}
}

// The promise: the page that waits is held until there is something to go on with.
func TestWaitingPageGoesOn(t *testing.T) {
	w, _, browser, key := withPasskey(t)
	page := w.person()
	page.asksElsewhere()
	number := last(t, pageNumber, page.page)
	done := make(chan struct{})
	go func() { defer close(done); page.get("/sign-in/wait?held=yes") }()
	browser.transfer(number, key)
	<-done
	if !page.inside() {
		t.Errorf("the page did not go on:\n%s", page.page)
	}
}

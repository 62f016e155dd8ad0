package signin

import (
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
)

// fills takes n turns in a line, as somebody who is known everywhere.
func fills(t *testing.T, q *throttle.Queue, n int) (leave []func()) {
	t.Helper()
	for range n {
		done, err := q.Enter(t.Context(), throttle.Position{})
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, done)
	}
	return leave
}

// What somebody waited to be charged counts when they wait to be checked: who waited as long
// in both as anybody is asked to is next, before one who is known and came later.
func TestTheWaitInBothLinesIsOne(t *testing.T) {
	storetest.Long(t, "waits as long as somebody in line does")
	checked := make(chan bool)
	then := func() { checked <- true } // she has her turn until that is seen
	r := newRig(t, twoFactors, whileChecked(t, "password", &then, nil)...)
	r.give(r.person("ada"), "password", authenticator.Enrolled{Traits: r.kinds["password"].Describe().Traits, State: []byte("x")})
	x := r.Engine.examiner
	charging, hashing := fills(t, x.charging, r.SlowChecks+3), fills(t, x.hashing, r.SlowChecks)
	answered := make(chan error, 1)
	go func() {
		_, err := r.Begin(t.Context(), browses("wiki", "ada", typed("password", secret)))
		answered <- err
	}()
	time.Sleep(1900 * time.Millisecond) // in the line for being charged
	for _, leave := range charging {
		leave()
	}
	turn := make(chan error, 1)
	go func() {
		leave, err := x.hashing.Enter(t.Context(), throttle.Position{})
		turn <- err
		if err == nil {
			leave()
		}
	}()
	time.Sleep(time.Second) // in the line for being checked: more than two seconds in both, and less in this
	hashing[0]()
	select {
	case <-checked:
	case err := <-turn:
		t.Errorf("somebody who came later is checked first, %v", err)
		<-checked
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	hashing[1]()
}

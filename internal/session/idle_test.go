package session

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// toldOf has a rig end idle sessions, and returns the numbers that were told of.
func (r *rig) toldOf() *[]string {
	told := &[]string{}
	r.Sessions.rows.limits.EndIdle = true
	r.Tells(func(_ context.Context, tx *store.Tx, _ assurance.AccountID, number string) error {
		tx.AfterCommit(func() { *told = append(*told, number) })
		return nil
	})
	return told
}

// An idle session ends after the time of what was shown in it, once, for everybody who is told of
// ends; one that is in use does not, and neither does one whose row somebody made look idle.
func TestIdleSessionsEnd(t *testing.T) {
	onEach(t, func(t *testing.T, r *rig) {
		told := r.toldOf()
		ada, bob := r.start(t, "ada", "weak"), r.start(t, "bob", "strong")
		adas, bobs := r.number(t, ada), r.number(t, bob)
		r.now = began.Add(15 * time.Minute)
		r.inspect(t)
		if len(*told) != 0 {
			t.Errorf("at the last moment %v ended", *told)
		}
		r.now = began.Add(16 * time.Minute)
		r.inspect(t)
		r.inspect(t)
		if !slices.Equal(*told, []string{bobs}) {
			t.Errorf("after a quarter of an hour %v ended, and it is bob's %s alone", *told, bobs)
		}
		if _, err := r.Standing(t.Context(), bobs); err == nil {
			t.Error("what was issued under an idle session stands")
		}
		for _, at := range []time.Duration{50 * time.Minute, 100 * time.Minute} {
			r.now = began.Add(at)
			if !r.stands(t, ada) {
				t.Fatal("ada's session ended while it was used")
			}
			r.inspect(t)
		}
		r.now = began.Add(155 * time.Minute) // 55 minutes later: not yet
		r.intrude(t, fmt.Sprintf(`update session set seen = %d where number = '%s'`, store.Unix(began), adas))
		r.inspect(t)
		r.intrude(t, fmt.Sprintf(`update session set seen = %d where number = '%s'`, store.Unix(began.Add(100*time.Minute)), adas))
		if !slices.Equal(*told, []string{bobs}) || !r.stands(t, ada) {
			t.Errorf("somebody who writes into the database ended %v", *told)
		}
		r.now = began.Add(155*time.Minute + time.Hour + time.Second)
		r.inspect(t)
		if !slices.Equal(*told, []string{bobs, adas}) {
			t.Errorf("%v ended", *told)
		}
		entries := r.events(t, "session.ended")
		if len(entries) != 2 || entries[0].Reason != "idle" || entries[0].AccountName == "" || entries[0].Detail["session"] == "" {
			t.Errorf("the log has %+v", entries)
		}
	})
}

// Of those that hang from another one nobody is told by themselves, and they end with it.
func TestWhatHangsFromAnIdleSessionEnds(t *testing.T) {
	r := setUp(t)
	told := r.toldOf()
	ada := r.start(t, "ada", "weak")
	number := r.number(t, ada)
	theirs, err := r.Accept(t.Context(), r.derive(t, ada), Handover{Host: wiki, Browser: "b"}, Visit{Application: "wiki"})
	if err != nil {
		t.Fatal(err)
	}
	r.now = began.Add(61 * time.Minute)
	r.inspect(t)
	if !slices.Equal(*told, []string{number}) {
		t.Errorf("told of %v", *told)
	}
	r.now = began.Add(30 * time.Minute) // not even for a server whose clock is behind
	r.refuses(t, "what hung from it", At(wiki, theirs))
	r.refuses(t, "what had ended", ada)
}

// Where nothing is set an idle session opens nothing, and nobody is told: applications keep theirs.
func TestIdleSessionsMayStand(t *testing.T) {
	r := setUp(t)
	told := r.toldOf()
	r.Sessions.rows.limits.EndIdle = false
	ada := r.start(t, "ada", "weak")
	number := r.number(t, ada)
	r.now = began.Add(61 * time.Minute)
	r.inspect(t)
	r.refuses(t, "an idle session", ada)
	if _, err := r.Standing(t.Context(), number); err != nil || len(*told) != 0 {
		t.Errorf("told of %v: %v", *told, err)
	}
}

// One that was used on another server, since this one read that it is idle, stands; and of two
// servers that read so one writes it down.
func TestAnIdleSessionThatWasUsed(t *testing.T) {
	onEach(t, func(t *testing.T, r *rig) {
		told := r.toldOf()
		ada := r.start(t, "ada", "weak")
		r.start(t, "bob", "weak")
		read, _, err := r.page(t.Context(), []byte{})
		if err != nil || len(read) != 2 {
			t.Fatal(len(read), err)
		}
		r.now = began.Add(59 * time.Minute)
		if !r.stands(t, ada) {
			t.Fatal("it ended")
		}
		bobs := read[slices.IndexFunc(read, func(one *row) bool { return one.Account == r.ids["bob"] })].Number
		r.now = began.Add(61 * time.Minute)
		for range 2 {
			if err := r.endIdle(t.Context(), read); err != nil {
				t.Fatal(err)
			}
		}
		if !r.stands(t, ada) || !slices.Equal(*told, []string{bobs}) || len(r.events(t, "session.ended")) != 1 {
			t.Errorf("told of %v, and it is bob's %s", *told, bobs)
		}
	})
}

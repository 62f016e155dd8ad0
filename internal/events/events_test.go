package events

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/metrics"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// The promise: a receiver that answers 500, leads elsewhere, hangs up before and after it read,
// or was restarted, has every entry of the log in the end, byte for byte, and no other one.
func TestNothingIsLost(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r, h := newRig(t, dsn), newHooks(t)
		r.write("test.before")
		inner := 0
		elsewhere := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inner++ })
		other := newHooks(t)
		other.Config.Handler = elsewhere
		h.answer = func(w http.ResponseWriter, n int) {
			switch n {
			case 1:
				w.WriteHeader(http.StatusInternalServerError)
			case 2:
				w.Header().Set("Location", other.URL)
				w.WriteHeader(http.StatusTemporaryRedirect)
			case 3, 5:
				panic(http.ErrAbortHandler)
			}
		}
		receiver := h.receiver(t, "127.0.0.1")
		d := r.delivery(Destination{Name: "siem", FromBeginning: true, Receiver: receiver})
		for i := range 12 {
			r.write("test.a", "test.b")
			r.steps(d)
			if problem := d.all[0].problem; i < 3 && problem == "" || i > 4 && problem != "" {
				t.Errorf("try %d: %q", i, problem)
			}
			if i == 6 { // a restart
				receiver.Close()
				d = r.delivery(Destination{Name: "siem", FromBeginning: true, Receiver: receiver})
			}
			r.later(2 * longestPause)
		}
		r.steps(d)
		want := r.log()
		h.mu.Lock()
		defer h.mu.Unlock()
		if !maps.Equal(h.got, want) {
			t.Errorf("it has %d entries, and the log %d", len(h.got), len(want))
		}
		if inner != 0 {
			t.Error("a redirect was followed")
		}
		if len(slices.Compact(slices.Sorted(slices.Values(h.ids)))) != len(h.ids) {
			t.Errorf("an identifier came twice after it was accepted: %q", h.ids)
		}
	})
}

// The promise: of several servers one sends at a time; when it goes, or cannot reach the
// receiver, another one goes on where it was.
func TestOneServerAtATime(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := newRig(t, dsn)
		a, b := &catcher{}, &catcher{}
		first, second := r.delivery(Destination{Name: "siem", Receiver: a}), r.delivery(Destination{Name: "siem", Receiver: b})
		r.write("test.a")
		r.steps(first)
		r.write("test.b")
		r.steps(second)
		if len(b.numbers()) != 0 {
			t.Fatalf("two servers send: %v %v", a.numbers(), b.numbers())
		}
		r.later(lease + time.Second) // the first one hangs
		r.steps(second)
		r.steps(first)
		all := append(a.numbers(), b.numbers()...)
		for i, n := range all {
			if n != all[0]+int64(i) {
				t.Errorf("not each entry once: %v", all)
			}
		}
		a.fail = failure.New(failure.Unavailable, "It is away.")
		r.later(lease + time.Second)
		r.write("test.c")
		r.steps(first)
		if len(first.Says()) != 1 || r.said("destination.failing") != 1 {
			t.Errorf("nobody is told: %q", first.Says())
		}
		r.steps(second) // at once
		if got := b.numbers(); len(got) < 2 || r.log()[got[len(got)-1]] == "" {
			t.Errorf("the other server does not go on: %v", got)
		}
		r.steps(first)
		if len(first.Says()) != 0 || r.said("destination.works") != 1 {
			t.Errorf("what another server sent is still told as missing: %q", first.Says())
		}
	})
}

// The promise: whoever can write to the database hides no entry from a destination, and is
// noticed.
func TestPositionsAreOurs(t *testing.T) {
	for name, c := range map[string]struct{ do, wrong string }{
		"moved on": {`update destination set next = next + 5`, store.Altered},
		"held":     {`update destination set holder = 'x', until = 9000000000000000`, store.Altered},
		"renamed":  {`update destination set name = 'other'`, store.Missing},
		"removed":  {`delete from destination`, store.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				r, c2 := newRig(t, dsn), &catcher{}
				r.write("test.before", "test.before")
				d := r.delivery(Destination{Name: "siem", Receiver: c2})
				r.write("test.a", "test.b")
				r.steps(d)
				begun := c2.numbers()[0]
				if err := d.Inspect(t.Context()); err != nil {
					t.Fatal(err)
				}
				storetest.Quiet(t, r.db)
				storetest.Sabotage(t, r.db, c.do)
				r.write("test.c")
				if err := d.Inspect(t.Context()); err != nil {
					t.Fatal(err)
				}
				storetest.Alarmed(t, r.db, "destination", "siem", c.wrong)
				c2.got = nil
				d = r.delivery(Destination{Name: "siem", Receiver: c2})
				r.steps(d)
				if got := c2.numbers(); len(got) == 0 || got[0] != begun {
					t.Errorf("it does not begin again with %d: %v", begun, got)
				}
				if err := d.Inspect(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// A destination begins with what comes, gets what it asked for, and its position passes the rest.
func TestWhichEntries(t *testing.T) {
	r, c := newRig(t, t.TempDir()+"/test.db"), &catcher{}
	r.write("signin.granted")
	d := r.delivery(Destination{Name: "siem", Receiver: c, Which: Which{Only: []string{"signin", "alarm"}, Except: []string{"signin.granted"}}})
	r.write("signin.granted", "signin.refused", "signinx.refused", "alarm.spray", "session.started")
	r.steps(d)
	var got []string
	for _, e := range c.got {
		got = append(got, e.Event)
	}
	if !slices.Equal(got, []string{"signin.refused", "alarm.spray"}) {
		t.Errorf("%q", got)
	}
	if samples, err := d.Gather(t.Context()); err != nil || value(samples, "countersign_events_lag_entries") != 0 || value(samples, "countersign_events_delivered_total") != 2 {
		t.Errorf("%v %v", samples, err)
	}
}

func value(all []metrics.Sample, name string) float64 {
	for _, s := range all {
		if s.Name == name {
			return s.Value
		}
	}
	return -1
}

// The promise: an administrator is told of a destination that takes nothing, with the reason;
// after a quarter of an hour it is an alarm, once; and that it works again.
func TestADestinationThatFails(t *testing.T) {
	r, c := newRig(t, t.TempDir()+"/test.db"), &catcher{fail: failure.New(failure.Unavailable, "The receiver said no.\x1b[2J")}
	d := r.delivery(Destination{Name: "siem", Receiver: c})
	r.write("test.a")
	for range 5 {
		r.steps(d)
		r.later(longestPause + time.Second)
	}
	says := d.Says()
	if len(says) != 1 || !strings.Contains(says[0], "destination siem of the audit log takes nothing") || !strings.Contains(says[0], `The receiver said no.\u{1B}[2J`) {
		t.Errorf("%q", says)
	}
	if r.said("destination.failing") != 1 || r.said("alarm.destination-behind") != 0 {
		t.Error("it is told too often, or is an alarm too soon")
	}
	r.later(AlarmAfter)
	for range 3 {
		r.steps(d)
		r.later(longestPause + time.Second)
	}
	if r.said("alarm.destination-behind") != 1 {
		t.Errorf("%d alarms", r.said("alarm.destination-behind"))
	}
	samples, err := d.Gather(t.Context())
	if err != nil || value(samples, "countersign_events_failing") != 1 || value(samples, "countersign_events_lag_entries") < 2 || value(samples, "countersign_events_lag_seconds") < AlarmAfter.Seconds() {
		t.Errorf("%v %v", samples, err)
	}
	c.mu.Lock()
	c.fail = nil
	c.mu.Unlock()
	r.later(longestPause)
	r.steps(d)
	if len(d.Says()) != 0 || r.said("destination.works") != 1 {
		t.Errorf("it is not told that it works: %q", d.Says())
	}
	r.steps(d)
	if got := c.numbers(); len(got) != int(got[len(got)-1]-got[0])+1 {
		t.Errorf("not each entry once: %v", got)
	}
}

// The promise: a destination that hangs holds up neither another one nor a change, nor the end.
func TestAHangingDestinationHoldsUpNothing(t *testing.T) {
	r, hangs, works := newRig(t, t.TempDir()+"/test.db"), &catcher{hang: true}, &catcher{}
	d := r.delivery(Destination{Name: "a", Receiver: hangs}, Destination{Name: "b", Receiver: works})
	ctx, stop := context.WithCancel(t.Context())
	d.Run(ctx)
	r.write("test.a")
	for end := time.Now().Add(time.Minute); len(works.numbers()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the other destination gets nothing")
		}
		r.write("test.b")
	}
	stop()
	d.Wait()
	p, err := d.positions.read(t.Context(), "b")
	if err != nil || p.holder != "" {
		t.Errorf("a server that ended still holds a destination: %+v, %v", p, err)
	}
}

// A batch is bounded in number and in bytes, and the position is that of what was read.
func TestBatchesAreBounded(t *testing.T) {
	r, c := newRig(t, t.TempDir()+"/test.db"), &catcher{}
	d := r.delivery(Destination{Name: "siem", Receiver: c})
	detail := map[string]string{}
	for i := range audit.MaxDetail {
		detail[string(rune('a'+i))] = strings.Repeat("x", audit.MaxValue)
	}
	storetest.Change(t, r.db, func(tx *store.Tx) error {
		for range 2*most + 1 {
			if err := tx.Record(audit.Entry{Event: "test.long", Outcome: audit.OK, Detail: detail}); err != nil {
				return err
			}
		}
		return nil
	})
	p, err := d.positions.read(t.Context(), "siem")
	if err != nil {
		t.Fatal(err)
	}
	out, next, err := d.all[0].batch(t.Context(), p.next)
	if err != nil || len(out) >= most || next != out[len(out)-1].Seq+1 {
		t.Errorf("%d entries up to %d: %v", len(out), next, err)
	}
	r.steps(d)
	if got := c.numbers(); len(got) < 2*most+1 || len(got) != int(got[len(got)-1]-got[0])+1 {
		t.Errorf("%d entries", len(got))
	}
}

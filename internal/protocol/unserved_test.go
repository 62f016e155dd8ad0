package protocol_test

import (
	"errors"
	"testing"
	"time"

	"countersign/internal/protocol"
)

// A cause is told at once and then as a sum, however often it comes; what could not be
// written down is told later, and nobody else's application is shown it.
func TestWhatIsNotServedIsSummedUp(t *testing.T) {
	e, now := protocol.NewEars(), time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	told := func(at time.Time, rest bool) (out []protocol.Owed) {
		t.Helper()
		if err := e.TellOwed(at, rest, func(o []protocol.Owed) error { out = o; return nil }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	miss := func(n int, at time.Time) {
		for range n {
			e.Miss(protocol.Trouble{Protocol: "radius", Cause: "chap", Mend: "Use PAP.", Application: "vpn", Client: "gate"}, at)
		}
	}
	miss(1000, now)
	if err := e.TellOwed(now, false, func([]protocol.Owed) error { return errors.New("cut off") }); err == nil {
		t.Error("a failure is not told")
	}
	miss(1, now.Add(time.Second))
	if o := told(now.Add(time.Second), false); len(o) != 1 || o[0].Count != 1001 || !o[0].First.Equal(now) || !o[0].Last.Equal(now.Add(time.Second)) {
		t.Errorf("at first %+v", o)
	}
	miss(5, now.Add(time.Minute))
	if o := told(now.Add(time.Minute), false); o != nil {
		t.Errorf("a minute later %+v", o)
	}
	if o := told(now.Add(11*time.Minute), false); len(o) != 1 || o[0].Count != 5 {
		t.Errorf("ten minutes later %+v", o)
	}
	miss(1, now.Add(12*time.Minute))
	if o := told(now.Add(12*time.Minute), true); len(o) != 1 || o[0].Count != 1 {
		t.Errorf("at the end %+v", o)
	}
	e.Hear("wiki", now)
	if heard, u := e.Of("vpn"); !heard.IsZero() || len(u) != 1 || u[0].Count != 1007 || u[0].Mend != "Use PAP." {
		t.Errorf("of the VPN %v %+v", heard, u)
	}
	if heard, u := e.Of("wiki"); !heard.Equal(now) || u != nil {
		t.Errorf("of the wiki %v %+v", heard, u)
	}
	e.Miss(protocol.Trouble{Protocol: "radius", Cause: "unknown-client", Mend: "Add it."}, now)
	e.Miss(protocol.Trouble{Protocol: "yubico", Cause: "no-such-client", Mend: "Type it."}, now)
	if u := e.Strays("radius"); len(u) != 1 || u[0].Cause != "unknown-client" || u[0].Count != 1 {
		t.Errorf("of nobody's requests by RADIUS %+v", u)
	}
	if _, u := e.Of("vpn"); len(u) != 1 {
		t.Errorf("of the VPN %+v", u)
	}
	var none *protocol.Ears
	if none.Strays("radius") != nil {
		t.Error("deaf ears heard something")
	}
	none.Hear("vpn", now)
	none.Miss(protocol.Trouble{}, now)
}

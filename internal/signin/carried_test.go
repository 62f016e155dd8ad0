package signin

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// What a ticket does not carry keeps an attempt from travelling in one, whatever it is:
// else it would be forgotten between two steps.
func TestWhatIsNotCarriedDoesNotTravel(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC).Local()
	a := kept(t, func() time.Time { return now })
	fresh := func() *attempt {
		at := full(now)
		at.Once, at.Evidence, at.Carries = "", nil, 0
		return at
	}
	if at := fresh(); !at.unproved() || !at.light() || !at.travels(Ask) || !at.travels(Granted) {
		t.Fatal("it does not travel as it is")
	}
	set := map[string]any{"Delegated": true, "Approval": int64(7), "Transfers": true, "Replaced": true, "Sent": &sent{}, "Sending": "smscode"}
	kind := reflect.TypeFor[attempt]()
	for i := range kind.NumField() {
		name := kind.Field(i).Name
		value, there := set[name]
		if !there {
			continue
		}
		delete(set, name)
		at := fresh()
		reflect.ValueOf(at).Elem().Field(i).Set(reflect.ValueOf(value))
		ticket, _, err := a.seal(at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.open(ticket)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.ValueOf(got).Elem().Field(i).IsZero() {
			t.Errorf("%s is carried, and need not be here", name)
		}
		if at.light() || at.unproved() || at.travels(Ask) || at.travels(Granted) {
			t.Errorf("%s is not carried, and it travels", name)
		}
	}
	if len(set) > 0 {
		t.Errorf("an attempt has no %v", set)
	}
}

// An attempt travels while it asks and nothing was shown, and where it was granted to
// somebody on pages; what it is granted has one name.
func TestWhatTravels(t *testing.T) {
	shown := []assurance.Evidence{{Account: 7, Kind: "passkey"}}
	for _, c := range []struct {
		name   string
		at     attempt
		medium prompt.Medium
		in     [4]bool // asks, waits, is granted, is denied
	}{
		{"on pages", attempt{}, prompt.Browser, [4]bool{true, false, true, false}},
		{"at a line", attempt{}, prompt.Line, [4]bool{true, false, false, false}},
		{"with evidence", attempt{Evidence: shown}, prompt.Browser, [4]bool{false, false, true, false}},
		{"with evidence at a line", attempt{Evidence: shown}, prompt.Line, [4]bool{}},
		{"named before", attempt{Once: "x"}, prompt.Browser, [4]bool{false, false, true, false}},
		{"a row", attempt{handle: make([]byte, handleSize)}, prompt.Browser, [4]bool{}},
	} {
		for i, s := range []State{Ask, Wait, Granted, Denied} {
			at := c.at
			at.Medium = c.medium
			if got := at.travels(s); got != c.in[i] {
				t.Errorf("%s, %v: it travels %t", c.name, s, got)
			}
			if named := at.Once != ""; named != (s == Granted && c.in[i] || c.at.Once != "") || c.at.Once != "" && at.Once != c.at.Once {
				t.Errorf("%s, %v: it is named %q", c.name, s, at.Once)
			}
		}
	}
}

// withHeld is an installation on a database that can be broken, in which ada's session
// holds her key.
func withHeld(t *testing.T) (*rig, *storetest.Faults, Request) {
	t.Helper()
	f, kinds := storetest.NewFaults(t, ""), everyKind(t)
	instead(kinds, "passkey", func(how authenticator.Authenticator) authenticator.Authenticator { return right{how} })
	r := newRigOver(t, f.Driver, anyFactor, kinds...)
	ada := r.person("ada")
	key := r.give(ada, "passkey", authenticator.Enrolled{Traits: assurance.Held, State: []byte("x")})
	r.withPassword(ada)
	r.sessions.put("hers", Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour), Evidence: []assurance.Evidence{{Account: ada.ID, Kind: "passkey", Credential: key.ID, Traits: assurance.Held, Time: r.Now(), Channel: "browser"}}})
	q := browses("wiki", "")
	q.Session = "hers"
	return r, f, q
}

// What a session was granted, and is not enough any more when it is looked at, is claimed
// by none of the tickets before that.
func TestWhatASessionWasGrantedBefore(t *testing.T) {
	r, _, q := withHeld(t)
	s := r.begin(q)
	if s.State != Granted || !isSealed(s.Ticket) {
		t.Fatalf("%+v", s)
	}
	r.rules(twoFactors)
	more, err := r.Poll(t.Context(), s.Ticket)
	if err != nil || more.State != Ask || isSealed(more.Ticket) {
		t.Fatalf("policy asks for more: %+v, %v", more, err)
	}
	r.rules(anyFactor)
	if why := claimFor(r, s); why != "used-ticket" {
		t.Errorf("by the ticket of before: %q", why)
	}
	if done := r.reply(more, "password", secret); done.State != Granted || claimFor(r, done) != "" {
		t.Errorf("by its own: %+v", done)
	}
}

// A claim that cannot be written down is a breakdown and no refusal, and may be tried
// again.
func TestAClaimThatCannotBeWritten(t *testing.T) {
	r, f, q := withHeld(t)
	s := r.begin(q)
	f.ArmAt("insert into attempt", 0, storetest.Before)
	_, err := r.Claim(t.Context(), s.Ticket, "wiki", "", "")
	if !f.Disarm() || err == nil || failure.ClassOf(err) == failure.Refused {
		t.Errorf("%v", err)
	}
	at, err := r.attempts.open(s.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	f.ArmAt("insert into attempt", 0, storetest.Before)
	var heard error
	r.DB.Housekeep(t.Context(), "test", func(tx *store.Tx) error {
		heard = r.attempts.spend(context.WithoutCancel(t.Context()), tx, at)
		return heard
	})
	if !f.Disarm() || !errors.Is(heard, storetest.ErrInjected) {
		t.Errorf("it is said to be %v", heard)
	}
	if why := claimFor(r, s); why != "" {
		t.Errorf("claimed again: %q", why)
	}
}

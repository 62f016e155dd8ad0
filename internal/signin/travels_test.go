package signin

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/store"
)

// withTouch makes an installation in which any touch of ada's key is right.
func withTouch(t *testing.T) (*rig, directory.Account, directory.Credential) {
	t.Helper()
	kinds := everyKind(t)
	instead(kinds, "passkey", func(how authenticator.Authenticator) authenticator.Authenticator { return right{how} })
	r := newRig(t, anyFactor, kinds...)
	ada := r.person("ada")
	return r, ada, r.give(ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
}

// touchPasskey is what one touch was granted, before it is claimed.
func touchPasskey(r *rig) Step {
	r.t.Helper()
	s := r.begin(browses("wiki", "ada", typed("passkey", "x")))
	if s.State != Granted || !isSealed(s.Ticket) {
		r.t.Fatalf("%v %s, sealed: %t", s.State, s.Reason, isSealed(s.Ticket))
	}
	return s
}

func claimFor(r *rig, s Step) string {
	r.t.Helper()
	_, err := r.Claim(r.t.Context(), s.Ticket, "wiki", "", "")
	if err == nil {
		return ""
	}
	return refused(err)
}

func countAttempts(r *rig) (n int64) {
	r.t.Helper()
	if err := r.DB.QueryRow(r.t.Context(), `select count(*) from attempt`).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// What one answer was enough for is no row before it is claimed, and is claimed once:
// by whichever of many at the same moment, and however often it was looked at.
func TestAGrantThatTravelsIsClaimedOnce(t *testing.T) {
	r, _, _ := withTouch(t)
	s := touchPasskey(r)
	if n := countAttempts(r); n != 0 {
		t.Errorf("%d rows before the claim", n)
	}
	tickets := []Step{s}
	for range 7 {
		again, err := r.Poll(t.Context(), tickets[len(tickets)-1].Ticket)
		if err != nil || again.State != Granted {
			t.Fatalf("%+v, %v", again, err)
		}
		tickets = append(tickets, again)
	}
	var let atomic.Int64
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			_, err := r.Claim(t.Context(), tickets[i%len(tickets)].Ticket, "wiki", "", "")
			if err == nil {
				let.Add(1)
			} else if refused(err) != "used-ticket" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if let.Load() != 1 || len(r.events("signin.granted")) != 1 {
		t.Errorf("claimed %d times, %d entries", let.Load(), len(r.events("signin.granted")))
	}
	if later, err := r.Poll(t.Context(), s.Ticket); err != nil || later.State == Granted && claimFor(r, later) != "used-ticket" {
		t.Errorf("looked at after the claim and claimed again: %+v, %v", later, err)
	}
	if later := r.reply(s, "passkey", "x"); later.State == Granted && claimFor(r, later) != "used-ticket" {
		t.Errorf("answered after the claim and claimed again: %+v", later)
	}
	r.clock.Later(time.Hour)
	if why := claimFor(r, s); why != "late-ticket" {
		t.Errorf("after its time: %q", why)
	}
	if _, err := r.Sweep(t.Context()); err != nil || countAttempts(r) != 0 {
		t.Errorf("%d marks are left, %v", countAttempts(r), err)
	}
	if n := len(r.events("alarm.factor-missing")); n != 0 {
		t.Errorf("%d alarms of what was claimed", n)
	}
}

// Whatever changes between the answer and the claim counts.
func TestAGrantThatTravelsIsDecidedAgain(t *testing.T) {
	for name, change := range map[string]func(r *rig, ada directory.Account, c directory.Credential){
		"the key is removed": func(r *rig, _ directory.Account, c directory.Credential) {
			r.alter(c, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
		},
		"its owner is suspended": func(r *rig, ada directory.Account, _ directory.Credential) {
			r.change(func(tx *store.Tx) error {
				ada.State = directory.Suspended
				return r.people.Update(r.t.Context(), tx, ada)
			})
		},
		"policy demands more": func(r *rig, _ directory.Account, _ directory.Credential) {
			r.rules("rules:\n  - {name: all, deny: \"closed today\"}\n")
		},
	} {
		r, ada, key := withTouch(t)
		s := touchPasskey(r)
		change(r, ada, key)
		if why := claimFor(r, s); why != "not-enough" {
			t.Errorf("%s: %q", name, why)
		}
		if why := claimFor(r, s); why != "used-ticket" {
			t.Errorf("%s, tried again: %q", name, why)
		}
	}
}

// A grant that travels ends with its attempt: what is refused, and what becomes a row,
// is claimed by none of the tickets before it.
func TestAGrantThatTravelsEndsWithItsAttempt(t *testing.T) {
	r, ada, _ := withTouch(t)
	s := touchPasskey(r)
	if _, err := r.Claim(t.Context(), s.Ticket, "vpn", "", ""); refused(err) != "other-action" {
		t.Errorf("claimed for another: %v", err)
	}
	if why := claimFor(r, s); why != "used-ticket" {
		t.Errorf("after that: %q", why)
	}
	s = touchPasskey(r)
	if end, err := r.Answer(t.Context(), s.Ticket, Reply{Partner: "somebody", Answer: typed("passkey", "x")}); err != nil || end.Reason != "other-partner" {
		t.Errorf("brought by another: %+v, %v", end, err)
	}
	if why := claimFor(r, s); why != "used-ticket" {
		t.Errorf("after another brought it: %q", why)
	}
	if end, err := r.Poll(t.Context(), s.Ticket); err != nil || end.State == Granted && claimFor(r, end) != "used-ticket" {
		t.Errorf("looked at: %+v, %v", end, err)
	}

	r.withPassword(ada)
	app := r.withCodes(ada)
	if s = r.begin(browses("wiki", "ada", typed("password", secret))); s.State != Granted || !isSealed(s.Ticket) {
		t.Fatalf("%+v", s)
	}
	r.rules("rules:\n  - {name: all, require: two-factors}\n")
	more, err := r.Poll(t.Context(), s.Ticket)
	if err != nil || more.State != Ask || isSealed(more.Ticket) {
		t.Fatalf("policy asks for more: %+v, %v", more, err)
	}
	if again, err := r.Poll(t.Context(), s.Ticket); err != nil || again.State != Denied || again.Reason != "used-ticket" {
		t.Errorf("looked at once more: %v %s, %v", again.State, again.Reason, err)
	}
	r.rules(anyFactor)
	if why := claimFor(r, s); why != "used-ticket" {
		t.Errorf("claimed beside its own row: %q", why)
	}
	if _, err := r.Poll(t.Context(), s.Ticket); err != nil {
		t.Error(err)
	}
	if n := len(r.events("signin.granted")); n != 0 {
		t.Errorf("%d grants", n)
	}
	if next := r.reply(more, "totp", app.code()); next.State != Granted || claimFor(r, next) != "" {
		t.Errorf("its own row: %+v", next)
	}
}

// What a session holds already is granted without writing anything, and claimed once.
func TestWhatASessionHoldsIsClaimedOnce(t *testing.T) {
	r, ada, key := withTouch(t)
	r.sessions.put("cookie", Held{Account: ada.ID, Number: "s-1", Expires: r.Now().Add(time.Hour), Evidence: []assurance.Evidence{{Account: ada.ID, Kind: "passkey", Credential: key.ID, Traits: strong, Time: r.Now(), Channel: "browser"}}})
	q := browses("wiki", "")
	q.Session = "cookie"
	s := r.begin(q)
	if s.State != Granted || !isSealed(s.Ticket) || countAttempts(r) != 0 {
		t.Fatalf("%+v, %d rows", s, countAttempts(r))
	}
	if why := claimFor(r, s); why != "" {
		t.Error(why)
	}
	if why := claimFor(r, s); why != "used-ticket" {
		t.Errorf("twice: %q", why)
	}
	s = r.begin(q)
	r.sessions.end("cookie")
	if why := claimFor(r, s); why == "" {
		t.Error("claimed after its session ended")
	}
	if strings.Contains(s.Ticket, ".") {
		t.Error("it is a row")
	}
}

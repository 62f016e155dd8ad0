package signin

import (
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/store"
)

// end has an account end at a moment; zero is never.
func (r *rig) end(a directory.Account, at time.Time) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		now, err := r.people.Get(r.t.Context(), tx, a.ID)
		if err != nil {
			return err
		}
		now.Ends = at
		return r.people.Update(r.t.Context(), tx, now)
	})
}

// A session ends with its account, by the clock and also where its yes is cached: it is no
// session any more, here and where a sign-in begins with it, so that somebody else can sign
// in there.
func TestASessionEndsWithItsAccount(t *testing.T) {
	r, ada, app := withAda(t)
	g, err := r.Claim(t.Context(), showBoth(r, app).Ticket, "wiki", "", "")
	if err != nil {
		t.Fatal(err)
	}
	r.sessions.put("hers", Held{Account: ada.ID, Number: "n", Own: "n", Evidence: g.Evidence(), Expires: r.Now().Add(day)})
	check := func(action string) Step {
		t.Helper()
		q := browses("wiki", "")
		if q.Session = "hers"; action != "" {
			q.Application, q.Action = Self, action
		}
		s, err := r.Check(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	begun := func() string {
		t.Helper()
		q := browses("wiki", "")
		q.Session = "hers"
		s := r.begin(q)
		return s.State.String() + " " + s.Reason
	}
	r.end(ada, r.Now().Add(10*time.Second))
	for range 2 {
		if s := check(""); s.State != Granted {
			t.Fatalf("before: %v %s", s.State, s.Reason)
		}
	}
	if got := begun(); got != "granted " {
		t.Errorf("begun before: %q", got)
	}
	r.clock.Later(10 * time.Second)
	if s := check(""); s.State != Ask || s.Reason != "no-session" {
		t.Errorf("after: %v %q", s.State, s.Reason)
	}
	if got := begun(); got != "ask " {
		t.Errorf("begun after: %q", got)
	}
	if s := check("policy.change"); s.State != Ask || r.last("action.refused").Reason != "ended" {
		t.Errorf("an act after: %v %q, %+v", s.State, s.Reason, r.last("action.refused"))
	}
	if s := r.reply(r.reply(r.begin(browses("wiki", "ada")), "password", secret), "totp", app.code()); s.State != Denied || s.Reason == "" {
		t.Errorf("signed in after: %v %q", s.State, s.Reason)
	}
	r.end(ada, time.Time{})
	if s := check(""); s.State != Granted {
		t.Errorf("without an end: %v %q", s.State, s.Reason)
	}
}

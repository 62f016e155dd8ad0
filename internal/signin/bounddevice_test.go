package signin

import (
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/store"
)

// An application that takes bound sessions alone denies everybody else, and says why to whoever is
// known; somebody who signs in anew is asked, because only then can a session be bound.
func TestAnApplicationTakesBoundSessions(t *testing.T) {
	tab := newTable(t)
	known := []string{"password", "totp"}
	for name, k := range map[string]struct {
		demands, bound bool
		shown          []string
		state          State
		reason         string
		says           bool
	}{
		"any":                            {false, false, known, Granted, "", false},
		"bound":                          {true, true, known, Granted, "", false},
		"not bound":                      {true, false, known, Denied, Unbound, true},
		"not bound, by a password":       {true, false, known[:1], Denied, Unbound, true},
		"not bound, of nobody yet":       {true, false, nil, Denied, Unbound, false},
		"bound, and one factor is there": {true, true, known[:1], Ask, "", false},
	} {
		m := tab.matterOf().has(known...).shows(k.shown...)
		m.application.Bound, m.bound = k.demands, k.bound
		if d := decide(m); d.state != k.state || k.reason != "" && d.reason != k.reason || d.public.IsZero() == k.says {
			t.Errorf("%s: %v %q %q", name, d.state, d.reason, d.public)
		}
	}
}

// What was granted while an application took every session is granted no more in the moment in
// which it takes bound ones alone; one that is being bound waits, and one that is bound is let in.
func TestASettingForBoundSessionsCountsAtOnce(t *testing.T) {
	r, ada, _ := withAda(t)
	all, err := r.credentials.All(t.Context(), r.DB, ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	both := append(evidenceOf(all, "password", r.Now()), evidenceOf(all, "totp", r.Now())...)
	for name, held := range map[string]Held{"plain": {}, "bound": {Bound: true}, "binding": {Binding: true}} {
		held.Account, held.Number, held.Own, held.Expires, held.Evidence = ada.ID, name, name, r.Now().Add(time.Hour), both
		r.sessions.put(name, held)
	}
	check := func(session string) Step {
		t.Helper()
		s, err := r.Check(t.Context(), Request{Application: "wiki", Session: session, Source: home, Protocol: "forward-auth"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for range 2 {
		r.is("while every session is taken", check("plain"), Granted, "")
	}
	sets := func(settings string) {
		t.Helper()
		r.change(func(tx *store.Tx) error {
			_, err := r.Applications.Set(t.Context(), tx, application.Application{Name: "wiki", Title: "Wiki", Kind: "wiki", Tier: application.Standard, Protocol: "forward-auth", Settings: []byte(settings)})
			return err
		})
	}
	sets(`{"sessions":"bound"}`)
	for range 2 {
		r.is("not bound", check("plain"), Denied, Unbound)
		r.is("bound", check("bound"), Granted, "")
		r.is("being bound", check("binding"), Wait, Binding)
	}
	sets(`{}`)
	r.is("every one again", check("plain"), Granted, "")
}

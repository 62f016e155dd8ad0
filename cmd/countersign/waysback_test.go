package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/recovery"
	"countersign/internal/store"
)

// switchedOff switches an account's authenticators of a kind off as an attack would.
func (w *world) switchedOff(name, kind string) {
	w.t.Helper()
	ctx := w.t.(*testing.T).Context()
	err := w.db.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		a, err := w.admin.Directory.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		all, err := w.admin.Directory.Credentials(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		for _, c := range all {
			if c.Kind != kind || c.Status != directory.CredentialActive {
				continue
			}
			c.Status = directory.CredentialDisabled
			if err := w.admin.Directory.UpdateCredential(ctx, tx, c); err != nil {
				return err
			}
		}
		return tx.Record(audit.Entry{Event: "test.switched-off", Outcome: audit.OK})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// limited reports whether the browser was let as far as setting up how it signs in.
func (p *person) limited() bool {
	p.w.t.Helper()
	p.get("/account")
	return p.status == http.StatusOK && strings.Contains(p.page, "Set up how you sign in") || p.inside()
}

// The promise: a stolen link is worth nothing without what its owner knows, also when
// somebody has made that useless first: by wrong answers, by a report, or by a new
// one that is in quarantine. What was switched off is not what was never there.
func TestStolenPassIsWorthNothingAlone(t *testing.T) {
	ways := map[string]func(w *world, desk *clerk){
		"switched off by wrong answers": func(w *world, _ *clerk) { w.switchedOff("ada", "password") },
		"twenty wrong answers": func(w *world, _ *clerk) {
			for range 20 {
				mallory := w.person()
				mallory.get("/sign-in")
				mallory.post("/sign-in", "name", "ada", "authenticator", "password", "text", "not the password")
				w.later(time.Minute)
			}
		},
		"revoked by who issues the pass": func(w *world, desk *clerk) { w.revokes(desk, "ada", "password") },
	}
	for name, attack := range ways {
		t.Run(name, func(t *testing.T) {
			w, _ := withVPN(t)
			desk := w.clerk()
			w.revokes(desk, "ada", "totp")
			w.later(9 * time.Hour)
			attack(w, desk)
			var pass admin.Pass
			if err := desk.Do(t.Context(), "pass.issue", map[string]any{"account": "ada", "note": "seen in person"}, &pass); err != nil {
				return // and nobody is let in
			}
			mallory := w.person()
			mallory.follows(pass.Link)
			if mallory.limited() {
				t.Error("the link alone lets its thief set up how to sign in")
			}
		})
	}
}

// The promise: nobody at the help desk replaces all that somebody signs in with
// alone, also not where there is no password to ask for.
func TestPasskeyOnlyTakesASecondPerson(t *testing.T) {
	d := withHelpDesk(t, "")
	w, bob := d.world, d.bob
	_ = bob
	w.switchedOff("bob", "password")
	browser, number := d.asks("bob")
	if c := d.opens(d.helga, "bob", number); c.Phase != recovery.Unsure {
		t.Errorf("the case is %s", c.Phase)
	}
	d.later(25 * time.Hour)
	if browser.goesOn() == http.StatusOK {
		t.Error("one person's word replaced everything")
	}
	if browser.limited() {
		t.Error("and let in")
	}
}

// The promise: what came out of a recovery ends with it: stopped when its pass was
// taken, it takes the sessions and all that was set up along, and says so; and when
// all was revoked it gives no other pass.
func TestStoppedAfterItsPassWasTaken(t *testing.T) {
	taken := func(t *testing.T) (*helpDesk, *person) {
		d := withHelpDesk(t, "")
		mallory, number := d.asks("bob")
		d.opens(d.helga, "bob", number)
		d.later(25 * time.Hour)
		mallory.goesOn()
		mallory.post("/sign-in", "authenticator", "password", "text", passphrase)
		mallory.sees("Set up how you sign in")
		mallory.enrollApp()
		return d, mallory
	}
	t.Run("stopped", func(t *testing.T) {
		d, mallory := taken(t)
		if err := d.root.Do(t.Context(), "recovery.stop", map[string]any{"account": "bob", "reason": "it was not him"}, nil); err != nil {
			t.Fatal(err)
		}
		if mallory.limited() {
			t.Error("the session stands")
		}
		for _, c := range d.authenticatorsOf("bob") {
			if c.Status == directory.CredentialActive && c.Traits.Has(assurance.Held) {
				t.Errorf("%s stands, which came of it", c.Kind)
			}
		}
		d.later(time.Hour)
		if s := d.begin(line("bob", passphrase, mallory.code())); s.Reason == "" {
			t.Error("what it set up signs in")
		}
	})
	t.Run("revoked", func(t *testing.T) {
		d, mallory := taken(t)
		d.revokes(d.root, "bob", "totp")
		if err := d.root.Do(t.Context(), "session.end", map[string]any{"account": "bob", "reason": "it was not him"}, nil); err != nil {
			t.Fatal(err)
		}
		d.later(48 * time.Hour)
		if mallory.goesOn() == http.StatusOK {
			t.Error("it gave another pass when all was revoked")
		}
	})
}

// The promise: an owner who signs in as usual stops it, whatever becomes of what they
// signed in with afterwards.
func TestSigningInIsNotUndone(t *testing.T) {
	d := withHelpDesk(t, "")
	mallory, number := d.asks("bob")
	d.opens(d.helga, "bob", number)
	d.later(time.Hour)
	if s := d.begin(line("bob", passphrase, d.bob.code())); s.Reason != "" {
		t.Fatalf("bob cannot sign in: %s", s.Reason)
	}
	d.switchedOff("bob", "totp")
	d.later(24 * time.Hour)
	if mallory.goesOn() == http.StatusOK {
		t.Error("it went on when what the owner signed in with was switched off")
	}
}

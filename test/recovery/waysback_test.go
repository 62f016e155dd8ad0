package recovery

import (
	"net/http"
	"strings"
	"testing"
	"time"

	passes "countersign/internal/admin/pass"
	recoveries "countersign/internal/admin/recovery"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/recovery"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// switchedOff switches an account's authenticators of a kind off as an attack would.
func switchedOff(w *servertest.World, name, kind string) {
	w.T.Helper()
	ctx := w.T.(*testing.T).Context()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		a, err := w.Accounts.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		all, err := w.Credentials.All(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		for _, c := range all {
			if c.Kind != kind || c.Status != directory.CredentialActive {
				continue
			}
			c.Status = directory.CredentialDisabled
			if err := w.Credentials.Update(ctx, tx, c); err != nil {
				return err
			}
		}
		return tx.Record(audit.Entry{Event: "test.switched-off", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// The promise: a stolen link is worth nothing without what its owner knows, also when
// somebody has made that useless first: by wrong answers, by a report, or by a new
// one that is in quarantine. What was switched off is not what was never there.
func TestStolenPassIsWorthNothingAlone(t *testing.T) {
	ways := map[string]func(w *servertest.World, desk *servertest.Clerk){
		"switched off by wrong answers": func(w *servertest.World, _ *servertest.Clerk) { switchedOff(w, "ada", "password") },
		"twenty wrong answers": func(w *servertest.World, _ *servertest.Clerk) {
			for range 20 {
				mallory := w.Person()
				mallory.Get("/sign-in")
				mallory.Post("/sign-in", "name", "ada", "authenticator", "password", "text", "not the password")
				w.Later(time.Minute)
			}
		},
		"revoked by who issues the pass": func(w *servertest.World, desk *servertest.Clerk) { servertest.Revokes(w, desk, "ada", "password") },
	}
	for name, attack := range ways {
		t.Run(name, func(t *testing.T) {
			w, _ := servertest.WithVPN(t)
			desk := w.Clerk()
			servertest.Revokes(w, desk, "ada", "totp")
			w.Later(9 * time.Hour)
			attack(w, desk)
			var pass passes.Pass
			if err := desk.Do(t.Context(), "pass.issue", map[string]any{"account": "ada", "note": "seen in person"}, &pass); err != nil {
				return // and nobody is let in
			}
			mallory := w.Person()
			servertest.Follows(mallory, pass.Link)
			if servertest.Limited(mallory) {
				t.Error("the link alone lets its thief set up how to sign in")
			}
		})
	}
}

// The promise: nobody at the help desk replaces all that somebody signs in with
// alone, also not where there is no password to ask for.
func TestPasskeyOnlyTakesASecondPerson(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	switchedOff(d.World, "bob", "password")
	browser, number := d.Asks("bob")
	if c := d.Opens(d.Helga, "bob", number); c.Phase != recovery.Unsure {
		t.Errorf("the case is %s", c.Phase)
	}
	d.Later(25 * time.Hour)
	if browser.GoesOn() == http.StatusOK {
		t.Error("one person's word replaced everything")
	}
	if servertest.Limited(browser) {
		t.Error("and let in")
	}
}

// The promise: what came out of a recovery ends with it: stopped when its pass was
// taken, it takes the sessions and all that was set up along, and says so; and when
// all was revoked it gives no other pass.
func TestStoppedAfterItsPassWasTaken(t *testing.T) {
	taken := func(t *testing.T) (*servertest.HelpDesk, *servertest.Person) {
		d := servertest.WithHelpDesk(t, "")
		mallory, number := d.Asks("bob")
		d.Opens(d.Helga, "bob", number)
		d.Later(25 * time.Hour)
		mallory.GoesOn()
		mallory.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
		mallory.Sees("Set up how you sign in")
		mallory.EnrollApp()
		return d, mallory
	}
	t.Run("stopped", func(t *testing.T) {
		d, mallory := taken(t)
		if err := d.Root.Do(t.Context(), "recovery.stop", map[string]any{"account": "bob", "reason": "it was not him"}, nil); err != nil {
			t.Fatal(err)
		}
		if servertest.Limited(mallory) {
			t.Error("the session stands")
		}
		for _, c := range servertest.AuthenticatorsOf(d.World, "bob") {
			if c.Status == directory.CredentialActive && c.Traits.Has(assurance.Held) {
				t.Errorf("%s stands, which came of it", c.Kind)
			}
		}
		d.Later(time.Hour)
		if s := d.Begin(servertest.Line("bob", servertest.Passphrase, mallory.Code())); s.Reason == "" {
			t.Error("what it set up signs in")
		}
	})
	t.Run("revoked", func(t *testing.T) {
		d, mallory := taken(t)
		servertest.Revokes(d.World, d.Root, "bob", "totp")
		if err := d.Root.Do(t.Context(), "session.end", map[string]any{"account": "bob", "reason": "it was not him"}, nil); err != nil {
			t.Fatal(err)
		}
		d.Later(48 * time.Hour)
		if mallory.GoesOn() == http.StatusOK {
			t.Error("it gave another pass when all was revoked")
		}
	})
}

// The promise: an owner who signs in as usual stops it, whatever becomes of what they
// signed in with afterwards.
func TestSigningInIsNotUndone(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	mallory, number := d.Asks("bob")
	d.Opens(d.Helga, "bob", number)
	d.Later(time.Hour)
	if s := d.Begin(servertest.Line("bob", servertest.Passphrase, d.Bob.Code())); s.Reason != "" {
		t.Fatalf("bob cannot sign in: %s", s.Reason)
	}
	switchedOff(d.World, "bob", "totp")
	d.Later(24 * time.Hour)
	if mallory.GoesOn() == http.StatusOK {
		t.Error("it went on when what the owner signed in with was switched off")
	}
}

// The promise: an administrator confirms for the person whom they hear or see, and for
// nobody else's browser: not for the helper's own, whose number the person does not
// see, and not with a word that was for a case of before.
func TestHelpersOwnBrowserIsNotConfirmed(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	rita := &servertest.Clerk{W: d.World, Name: "rita", Person: d.Administrator("rita")}
	own, number := d.Asks("bob") // on the helper's own computer
	all := servertest.Opens("bob", number)
	all["forgotten"] = true
	var c recoveries.Recovery
	if err := d.Helga.Do(t.Context(), "recovery.open", all, &c); err != nil {
		t.Fatal(err)
	}
	_, shown := d.Asks("bob") // and what bob sees, who stands before the administrator
	mustRefuse(t, rita, "wrong-number", "recovery.confirm", confirms("bob", c, shown))
	if got := phase(d, "bob"); got != recovery.Unsure || own.GoesOn() == http.StatusOK {
		t.Errorf("the helper's browser was confirmed: %s", got)
	}
	before := confirms("bob", c, numberToConfirm(own))
	if err := d.Helga.Do(t.Context(), "recovery.stop", map[string]any{"account": "bob", "reason": "a slip"}, nil); err != nil {
		t.Fatal(err)
	}
	bob, number := d.Asks("bob")
	c = d.Opens(d.Root, "bob", number)
	if err := rita.Do(t.Context(), "recovery.confirm", before, nil); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a word for a case of before is answered %v", err)
	}
	confirm := recoveries.Confirm{Account: "bob", Case: c.Number, Opener: "operator", Check: c.Check, Browser: "000000", Note: "seen"}
	for _, part := range []string{"bob", "operator", recovery.Words(c.Check), "000000"} {
		if !strings.Contains(confirm.Object(), part) {
			t.Errorf("the approved text %q does not say %s", confirm.Object(), part)
		}
	}
	if err := rita.Do(t.Context(), "recovery.confirm", confirms("bob", c, numberToConfirm(bob)), &c); err != nil || c.Phase != recovery.Ready {
		t.Errorf("the honest way: %+v, %v", c, err)
	}
}

// The promise: on the day of a new password its owner still has what is theirs: they
// report what was not them, and set up another device. Beside a pass it counts for
// nothing on that day.
func TestDayOfANewPassword(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	p := w.Person()
	p.Comes("ada", ada.Secret)
	p.Does("/account/do", "action", "authenticator.enroll", "object", "password")
	p.Post("/account/setup", "authenticator", "password", "text", "another "+servertest.Passphrase)
	p.Sees("Added: Password")
	w.Later(time.Hour)
	for action, object := range map[string]string{"report.not-me": "1", "authenticator.enroll": "passkey"} {
		w.Later(time.Minute)
		s, err := w.Engine.Begin(t.Context(), signin.Request{Application: signin.Self, Action: action, Object: object, Name: "ada", Protocol: "browser", Medium: prompt.Browser,
			Opening: []prompt.Answer{{Authenticator: "password", Text: "another " + servertest.Passphrase}, {Authenticator: "totp", Text: ada.Code()}}})
		if err != nil || s.State != signin.Granted {
			t.Errorf("%s is answered %s %s, %v", action, s.State, s.Reason, err)
		}
	}
	desk := w.Clerk()
	servertest.Revokes(w, desk, "ada", "totp")
	if err := desk.Do(t.Context(), "pass.issue", map[string]any{"account": "ada"}, nil); failure.ReasonOf(err) != signin.NeedsSecond {
		t.Errorf("a pass, and a password that somebody made today: %v", err)
	}
}

// The promise: without a mail server nobody could object, so that each recovery takes a
// second person; whoever opens it and whoever confirms it is told, and coverage says it.
func TestNobodyCanObject(t *testing.T) {
	for _, mails := range []bool{false, true} {
		d := servertest.WithHelpDeskFrom(t, server.Settings{Mails: mails})
		_, number := d.Asks("bob")
		c := d.Opens(d.Helga, "bob", number)
		if unheard := c.Unheard != "" && c.Phase == recovery.Unsure; unheard == mails || !mails && !strings.Contains(c.Unheard, "mail server") {
			t.Errorf("with a mail server: %t; opened as %+v", mails, c)
		}
		var data attack.Data
		if err := d.Root.Do(t.Context(), "coverage.show", nil, &data); err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(strings.Join(data.Caveats, "\n"), "nobody can object"); said == mails {
			t.Errorf("with a mail server: %t; coverage says it: %t", mails, said)
		}
	}
}

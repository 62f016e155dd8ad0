package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/config"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// codeMail carries codes that wait to the mail server, and returns the mails that
// came by it.
func codeMail(d *servertest.HelpDesk) []testbed.Mail {
	d.T.Helper()
	before := len(d.Post.Server.Mails())
	if err := d.Carry(context.Background(), server.Carriers{Mail: func() config.Mail { return d.Post.Mail }}); err != nil {
		d.T.Fatal(err)
	}
	return d.Post.Server.Mails()[before:]
}

var codeInMail = regexp.MustCompile(`^(\d{6}) is your code for localhost\. It is good for ten minutes\.`)

// mailed is the code in the one mail that came to an address.
func mailed(d *servertest.HelpDesk, to string) string {
	d.T.Helper()
	got := codeMail(d)
	if len(got) != 1 || got[0].To[0] != to {
		d.T.Fatalf("%d mails with a code came", len(got))
	}
	m := codeInMail.FindStringSubmatch(got[0].Body)
	if m == nil {
		d.T.Fatal("the mail is another")
	}
	return m[1]
}

var anyToken = regexp.MustCompile(`name="form-token" value="[^"]+"`)

const bobsPrivate = "bob@private.example"

// prepared has bob keep recovery codes and set up an address; it returns the codes.
func prepared(d *servertest.HelpDesk) (saved []string) {
	d.T.Helper()
	bob := d.Person()
	bob.Comes("bob", d.Bob.Secret)
	bob.Does("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	for _, m := range servertest.RecoveryCodes.FindAllStringSubmatch(bob.Page, -1) {
		saved = append(saved, m[1])
	}
	bob.Post("/account/setup", "authenticator", "recoverycode", "text", saved[9])
	bob.Sees("Added: ")
	bob.Post("/account/do", "action", "authenticator.enroll", "object", "mailcode")
	bob.Sees("it signs you in nowhere")
	bob.Post("/account/setup", "authenticator", "mailcode", "text", "not an address")
	bob.Sees("Write one mail address")
	bob.Post("/account/setup", "authenticator", "mailcode", "text", bobsPrivate)
	bob.Sees("Code sent to " + bobsPrivate)
	bob.Post("/account/setup", "authenticator", "mailcode", "text", "000000")
	bob.Sees("not the code that was sent")
	bob.Post("/account/setup", "authenticator", "mailcode", "text", mailed(d, bobsPrivate))
	bob.Sees("Added: Code by mail")
	early := d.Person() // whoever has his session for a minute
	early.Get("/recovery")
	early.Post("/recovery/codes", "name", "bob", "text", saved[8])
	early.Sees("no address is set up for it, or it is too new")
	d.Later(25 * time.Hour)
	d.Post.Collect()
	return saved
}

// The promise, over both databases: who lost everything gets back in by a saved code
// and one that is mailed, after the same waiting time and notices; either code alone,
// a wrong one, a used one or one of another sign-in is nothing.
func TestRecoveryByCodes(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		d := servertest.WithHelpDeskFrom(t, server.Settings{Database: dsn, Mails: true})
		saved := prepared(d)
		begins := func(code string) *servertest.Person {
			t.Helper()
			p := d.Person()
			p.Get("/recovery")
			p.Post("/recovery/codes", "name", "bob", "text", code)
			return p
		}

		stranger := begins("0-0000-0000-0000-0000")
		stranger.Sees("That did not work")
		stranger.Sees("A recovery code")
		nobody := d.Person()
		nobody.Get("/recovery")
		nobody.Post("/recovery/codes", "name", "nobody", "text", "0-0000-0000-0000-0000")
		if bare := func(p *servertest.Person) string { return anyToken.ReplaceAllString(p.Page, "") }; bare(nobody) != bare(stranger) {
			t.Errorf("a name that nobody has is answered otherwise:\n%s", nobody.Page)
		}
		if got := codeMail(d); len(got) != 0 {
			t.Error("a stranger caused a mail")
		}
		thief := begins(saved[0]) // who found the paper and does not read his mail
		thief.Sees("Send a code to b…@private.example")
		if got := codeMail(d); len(got) != 0 {
			t.Error("a mail was sent unasked")
		}
		thief.Post("/sign-in", "authenticator", "mailcode")
		thief.Sees("Code sent to b…@private.example")
		code := mailed(d, bobsPrivate)
		for i := range 3 {
			if wrong := fmt.Sprintf("%06d", i); wrong != code {
				thief.Post("/sign-in", "authenticator", "mailcode", "text", wrong)
			}
		}
		thief.Get("/recovery")
		thief.Post("/recovery/codes/shown")
		if thief.Status == http.StatusOK && strings.Contains(thief.Page, "You can go on") || d.Events("recovery.opened") != 0 {
			t.Fatal("the paper alone opened a recovery")
		}
		again := begins(saved[0])
		again.Sees("That did not work") // used up
		d.Later(time.Minute)
		other := begins(saved[1])
		other.Post("/sign-in", "authenticator", "mailcode")
		other.Post("/sign-in", "authenticator", "mailcode", "text", code)
		other.Sees("That did not work") // the code of another attempt
		mailed(d, bobsPrivate)

		d.Later(61 * time.Minute)
		owner := begins(saved[2])
		owner.Post("/sign-in", "authenticator", "mailcode")
		owner.Post("/sign-in", "authenticator", "mailcode", "text", mailed(d, bobsPrivate))
		owner.Sees("A recovery is open for this browser")
		if owner.Inside() {
			t.Fatal("two codes signed in")
		}
		if got := d.Post.Collect(); len(got) != 2 || !strings.Contains(got[0], "Somebody asks to get back") {
			t.Errorf("the owner is told %q", got)
		}
		if got := owner.GoesOn(); got != http.StatusForbidden {
			t.Errorf("nobody waited: %d", got)
		}
		d.Later(25 * time.Hour)
		owner.GoesOn()
		owner.Sees("Set up how you sign in")
		if got := codesOf(d, "bob"); strings.Join(got, " ") != "mailcode" {
			t.Errorf("bob has %q", got)
		}
		owner.EnrollPassword()
		owner.EnrollApp()
		all, err := d.DB.AuditLog().Entries(t.Context(), store.Filter{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v", all)
		for _, secret := range append(saved, code, bobsPrivate) {
			if strings.Contains(text, secret) {
				t.Error("a code or the whole address is in the log")
			}
		}
	})
}

// The promise: codes bring back nobody whom policy holds to more: no administrator,
// and nobody where a policy does not speak of it; and a code by mail is asked for
// nowhere else.
func TestCodesAreForRecoveryOnly(t *testing.T) {
	d := servertest.WithHelpDeskFrom(t, server.Settings{Mails: true})
	saved := prepared(d)
	if s := d.Begin(servertest.Line("bob", servertest.Passphrase, saved[3])); s.State != signin.Granted {
		t.Errorf("a saved code no longer stands in for the phone beside the password: %s", s.Reason)
	}
	p := d.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "bob", "authenticator", "password", "text", servertest.Passphrase)
	p.Sees("A recovery code")
	if strings.Contains(p.Page, "private.example") {
		t.Error("a code by mail is offered for signing in")
	}
	d.Join("bob", "administrators")
	p = d.Person()
	p.Get("/recovery")
	p.Post("/recovery/codes", "name", "bob", "text", saved[4])
	if strings.Contains(p.Page, "private.example") {
		p.Post("/sign-in", "authenticator", "mailcode")
		p.Post("/sign-in", "authenticator", "mailcode", "text", mailed(d, bobsPrivate))
	}
	if d.Events("recovery.opened") != 0 {
		t.Error("an administrator got back in by codes")
	}
}

// The promise: no policy makes one code enough, and what was approved for one browser
// or account opens nothing for another.
func TestCodesBringBackTheirOwnerOnly(t *testing.T) {
	d := servertest.WithHelpDeskFrom(t, server.Settings{Mails: true})
	saved := prepared(d)
	d.SetPolicy(servertest.OneFactor)
	begins := func(object, code string) (signin.Step, error) {
		return d.Engine.Begin(t.Context(), signin.Request{Application: signin.Self, Action: signin.Recover, Object: object, Name: "bob",
			Opening: []prompt.Answer{{Authenticator: "recoverycode", Text: code}}, Protocol: "browser", Medium: prompt.Browser})
	}
	approved := func(object, code string) signin.Grant {
		t.Helper()
		s, err := begins(object, code)
		if err != nil || s.State != signin.Ask {
			t.Fatalf("a saved code alone, with a policy that asks for one thing, is %s %s, %v", s.State, s.Reason, err)
		}
		d.Later(time.Minute)
		if s, err = d.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "mailcode"}}); err != nil {
			t.Fatal(err)
		}
		if s, err = d.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "mailcode", Text: mailed(d, bobsPrivate)}}); err != nil || s.State != signin.Granted {
			t.Fatalf("both codes are answered %s %s, %v", s.State, s.Reason, err)
		}
		g, err := d.Engine.Claim(t.Context(), s.Ticket, signin.Self, signin.Recover, object)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	numbered := func(name string) (secret, object string) {
		t.Helper()
		secret, s, err := d.Recoveries.Requests.Begin(t.Context(), name, netip.MustParseAddr("192.0.2.1"))
		if err != nil {
			t.Fatal(err)
		}
		return secret, s.Bound()
	}
	carols, ofCarol := numbered("operator")
	bobs, ofBob := numbered("bob")
	g := approved(ofCarol, saved[0])
	if _, err := d.Recoveries.Openings.OpenByCodes(t.Context(), g, carols); failure.ReasonOf(err) != "unknown-recovery" {
		t.Errorf("bob's codes for the operator's browser are answered %v", err)
	}
	if _, err := d.Recoveries.Openings.OpenByCodes(t.Context(), g, bobs); failure.ReasonOf(err) != "other-action" {
		t.Errorf("what was approved for another browser is answered %v", err)
	}
	g = approved(ofBob, saved[1])
	if _, err := d.Recoveries.Openings.OpenByCodes(t.Context(), g, bobs); err != nil {
		t.Error(err)
	}
	second, ofSecond := numbered("bob")
	if _, err := d.Recoveries.Openings.OpenByCodes(t.Context(), approved(ofSecond, saved[2]), second); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a second recovery at once is answered %v", err)
	}
}

// The promise: where no mail server is set nobody is offered the way by codes, and
// whoever takes it all the same has used up no saved code.
func TestNoWayByCodesWithoutMail(t *testing.T) {
	d := servertest.WithHelpDeskFrom(t, server.Settings{})
	bob := d.Person()
	bob.Comes("bob", d.Bob.Secret)
	bob.Does("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	var saved []string
	for _, m := range servertest.RecoveryCodes.FindAllStringSubmatch(bob.Page, -1) {
		saved = append(saved, m[1])
	}
	bob.Post("/account/setup", "authenticator", "recoverycode", "text", saved[9])
	p := d.Person()
	p.Get("/recovery")
	p.Sees("Show me a number")
	if strings.Contains(p.Page, "saved recovery code") {
		t.Error("a way by codes is offered")
	}
	p.Post("/recovery/codes", "name", "bob", "text", saved[0])
	if p.Inside() || strings.Contains(p.Page, "mail") {
		t.Errorf("it goes on:\n%s", p.Page)
	}
	way := d.Person()
	way.Get("/sign-in")
	way.Post("/sign-in", "name", "bob", "authenticator", "password", "text", servertest.Passphrase)
	way.Post("/sign-in", "authenticator", "recoverycode", "text", saved[0])
	if !way.Inside() {
		t.Errorf("the saved code is used up:\n%s", way.Page)
	}
}

// The promise: the number that a mail has in the logs on its way does not tell the
// code in it to whoever tries all of them.
func TestMailedCodeIsNotInItsNumber(t *testing.T) {
	d := servertest.WithHelpDeskFrom(t, server.Settings{Mails: true})
	saved := prepared(d)
	p := d.Person()
	p.Get("/recovery")
	p.Post("/recovery/codes", "name", "bob", "text", saved[0])
	p.Post("/sign-in", "authenticator", "mailcode")
	m := codeMail(d)[0]
	for id := range 100 { // of a row of the outbox
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s", id, bobsPrivate, m.Header.Get("Subject"), m.Body))
		if strings.Contains(m.Header.Get("Message-ID"), hex.EncodeToString(sum[:16])) {
			t.Errorf("the mail's number is the hash of its text and %d", id)
		}
	}
}

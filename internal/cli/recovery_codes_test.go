package cli

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
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// codeMail carries codes that wait to the mail server, and returns the mails that
// came by it.
func (d *helpDesk) codeMail() []testbed.Mail {
	d.t.Helper()
	before := len(d.post.server.Mails())
	if err := d.Carry(context.Background(), server.Carriers{Mail: func() config.Mail { return d.post.mail }}); err != nil {
		d.t.Fatal(err)
	}
	return d.post.server.Mails()[before:]
}

var codeInMail = regexp.MustCompile(`^(\d{6}) is your code for localhost\. It is good for ten minutes\.`)

// mailed is the code in the one mail that came to an address.
func (d *helpDesk) mailed(to string) string {
	d.t.Helper()
	got := d.codeMail()
	if len(got) != 1 || got[0].To[0] != to {
		d.t.Fatalf("%d mails with a code came", len(got))
	}
	m := codeInMail.FindStringSubmatch(got[0].Body)
	if m == nil {
		d.t.Fatal("the mail is another")
	}
	return m[1]
}

var anyToken = regexp.MustCompile(`name="form-token" value="[^"]+"`)

const bobsPrivate = "bob@private.example"

// prepared has bob keep recovery codes and set up an address; it returns the codes.
func (d *helpDesk) prepared() (saved []string) {
	d.t.Helper()
	bob := d.person()
	bob.comes("bob", d.bob.secret)
	bob.does("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	for _, m := range recoveryCodes.FindAllStringSubmatch(bob.page, -1) {
		saved = append(saved, m[1])
	}
	bob.post("/account/setup", "authenticator", "recoverycode", "text", saved[9])
	bob.sees("Added: ")
	bob.post("/account/do", "action", "authenticator.enroll", "object", "mailcode")
	bob.sees("it signs you in nowhere")
	bob.post("/account/setup", "authenticator", "mailcode", "text", "not an address")
	bob.sees("Write one mail address")
	bob.post("/account/setup", "authenticator", "mailcode", "text", bobsPrivate)
	bob.sees("Code sent to " + bobsPrivate)
	bob.post("/account/setup", "authenticator", "mailcode", "text", "000000")
	bob.sees("not the code that was sent")
	bob.post("/account/setup", "authenticator", "mailcode", "text", d.mailed(bobsPrivate))
	bob.sees("Added: Code by mail")
	early := d.person() // whoever has his session for a minute
	early.get("/recovery")
	early.post("/recovery/codes", "name", "bob", "text", saved[8])
	early.sees("no address is set up for it, or only since yesterday")
	d.later(25 * time.Hour)
	d.post.collect()
	return saved
}

// The promise, over both databases: who lost everything gets back in by a saved code
// and one that is mailed, after the same waiting time and notices; either code alone,
// a wrong one, a used one or one of another sign-in is nothing.
func TestRecoveryByCodes(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		d := withHelpDeskFrom(t, server.Settings{Database: dsn, Mails: true})
		saved := d.prepared()
		begins := func(code string) *person {
			t.Helper()
			p := d.person()
			p.get("/recovery")
			p.post("/recovery/codes", "name", "bob", "text", code)
			return p
		}

		stranger := begins("0-0000-0000-0000-0000")
		stranger.sees("That did not work")
		stranger.sees("A recovery code")
		nobody := d.person()
		nobody.get("/recovery")
		nobody.post("/recovery/codes", "name", "nobody", "text", "0-0000-0000-0000-0000")
		if bare := func(p *person) string { return anyToken.ReplaceAllString(p.page, "") }; bare(nobody) != bare(stranger) {
			t.Errorf("a name that nobody has is answered otherwise:\n%s", nobody.page)
		}
		if got := d.codeMail(); len(got) != 0 {
			t.Error("a stranger caused a mail")
		}
		thief := begins(saved[0]) // who found the paper and does not read his mail
		thief.sees("Send a code to b…@private.example")
		if got := d.codeMail(); len(got) != 0 {
			t.Error("a mail was sent unasked")
		}
		thief.post("/sign-in", "authenticator", "mailcode")
		thief.sees("Code sent to b…@private.example")
		code := d.mailed(bobsPrivate)
		for i := range 3 {
			if wrong := fmt.Sprintf("%06d", i); wrong != code {
				thief.post("/sign-in", "authenticator", "mailcode", "text", wrong)
			}
		}
		thief.get("/recovery")
		thief.post("/recovery/codes/shown")
		if thief.status == http.StatusOK && strings.Contains(thief.page, "You can go on") || d.events("recovery.opened") != 0 {
			t.Fatal("the paper alone opened a recovery")
		}
		again := begins(saved[0])
		again.sees("That did not work") // used up
		d.later(time.Minute)
		other := begins(saved[1])
		other.post("/sign-in", "authenticator", "mailcode")
		other.post("/sign-in", "authenticator", "mailcode", "text", code)
		other.sees("That did not work") // the code of another attempt
		d.mailed(bobsPrivate)

		d.later(61 * time.Minute)
		owner := begins(saved[2])
		owner.post("/sign-in", "authenticator", "mailcode")
		owner.post("/sign-in", "authenticator", "mailcode", "text", d.mailed(bobsPrivate))
		owner.sees("A recovery is open for this browser")
		if owner.inside() {
			t.Fatal("two codes signed in")
		}
		if got := d.post.collect(); len(got) != 2 || !strings.Contains(got[0], "Somebody asks to get back") {
			t.Errorf("the owner is told %q", got)
		}
		if got := owner.goesOn(); got != http.StatusForbidden {
			t.Errorf("nobody waited: %d", got)
		}
		d.later(25 * time.Hour)
		owner.goesOn()
		owner.sees("Set up how you sign in")
		if got := d.codesOf("bob"); strings.Join(got, " ") != "mailcode" {
			t.Errorf("bob has %q", got)
		}
		owner.enrollPassword()
		owner.enrollApp()
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
	d := withHelpDeskFrom(t, server.Settings{Mails: true})
	saved := d.prepared()
	if s := d.begin(line("bob", passphrase, saved[3])); s.State != signin.Granted {
		t.Errorf("a saved code no longer stands in for the phone beside the password: %s", s.Reason)
	}
	p := d.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", "bob", "authenticator", "password", "text", passphrase)
	p.sees("A recovery code")
	if strings.Contains(p.page, "private.example") {
		t.Error("a code by mail is offered for signing in")
	}
	d.join("bob", "administrators")
	p = d.person()
	p.get("/recovery")
	p.post("/recovery/codes", "name", "bob", "text", saved[4])
	if strings.Contains(p.page, "private.example") {
		p.post("/sign-in", "authenticator", "mailcode")
		p.post("/sign-in", "authenticator", "mailcode", "text", d.mailed(bobsPrivate))
	}
	if d.events("recovery.opened") != 0 {
		t.Error("an administrator got back in by codes")
	}
}

// The promise: no policy makes one code enough, and what was approved for one browser
// or account opens nothing for another.
func TestCodesBringBackTheirOwnerOnly(t *testing.T) {
	d := withHelpDeskFrom(t, server.Settings{Mails: true})
	saved := d.prepared()
	d.setPolicy(oneFactor)
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
		d.later(time.Minute)
		if s, err = d.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "mailcode"}}); err != nil {
			t.Fatal(err)
		}
		if s, err = d.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "mailcode", Text: d.mailed(bobsPrivate)}}); err != nil || s.State != signin.Granted {
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
	d := withHelpDeskFrom(t, server.Settings{})
	bob := d.person()
	bob.comes("bob", d.bob.secret)
	bob.does("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	var saved []string
	for _, m := range recoveryCodes.FindAllStringSubmatch(bob.page, -1) {
		saved = append(saved, m[1])
	}
	bob.post("/account/setup", "authenticator", "recoverycode", "text", saved[9])
	p := d.person()
	p.get("/recovery")
	p.sees("Show me a number")
	if strings.Contains(p.page, "saved recovery code") {
		t.Error("a way by codes is offered")
	}
	p.post("/recovery/codes", "name", "bob", "text", saved[0])
	if p.inside() || strings.Contains(p.page, "mail") {
		t.Errorf("it goes on:\n%s", p.page)
	}
	way := d.person()
	way.get("/sign-in")
	way.post("/sign-in", "name", "bob", "authenticator", "password", "text", passphrase)
	way.post("/sign-in", "authenticator", "recoverycode", "text", saved[0])
	if !way.inside() {
		t.Errorf("the saved code is used up:\n%s", way.page)
	}
}

// The promise: the number that a mail has in the logs on its way does not tell the
// code in it to whoever tries all of them.
func TestMailedCodeIsNotInItsNumber(t *testing.T) {
	d := withHelpDeskFrom(t, server.Settings{Mails: true})
	saved := d.prepared()
	p := d.person()
	p.get("/recovery")
	p.post("/recovery/codes", "name", "bob", "text", saved[0])
	p.post("/sign-in", "authenticator", "mailcode")
	m := d.codeMail()[0]
	for id := range 100 { // of a row of the outbox
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s", id, bobsPrivate, m.Header.Get("Subject"), m.Body))
		if strings.Contains(m.Header.Get("Message-ID"), hex.EncodeToString(sum[:16])) {
			t.Errorf("the mail's number is the hash of its text and %d", id)
		}
	}
}

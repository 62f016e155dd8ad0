package signin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/config"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

func withTelephones(t *testing.T, dsn string) *servertest.Telephones {
	t.Helper()
	gateway := testbed.NewSMSGateway(t, "a-secret-of-the-gateway")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a-secret-of-the-gateway\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := server.Settings{Database: dsn, SMS: server.GatewayOf(config.SMS{URL: gateway.URL, Format: "json", Fields: map[string]string{"to": "{number}", "message": "{text}"},
		Header: "Authorization", Value: "Bearer {secret}", SecretFile: secret})}
	w := servertest.NewWorldFrom(t, s, "http://localhost", nil)
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	return &servertest.Telephones{World: w, Gateway: gateway, Sms: s}
}

// asks begins a sign-in with the password and has a code sent.
func asks(p *servertest.Telephones) *servertest.Person {
	p.T.Helper()
	b := p.Person()
	b.Get("/sign-in")
	b.Post("/sign-in", "name", "bob", "authenticator", "password", "text", servertest.Passphrase)
	b.Sees("Send a code by SMS to +49 … 56")
	if strings.Contains(b.Page, "0123") {
		p.T.Error("the number is shown to who has the password alone")
	}
	b.Post("/sign-in", "authenticator", "smscode")
	return b
}

// The promise: with password and the code that came by SMS its owner is let in, once,
// over both databases; a code of another sign-in, of before, guessed, or late is
// nothing; and neither number nor code is in the log or the database.
func TestCodeBySMS(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		p := withTelephones(t, dsn)
		p.Bob()
		if len(p.Arrives()) != 0 {
			t.Fatal("a message came unasked")
		}
		first := asks(p)
		first.Sees("Code sent to")
		code := p.Reads(servertest.BobsNumber)
		p.Later(time.Minute)
		second := asks(p)
		other := p.Reads(servertest.BobsNumber)
		second.Post("/sign-in", "authenticator", "smscode", "text", code)
		second.Sees("That did not work")
		if second.Inside() {
			t.Fatal("a code of another sign-in was taken")
		}
		first.Post("/sign-in", "authenticator", "smscode", "text", other)
		first.Sees("That did not work")
		first.Post("/sign-in", "authenticator", "smscode", "text", code)
		if !first.Inside() {
			t.Fatalf("password and code were refused:\n%s", first.Page)
		}
		if e := servertest.LatestOf(p.World, "evidence.accepted"); e.Detail["authenticator"] != "smscode" || e.Detail["traits"] != "held+restricted" {
			t.Errorf("the log says %v", e.Detail)
		}
		p.Later(time.Minute)
		third := asks(p)
		late := p.Reads(servertest.BobsNumber)
		third.Post("/sign-in", "authenticator", "smscode", "text", code)
		third.Sees("That did not work")
		p.Later(10 * time.Minute)
		third.Post("/sign-in", "authenticator", "smscode", "text", late)
		if third.Inside() {
			t.Error("a late code was taken")
		}
		all, err := p.DB.AuditLog().Entries(context.Background(), store.Filter{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v", all)
		for _, hidden := range []string{"30123456", code, other, late} {
			if strings.Contains(text, hidden) {
				t.Error("a number or a code is in the log")
			}
		}
		if b, err := os.ReadFile(filepath.Join(p.Folder, "countersign.db")); err == nil && strings.Contains(string(b), "30123456") {
			t.Error("the number can be read in the database")
		}
	})
}

// The promise: equipment that plays a challenge asks for the code, one message goes
// out for one sign-in however often the datagram comes, and a wrong code is refused.
func TestCodeBySMSByRADIUS(t *testing.T) {
	p := withTelephones(t, "")
	p.Bob()
	vpn := servertest.Equipment{W: p.World, Secret: servertest.DrillSecret}
	out := vpn.Ask("bob", servertest.Passphrase, "")
	if !strings.Contains(out, "Code sent to +49") || strings.Contains(out, "0123") {
		t.Fatalf("the equipment shows:\n%s", out)
	}
	code := p.Reads(servertest.BobsNumber)
	if out := vpn.Ask("bob", code, servertest.Last(t, servertest.StateAttribute, out)); !strings.Contains(out, "Received Access-Accept") {
		t.Errorf("password and code:\n%s", out)
	}
	p.Later(time.Minute)
	out = vpn.Ask("bob", servertest.Passphrase, "")
	p.Reads(servertest.BobsNumber)
	if out := vpn.Ask("bob", code, servertest.Last(t, servertest.StateAttribute, out)); !strings.Contains(out, "Received Access-Reject") {
		t.Errorf("the code of before:\n%s", out)
	}
}

// The promise: nobody has messages sent to somebody by a name alone, nor more than a
// few with the password; what is refused is in the log, and other ways stay open.
func TestSMSCannotBePumped(t *testing.T) {
	p := withTelephones(t, "")
	p.Bob()
	for _, name := range []string{"bob", "nobody"} {
		stranger := p.Person()
		stranger.Get("/sign-in")
		stranger.Post("/sign-in", "name", name, "authenticator", "smscode")
		stranger.Get("/sign-in")
		stranger.Post("/sign-in", "name", name, "authenticator", "password", "text", "not the password")
		stranger.Post("/sign-in", "authenticator", "smscode")
	}
	if n := len(p.Arrives()); n != 0 {
		t.Fatalf("%d messages without the password", n)
	}
	b := asks(p)
	for range 5 { // impatient
		b.Post("/sign-in", "authenticator", "smscode")
	}
	b.Sees("No other code can be sent now")
	if n := len(p.Arrives()); n != 1 {
		t.Errorf("six presses sent %d messages", n)
	}
	sent := 1
	for range 40 {
		p.Later(time.Minute)
		step := p.Begin(servertest.Display("bob", servertest.Passphrase))
		if step.State == signin.Ask {
			sent += len(p.Arrives())
		}
	}
	if sent > 6 {
		t.Errorf("%d messages in forty minutes", sent)
	}
	if p.Events("code.not-sent") == 0 || p.Events("code.sent") != sent+1 { // and that of the set-up
		t.Errorf("the log has %d sent and %d not", p.Events("code.sent"), p.Events("code.not-sent"))
	}
	for range 40 {
		p.Later(20 * time.Minute)
		p.Begin(servertest.Display("bob", servertest.Passphrase))
		sent += len(p.Arrives())
	}
	if sent > 20 {
		t.Errorf("%d messages in a day", sent)
	}
}

// The promise: a gateway that is down, or sends us elsewhere, loses no sign-in but
// this one, is told nothing twice, and the failure is in the log.
func TestSMSGatewayFails(t *testing.T) {
	p := withTelephones(t, "")
	p.Bob()
	thief := testbed.NewSMSGateway(t, "a-secret-of-the-gateway")
	p.Gateway.Fail(false, thief.URL)
	asks(p)
	p.Arrives()
	if len(thief.Got()) != 0 {
		t.Fatal("a code went where the gateway redirects to")
	}
	p.Gateway.Fail(true, "")
	for range 3 {
		p.Later(11 * time.Second)
		p.Arrives()
	}
	if p.Events("code.undelivered") != 1 || servertest.Count(p.World, t, "select count(*) from message") != 0 {
		t.Error("what could not be delivered is not in the log once, or still waits")
	}
	p.Gateway.Fail(false, "")
	p.Later(time.Minute)
	b := asks(p)
	b.Post("/sign-in", "authenticator", "smscode", "text", p.Reads(servertest.BobsNumber))
	if !b.Inside() {
		t.Error("the gateway is well again, and its code is refused")
	}
	if len(p.Arrives()) != 0 {
		t.Error("a message came twice")
	}
}

// The promise: by default an administrator gets nothing by SMS, and a person who has
// a better way is offered that first.
func TestSMSIsTheWeakestWay(t *testing.T) {
	p := withTelephones(t, "")
	ada := p.EnrollCodes("ada")
	browser := p.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	p.Later(time.Minute)
	browser.Get("/account")
	browser.Post("/account/do", "action", "authenticator.enroll", "object", "smscode")
	browser.Post("/account/setup", "authenticator", "smscode", "text", "+49 171 9876543")
	browser.Post("/account/setup", "authenticator", "smscode", "text", p.Reads("+491719876543"))
	browser.Sees("Added: Code by SMS")
	p.Later(25 * time.Hour)
	step := p.Begin(servertest.Display("ada", servertest.Passphrase))
	if len(step.Prompts) != 1 || step.Prompts[0].Authenticator != "totp" || len(p.Arrives()) != 0 {
		t.Errorf("equipment asks for %+v", step.Prompts)
	}
	b := p.Person()
	b.Get("/sign-in")
	b.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	code, sms := strings.Index(b.Page, "Code from your authenticator app"), strings.Index(b.Page, "Send a code by SMS")
	if code < 0 || sms < code {
		t.Error("the app is not offered before the message")
	}
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	browser.Get("/account")
	browser.Sees(`value="smscode"`)
	p.Promote("ada")
	p.SetPolicy(string(policy.DefaultForCodes()))
	browser.Get("/account")
	browser.Sees("Where you are signed in")
	if strings.Contains(browser.Page, `value="smscode"`) {
		t.Error("an administrator is offered to add what counts for nothing")
	}
	b = p.Person()
	b.Get("/sign-in")
	b.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	if strings.Contains(b.Page, "by SMS") {
		t.Error("an administrator is offered a code by SMS")
	}
	s, err := p.Engine.Answer(context.Background(), p.Begin(servertest.Display("ada", servertest.Passphrase)).Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "smscode"}})
	if err != nil || s.State == signin.Granted || len(p.Arrives()) != 0 {
		t.Errorf("%v %v", s.State, err)
	}
}

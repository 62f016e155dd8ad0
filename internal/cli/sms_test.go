package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/config"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/server"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// telephones is an installation with an SMS gateway.
type telephones struct {
	*world
	gateway *testbed.SMSGateway
	sms     server.Settings
}

func withTelephones(t *testing.T, dsn string) *telephones {
	t.Helper()
	gateway := testbed.NewSMSGateway(t, "a-secret-of-the-gateway")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a-secret-of-the-gateway\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := server.Settings{Database: dsn, SMS: server.GatewayOf(config.SMS{URL: gateway.URL, Format: "json", Fields: map[string]string{"to": "{number}", "message": "{text}"},
		Header: "Authorization", Value: "Bearer {secret}", SecretFile: secret})}
	w := newWorldFrom(t, s, "http://localhost", nil)
	if err := w.PlantApplications(t.Context(), "wiki.test", drillSecret); err != nil {
		t.Fatal(err)
	}
	return &telephones{w, gateway, s}
}

// arrives is the messages that came since the last time.
func (p *telephones) arrives() []testbed.SMS {
	p.t.Helper()
	if err := p.Carry(context.Background(), server.Carriers{SMS: p.sms.SMS}); err != nil {
		p.t.Fatal(err)
	}
	return p.gateway.Got()
}

var codeInSMS = regexp.MustCompile(`^(\d{6}) is your code for localhost\. Nobody who calls you needs it\.\n\n@localhost #(\d{6})$`)

// reads is the code in the one message that came to a number.
func (p *telephones) reads(number string) string {
	p.t.Helper()
	got := p.arrives()
	if len(got) != 1 || got[0].Number != number {
		p.t.Fatalf("%d messages came", len(got))
	}
	m := codeInSMS.FindStringSubmatch(got[0].Text)
	if m == nil || m[1] != m[2] {
		p.t.Fatal("the message is another")
	}
	return m[1]
}

const bobsNumber = "+4930123456"

// bob has a password and a telephone.
func (p *telephones) bob() *person {
	p.t.Helper()
	bob := p.welcomed("bob")
	bob.post("/account/do", "action", "authenticator.enroll", "object", "smscode")
	bob.sees("the weakest way")
	bob.post("/account/setup", "authenticator", "smscode", "text", "030 123456")
	bob.sees("with its country")
	bob.post("/account/setup", "authenticator", "smscode", "text", "+49 30 12-34-56")
	bob.sees("Code sent to " + bobsNumber)
	bob.post("/account/setup", "authenticator", "smscode", "text", "000000")
	bob.sees("not the code that was sent")
	bob.post("/account/setup", "authenticator", "smscode", "text", p.reads(bobsNumber))
	bob.sees("Added: Code by SMS")
	p.later(25 * time.Hour)
	return bob
}

// asks begins a sign-in with the password and has a code sent.
func (p *telephones) asks() *person {
	p.t.Helper()
	b := p.person()
	b.get("/sign-in")
	b.post("/sign-in", "name", "bob", "authenticator", "password", "text", passphrase)
	b.sees("Send a code by SMS to +49 … 56")
	if strings.Contains(b.page, "0123") {
		p.t.Error("the number is shown to who has the password alone")
	}
	b.post("/sign-in", "authenticator", "smscode")
	return b
}

// The promise: with password and the code that came by SMS its owner is let in, once,
// over both databases; a code of another sign-in, of before, guessed, or late is
// nothing; and neither number nor code is in the log or the database.
func TestCodeBySMS(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		p := withTelephones(t, dsn)
		p.bob()
		if len(p.arrives()) != 0 {
			t.Fatal("a message came unasked")
		}
		first := p.asks()
		first.sees("Code sent to")
		code := p.reads(bobsNumber)
		p.later(time.Minute)
		second := p.asks()
		other := p.reads(bobsNumber)
		second.post("/sign-in", "authenticator", "smscode", "text", code)
		second.sees("That did not work")
		if second.inside() {
			t.Fatal("a code of another sign-in was taken")
		}
		first.post("/sign-in", "authenticator", "smscode", "text", other)
		first.sees("That did not work")
		first.post("/sign-in", "authenticator", "smscode", "text", code)
		if !first.inside() {
			t.Fatalf("password and code were refused:\n%s", first.page)
		}
		if e := p.latestOf("evidence.accepted"); e.Detail["authenticator"] != "smscode" || e.Detail["traits"] != "held+restricted" {
			t.Errorf("the log says %v", e.Detail)
		}
		p.later(time.Minute)
		third := p.asks()
		late := p.reads(bobsNumber)
		third.post("/sign-in", "authenticator", "smscode", "text", code)
		third.sees("That did not work")
		p.later(10 * time.Minute)
		third.post("/sign-in", "authenticator", "smscode", "text", late)
		if third.inside() {
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
		if b, err := os.ReadFile(filepath.Join(p.folder, "countersign.db")); err == nil && strings.Contains(string(b), "30123456") {
			t.Error("the number can be read in the database")
		}
	})
}

// The promise: equipment that plays a challenge asks for the code, one message goes
// out for one sign-in however often the datagram comes, and a wrong code is refused.
func TestCodeBySMSByRADIUS(t *testing.T) {
	p := withTelephones(t, "")
	p.bob()
	vpn := equipment{p.world, drillSecret}
	out := vpn.ask("bob", passphrase, "")
	if !strings.Contains(out, "Code sent to +49") || strings.Contains(out, "0123") {
		t.Fatalf("the equipment shows:\n%s", out)
	}
	code := p.reads(bobsNumber)
	if out := vpn.ask("bob", code, last(t, stateAttribute, out)); !strings.Contains(out, "Received Access-Accept") {
		t.Errorf("password and code:\n%s", out)
	}
	p.later(time.Minute)
	out = vpn.ask("bob", passphrase, "")
	p.reads(bobsNumber)
	if out := vpn.ask("bob", code, last(t, stateAttribute, out)); !strings.Contains(out, "Received Access-Reject") {
		t.Errorf("the code of before:\n%s", out)
	}
}

// The promise: nobody has messages sent to somebody by a name alone, nor more than a
// few with the password; what is refused is in the log, and other ways stay open.
func TestSMSCannotBePumped(t *testing.T) {
	p := withTelephones(t, "")
	p.bob()
	for _, name := range []string{"bob", "nobody"} {
		stranger := p.person()
		stranger.get("/sign-in")
		stranger.post("/sign-in", "name", name, "authenticator", "smscode")
		stranger.get("/sign-in")
		stranger.post("/sign-in", "name", name, "authenticator", "password", "text", "not the password")
		stranger.post("/sign-in", "authenticator", "smscode")
	}
	if n := len(p.arrives()); n != 0 {
		t.Fatalf("%d messages without the password", n)
	}
	b := p.asks()
	for range 5 { // impatient
		b.post("/sign-in", "authenticator", "smscode")
	}
	b.sees("No other code can be sent now")
	if n := len(p.arrives()); n != 1 {
		t.Errorf("six presses sent %d messages", n)
	}
	sent := 1
	for range 40 {
		p.later(time.Minute)
		step := p.begin(display("bob", passphrase))
		if step.State == signin.Ask {
			sent += len(p.arrives())
		}
	}
	if sent > 6 {
		t.Errorf("%d messages in forty minutes", sent)
	}
	if p.events("code.not-sent") == 0 || p.events("code.sent") != sent+1 { // and that of the set-up
		t.Errorf("the log has %d sent and %d not", p.events("code.sent"), p.events("code.not-sent"))
	}
	for range 40 {
		p.later(20 * time.Minute)
		p.begin(display("bob", passphrase))
		sent += len(p.arrives())
	}
	if sent > 20 {
		t.Errorf("%d messages in a day", sent)
	}
}

// The promise: a gateway that is down, or sends us elsewhere, loses no sign-in but
// this one, is told nothing twice, and the failure is in the log.
func TestSMSGatewayFails(t *testing.T) {
	p := withTelephones(t, "")
	p.bob()
	thief := testbed.NewSMSGateway(t, "a-secret-of-the-gateway")
	p.gateway.Fail(false, thief.URL)
	p.asks()
	p.arrives()
	if len(thief.Got()) != 0 {
		t.Fatal("a code went where the gateway redirects to")
	}
	p.gateway.Fail(true, "")
	for range 3 {
		p.later(11 * time.Second)
		p.arrives()
	}
	if p.events("code.undelivered") != 1 || p.count(t, "select count(*) from message") != 0 {
		t.Error("what could not be delivered is not in the log once, or still waits")
	}
	p.gateway.Fail(false, "")
	p.later(time.Minute)
	b := p.asks()
	b.post("/sign-in", "authenticator", "smscode", "text", p.reads(bobsNumber))
	if !b.inside() {
		t.Error("the gateway is well again, and its code is refused")
	}
	if len(p.arrives()) != 0 {
		t.Error("a message came twice")
	}
}

// The promise: by default an administrator gets nothing by SMS, and a person who has
// a better way is offered that first.
func TestSMSIsTheWeakestWay(t *testing.T) {
	p := withTelephones(t, "")
	ada := p.enrollCodes("ada")
	browser := p.person()
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	p.later(time.Minute)
	browser.get("/account")
	browser.post("/account/do", "action", "authenticator.enroll", "object", "smscode")
	browser.post("/account/setup", "authenticator", "smscode", "text", "+49 171 9876543")
	browser.post("/account/setup", "authenticator", "smscode", "text", p.reads("+491719876543"))
	browser.sees("Added: Code by SMS")
	p.later(25 * time.Hour)
	step := p.begin(display("ada", passphrase))
	if len(step.Prompts) != 1 || step.Prompts[0].Authenticator != "totp" || len(p.arrives()) != 0 {
		t.Errorf("equipment asks for %+v", step.Prompts)
	}
	b := p.person()
	b.get("/sign-in")
	b.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	code, sms := strings.Index(b.page, "Code from your authenticator app"), strings.Index(b.page, "Send a code by SMS")
	if code < 0 || sms < code {
		t.Error("the app is not offered before the message")
	}
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	browser.get("/account")
	browser.sees(`value="smscode"`)
	p.promote("ada")
	p.setPolicy(string(policy.DefaultForCodes()))
	browser.get("/account")
	browser.sees("Where you are signed in")
	if strings.Contains(browser.page, `value="smscode"`) {
		t.Error("an administrator is offered to add what counts for nothing")
	}
	b = p.person()
	b.get("/sign-in")
	b.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	if strings.Contains(b.page, "by SMS") {
		t.Error("an administrator is offered a code by SMS")
	}
	s, err := p.Engine.Answer(context.Background(), p.begin(display("ada", passphrase)).Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "smscode"}})
	if err != nil || s.State == signin.Granted || len(p.arrives()) != 0 {
		t.Errorf("%v %v", s.State, err)
	}
}

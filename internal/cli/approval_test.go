package cli

import (
	"context"
	"fmt"
	"html"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/softkey"
)

var passkeyForm = regexp.MustCompile(`data-passkey="([^"]*)"`)

func (p *person) passkeyOptions() []byte {
	p.w.t.Helper()
	m := passkeyForm.FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatalf("the page asks for no passkey:\n%s", p.page)
	}
	return []byte(html.UnescapeString(m[1]))
}

// addPasskey enrolls a passkey in a browser that is signed in.
func (p *person) addPasskey(key *softkey.Key) {
	p.w.t.Helper()
	p.get("/account")
	p.post("/account/do", "action", "authenticator.enroll", "object", "passkey")
	answer, err := key.Create(p.w.base, p.passkeyOptions())
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.post("/account/setup", "authenticator", "passkey", "data", string(answer))
	p.sees("Added: ")
}

// usePasskey answers the sign-in page that the browser is on.
func (p *person) usePasskey(key *softkey.Key) {
	p.w.t.Helper()
	answer, err := key.Get(p.w.base, p.passkeyOptions())
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.post("/sign-in", "authenticator", "passkey", "data", string(answer))
}

// withPasskey is ada with password, authenticator app and passkey, signed in,
// and a VPN.
func withPasskey(t *testing.T) (w *world, ada, browser *person, key *softkey.Key) {
	w, ada = withVPN(t)
	key = &softkey.Key{}
	browser = w.person()
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	browser.addPasskey(key)
	if _, offered := elsewhere(w.begin(display("ada", passphrase))); offered {
		t.Error("a passkey in quarantine approves")
	}
	w.later(25 * time.Hour) // until it may approve
	browser.get("/sign-in")
	browser.usePasskey(key)
	browser.sees("Where you are signed in")
	return w, ada, browser, key
}

var (
	radiusNumber = regexp.MustCompile(`account/approve: (\d{6})`)
)

func last(t *testing.T, re *regexp.Regexp, text string) string {
	t.Helper()
	m := re.FindAllStringSubmatch(text, -1)
	if m == nil {
		t.Fatalf("nothing like %s in\n%s", re, text)
	}
	return m[len(m)-1][1]
}

// approve types a number in a browser and approves with the passkey.
func (p *person) transfer(number string, key *softkey.Key) {
	p.w.t.Helper()
	p.get("/account/approve")
	p.post("/account/approve", "number", number[:3]+" "+number[3:])
	p.sees("This waits for you")
	m := regexp.MustCompile(`name="object" value="([^"]+)"`).FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatal(p.page)
	}
	p.post("/account/do", "action", signin.Approve, "object", html.UnescapeString(m[1]))
	if passkeyForm.MatchString(p.page) {
		p.usePasskey(key)
	}
	p.sees("Approved")
}

// The promise: a sign-in on equipment that cannot play a passkey is approved
// with one elsewhere, by typing the number that the equipment shows; nobody
// else's number, no wrong number and no password approves anything, and once
// approved it is one sign-in.
func TestApproveElsewhereByRADIUS(t *testing.T) {
	w, ada, browser, key := withPasskey(t)
	vpn := equipment{w, "a-secret-of-the-equipment"}
	out := vpn.ask("ada", passphrase, "")
	state, number := last(t, stateAttribute, out), last(t, radiusNumber, out)

	// Enter before it is approved asks again, with the same number.
	out = vpn.ask("ada", "", state)
	if again := last(t, radiusNumber, out); again != number {
		t.Errorf("the number changed from %s to %s", number, again)
	}
	state = last(t, stateAttribute, out)

	eve := w.enrollCodes("eve")
	thief := w.person()
	thief.get("/sign-in")
	thief.signIn("eve", eve.code())
	thief.get("/account/approve")
	thief.post("/account/approve", "number", number)
	thief.sees("Nothing waits under that number")

	browser.get("/account/approve")
	browser.post("/account/approve", "number", "12345")
	browser.sees("six digits")
	browser.transfer(number, key)

	out = vpn.ask("ada", "", state)
	if !strings.Contains(out, "Received Access-Accept") {
		t.Fatalf("approved, and yet:\n%s", out)
	}
	if out := vpn.ask("ada", "", state); strings.Contains(out, "Received Access-Accept") {
		t.Errorf("one approval was two sign-ins:\n%s", out)
	}
	if w.events("approval.approved") != 1 || w.events("signin.granted") == 0 {
		t.Error("the approval is not in the log")
	}

	// A code still does, with the approval beside it.
	state = last(t, stateAttribute, vpn.ask("ada", passphrase, ""))
	if out := vpn.ask("ada", ada.code(), state); !strings.Contains(out, "Received Access-Accept") {
		t.Errorf("the code:\n%s", out)
	}
}

func display(name, password string) signin.Request {
	return signin.Request{Application: "vpn", Name: name, Protocol: "radius", Medium: prompt.Line | prompt.Display, Source: netip.MustParseAddr("203.0.113.9"),
		Opening: []prompt.Answer{{Authenticator: "password", Text: password}}}
}

func elsewhere(s signin.Step) (number string, offered bool) {
	for _, p := range s.Prompts {
		if p.Kind == prompt.Elsewhere {
			return p.Number, true
		}
	}
	return "", false
}

// The promise: who has only the password causes no number; a flood of sign-ins
// with the right password does not go on being offered approvals, and the owner
// still gets in.
func TestApprovalsCannotBeFlooded(t *testing.T) {
	w, ada, browser, key := withPasskey(t)
	if _, offered := elsewhere(w.begin(display("ada", "a wrong password"))); offered {
		t.Error("a wrong password was shown a number")
	}
	var numbers []string
	for range 6 {
		for range 2 {
			if n, offered := elsewhere(w.begin(display("ada", passphrase))); offered {
				numbers = append(numbers, n)
			}
		}
		w.later(4 * time.Minute)
	}
	if len(numbers) != 10 {
		t.Errorf("%d numbers are left unanswered in an hour, want 10", len(numbers))
	}
	if _, offered := elsewhere(w.begin(display("ada", passphrase))); offered {
		t.Error("more than ten unanswered in an hour, and it is still offered")
	}
	s := w.begin(display("ada", passphrase))
	if s.State != signin.Ask {
		t.Fatalf("the owner's code is not asked for: %v %s", s.State, s.Reason)
	}
	s, err := w.Engine.Answer(context.Background(), s.Ticket, signin.Reply{Answer: prompt.Answer{Text: ada.code()}, Source: netip.MustParseAddr("203.0.113.9")})
	if err != nil || s.State != signin.Granted {
		t.Errorf("the owner's code: %v %s %v", s.State, s.Reason, err)
	}
	// A number that nobody answered in time is nothing, however right.
	browser.get("/sign-in")
	if passkeyForm.MatchString(browser.page) {
		browser.usePasskey(key)
	}
	browser.get("/account/approve")
	browser.post("/account/approve", "number", numbers[0])
	browser.sees("Nothing waits under that number")
}

// The promise: refused is refused, numbers cannot be looked for, and without a
// passkey nothing is offered nor approved.
func TestApprovalRefusedAndGuessed(t *testing.T) {
	w, _, browser, _ := withPasskey(t)
	ctx := context.Background()
	s := w.begin(display("ada", passphrase))
	number, _ := elsewhere(s)
	browser.get("/account/approve")
	browser.post("/account/approve", "number", number)
	id := regexp.MustCompile(`name="id" value="(\d+)"`).FindStringSubmatch(browser.page)
	if id == nil {
		t.Fatal(browser.page)
	}
	browser.post("/account/refuse", "id", id[1])
	browser.sees("Refused")
	s, err := w.Engine.Answer(ctx, s.Ticket, signin.Reply{Source: netip.MustParseAddr("203.0.113.9")})
	if err != nil || s.State != signin.Denied || s.Reason != "refused-elsewhere" {
		t.Errorf("%v %s %v", s.State, s.Reason, err)
	}
	locked := false
	for i := range 40 {
		browser.get("/account/approve")
		browser.post("/account/approve", "number", fmt.Sprintf("%06d", i))
		locked = locked || strings.Contains(browser.page, "too many wrong numbers")
	}
	if !locked {
		t.Error("forty wrong numbers, and still counting")
	}
	if number, offered := elsewhere(w.begin(display("ada", passphrase))); !offered {
		t.Error("wrong numbers in her own session keep ada from being offered one")
	} else {
		browser.get("/account/approve")
		browser.post("/account/approve", "number", number)
		browser.sees("too many wrong numbers")
	}

	bob := w.enrollCodes("bob")
	if _, offered := elsewhere(w.begin(display("bob", passphrase))); offered {
		t.Error("somebody without a passkey was shown a number")
	}
	_ = bob
	silent := display("ada", passphrase)
	silent.Medium = prompt.Silence
	if s := w.begin(silent); s.State != signin.Denied {
		t.Errorf("where no number can be shown it came to %v", s.State)
	}
}

// The promise: what was approved elsewhere does not resist phishing, so that it
// serves nothing for which policy demands that.
func TestApprovalDoesNotResistPhishing(t *testing.T) {
	w, _, browser, key := withPasskey(t)
	s := w.begin(display("ada", passphrase))
	number, _ := elsewhere(s)
	browser.transfer(number, key)
	strict := strings.Replace(string(policy.Default()), "require: two-factors\n", "require: phishing-resistant\n", 1)
	strict = strict[:strings.Index(strict, "tests:")]
	w.setPolicy(strict)
	s, err := w.Engine.Answer(context.Background(), s.Ticket, signin.Reply{Source: netip.MustParseAddr("203.0.113.9")})
	if err != nil || s.State == signin.Granted {
		t.Errorf("%v %s %v", s.State, s.Reason, err)
	}
}

// pageNumber is the number on a page that waits.
var pageNumber = regexp.MustCompile(`class="transfer"[^>]*>(\d{6})<`)

// asksElsewhere is ada, who types her password and asks to approve on another device.
func (p *person) asksElsewhere() {
	p.w.t.Helper()
	p.get("/sign-in")
	p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	p.post("/sign-in", "authenticator", signin.Elsewhere)
}

// The promise: in a browser without the passkey, the number goes from its page to
// another browser, and the page goes on by itself.
func TestApproveElsewhereInTheBrowser(t *testing.T) {
	w, _, browser, key := withPasskey(t)
	other := w.person()
	other.asksElsewhere()
	number := last(t, pageNumber, other.page)
	other.get("/sign-in/wait")
	other.sees(number)
	browser.transfer(number, key)
	other.get("/sign-in/wait")
	other.sees("Where you are signed in")
}

// held is the secret of the session that a browser has.
func (p *person) held() string {
	p.w.t.Helper()
	base, err := url.Parse(p.w.base)
	if err != nil {
		p.w.t.Fatal(err)
	}
	for _, c := range p.client.Jar.Cookies(base) {
		if c.Name == session.Cookie(false) {
			return c.Value
		}
	}
	p.w.t.Fatal("the browser has no session")
	return ""
}

// The promise: an approval is for one sign-in, proved freshly with a passkey,
// taken once however many ask, and never a way to step up by itself.
func TestApprovalIsForOneThing(t *testing.T) {
	w, ada, browser, key := withPasskey(t)
	ctx := context.Background()
	waiting := func(number string) approval.Waiting {
		t.Helper()
		g, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Session: browser.held(), Protocol: "browser", Medium: prompt.Browser})
		if err != nil || g.State != signin.Granted {
			t.Fatal(g.State, err)
		}
		found, err := w.Engine.Approvals.WaitingFor(ctx, g.Grant, number)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	check := func(object string) signin.Step {
		t.Helper()
		s, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: signin.Approve, Object: object, Session: browser.held(), Protocol: "browser", Medium: prompt.Browser})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, _ := elsewhere(w.begin(display("ada", passphrase)))
	a := waiting(one)
	g := check(a.Numbered(one))
	if g.State != signin.Granted {
		t.Fatalf("just signed in with the passkey: %v %s", g.State, g.Reason)
	}
	second := w.begin(display("ada", passphrase))
	two, _ := elsewhere(second)
	b := waiting(two)
	refused := func(what string, g signin.Grant, object string, class failure.Class) {
		t.Helper()
		if err := w.Engine.Approvals.Approve(ctx, g, object); failure.ClassOf(err) != class {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("an approval of one sign-in approved another", g.Grant, b.Numbered(two), failure.Refused)
	refused("a sign-in that another took the place of is approved", g.Grant, a.Numbered(one), failure.NotFound)
	wrong := w.events("approval.wrong-number")
	refused("without its number", check(b.Text()).Grant, b.Text(), failure.Refused)
	refused("with the number of the one before", check(b.Numbered(one)).Grant, b.Numbered(one), failure.NotFound)
	refused("with a number that nobody was shown", check(b.Numbered("000000")).Grant, b.Numbered("000000"), failure.NotFound)
	if n := w.events("approval.wrong-number") - wrong; n != 2 {
		t.Errorf("two wrong numbers drew %d times on the budget", n)
	}
	moved := b
	moved.Application = "wiki"
	refused("with another text", check(moved.Numbered(two)).Grant, moved.Numbered(two), failure.Refused)
	if err := w.Engine.Approvals.Approve(ctx, check(b.Numbered(two)).Grant, b.Numbered(two)); err != nil {
		t.Fatal(err)
	}
	var granted atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if s, err := w.Engine.Look(ctx, second.Ticket); err == nil && s.State == signin.Granted {
				granted.Add(1)
			}
		})
	}
	all.Wait()
	if n := granted.Load(); n != 1 {
		t.Errorf("one approval was %d sign-ins", n)
	}

	w.later(6 * time.Minute)
	if s := check("anything"); s.State == signin.Granted {
		t.Error("a passkey of six minutes ago approves")
	}
	w.later(15 * time.Minute)
	step, err := w.Engine.Begin(ctx, signin.Request{Application: signin.Self, Action: "authenticator.enroll", Object: "totp", Session: browser.held(), Protocol: "browser", Medium: prompt.Browser})
	if err != nil || step.State != signin.Ask {
		t.Fatal(step.State, err)
	}
	if _, offered := elsewhere(step); offered {
		t.Error("a session alone can have its step-up approved elsewhere")
	}
	_ = key
	typed := w.person()
	typed.get("/sign-in")
	typed.signIn("ada", ada.code())
	s, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: signin.Approve, Object: "anything", Session: typed.held(), Protocol: "browser", Medium: prompt.Browser})
	if err != nil || s.State == signin.Granted {
		t.Errorf("password and code approve: %v %v", s.State, err)
	}
}

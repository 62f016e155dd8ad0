package signin

import (
	"context"
	"fmt"
	"net/netip"
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
	"countersign/internal/servertest"
	"countersign/internal/signin"
)

var (
	radiusNumber = regexp.MustCompile(`account/approve: (\d{6})`)
)

// The promise: a sign-in on equipment that cannot play a passkey is approved
// with one elsewhere, by typing the number that the equipment shows; nobody
// else's number, no wrong number and no password approves anything, and once
// approved it is one sign-in.
func TestApproveElsewhereByRADIUS(t *testing.T) {
	w, ada, browser, key := servertest.WithPasskey(t)
	vpn := servertest.Equipment{W: w, Secret: "a-secret-of-the-equipment"}
	out := vpn.Ask("ada", servertest.Passphrase, "")
	state, number := servertest.Last(t, servertest.StateAttribute, out), servertest.Last(t, radiusNumber, out)

	// Enter before it is approved asks again, with the same number.
	out = vpn.Ask("ada", "", state)
	if again := servertest.Last(t, radiusNumber, out); again != number {
		t.Errorf("the number changed from %s to %s", number, again)
	}
	state = servertest.Last(t, servertest.StateAttribute, out)

	eve := w.EnrollCodes("eve")
	thief := w.Person()
	thief.Get("/sign-in")
	thief.SignIn("eve", eve.Code())
	thief.Get("/account/approve")
	thief.Post("/account/approve", "number", number)
	thief.Sees("No request has that number")

	browser.Get("/account/approve")
	browser.Post("/account/approve", "number", "12345")
	browser.Sees("six digits")
	browser.Transfer(number, key)

	out = vpn.Ask("ada", "", state)
	if !strings.Contains(out, "Received Access-Accept") {
		t.Fatalf("approved, and yet:\n%s", out)
	}
	if out := vpn.Ask("ada", "", state); strings.Contains(out, "Received Access-Accept") {
		t.Errorf("one approval was two sign-ins:\n%s", out)
	}
	if w.Events("approval.approved") != 1 || w.Events("signin.granted") == 0 {
		t.Error("the approval is not in the log")
	}

	// A code still does, with the approval beside it.
	state = servertest.Last(t, servertest.StateAttribute, vpn.Ask("ada", servertest.Passphrase, ""))
	if out := vpn.Ask("ada", ada.Code(), state); !strings.Contains(out, "Received Access-Accept") {
		t.Errorf("the code:\n%s", out)
	}
}

// The promise: who has only the password causes no number; a flood of sign-ins
// with the right password does not go on being offered approvals, and the owner
// still gets in.
func TestApprovalsCannotBeFlooded(t *testing.T) {
	w, ada, browser, key := servertest.WithPasskey(t)
	if _, offered := servertest.Elsewhere(w.Begin(servertest.Display("ada", "a wrong password"))); offered {
		t.Error("a wrong password was shown a number")
	}
	var numbers []string
	for range 6 {
		for range 2 {
			if n, offered := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase))); offered {
				numbers = append(numbers, n)
			}
		}
		w.Later(4 * time.Minute)
	}
	if len(numbers) != 10 {
		t.Errorf("%d numbers are left unanswered in an hour, want 10", len(numbers))
	}
	if _, offered := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase))); offered {
		t.Error("more than ten unanswered in an hour, and it is still offered")
	}
	s := w.Begin(servertest.Display("ada", servertest.Passphrase))
	if s.State != signin.Ask {
		t.Fatalf("the owner's code is not asked for: %v %s", s.State, s.Reason)
	}
	s, err := w.Engine.Answer(context.Background(), s.Ticket, signin.Reply{Answer: prompt.Answer{Text: ada.Code()}, Source: netip.MustParseAddr("203.0.113.9")})
	if err != nil || s.State != signin.Granted {
		t.Errorf("the owner's code: %v %s %v", s.State, s.Reason, err)
	}
	// A number that nobody answered in time is nothing, however right.
	browser.Get("/sign-in")
	if servertest.PasskeyForm.MatchString(browser.Page) {
		browser.UsePasskey(key)
	}
	browser.Get("/account/approve")
	browser.Post("/account/approve", "number", numbers[0])
	browser.Sees("No request has that number")
}

// The promise: refused is refused, numbers cannot be looked for, and without a
// passkey nothing is offered nor approved.
func TestApprovalRefusedAndGuessed(t *testing.T) {
	w, _, browser, _ := servertest.WithPasskey(t)
	ctx := context.Background()
	s := w.Begin(servertest.Display("ada", servertest.Passphrase))
	number, _ := servertest.Elsewhere(s)
	browser.Get("/account/approve")
	browser.Post("/account/approve", "number", number)
	id := regexp.MustCompile(`name="id" value="(\d+)"`).FindStringSubmatch(browser.Page)
	if id == nil {
		t.Fatal(browser.Page)
	}
	browser.Post("/account/refuse", "id", id[1])
	browser.Sees("Refused")
	s, err := w.Engine.Answer(ctx, s.Ticket, signin.Reply{Source: netip.MustParseAddr("203.0.113.9")})
	if err != nil || s.State != signin.Denied || s.Reason != "refused-elsewhere" {
		t.Errorf("%v %s %v", s.State, s.Reason, err)
	}
	locked := false
	for i := range 40 {
		browser.Get("/account/approve")
		browser.Post("/account/approve", "number", fmt.Sprintf("%06d", i))
		locked = locked || strings.Contains(browser.Page, "too many wrong numbers")
	}
	if !locked {
		t.Error("forty wrong numbers, and still counting")
	}
	if number, offered := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase))); !offered {
		t.Error("wrong numbers in her own session keep ada from being offered one")
	} else {
		browser.Get("/account/approve")
		browser.Post("/account/approve", "number", number)
		browser.Sees("too many wrong numbers")
	}

	bob := w.EnrollCodes("bob")
	if _, offered := servertest.Elsewhere(w.Begin(servertest.Display("bob", servertest.Passphrase))); offered {
		t.Error("somebody without a passkey was shown a number")
	}
	_ = bob
	silent := servertest.Display("ada", servertest.Passphrase)
	silent.Medium = prompt.Silence
	if s := w.Begin(silent); s.State != signin.Denied {
		t.Errorf("where no number can be shown it came to %v", s.State)
	}
}

// The promise: what was approved elsewhere does not resist phishing, so that it
// serves nothing for which policy demands that.
func TestApprovalDoesNotResistPhishing(t *testing.T) {
	w, _, browser, key := servertest.WithPasskey(t)
	s := w.Begin(servertest.Display("ada", servertest.Passphrase))
	number, _ := servertest.Elsewhere(s)
	browser.Transfer(number, key)
	strict := strings.Replace(string(policy.Default()), "require: two-factors\n", "require: phishing-resistant\n", 1)
	strict = strict[:strings.Index(strict, "tests:")]
	w.SetPolicy(strict)
	s, err := w.Engine.Answer(context.Background(), s.Ticket, signin.Reply{Source: netip.MustParseAddr("203.0.113.9")})
	if err != nil || s.State == signin.Granted {
		t.Errorf("%v %s %v", s.State, s.Reason, err)
	}
}

// The promise: in a browser without the passkey, the number goes from its page to
// another browser, and the page goes on by itself.
func TestApproveElsewhereInTheBrowser(t *testing.T) {
	w, _, browser, key := servertest.WithPasskey(t)
	other := w.Person()
	other.AsksElsewhere()
	number := servertest.Last(t, servertest.PageNumber, other.Page)
	other.Get("/sign-in/wait")
	other.Sees(number)
	browser.Transfer(number, key)
	other.Get("/sign-in/wait")
	other.Sees("Where you are signed in")
}

// The promise: an approval is for one sign-in, proved freshly with a passkey,
// taken once however many ask, and never a way to step up by itself.
func TestApprovalIsForOneThing(t *testing.T) {
	w, ada, browser, key := servertest.WithPasskey(t)
	ctx := context.Background()
	waiting := func(number string) approval.Waiting {
		t.Helper()
		g, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Session: browser.Held(), Protocol: "browser", Medium: prompt.Browser})
		if err != nil || g.State != signin.Granted {
			t.Fatal(g.State, err)
		}
		found, err := w.SignIn.Approvals.WaitingFor(ctx, g.Grant, number)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	check := func(object string) signin.Step {
		t.Helper()
		s, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: signin.Approve, Object: object, Session: browser.Held(), Protocol: "browser", Medium: prompt.Browser})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, _ := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
	a := waiting(one)
	g := check(a.Numbered(one))
	if g.State != signin.Granted {
		t.Fatalf("just signed in with the passkey: %v %s", g.State, g.Reason)
	}
	second := w.Begin(servertest.Display("ada", servertest.Passphrase))
	two, _ := servertest.Elsewhere(second)
	b := waiting(two)
	refused := func(what string, g signin.Grant, object string, class failure.Class) {
		t.Helper()
		if err := w.SignIn.Approvals.Approve(ctx, g, object); failure.ClassOf(err) != class {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("an approval of one sign-in approved another", g.Grant, b.Numbered(two), failure.Refused)
	refused("a sign-in that another took the place of is approved", g.Grant, a.Numbered(one), failure.NotFound)
	wrong := w.Events("approval.wrong-number")
	refused("without its number", check(b.Text()).Grant, b.Text(), failure.Refused)
	refused("with the number of the one before", check(b.Numbered(one)).Grant, b.Numbered(one), failure.NotFound)
	refused("with a number that nobody was shown", check(b.Numbered("000000")).Grant, b.Numbered("000000"), failure.NotFound)
	if n := w.Events("approval.wrong-number") - wrong; n != 2 {
		t.Errorf("two wrong numbers drew %d times on the budget", n)
	}
	moved := b
	moved.Application = "wiki"
	refused("with another text", check(moved.Numbered(two)).Grant, moved.Numbered(two), failure.Refused)
	if err := w.SignIn.Approvals.Approve(ctx, check(b.Numbered(two)).Grant, b.Numbered(two)); err != nil {
		t.Fatal(err)
	}
	var granted atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if s, err := w.Engine.Poll(ctx, second.Ticket); err == nil && s.State == signin.Granted {
				granted.Add(1)
			}
		})
	}
	all.Wait()
	if n := granted.Load(); n != 1 {
		t.Errorf("one approval was %d sign-ins", n)
	}

	w.Later(6 * time.Minute)
	if s := check("anything"); s.State == signin.Granted {
		t.Error("a passkey of six minutes ago approves")
	}
	w.Later(15 * time.Minute)
	step, err := w.Engine.Begin(ctx, signin.Request{Application: signin.Self, Action: "authenticator.enroll", Object: "totp", Session: browser.Held(), Protocol: "browser", Medium: prompt.Browser})
	if err != nil || step.State != signin.Ask {
		t.Fatal(step.State, err)
	}
	if _, offered := servertest.Elsewhere(step); offered {
		t.Error("a session alone can have its step-up approved elsewhere")
	}
	_ = key
	typed := w.Person()
	typed.Get("/sign-in")
	typed.SignIn("ada", ada.Code())
	s, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: signin.Approve, Object: "anything", Session: typed.Held(), Protocol: "browser", Medium: prompt.Browser})
	if err != nil || s.State == signin.Granted {
		t.Errorf("password and code approve: %v %v", s.State, err)
	}
}

package signin

import (
	"strconv"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
)

// Whoever stands between an app and its server changes nothing of what it says: each part
// of it is signed, and none may be left out.
func TestWhatAnAppSignsIsWhatItSays(t *testing.T) {
	p := withPhone(t)
	s, number := p.waits()
	w := p.finds(number)
	meant := approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Denies}
	fields := func(a approval.AppAnswer) []string {
		return []string{strconv.FormatInt(a.ID, 10), a.Number, a.Text, a.Decision}
	}
	for what, change := range map[string]func(a *approval.AppAnswer){
		"another decision": func(a *approval.AppAnswer) { a.Decision = approval.Approved },
		"another request":  func(a *approval.AppAnswer) { a.ID++ },
		"another number":   func(a *approval.AppAnswer) { a.Number = another(a.Number) },
		"another text":     func(a *approval.AppAnswer) { a.Text = "x" },
	} {
		said := meant
		change(&said)
		if err := p.Apps.Answer(t.Context(), p.call("answer", fields(meant)...), said); refused(err) != "forged" {
			t.Errorf("%s than was signed: %v", what, err)
		}
	}
	for i, name := range []string{"request", "number", "text", "decision"} {
		left := fields(meant)
		left = append(left[:i:i], left[i+1:]...)
		if err := p.Apps.Answer(t.Context(), p.call("answer", left...), meant); refused(err) != "forged" {
			t.Errorf("without its %s: %v", name, err)
		}
	}
	if _, err := p.Apps.WaitingFor(t.Context(), p.call("look", another(number)), number); refused(err) != "forged" {
		t.Errorf("another number than was looked for: %v", err)
	}
	to := authenticator.Address{Endpoint: "https://push.test/ada", Public: []byte("pub"), Secret: []byte("sec")}
	for _, signed := range [][]string{{"https://push.test/bob", "cHVi", "c2Vj"}, {to.Endpoint, "c2Vj", "c2Vj"}, {to.Endpoint, "cHVi", "cHVi"}, {to.Endpoint, "cHVi"}, {to.Endpoint}, {"cHVi", "c2Vj"}, {}} {
		if err := p.Apps.Move(t.Context(), p.call("move", signed...), to); refused(err) != "forged" {
			t.Errorf("moved by %q: %v", signed, err)
		}
	}
	if len(p.events("app.address")) != 0 || len(p.named()) != 0 || p.numbered() != 0 {
		t.Error("something came of it")
	}
	p.is("after all that", p.look(s), Wait, "")
	if err := p.says(meant); err != nil {
		t.Errorf("as it was meant: %v", err)
	}
}

// An app that was added a short while ago shows nothing, approves nothing and disowns
// nothing without a number; it may deny what it shows a number for.
func TestWhatAnAppInQuarantineMay(t *testing.T) {
	p, _ := withPages(t)
	s, number := p.waits()
	w := p.finds(number)
	p.alter(p.app, func(c *directory.Credential) { c.Quarantine = p.Now().Add(time.Second) })
	said := approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}
	for what, try := range map[string]func() error{
		"to look":    func() error { _, err := p.Apps.WaitingFor(t.Context(), p.call("look", number), number); return err },
		"whether":    func() error { _, err := p.Apps.Waits(t.Context(), p.call("waits")); return err },
		"to approve": func() error { return p.says(said) },
		"to disown":  func() error { return p.Apps.NotMe(t.Context(), p.call("disown")) },
	} {
		if err := try(); refused(err) != "quarantine" {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.is("after all that", p.look(s), Wait, "")
	said.Decision = approval.Denies
	if err := p.says(said); err != nil {
		t.Errorf("to deny: %v", err)
	}
	p.clock.Later(time.Second)
	_, number = p.waits()
	p.finds(number)
}

// Whether anything waits is told of what a push was sent or is due for, of the app's own
// account, while it waits.
func TestWhetherAnythingWaits(t *testing.T) {
	p := withPhone(t)
	bob := p.person("bob")
	p.give(bob, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
	p.bind(bob)
	waits := func(what string, want bool) {
		t.Helper()
		if yes, err := p.Apps.Waits(t.Context(), p.call("waits")); err != nil || yes != want {
			t.Errorf("%s: %t, %v", what, yes, err)
		}
	}
	waits("before anything", false)
	q := Request{Application: "vpn", Name: "bob", Source: home, Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}}
	if s := p.begin(q); s.State != Wait {
		t.Fatalf("%+v", s)
	}
	waits("bob's", false)
	p.waits()
	waits("before it was pushed", true)
	p.wakes()
	waits("once it was", true)
	p.clock.Later(approvalLife - time.Second)
	waits("to the last second", true)
	p.Parts.Quiet = approval.QuietHours{Begins: 0, Ends: 12*60 - 1, Zone: "Etc/GMT-12"} // from noon on here
	p.remake()
	p.waits()
	waits("another took its place in quiet hours", false)
	p.clock.Later(approvalLife)
	p.Parts.Quiet = approval.QuietHours{}
	p.remake()
	p.waits()
	waits("after quiet hours", true)
	p.clock.Later(approvalLife)
	waits("when it is late", false)
	p.waits()
	p.wakes()
	waits("what is held back", false)
}

// Whoever has seen one call sends it again: so often it has an entry of its own, and after
// that it is counted.
func TestACallThatIsSentAgainAndAgain(t *testing.T) {
	p := withPhone(t)
	call := p.call("waits")
	if _, err := p.Apps.Waits(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	for range 2 * toldOfSource {
		if _, err := p.Apps.Waits(t.Context(), call); refused(err) != "replayed" || failure.Public(err) != replayed {
			t.Fatalf("once more: %v", err)
		}
	}
	if err := p.Strangers.SumUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := p.named()
	if sum := all[len(all)-1]; len(all) != toldOfSource+1 || sum.Reason != "replayed" || sum.Detail["count"] != strconv.Itoa(toldOfSource) || sum.AccountName != "ada" {
		t.Errorf("%d entries, the last %+v", len(all), sum)
	}
	if now := p.stored(); now.Status != directory.CredentialActive {
		t.Errorf("the app is %s", now.Status)
	}
	if _, err := p.Apps.Waits(t.Context(), p.call("waits")); err != nil {
		t.Errorf("and the app's next: %v", err)
	}
}

// What is approved opens pushes again, and what is denied does not; "this was not me"
// closes them for a day from when it was said, pushed or not, and of its account alone.
func TestWhatOpensAndClosesPushes(t *testing.T) {
	for _, c := range []struct {
		decision string
		woken    int
	}{{approval.Approved, 1}, {approval.Denies, 0}} {
		p := withPhone(t)
		for range p.Limits.PushSoon {
			p.waits()
			p.wakes()
			p.clock.Later(time.Second)
		}
		_, number := p.waits()
		if n := p.wakes(); n != 0 {
			t.Fatalf("%d woken in a flood", n)
		}
		w := p.finds(number)
		if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: c.decision}); err != nil {
			t.Fatal(err)
		}
		p.waits()
		if n := p.wakes(); n != c.woken {
			t.Errorf("after %s: %d woken", c.decision, n)
		}
	}
	for _, pushed := range []bool{true, false} {
		p := withPhone(t)
		bob := p.person("bob")
		p.give(bob, "password", authenticator.Enrolled{Traits: assurance.Known, State: []byte("x")})
		p.bind(bob)
		p.give(p.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
		if !pushed {
			p.alter(p.app, func(c *directory.Credential) { c.Status = directory.CredentialDisabled })
		}
		bobs := p.begin(Request{Application: "vpn", Name: "bob", Source: home, Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}})
		p.waits()
		p.clock.Later(disownable - time.Second)
		p.alter(p.app, func(c *directory.Credential) { c.Status = directory.CredentialActive })
		if err := p.Apps.NotMe(t.Context(), p.call("disown")); err != nil {
			t.Fatal(err)
		}
		if all := p.events("approval.refused"); len(all) != 1 || all[0].Account != int64(p.ada.ID) || bobs.State != Wait {
			t.Errorf("refused: %+v", all)
		}
		p.clock.Later(wakeDailyIn - time.Second)
		p.waits()
		if n := p.wakes(); n != 0 {
			t.Errorf("pushed %t, within a day: %d woken", pushed, n)
		}
		p.clock.Later(time.Second)
		p.waits()
		if n := p.wakes(); n != 1 {
			t.Errorf("pushed %t, a day later: %d woken", pushed, n)
		}
	}
}

// An approval in an app is bound to what was approved, and does not resist phishing
// whatever the app has: it was for a sign-in elsewhere. It gives back the app's own wrong
// numbers, and none that somebody tried on pages.
func TestWhatAnAppsApprovalIsWorth(t *testing.T) {
	p, g := withPages(t)
	s, number := p.waits()
	w := p.finds(number)
	for range 3 {
		p.tries(g, another(number))
	}
	p.then = func(r *authenticator.Result) { r.Traits |= assurance.UserVerified | assurance.PhishingResistant }
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}); err != nil {
		t.Fatal(err)
	}
	if n := p.numbered(); n != 3 {
		t.Errorf("%d wrong numbers are left of three", n)
	}
	done := p.look(s)
	p.is("approved", done, Granted, "")
	for _, ev := range done.Grant.Evidence() {
		if ev.Kind == "push" && (ev.Traits != assurance.Held|assurance.UserVerified || ev.Bound != w.Text() || !ev.OutOfBand) {
			t.Errorf("%+v", ev)
		}
	}
	if en := p.last("approval.approved"); en.AccountName != "ada" {
		t.Errorf("the log says %+v", en)
	}
}

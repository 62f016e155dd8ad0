package signin

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
)

// rightApp is an app whose every signature is right.
type rightApp struct {
	right
	authenticator.Approver
}

func (a rightApp) Describe() authenticator.Description { return a.right.Describe() }
func (a rightApp) Ask(c []authenticator.Credential, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return a.right.Ask(c, now)
}

// lies is a signature that is wrong.
const lies = "lies"

func (a rightApp) Check(_ context.Context, c []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	if strings.Contains(string(answer.Data), "bGllcw") || len(c) == 0 { // lies, in base64
		return authenticator.Wrong("wrong"), nil
	}
	return authenticator.Result{OK: true, Credential: c[0].ID, Traits: assurance.Held | assurance.UserVerified}, nil
}

// An app sees what waits for its owner under the number that they type, and says once
// what becomes of it; every other call is refused, and leaves an entry.
func TestAppCalls(t *testing.T) {
	kinds := everyKind(t)
	for i, how := range kinds {
		if app, ok := how.(authenticator.Approver); ok {
			kinds[i] = rightApp{right{how}, app}
		}
	}
	r := newRig(t, twoFactors, kinds...)
	ada := r.person("ada")
	r.withPassword(ada)
	c := r.give(ada, "push", authenticator.Enrolled{Traits: assurance.Held | assurance.UserVerified, State: []byte("{}"), Handle: "app-1"})
	count := int64(0)
	call := func() approval.AppCall {
		count++
		return approval.AppCall{Kind: "push", App: "app-1", Moment: r.Apps.Moment(), Count: count, Signature: []byte{byte(count)}, Source: home}
	}
	waits := func() (Step, string) {
		t.Helper()
		r.clock.Later(time.Second)
		s := r.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}})
		if s.State != Wait || s.Prompts[0].Number == "" {
			t.Fatalf("nothing waits: %+v", s)
		}
		digits, _ := digitsOf(s.Prompts[0].Number)
		return s, digits
	}
	look := func(s Step) Step {
		t.Helper()
		next, err := r.Poll(t.Context(), s.Ticket)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	_, number := waits()
	w, err := r.Apps.WaitingFor(t.Context(), call(), number)
	if err != nil || w.Application != "vpn" {
		t.Fatalf("%+v, %v", w, err)
	}
	for name, edit := range map[string]func(*approval.AppCall){
		"unknown-kind": func(c *approval.AppCall) { c.Kind = "totp" }, "unknown-app": func(c *approval.AppCall) { c.App = "app-2" }, "wrong": func(c *approval.AppCall) { c.Signature = []byte(lies) },
		"stale": func(c *approval.AppCall) { c.Moment = "1.x" }, "uncounted": func(c *approval.AppCall) { c.Count = 0 },
	} {
		one := call()
		edit(&one)
		if _, err := r.Apps.WaitingFor(t.Context(), one, number); failure.ReasonOf(err) != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	old := call()
	r.clock.Later(momentLife)
	if _, err := r.Apps.WaitingFor(t.Context(), old, number); failure.ReasonOf(err) != "stale" {
		t.Errorf("an old moment: %v", err)
	}
	r.clock.Later(approvalLife)
	s, number := waits()
	if w, err = r.Apps.WaitingFor(t.Context(), call(), number); err != nil {
		t.Fatal(err)
	}
	say := func(edit func(*approval.AppAnswer)) error {
		said := approval.AppAnswer{ID: w.ID, Number: number, Text: w.Text(), Decision: approval.Approved}
		edit(&said)
		return r.Apps.Answer(t.Context(), call(), said)
	}
	for what, edit := range map[string]func(*approval.AppAnswer){
		"another text": func(a *approval.AppAnswer) { a.Text += "." }, "another request": func(a *approval.AppAnswer) { a.ID++ }, "no decision": func(a *approval.AppAnswer) { a.Decision = "yes" },
		"another number": func(a *approval.AppAnswer) { a.Number = strings.Repeat(string('0'+(number[0]-'0'+1)%10), 6) },
	} {
		if say(edit) == nil {
			t.Errorf("approved with %s", what)
		}
	}
	r.alter(c, func(c *directory.Credential) { c.Quarantine = r.Now().Add(time.Hour) })
	if err := say(func(*approval.AppAnswer) {}); failure.ReasonOf(err) != "quarantine" {
		t.Errorf("in quarantine: %v", err)
	}
	r.alter(c, func(c *directory.Credential) { c.Quarantine, c.Traits = r.Now(), c.Traits|assurance.HardwareBound })
	if err := say(func(*approval.AppAnswer) {}); failure.ReasonOf(err) != "no-gesture" {
		t.Errorf("without all that it could show: %v", err)
	}
	r.alter(c, func(c *directory.Credential) { c.Traits = assurance.Held | assurance.UserVerified })
	if s = look(s); s.State != Wait {
		t.Fatalf("after all that: %+v", s)
	}
	if err := say(func(*approval.AppAnswer) {}); err != nil {
		t.Fatal(err)
	}
	if say(func(*approval.AppAnswer) {}) == nil {
		t.Error("approved twice")
	}
	if s = look(s); s.State != Granted {
		t.Errorf("approved: %+v", s)
	}
	s, number = waits()
	if w, err = r.Apps.WaitingFor(t.Context(), call(), number); err != nil {
		t.Fatal(err)
	}
	if err := say(func(a *approval.AppAnswer) { a.Decision = approval.Denies }); err != nil {
		t.Error(err)
	}
	r.is("denied", look(s), Denied, "refused-elsewhere")
	s, _ = waits()
	if err := r.Apps.NotMe(t.Context(), call()); err != nil {
		t.Error(err)
	}
	r.is("not me", look(s), Denied, "refused-elsewhere")
	if err := r.Apps.NotMe(t.Context(), call()); failure.ReasonOf(err) != "nothing-waits" {
		t.Errorf("not me, of nothing: %v", err)
	}
	again := call()
	if _, err := r.Apps.Waits(t.Context(), again); err != nil {
		t.Error(err)
	}
	if _, err := r.Apps.Waits(t.Context(), again); failure.ReasonOf(err) != "replayed" {
		t.Errorf("the same call again: %v", err)
	}
	copied := again
	copied.Signature = []byte("another")
	if _, err := r.Apps.Waits(t.Context(), copied); failure.ReasonOf(err) != "cloned" {
		t.Errorf("a copy of its key: %v", err)
	}
	if _, err := r.Apps.Waits(t.Context(), call()); failure.ReasonOf(err) != directory.CredentialDisabled {
		t.Errorf("after that: %v", err)
	}
	if n := len(r.events("alarm.app-cloned")); n != 1 {
		t.Errorf("%d alarms", n)
	}
}

// What is approved is said in one line, and where it was begun in a sentence or two.
func TestWaitingReads(t *testing.T) {
	w := approval.Waiting{ID: 3, Application: "vpn", Action: SignIn, Source: "192.0.2.7", Protocol: "radius", Partner: "nas"}
	for _, c := range []struct {
		edit func(*approval.Waiting)
		want string
	}{
		{func(*approval.Waiting) {}, "request 3: sign in to vpn, from 192.0.2.7, by radius nas"},
		{func(w *approval.Waiting) { w.Source = "" }, "request 3: sign in to vpn, from an unknown address, by radius nas"},
		{func(w *approval.Waiting) { w.Partner = "" }, "request 3: sign in to vpn, from 192.0.2.7, by radius"},
		{func(w *approval.Waiting) { w.Action = "" }, "request 3: sign in to vpn, from 192.0.2.7, by radius nas"},
		{func(w *approval.Waiting) { w.Action, w.Object = "account.create", "bob" }, "request 3: account.create bob in vpn, from 192.0.2.7, by radius nas"},
	} {
		one := w
		if c.edit(&one); one.Text() != c.want {
			t.Errorf("%q; want %q", one.Text(), c.want)
		}
	}
	for _, c := range []struct {
		edit func(*approval.Waiting)
		want string
	}{
		{func(w *approval.Waiting) { w.Source = "" }, ""},
		{func(*approval.Waiting) {}, "You were not let in from there in the last 30 days."},
		{func(w *approval.Waiting) { w.Familiar = true }, "You were let in from there within the last 30 days."},
		{func(w *approval.Waiting) { w.Networks = []string{"office"} }, "In the network office. You were not let in from there in the last 30 days."},
		{func(w *approval.Waiting) { w.Networks = []string{"a", "b"} }, "In the networks a, b. You were not let in from there in the last 30 days."},
	} {
		one := w
		if c.edit(&one); one.Place() != c.want {
			t.Errorf("%q; want %q", one.Place(), c.want)
		}
	}
}

// Whose a passkey is that was used without a name; a name beside it must be its owner's.
func TestWhosePasskey(t *testing.T) {
	kinds := everyKind(t)
	instead(kinds, "passkey", func(how authenticator.Authenticator) authenticator.Authenticator { return rightFinder{right{how}} })
	r := newRig(t, twoFactors, kinds...)
	ada := r.person("ada")
	r.person("bob")
	c := r.give(ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x"), Handle: "key-1"})
	use := func(name, handle string) Step {
		t.Helper()
		return r.begin(Request{Application: "wiki", Name: name, Source: netip.MustParseAddr("192.0.2.9"), Protocol: "browser", Medium: prompt.Browser, Opening: []prompt.Answer{typed("passkey", handle)}})
	}
	for _, name := range []string{"", "ada"} {
		if s := use(name, "key-1"); s.State != Granted {
			t.Errorf("as %q: %+v", name, s)
		}
	}
	for _, c := range [][2]string{{"bob", "key-1"}, {"", "key-2"}, {"", ""}, {"nobody", "key-1"}} {
		if s := use(c[0], c[1]); s.State == Granted {
			t.Errorf("%v: granted", c)
		}
	}
	r.alter(c, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	if s := use("", "key-1"); s.State == Granted {
		t.Error("a revoked passkey was granted")
	}
}

// rightFinder finds its credential by what was typed.
type rightFinder struct{ right }

func (rightFinder) Discover(a prompt.Answer) (string, bool) { return a.Text, a.Text != "" }

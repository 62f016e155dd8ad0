package push

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
)

// withApp is ada with password, code app and Countersign app, past its
// quarantine, and a VPN.
func withApp(t *testing.T) (w *servertest.World, ada *servertest.Person, device *servertest.Phone) {
	t.Helper()
	w, ada = servertest.WithVPN(t)
	return w, ada, servertest.WithPhone(w, ada)
}

// The promise: two servers on one PostgreSQL wake an app once for a sign-in, and
// one approval that both are told of at once is one.
func TestAppOnPostgreSQL(t *testing.T) {
	w, other, ada, _ := servertest.TwoNodes(t)
	device := servertest.WithPhone(w, ada)
	other.Skew.Store(w.Skew.Load())
	if w.Pusher.Public != other.Pusher.Public {
		t.Error("two servers have two keys for pushes")
	}
	if r := device.Subscribe("https://push.example.net/x", device.Point(), make([]byte, 16)); r != "" {
		t.Fatal(r)
	}
	step := w.Begin(servertest.Display("ada", servertest.Passphrase))
	number, _ := servertest.Elsewhere(step)
	var rang atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		pushes := []*servertest.World{w, other}[i%2].SignIn.Pushes
		all.Go(func() {
			pushes.Wake(context.Background(), func(context.Context, authenticator.Address) error { rang.Add(1); return nil }) //nolint:errcheck // another was first
		})
	}
	all.Wait()
	if n := rang.Load(); n != 1 {
		t.Errorf("one sign-in rang %d times", n)
	}
	id, text, refused := device.Look(number)
	if refused != "" {
		t.Fatal(refused)
	}
	u, _ := url.Parse(w.Base)
	moment := w.SignIn.Apps.Moment()
	signature, _ := base64.RawURLEncoding.DecodeString(device.Sign("countersign answer", u.Host, device.Handle, moment, device.Counts(), id, number, text, approval.Approved))
	var approved atomic.Int32
	for range 16 {
		all.Go(func() {
			err := w.SignIn.Apps.Answer(context.Background(), approval.AppCall{Kind: "push", App: device.Handle, Moment: moment, Count: device.Count, Signature: signature},
				approval.AppAnswer{ID: int64(atoi(id)), Number: number, Text: text, Decision: approval.Approved})
			if err == nil {
				approved.Add(1)
			}
		})
	}
	all.Wait()
	if approved.Load() != 1 || w.Events("approval.approved") != 1 {
		t.Errorf("one decision was %d approvals", approved.Load())
	}
	if s, err := other.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Granted {
		t.Errorf("on the other server: %v %v", s.State, err)
	}
}

var appNumber = regexp.MustCompile(`Countersign app: (\d{6})`)

// The promise: a sign-in on equipment is approved in the app by typing the number
// that the equipment shows; before that the app is told nothing; one approval is
// one sign-in.
func TestApproveInTheAppByRADIUS(t *testing.T) {
	w, _, device := withApp(t)
	vpn := servertest.Equipment{W: w, Secret: "a-secret-of-the-equipment"}
	out := vpn.Ask("ada", servertest.Passphrase, "")
	state, number := servertest.Last(t, servertest.StateAttribute, out), servertest.Last(t, appNumber, out)
	id, text, refused := device.Look(number)
	if refused != "" || !strings.Contains(text, "sign in to vpn") {
		t.Fatal(refused, text)
	}
	if refused := device.Decide(id, number, text, approval.Approved); refused != "" {
		t.Fatal(refused)
	}
	if refused := device.Decide(id, number, text, approval.Approved); refused != "answered" {
		t.Errorf("approved again: %q", refused)
	}
	if out := vpn.Ask("ada", "", state); !strings.Contains(out, "Received Access-Accept") {
		t.Fatalf("approved, and yet:\n%s", out)
	}
	if out := vpn.Ask("ada", "", state); strings.Contains(out, "Received Access-Accept") {
		t.Errorf("one approval was two sign-ins:\n%s", out)
	}
	if w.Events("approval.approved") != 1 {
		t.Error("the approval is not in the log")
	}
}

// The promise: a browser that waits goes on by itself once the app approved.
func TestApproveInTheAppForABrowser(t *testing.T) {
	w, _, device := withApp(t)
	desk := w.Person()
	desk.AsksElsewhere()
	desk.Sees("in your Countersign app:")
	device.Approve(servertest.Last(t, servertest.PageNumber, desk.Page))
	desk.Get("/sign-in/wait")
	desk.Sees("Where you are signed in")
}

// The promise: what is forged, replayed, late, mis-numbered, for another text or
// of another account approves nothing, and leaves an entry.
func TestAppAttacks(t *testing.T) {
	w, ada, device := withApp(t)
	eve := w.EnrollCodes("eve")
	hers, browser := w.Phone(), w.Person()
	browser.Get("/sign-in")
	browser.SignIn("eve", eve.Code())
	browser.AddPhone(hers)
	w.Later(25 * time.Hour)
	step := w.Begin(servertest.Display("ada", servertest.Passphrase))
	number, offered := servertest.Elsewhere(step)
	if !offered {
		t.Fatal("no number")
	}
	id, text, refused := device.Look(number)
	if refused != "" {
		t.Fatal(refused)
	}
	answer := []string{"id", id, "number", number, "text", text, "decision", approval.Approved}
	wrong := fmt.Sprintf("%06d", (atoi(number)+1)%1_000_000)
	for name, try := range map[string]func() string{
		"signed by a key that nobody has": func() string {
			_, r := w.Phone().Call("answer", answer...)
			return r
		},
		"forged": func() string {
			form := device.Signed("answer", answer...)
			other := hers.Signed("answer", answer...)
			form.Set("signature", other.Get("signature"))
			_, r := device.Post("answer", form)
			return r
		},
		"deny turned into approve": func() string {
			form := device.Signed("answer", "id", id, "number", number, "text", text, "decision", approval.Denies)
			form.Set("decision", approval.Approved)
			_, r := device.Post("answer", form)
			return r
		},
		"a look's signature": func() string {
			form := device.Signed("look", answer...)
			_, r := device.Post("answer", form)
			return r
		},
		"another account's app looks": func() string { _, _, r := hers.Look(number); return r },
		"another account's app":       func() string { return hers.Decide(id, number, text, approval.Approved) },
		"another number":              func() string { return device.Decide(id, wrong, text, approval.Approved) },
		"no number":                   func() string { return device.Decide(id, "", text, approval.Approved) },
		"another text": func() string {
			return device.Decide(id, number, strings.Replace(text, "vpn", "wiki", 1), approval.Approved)
		},
		"no decision": func() string { return device.Decide(id, number, text, "yes") },
		"a moment of one's own": func() string {
			form := device.Signed("answer", answer...)
			u, _ := url.Parse(w.Base)
			made := fmt.Sprintf("%d.%s", w.Now().Unix(), strings.Repeat("A", 48)) // the right length of a MAC
			form.Set("moment", made)
			form.Set("signature", device.Sign("countersign answer", u.Host, device.Handle, made, form.Get("count"), id, number, text, approval.Approved))
			_, r := device.Post("answer", form)
			return r
		},
		"signed for another installation": func() string {
			form := device.Signed("answer", answer...)
			form.Set("signature", device.Sign("countersign answer", "login.example.org", device.Handle, form.Get("moment"), form.Get("count"), id, number, text, approval.Approved))
			_, r := device.Post("answer", form)
			return r
		},
	} {
		if r := try(); r == "" {
			t.Errorf("%s was accepted", name)
		}
	}
	old := device.Signed("answer", answer...)
	w.Later(2*time.Minute + time.Second)
	if _, r := device.Post("answer", old); r != "stale" {
		t.Errorf("a signature of two minutes ago: %q", r)
	}
	w.Later(time.Minute)
	if r := device.Decide(id, number, text, approval.Approved); r != "late" {
		t.Errorf("after three minutes: %q", r)
	}
	s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{})
	if err != nil || s.State == signin.Granted || w.Events("approval.approved") != 0 {
		t.Errorf("something was approved: %v %v", s.State, err)
	}
	if n := w.Refusals("app.refused"); n < 8 {
		t.Errorf("%d refusals in the log", n)
	}

	// Removed, it approves nothing.
	number, _ = servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
	id, text, refused = device.Look(number)
	if refused != "" {
		t.Fatal(refused)
	}
	own := w.Person()
	own.Get("/sign-in")
	own.SignIn("ada", ada.Code())
	m := regexp.MustCompile(`Countersign app</bdi>[\s\S]*?name="object" value="(\d+)"`).FindStringSubmatch(own.Page)
	if m == nil {
		t.Fatal(own.Page)
	}
	own.Does("/account/do", "action", "authenticator.remove", "object", m[1])
	own.Sees("It was removed")
	if r := device.Decide(id, number, text, approval.Approved); r != "revoked" {
		t.Errorf("a removed app: %q", r)
	}
	if _, _, r := device.Look(number); r != "revoked" {
		t.Errorf("a removed app looks: %q", r)
	}
}

func atoi(s string) (n int) {
	fmt.Sscanf(s, "%d", &n)
	return n
}

// The promise: a new app approves nothing for a day, also where a passkey may and
// a number is shown because of it.
func TestNewAppIsInQuarantine(t *testing.T) {
	w, _, browser, key := servertest.WithPasskey(t)
	device := w.Phone()
	browser.Get("/account")
	browser.AddPhone(device)
	number, offered := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
	if !offered {
		t.Fatal("the passkey approves nothing")
	}
	if _, _, r := device.Look(number); r != "quarantine" {
		t.Errorf("a new app looks: %q", r)
	}
	if r := device.Decide("1", number, "anything", approval.Approved); r != "quarantine" {
		t.Errorf("a new app approves: %q", r)
	}
	if _, r := device.Call("disown"); r != "quarantine" {
		t.Errorf("a new app disowns: %q", r)
	}
	browser.Transfer(number, key)
}

// The promise: a binding code is good once, for ten minutes, for a device that
// signs it; whoever was quicker is not bound, because the owner types the number
// of their own device.
func TestBindingCode(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	browser := w.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	code := browser.Offered()
	browser.Post("/account/setup", "authenticator", "push", "text", "123456")
	browser.Sees("No device has opened the link yet")

	thief, mine := w.Phone(), w.Phone()
	unsent, shown := mine.Proposal(code)
	browser.Post("/account/setup", "authenticator", "push", "text", shown, "data", unsent)
	browser.Sees("No device has opened the link yet") // whatever the browser says of a device
	for range 50 {
		guess := make([]byte, 24)
		rand.Read(guess)
		if _, r := thief.Bind(base64.RawURLEncoding.EncodeToString(guess)); r != "unknown-ticket" {
			t.Fatalf("a guessed code: %q", r)
		}
	}
	body, _ := thief.Proposal("another code")
	if _, r := thief.Post("bind", url.Values{"code": {code}, "proposal": {body}}); r != "forged" {
		t.Errorf("a device that did not sign this code: %q", r)
	}
	if _, r := thief.Bind(code); r != "" {
		t.Fatal(r)
	}
	number, refused := mine.Bind(code)
	if refused != "unknown-ticket" {
		t.Errorf("the code was used twice: %q", refused)
	}
	browser.Post("/account/setup", "authenticator", "push", "text", number)
	browser.Sees("somebody else was quicker")
	if n := w.Events("binding.refused"); n > 3 {
		t.Errorf("%d entries for fifty guesses of one device", n)
	}
	if w.Refusals("binding.refused") < 51 {
		t.Error("refused bindings are not in the log")
	}

	code = browser.Offered()
	w.Later(10*time.Minute + time.Second)
	if _, r := mine.Bind(code); r != "unknown-ticket" {
		t.Errorf("after ten minutes: %q", r)
	}
}

// The promise: numbers cannot be looked for with a stolen app: it is switched off
// after ten, and after that the right one finds nothing either.
func TestTenThousandNumbers(t *testing.T) {
	w, _, device := withApp(t)
	ctx := context.Background()
	number, _ := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
	// The engine is asked without HTTP, for speed; one moment serves two minutes.
	u, _ := url.Parse(w.Base)
	look := func(typed string) error {
		moment := w.SignIn.Apps.Moment()
		signature, _ := base64.RawURLEncoding.DecodeString(device.Sign("countersign look", u.Host, device.Handle, moment, device.Counts(), typed))
		_, err := w.SignIn.Apps.WaitingFor(ctx, approval.AppCall{Kind: "push", App: device.Handle, Moment: moment, Count: device.Count, Signature: signature}, typed)
		return err
	}
	for i := range 10_000 {
		typed := fmt.Sprintf("%06d", i)
		if typed != number && look(typed) == nil {
			t.Fatalf("%s is no number", typed)
		}
		if i%50 == 49 && i < 1000 {
			w.Later(2 * time.Hour) // the patient guesser waits out every delay
			number, _ = servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
		}
	}
	if look(number) == nil {
		t.Error("after ten thousand guesses the right number is found")
	}
	if w.Events("credential.disabled") != 1 || w.Events("approval.approved") != 0 {
		t.Error("the app was not switched off, once")
	}
}

// The promise: an app is woken once for each sign-in, never for a retransmission,
// and no more after three that nobody answers; what is approved opens pushes
// again. A flood approves nothing.
func TestPushesCannotBeFlooded(t *testing.T) {
	w, ada, device := withApp(t)
	if w.Begin(servertest.Display("ada", servertest.Passphrase)); servertest.Rings(w, nil) != 0 {
		t.Error("an app that asked for no push was woken")
	}
	w.Later(time.Hour)
	if r := device.Subscribe("http://127.0.0.1/x", device.Point(), make([]byte, 16)); r == "" {
		t.Error("a push service without TLS was taken")
	}
	if r := device.Subscribe("https://push.example.net/x", device.Point(), make([]byte, 16)); r != "" {
		t.Fatal(r)
	}
	vpn := servertest.Equipment{W: w, Secret: "a-secret-of-the-equipment"}
	out := vpn.Ask("ada", servertest.Passphrase, "")
	if n := servertest.Rings(w, nil); n != 1 {
		t.Errorf("one sign-in rang %d times", n)
	}
	vpn.Ask("ada", "", servertest.Last(t, servertest.StateAttribute, out))
	if n := servertest.Rings(w, nil); n != 0 {
		t.Errorf("asking again rang %d times", n)
	}
	device.Approve(servertest.Last(t, appNumber, out))
	w.Later(time.Minute)

	total := 0
	for range 12 { // four in each four minutes, for 48 minutes
		for range 4 {
			w.Begin(servertest.Display("ada", servertest.Passphrase))
			total += servertest.Rings(w, nil)
		}
		w.Later(4 * time.Minute)
	}
	if total != 3 {
		t.Errorf("a flood rang %d times, want 3", total)
	}
	if w.Events("alarm.push-flood") != 1 || w.Events("approval.approved") != 1 {
		t.Error("no alarm, or something was approved")
	}
	w.Later(2 * time.Hour)
	if w.Begin(servertest.Display("ada", servertest.Passphrase)); servertest.Rings(w, nil) != 0 {
		t.Error("ten in a day, and it rings again")
	}

	// Its owner still gets in, by a code and by the app; then it rings again.
	step := w.Begin(servertest.Display("ada", servertest.Passphrase))
	number, offered := servertest.Elsewhere(step)
	if !offered {
		t.Fatal("no number is offered to the owner")
	}
	device.Approve(number)
	if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Granted {
		t.Errorf("approved in the app: %v %v", s.State, err)
	}
	s, err := w.Engine.Answer(context.Background(), w.Begin(servertest.Display("ada", servertest.Passphrase)).Ticket, signin.Reply{Answer: prompt.Answer{Text: ada.Code()}})
	if err != nil || s.State != signin.Granted {
		t.Errorf("the code: %v %v", s.State, err)
	}
	servertest.Rings(w, nil)
	w.Later(time.Hour)
	if w.Begin(servertest.Display("ada", servertest.Passphrase)); servertest.Rings(w, nil) != 1 {
		t.Error("a success does not open pushes again")
	}
}

// The promise: "this was not me" refuses, ends every session, switches the
// password off, tells administrators, and closes pushes for a day; a mere
// refusal refuses.
func TestNotMeInTheApp(t *testing.T) {
	w, ada, device := withApp(t)
	if r := device.Subscribe("https://push.example.net/x", device.Point(), make([]byte, 16)); r != "" {
		t.Fatal(r)
	}
	step := w.Begin(servertest.Display("ada", servertest.Passphrase))
	number, _ := servertest.Elsewhere(step)
	id, text, _ := device.Look(number)
	if r := device.Decide(id, number, text, approval.Denies); r != "" {
		t.Fatal(r)
	}
	if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Denied || s.Reason != "refused-elsewhere" {
		t.Errorf("refused: %v %s %v", s.State, s.Reason, err)
	}
	browser := w.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	browser.Sees("Where you are signed in")
	number, _ = servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
	servertest.Rings(w, nil)
	id, text, _ = device.Look(number)
	if r := device.Decide(id, number, text, approval.Disowns); r != "" {
		t.Fatal(r)
	}
	browser.Get("/account")
	browser.Sees("Sign in")
	if s := w.Begin(servertest.Display("ada", servertest.Passphrase)); s.State != signin.Denied {
		t.Errorf("the password still works: %v", s.State)
	}
	if w.Events("alarm.not-me") != 1 {
		t.Error("no alarm")
	}
}

// The promise: who is woken and sees no number refuses all that waits without
// being shown any of it; where nothing waits nothing is ended.
func TestDisownWithoutNumber(t *testing.T) {
	w, _, device := withApp(t)
	if _, r := device.Call("disown"); r != "nothing-waits" {
		t.Errorf("nothing waits, and: %q", r)
	}
	one, two := w.Begin(servertest.Display("ada", servertest.Passphrase)), w.Begin(servertest.Display("ada", servertest.Passphrase))
	if _, r := w.Phone().Call("disown"); r != "unknown-app" {
		t.Errorf("a device that nobody added: %q", r)
	}
	answer, r := device.Call("disown")
	if r != "" || len(answer) != 0 {
		t.Errorf("%v %q", answer, r)
	}
	for _, step := range []signin.Step{one, two} {
		if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Denied || s.Reason != "refused-elsewhere" {
			t.Errorf("disowned: %v %s %v", s.State, s.Reason, err)
		}
	}
	if s := w.Begin(servertest.Display("ada", servertest.Passphrase)); s.State != signin.Denied || w.Events("alarm.not-me") != 1 || w.Events("approval.refused") != 2 {
		t.Errorf("the password still works: %v", s.State)
	}
}

// The promise: the app's pages load nothing from anywhere else, and their
// requests are refused without the token that another site cannot have.
func TestAppPage(t *testing.T) {
	w := servertest.NewWorld(t)
	r, err := http.Get(w.Base + "/app/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if csp := r.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
		t.Error(csp)
	}
	if regexp.MustCompile(`(src|href)="(https?:)?//`).Match(page) {
		t.Error("the page names another host")
	}
	device := w.Phone()
	device.Token = "none"
	device.Page.Take(device.Page.Client.PostForm(w.Base+"/app/look", url.Values{"number": {"123456"}}))
	if device.Page.Status != http.StatusForbidden {
		t.Errorf("without a token: %d", device.Page.Status)
	}
}

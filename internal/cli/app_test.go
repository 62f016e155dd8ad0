package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
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
	"countersign/internal/signin"
	"countersign/internal/softkey"
)

// phone is the app in Go: what its script does, and what somebody does who has
// its key.
type phone struct {
	w      *world
	key    *ecdsa.PrivateKey
	handle string
	page   *person // only for its cookie
	token  string
	count  int64 // how often it has spoken
	// finger shows its owner's gestures; nil is a device that asks for none.
	finger *softkey.Key
	shows  string // the id of its credential for gestures
}

func (w *world) phone() *phone {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &phone{w: w, key: key, page: w.person()}
	sum := sha256.Sum256(p.point())
	p.handle = base64.RawURLEncoding.EncodeToString(sum[:])
	return p
}

func (p *phone) point() []byte {
	b, err := p.key.PublicKey.Bytes()
	if err != nil {
		p.w.t.Fatal(err)
	}
	return b
}

func (p *phone) sign(fields ...string) string {
	sum := sha256.Sum256(authenticator.Statement(fields...))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		p.w.t.Fatal(err)
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return base64.RawURLEncoding.EncodeToString(out)
}

// counts is how often the app has spoken, this time included.
func (p *phone) counts() string {
	p.count++
	return fmt.Sprint(p.count)
}

func (p *phone) moment() string {
	p.w.t.Helper()
	p.page.get("/app/moment")
	var m struct{ Moment, Token string }
	if err := json.Unmarshal([]byte(p.page.page), &m); err != nil {
		p.w.t.Fatal(err, p.page.page)
	}
	p.token = m.Token
	return m.Moment
}

// post sends fields as they are and returns the word of a refusal, empty for a
// yes.
func (p *phone) post(verb string, fields url.Values) (answer map[string]any, refused string) {
	p.w.t.Helper()
	fields.Set("form-token", p.token)
	p.page.take(p.page.client.PostForm(p.w.base+"/app/"+verb, fields))
	if err := json.Unmarshal([]byte(p.page.page), &answer); err != nil {
		p.w.t.Fatalf("%v: %d %s", err, p.page.status, p.page.page)
	}
	if p.page.status != http.StatusOK {
		if refused, _ = answer["reason"].(string); refused == "" {
			refused = "refused: " + answer["problem"].(string)
		}
	}
	return answer, refused
}

// call signs its fields, given as name and value in the order that is signed.
func (p *phone) call(verb string, fields ...string) (answer map[string]any, refused string) {
	p.w.t.Helper()
	return p.post(verb, p.signed(verb, fields...))
}

func (p *phone) signed(verb string, fields ...string) url.Values {
	p.w.t.Helper()
	moment := p.moment()
	u, _ := url.Parse(p.w.base)
	statement := []string{"countersign " + verb, u.Host, p.handle, moment, p.counts()}
	form := url.Values{"app": {p.handle}, "moment": {moment}, "count": {fmt.Sprint(p.count)}}
	for i := 0; i < len(fields); i += 2 {
		statement = append(statement, fields[i+1])
		form.Set(fields[i], fields[i+1])
	}
	form.Set("signature", p.sign(statement...))
	if p.finger != nil && form.Get("decision") == approval.Approved {
		form.Set("gesture", p.gesture(statement...))
	}
	return form
}

// look types a number and returns what it is for.
func (p *phone) look(number string) (id, text, refused string) {
	p.w.t.Helper()
	answer, refused := p.call("look", "number", number)
	if refused != "" {
		return "", "", refused
	}
	return fmt.Sprintf("%.0f", answer["id"]), answer["text"].(string), ""
}

func (p *phone) decide(id, number, text, decision string) (refused string) {
	p.w.t.Helper()
	_, refused = p.call("answer", "id", id, "number", number, "text", text, "decision", decision)
	return refused
}

// approve does what an honest person does.
func (p *phone) approve(number string) {
	p.w.t.Helper()
	id, text, refused := p.look(number)
	if refused == "" {
		refused = p.decide(id, number, text, approval.Approved)
	}
	if refused != "" {
		p.w.t.Fatalf("the app was refused: %s", refused)
	}
}

var bindLink = regexp.MustCompile(`href="[^"]*/app/#bind=([^"]+)"`)

// proposal is what a device sends for a code, and the number that it shows.
func (p *phone) proposal(code string) (body, number string) {
	point := base64.RawURLEncoding.EncodeToString(p.point())
	signature, _ := base64.RawURLEncoding.DecodeString(p.sign("countersign bind", code, point))
	sent := map[string]any{"key": p.point(), "signature": signature}
	if p.finger != nil {
		sent["gesture"] = p.makeGesture(code, point)
	}
	b, err := json.Marshal(sent)
	if err != nil {
		p.w.t.Fatal(err)
	}
	sum := sha256.Sum256(authenticator.Statement("countersign confirm", code, point))
	return string(b), fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum[:8])%1_000_000)
}

func (p *phone) bind(code string) (number, refused string) {
	p.w.t.Helper()
	p.moment()
	body, number := p.proposal(code)
	_, refused = p.post("bind", url.Values{"code": {code}, "proposal": {body}})
	return number, refused
}

// offered begins to add an app in a browser, and returns the code of its link.
func (p *person) offered() (code string) {
	p.w.t.Helper()
	p.get("/account")
	p.post("/account/do", "action", "authenticator.enroll", "object", "push")
	m := bindLink.FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatalf("no link:\n%s", p.page)
	}
	return html.UnescapeString(m[1])
}

func (p *person) addPhone(device *phone) {
	p.w.t.Helper()
	number, refused := device.bind(p.offered())
	if refused != "" {
		p.w.t.Fatal(refused)
	}
	p.post("/account/setup", "authenticator", "push", "text", number)
	p.sees("Added: Countersign app")
}

// withApp is ada with password, code app and Countersign app, past its
// quarantine, and a VPN.
func withApp(t *testing.T) (w *world, ada *person, device *phone) {
	t.Helper()
	w, ada = withVPN(t)
	return w, ada, w.withPhone(ada)
}

// withPhone adds a Countersign app and waits out its quarantine.
func (w *world) withPhone(ada *person) (device *phone) {
	w.t.Helper()
	device = w.phone()
	w.settle(ada, device)
	return device
}

// withBell is withPhone for an app that can be woken.
func (w *world) withBell(ada *person) *phone {
	w.t.Helper()
	device := w.withPhone(ada)
	if r := device.subscribe("https://push.example.net/x", device.point(), make([]byte, 16)); r != "" {
		w.t.Fatal(r)
	}
	w.later(time.Hour)
	return device
}

// settle adds this Countersign app and waits out its quarantine.
func (w *world) settle(ada *person, device *phone) {
	w.t.Helper()
	browser := w.person()
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	browser.addPhone(device)
	if _, offered := elsewhere(w.begin(display("ada", passphrase))); offered {
		w.t.Error("an app in quarantine is offered")
	}
	w.later(25 * time.Hour)
}

// The promise: two servers on one PostgreSQL wake an app once for a sign-in, and
// one approval that both are told of at once is one.
func TestAppOnPostgreSQL(t *testing.T) {
	w, other, ada, _ := twoNodes(t)
	device := w.withPhone(ada)
	other.skew.Store(w.skew.Load())
	if w.Pusher.Public != other.Pusher.Public {
		t.Error("two servers have two keys for pushes")
	}
	if r := device.subscribe("https://push.example.net/x", device.point(), make([]byte, 16)); r != "" {
		t.Fatal(r)
	}
	step := w.begin(display("ada", passphrase))
	number, _ := elsewhere(step)
	var rang atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		engine := []*world{w, other}[i%2].Engine
		all.Go(func() {
			engine.Pushes.Wake(context.Background(), func(context.Context, authenticator.Address) error { rang.Add(1); return nil }) //nolint:errcheck // another was first
		})
	}
	all.Wait()
	if n := rang.Load(); n != 1 {
		t.Errorf("one sign-in rang %d times", n)
	}
	id, text, refused := device.look(number)
	if refused != "" {
		t.Fatal(refused)
	}
	u, _ := url.Parse(w.base)
	moment := w.Engine.Apps.Moment()
	signature, _ := base64.RawURLEncoding.DecodeString(device.sign("countersign answer", u.Host, device.handle, moment, device.counts(), id, number, text, approval.Approved))
	var approved atomic.Int32
	for range 16 {
		all.Go(func() {
			err := w.Engine.Apps.Answer(context.Background(), approval.AppCall{Kind: "push", App: device.handle, Moment: moment, Count: device.count, Signature: signature},
				approval.AppAnswer{ID: int64(atoi(id)), Number: number, Text: text, Decision: approval.Approved})
			if err == nil {
				approved.Add(1)
			}
		})
	}
	all.Wait()
	if approved.Load() != 1 || w.events("approval.approved") != 1 {
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
	vpn := equipment{w, "a-secret-of-the-equipment"}
	out := vpn.ask("ada", passphrase, "")
	state, number := last(t, stateAttribute, out), last(t, appNumber, out)
	id, text, refused := device.look(number)
	if refused != "" || !strings.Contains(text, "sign in to vpn") {
		t.Fatal(refused, text)
	}
	if refused := device.decide(id, number, text, approval.Approved); refused != "" {
		t.Fatal(refused)
	}
	if refused := device.decide(id, number, text, approval.Approved); refused != "answered" {
		t.Errorf("approved again: %q", refused)
	}
	if out := vpn.ask("ada", "", state); !strings.Contains(out, "Received Access-Accept") {
		t.Fatalf("approved, and yet:\n%s", out)
	}
	if out := vpn.ask("ada", "", state); strings.Contains(out, "Received Access-Accept") {
		t.Errorf("one approval was two sign-ins:\n%s", out)
	}
	if w.events("approval.approved") != 1 {
		t.Error("the approval is not in the log")
	}
}

// The promise: a browser that waits goes on by itself once the app approved.
func TestApproveInTheAppForABrowser(t *testing.T) {
	w, _, device := withApp(t)
	desk := w.person()
	desk.asksElsewhere()
	desk.sees("in your Countersign app:")
	device.approve(last(t, pageNumber, desk.page))
	desk.get("/sign-in/wait")
	desk.sees("Where you are signed in")
}

// The promise: what is forged, replayed, late, mis-numbered, for another text or
// of another account approves nothing, and leaves an entry.
func TestAppAttacks(t *testing.T) {
	w, ada, device := withApp(t)
	eve := w.enrollCodes("eve")
	hers, browser := w.phone(), w.person()
	browser.get("/sign-in")
	browser.signIn("eve", eve.code())
	browser.addPhone(hers)
	w.later(25 * time.Hour)
	step := w.begin(display("ada", passphrase))
	number, offered := elsewhere(step)
	if !offered {
		t.Fatal("no number")
	}
	id, text, refused := device.look(number)
	if refused != "" {
		t.Fatal(refused)
	}
	answer := []string{"id", id, "number", number, "text", text, "decision", approval.Approved}
	wrong := fmt.Sprintf("%06d", (atoi(number)+1)%1_000_000)
	for name, try := range map[string]func() string{
		"signed by a key that nobody has": func() string {
			_, r := w.phone().call("answer", answer...)
			return r
		},
		"forged": func() string {
			form := device.signed("answer", answer...)
			other := hers.signed("answer", answer...)
			form.Set("signature", other.Get("signature"))
			_, r := device.post("answer", form)
			return r
		},
		"deny turned into approve": func() string {
			form := device.signed("answer", "id", id, "number", number, "text", text, "decision", approval.Denies)
			form.Set("decision", approval.Approved)
			_, r := device.post("answer", form)
			return r
		},
		"a look's signature": func() string {
			form := device.signed("look", answer...)
			_, r := device.post("answer", form)
			return r
		},
		"another account's app looks": func() string { _, _, r := hers.look(number); return r },
		"another account's app":       func() string { return hers.decide(id, number, text, approval.Approved) },
		"another number":              func() string { return device.decide(id, wrong, text, approval.Approved) },
		"no number":                   func() string { return device.decide(id, "", text, approval.Approved) },
		"another text": func() string {
			return device.decide(id, number, strings.Replace(text, "vpn", "wiki", 1), approval.Approved)
		},
		"no decision": func() string { return device.decide(id, number, text, "yes") },
		"a moment of one's own": func() string {
			form := device.signed("answer", answer...)
			u, _ := url.Parse(w.base)
			made := fmt.Sprintf("%d.%s", w.now().Unix(), strings.Repeat("A", 48)) // the right length of a MAC
			form.Set("moment", made)
			form.Set("signature", device.sign("countersign answer", u.Host, device.handle, made, form.Get("count"), id, number, text, approval.Approved))
			_, r := device.post("answer", form)
			return r
		},
		"signed for another installation": func() string {
			form := device.signed("answer", answer...)
			form.Set("signature", device.sign("countersign answer", "login.example.org", device.handle, form.Get("moment"), form.Get("count"), id, number, text, approval.Approved))
			_, r := device.post("answer", form)
			return r
		},
	} {
		if r := try(); r == "" {
			t.Errorf("%s was accepted", name)
		}
	}
	old := device.signed("answer", answer...)
	w.later(2*time.Minute + time.Second)
	if _, r := device.post("answer", old); r != "stale" {
		t.Errorf("a signature of two minutes ago: %q", r)
	}
	w.later(time.Minute)
	if r := device.decide(id, number, text, approval.Approved); r != "late" {
		t.Errorf("after three minutes: %q", r)
	}
	s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{})
	if err != nil || s.State == signin.Granted || w.events("approval.approved") != 0 {
		t.Errorf("something was approved: %v %v", s.State, err)
	}
	if n := w.refusals("app.refused"); n < 8 {
		t.Errorf("%d refusals in the log", n)
	}

	// Removed, it approves nothing.
	number, _ = elsewhere(w.begin(display("ada", passphrase)))
	id, text, refused = device.look(number)
	if refused != "" {
		t.Fatal(refused)
	}
	own := w.person()
	own.get("/sign-in")
	own.signIn("ada", ada.code())
	m := regexp.MustCompile(`Countersign app</bdi>[\s\S]*?name="object" value="(\d+)"`).FindStringSubmatch(own.page)
	if m == nil {
		t.Fatal(own.page)
	}
	own.does("/account/do", "action", "authenticator.remove", "object", m[1])
	own.sees("It was removed")
	if r := device.decide(id, number, text, approval.Approved); r != "revoked" {
		t.Errorf("a removed app: %q", r)
	}
	if _, _, r := device.look(number); r != "revoked" {
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
	w, _, browser, key := withPasskey(t)
	device := w.phone()
	browser.get("/account")
	browser.addPhone(device)
	number, offered := elsewhere(w.begin(display("ada", passphrase)))
	if !offered {
		t.Fatal("the passkey approves nothing")
	}
	if _, _, r := device.look(number); r != "quarantine" {
		t.Errorf("a new app looks: %q", r)
	}
	if r := device.decide("1", number, "anything", approval.Approved); r != "quarantine" {
		t.Errorf("a new app approves: %q", r)
	}
	if _, r := device.call("disown"); r != "quarantine" {
		t.Errorf("a new app disowns: %q", r)
	}
	browser.transfer(number, key)
}

// The promise: a binding code is good once, for ten minutes, for a device that
// signs it; whoever was quicker is not bound, because the owner types the number
// of their own device.
func TestBindingCode(t *testing.T) {
	w, ada := withVPN(t)
	browser := w.person()
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	code := browser.offered()
	browser.post("/account/setup", "authenticator", "push", "text", "123456")
	browser.sees("No device has opened the link yet")

	thief, mine := w.phone(), w.phone()
	unsent, shown := mine.proposal(code)
	browser.post("/account/setup", "authenticator", "push", "text", shown, "data", unsent)
	browser.sees("No device has opened the link yet") // whatever the browser says of a device
	for range 50 {
		guess := make([]byte, 24)
		rand.Read(guess)
		if _, r := thief.bind(base64.RawURLEncoding.EncodeToString(guess)); r != "unknown-ticket" {
			t.Fatalf("a guessed code: %q", r)
		}
	}
	body, _ := thief.proposal("another code")
	if _, r := thief.post("bind", url.Values{"code": {code}, "proposal": {body}}); r != "forged" {
		t.Errorf("a device that did not sign this code: %q", r)
	}
	if _, r := thief.bind(code); r != "" {
		t.Fatal(r)
	}
	number, refused := mine.bind(code)
	if refused != "unknown-ticket" {
		t.Errorf("the code was used twice: %q", refused)
	}
	browser.post("/account/setup", "authenticator", "push", "text", number)
	browser.sees("somebody else was quicker")
	if n := w.events("binding.refused"); n > 3 {
		t.Errorf("%d entries for fifty guesses of one device", n)
	}
	if w.refusals("binding.refused") < 51 {
		t.Error("refused bindings are not in the log")
	}

	code = browser.offered()
	w.later(10*time.Minute + time.Second)
	if _, r := mine.bind(code); r != "unknown-ticket" {
		t.Errorf("after ten minutes: %q", r)
	}
}

// The promise: numbers cannot be looked for with a stolen app: it is switched off
// after ten, and after that the right one finds nothing either.
func TestTenThousandNumbers(t *testing.T) {
	w, _, device := withApp(t)
	ctx := context.Background()
	number, _ := elsewhere(w.begin(display("ada", passphrase)))
	// The engine is asked without HTTP, for speed; one moment serves two minutes.
	u, _ := url.Parse(w.base)
	look := func(typed string) error {
		moment := w.Engine.Apps.Moment()
		signature, _ := base64.RawURLEncoding.DecodeString(device.sign("countersign look", u.Host, device.handle, moment, device.counts(), typed))
		_, err := w.Engine.Apps.WaitingFor(ctx, approval.AppCall{Kind: "push", App: device.handle, Moment: moment, Count: device.count, Signature: signature}, typed)
		return err
	}
	for i := range 10_000 {
		typed := fmt.Sprintf("%06d", i)
		if typed != number && look(typed) == nil {
			t.Fatalf("%s is no number", typed)
		}
		if i%50 == 49 && i < 1000 {
			w.later(2 * time.Hour) // the patient guesser waits out every delay
			number, _ = elsewhere(w.begin(display("ada", passphrase)))
		}
	}
	if look(number) == nil {
		t.Error("after ten thousand guesses the right number is found")
	}
	if w.events("credential.disabled") != 1 || w.events("approval.approved") != 0 {
		t.Error("the app was not switched off, once")
	}
}

// rings counts the pushes of a Wake.
func (w *world) rings(fail error) int {
	w.t.Helper()
	var mu sync.Mutex
	n := 0
	if _, err := w.Engine.Pushes.Wake(context.Background(), func(context.Context, authenticator.Address) error {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fail
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// subscribe tells the server where the app can be woken.
func (p *phone) subscribe(endpoint string, public, secret []byte) (refused string) {
	enc := base64.RawURLEncoding.EncodeToString
	_, refused = p.call("move", "endpoint", endpoint, "p256dh", enc(public), "auth", enc(secret))
	return refused
}

// The promise: an app is woken once for each sign-in, never for a retransmission,
// and no more after three that nobody answers; what is approved opens pushes
// again. A flood approves nothing.
func TestPushesCannotBeFlooded(t *testing.T) {
	w, ada, device := withApp(t)
	if w.begin(display("ada", passphrase)); w.rings(nil) != 0 {
		t.Error("an app that asked for no push was woken")
	}
	w.later(time.Hour)
	if r := device.subscribe("http://127.0.0.1/x", device.point(), make([]byte, 16)); r == "" {
		t.Error("a push service without TLS was taken")
	}
	if r := device.subscribe("https://push.example.net/x", device.point(), make([]byte, 16)); r != "" {
		t.Fatal(r)
	}
	vpn := equipment{w, "a-secret-of-the-equipment"}
	out := vpn.ask("ada", passphrase, "")
	if n := w.rings(nil); n != 1 {
		t.Errorf("one sign-in rang %d times", n)
	}
	vpn.ask("ada", "", last(t, stateAttribute, out))
	if n := w.rings(nil); n != 0 {
		t.Errorf("asking again rang %d times", n)
	}
	device.approve(last(t, appNumber, out))
	w.later(time.Minute)

	total := 0
	for range 12 { // four in each four minutes, for 48 minutes
		for range 4 {
			w.begin(display("ada", passphrase))
			total += w.rings(nil)
		}
		w.later(4 * time.Minute)
	}
	if total != 3 {
		t.Errorf("a flood rang %d times, want 3", total)
	}
	if w.events("alarm.push-flood") != 1 || w.events("approval.approved") != 1 {
		t.Error("no alarm, or something was approved")
	}
	w.later(2 * time.Hour)
	if w.begin(display("ada", passphrase)); w.rings(nil) != 0 {
		t.Error("ten in a day, and it rings again")
	}

	// Its owner still gets in, by a code and by the app; then it rings again.
	step := w.begin(display("ada", passphrase))
	number, offered := elsewhere(step)
	if !offered {
		t.Fatal("no number is offered to the owner")
	}
	device.approve(number)
	if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Granted {
		t.Errorf("approved in the app: %v %v", s.State, err)
	}
	s, err := w.Engine.Answer(context.Background(), w.begin(display("ada", passphrase)).Ticket, signin.Reply{Answer: prompt.Answer{Text: ada.code()}})
	if err != nil || s.State != signin.Granted {
		t.Errorf("the code: %v %v", s.State, err)
	}
	w.rings(nil)
	w.later(time.Hour)
	if w.begin(display("ada", passphrase)); w.rings(nil) != 1 {
		t.Error("a success does not open pushes again")
	}
}

// The promise: "this was not me" refuses, ends every session, switches the
// password off, tells administrators, and closes pushes for a day; a mere
// refusal refuses.
func TestNotMeInTheApp(t *testing.T) {
	w, ada, device := withApp(t)
	if r := device.subscribe("https://push.example.net/x", device.point(), make([]byte, 16)); r != "" {
		t.Fatal(r)
	}
	step := w.begin(display("ada", passphrase))
	number, _ := elsewhere(step)
	id, text, _ := device.look(number)
	if r := device.decide(id, number, text, approval.Denies); r != "" {
		t.Fatal(r)
	}
	if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Denied || s.Reason != "refused-elsewhere" {
		t.Errorf("refused: %v %s %v", s.State, s.Reason, err)
	}
	browser := w.person()
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	browser.sees("Where you are signed in")
	number, _ = elsewhere(w.begin(display("ada", passphrase)))
	w.rings(nil)
	id, text, _ = device.look(number)
	if r := device.decide(id, number, text, approval.Disowns); r != "" {
		t.Fatal(r)
	}
	browser.get("/account")
	browser.sees("Sign in")
	if s := w.begin(display("ada", passphrase)); s.State != signin.Denied {
		t.Errorf("the password still works: %v", s.State)
	}
	if w.events("alarm.not-me") != 1 {
		t.Error("no alarm")
	}
}

// The promise: who is woken and sees no number refuses all that waits without
// being shown any of it; where nothing waits nothing is ended.
func TestDisownWithoutNumber(t *testing.T) {
	w, _, device := withApp(t)
	if _, r := device.call("disown"); r != "nothing-waits" {
		t.Errorf("nothing waits, and: %q", r)
	}
	one, two := w.begin(display("ada", passphrase)), w.begin(display("ada", passphrase))
	if _, r := w.phone().call("disown"); r != "unknown-app" {
		t.Errorf("a device that nobody added: %q", r)
	}
	answer, r := device.call("disown")
	if r != "" || len(answer) != 0 {
		t.Errorf("%v %q", answer, r)
	}
	for _, step := range []signin.Step{one, two} {
		if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Denied || s.Reason != "refused-elsewhere" {
			t.Errorf("disowned: %v %s %v", s.State, s.Reason, err)
		}
	}
	if s := w.begin(display("ada", passphrase)); s.State != signin.Denied || w.events("alarm.not-me") != 1 || w.events("approval.refused") != 2 {
		t.Errorf("the password still works: %v", s.State)
	}
}

// The promise: the app's pages load nothing from anywhere else, and their
// requests are refused without the token that another site cannot have.
func TestAppPage(t *testing.T) {
	w := newWorld(t)
	r, err := http.Get(w.base + "/app/")
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
	device := w.phone()
	device.token = "none"
	device.page.take(device.page.client.PostForm(w.base+"/app/look", url.Values{"number": {"123456"}}))
	if device.page.status != http.StatusForbidden {
		t.Errorf("without a token: %d", device.page.status)
	}
}

package servertest

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
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/authenticator"
	"countersign/internal/testbed"
	"countersign/internal/virtualauth"
)

// Phone is the app in Go: what its script does, and what somebody does who has
// its key.
type Phone struct {
	W      *World
	key    *ecdsa.PrivateKey
	Handle string
	Page   *Person // only for its cookie
	Token  string
	Count  int64 // how often it has spoken
	// finger shows its owner's gestures; nil is a device that asks for none.
	Finger *virtualauth.Key
	Shows  string // the id of its credential for gestures
}

func (w *World) Phone() *Phone {
	w.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.T.Fatal(err)
	}
	p := &Phone{W: w, key: key, Page: w.Person()}
	sum := sha256.Sum256(p.Point())
	p.Handle = base64.RawURLEncoding.EncodeToString(sum[:])
	return p
}

func (p *Phone) Point() []byte {
	b, err := p.key.PublicKey.Bytes()
	if err != nil {
		p.W.T.Fatal(err)
	}
	return b
}

func (p *Phone) Sign(fields ...string) string {
	sum := sha256.Sum256(authenticator.Statement(fields...))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		p.W.T.Fatal(err)
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return base64.RawURLEncoding.EncodeToString(out)
}

// Counts is how often the app has spoken, this time included.
func (p *Phone) Counts() string {
	p.Count++
	return fmt.Sprint(p.Count)
}

func (p *Phone) Moment() string {
	p.W.T.Helper()
	p.Page.Get("/app/moment")
	var m struct{ Moment, Token string }
	if err := json.Unmarshal([]byte(p.Page.Page), &m); err != nil {
		p.W.T.Fatal(err, p.Page.Page)
	}
	p.Token = m.Token
	return m.Moment
}

// Post sends fields as they are and returns the word of a refusal, empty for a
// yes.
func (p *Phone) Post(verb string, fields url.Values) (answer map[string]any, refused string) {
	p.W.T.Helper()
	fields.Set("form-token", p.Token)
	p.Page.Take(p.Page.Client.PostForm(p.W.Base+"/app/"+verb, fields))
	if err := json.Unmarshal([]byte(p.Page.Page), &answer); err != nil {
		p.W.T.Fatalf("%v: %d %s", err, p.Page.Status, p.Page.Page)
	}
	if p.Page.Status != http.StatusOK {
		if refused, _ = answer["reason"].(string); refused == "" {
			refused = "refused: " + answer["problem"].(string)
		}
	}
	return answer, refused
}

// Call signs its fields, given as name and value in the order that is signed.
func (p *Phone) Call(verb string, fields ...string) (answer map[string]any, refused string) {
	p.W.T.Helper()
	return p.Post(verb, p.Signed(verb, fields...))
}

func (p *Phone) Signed(verb string, fields ...string) url.Values {
	p.W.T.Helper()
	moment := p.Moment()
	u, _ := url.Parse(p.W.Base)
	statement := []string{"countersign " + verb, u.Host, p.Handle, moment, p.Counts()}
	form := url.Values{"app": {p.Handle}, "moment": {moment}, "count": {fmt.Sprint(p.Count)}}
	for i := 0; i < len(fields); i += 2 {
		statement = append(statement, fields[i+1])
		form.Set(fields[i], fields[i+1])
	}
	form.Set("signature", p.Sign(statement...))
	if p.Finger != nil && form.Get("decision") == approval.Approved {
		form.Set("gesture", p.Gesture(statement...))
	}
	return form
}

// Look types a number and returns what it is for.
func (p *Phone) Look(number string) (id, text, refused string) {
	p.W.T.Helper()
	answer, refused := p.Call("look", "number", number)
	if refused != "" {
		return "", "", refused
	}
	return fmt.Sprintf("%.0f", answer["id"]), answer["text"].(string), ""
}

func (p *Phone) Decide(id, number, text, decision string) (refused string) {
	p.W.T.Helper()
	_, refused = p.Call("answer", "id", id, "number", number, "text", text, "decision", decision)
	return refused
}

// Approve does what an honest person does.
func (p *Phone) Approve(number string) {
	p.W.T.Helper()
	id, text, refused := p.Look(number)
	if refused == "" {
		refused = p.Decide(id, number, text, approval.Approved)
	}
	if refused != "" {
		p.W.T.Fatalf("the app was refused: %s", refused)
	}
}

var bindLink = regexp.MustCompile(`href="[^"]*/app/#bind=([^"]+)"`)

// Proposal is what a device sends for a code, and the number that it shows.
func (p *Phone) Proposal(code string) (body, number string) {
	point := base64.RawURLEncoding.EncodeToString(p.Point())
	signature, _ := base64.RawURLEncoding.DecodeString(p.Sign("countersign bind", code, point))
	sent := map[string]any{"key": p.Point(), "signature": signature}
	if p.Finger != nil {
		sent["gesture"] = p.makeGesture(code, point)
	}
	b, err := json.Marshal(sent)
	if err != nil {
		p.W.T.Fatal(err)
	}
	sum := sha256.Sum256(authenticator.Statement("countersign confirm", code, point))
	return string(b), fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum[:8])%1_000_000)
}

func (p *Phone) Bind(code string) (number, refused string) {
	p.W.T.Helper()
	p.Moment()
	body, number := p.Proposal(code)
	_, refused = p.Post("bind", url.Values{"code": {code}, "proposal": {body}})
	return number, refused
}

// Offered begins to add an app in a browser, and returns the code of its link.
func (p *Person) Offered() (code string) {
	p.W.T.Helper()
	p.Get("/account")
	p.Post("/account/do", "action", "authenticator.enroll", "object", "push")
	m := bindLink.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("no link:\n%s", p.Page)
	}
	return html.UnescapeString(m[1])
}

func (p *Person) AddPhone(device *Phone) {
	p.W.T.Helper()
	number, refused := device.Bind(p.Offered())
	if refused != "" {
		p.W.T.Fatal(refused)
	}
	p.Post("/account/setup", "authenticator", "push", "text", number)
	p.Sees("Added: Countersign app")
}

// WithPhone adds a Countersign app and waits out its quarantine.
func WithPhone(w *World, ada *Person) (device *Phone) {
	w.T.Helper()
	device = w.Phone()
	Settle(w, ada, device)
	return device
}

// WithBell is withPhone for an app that can be woken.
func WithBell(w *World, ada *Person) *Phone {
	w.T.Helper()
	device := WithPhone(w, ada)
	if r := device.Subscribe("https://push.example.net/x", device.Point(), make([]byte, 16)); r != "" {
		w.T.Fatal(r)
	}
	w.Later(time.Hour)
	return device
}

// Settle adds this Countersign app and waits out its quarantine.
func Settle(w *World, ada *Person, device *Phone) {
	w.T.Helper()
	browser := w.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	browser.AddPhone(device)
	if _, offered := Elsewhere(w.Begin(Display("ada", Passphrase))); offered {
		w.T.Error("an app in quarantine is offered")
	}
	w.Later(25 * time.Hour)
}

// Rings counts the pushes of a Wake.
func Rings(w *World, fail error) int {
	w.T.Helper()
	var mu sync.Mutex
	n := 0
	if _, err := w.SignIn.Pushes.Wake(context.Background(), func(context.Context, authenticator.Address) error {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fail
	}); err != nil {
		w.T.Fatal(err)
	}
	return n
}

// RingsAt sends the addresses of the pushes of a Wake.
func RingsAt(w *World, at chan<- string) {
	w.T.Helper()
	if _, err := w.SignIn.Pushes.Wake(context.Background(), func(_ context.Context, to authenticator.Address) error { at <- to.Endpoint; return nil }); err != nil {
		w.T.Fatal(err)
	}
}

// Subscribe tells the server where the app can be woken.
func (p *Phone) Subscribe(endpoint string, public, secret []byte) (refused string) {
	enc := base64.RawURLEncoding.EncodeToString
	_, refused = p.Call("move", "endpoint", endpoint, "p256dh", enc(public), "auth", enc(secret))
	return refused
}

// makeGesture has the device make its credential for gestures, for a code and this
// key, as the app does.
func (p *Phone) makeGesture(code, point string) []byte {
	p.W.T.Helper()
	p.Moment()
	var m struct{ Gesture map[string]any }
	if err := json.Unmarshal([]byte(p.Page.Page), &m); err != nil {
		p.W.T.Fatal(err)
	}
	m.Gesture["challenge"] = challengeOf("countersign gesture", code, point)
	m.Gesture["user"] = map[string]string{"id": p.Handle, "name": "Countersign app", "displayName": "Approvals"}
	options, err := json.Marshal(m.Gesture)
	if err != nil {
		p.W.T.Fatal(err)
	}
	made, err := p.Finger.Create(p.W.Base, options)
	if err != nil {
		p.W.T.Fatal(err)
	}
	var told struct{ ID string }
	if err := json.Unmarshal(made, &told); err != nil {
		p.W.T.Fatal(err)
	}
	p.Shows = told.ID
	return made
}

// Gesture is the owner's for one statement.
func (p *Phone) Gesture(statement ...string) string {
	p.W.T.Helper()
	u, _ := url.Parse(p.W.Base)
	wanted := map[string]any{"challenge": challengeOf(statement...), "rpId": u.Hostname(), "userVerification": "required"}
	if p.Shows != "" {
		wanted["allowCredentials"] = []map[string]string{{"type": "public-key", "id": p.Shows}}
	}
	options, err := json.Marshal(wanted)
	if err != nil {
		p.W.T.Fatal(err)
	}
	shown, err := p.Finger.Get(p.W.Base, options)
	if err != nil {
		p.W.T.Fatal(err)
	}
	return string(shown)
}

func challengeOf(fields ...string) string {
	sum := sha256.Sum256(authenticator.Statement(fields...))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Decoded reads the one QR code of a picture, with ZBar.
func Decoded(t *testing.T, picture string) string {
	t.Helper()
	out, err := exec.Command(testbed.Program(t, "zbarimg"), "--raw", "-q", picture).Output()
	if err != nil {
		t.Fatalf("zbarimg finds nothing in the picture: %v", err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

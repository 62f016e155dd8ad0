package cli

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"countersign/internal/approval"
	"countersign/internal/authenticator"
	"countersign/internal/signin"
	"countersign/internal/softkey"
)

// makeGesture has the device make its credential for gestures, for a code and this
// key, as the app does.
func (p *phone) makeGesture(code, point string) []byte {
	p.w.t.Helper()
	p.moment()
	var m struct{ Gesture map[string]any }
	if err := json.Unmarshal([]byte(p.page.page), &m); err != nil {
		p.w.t.Fatal(err)
	}
	m.Gesture["challenge"] = challengeOf("countersign gesture", code, point)
	m.Gesture["user"] = map[string]string{"id": p.handle, "name": "Countersign app", "displayName": "Approvals"}
	options, err := json.Marshal(m.Gesture)
	if err != nil {
		p.w.t.Fatal(err)
	}
	made, err := p.finger.Create(p.w.base, options)
	if err != nil {
		p.w.t.Fatal(err)
	}
	var told struct{ ID string }
	if err := json.Unmarshal(made, &told); err != nil {
		p.w.t.Fatal(err)
	}
	p.shows = told.ID
	return made
}

// gesture is the owner's for one statement.
func (p *phone) gesture(statement ...string) string {
	p.w.t.Helper()
	u, _ := url.Parse(p.w.base)
	wanted := map[string]any{"challenge": challengeOf(statement...), "rpId": u.Hostname(), "userVerification": "required"}
	if p.shows != "" {
		wanted["allowCredentials"] = []map[string]string{{"type": "public-key", "id": p.shows}}
	}
	options, err := json.Marshal(wanted)
	if err != nil {
		p.w.t.Fatal(err)
	}
	shown, err := p.finger.Get(p.w.base, options)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return string(shown)
}

func challengeOf(fields ...string) string {
	sum := sha256.Sum256(authenticator.Statement(fields...))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// withFinger is withApp on a device that checks its owner.
func withFinger(t *testing.T) (w *world, ada *person, device *phone) {
	t.Helper()
	w, ada = withVPN(t)
	device = w.phone()
	device.finger = &softkey.Key{}
	w.settle(ada, device)
	return w, ada, device
}

// The promise: an app that was bound with its owner's gesture approves with a
// gesture for exactly that approval and with none else, so that whoever has the
// phone unlocked, or its key, approves nothing; to refuse takes none; and what was
// shown is in the log.
func TestGestureCannotBeTakenOut(t *testing.T) {
	w, _, device := withFinger(t)
	u, _ := url.Parse(w.base)
	begin := func() (step signin.Step, id, number, text string) {
		t.Helper()
		step = w.begin(display("ada", passphrase))
		number, _ = elsewhere(step)
		id, text, refused := device.look(number)
		if refused != "" {
			t.Fatal(refused)
		}
		return step, id, number, text
	}
	step, id, number, text := begin()
	// approves is what the app sends to approve, signed, with a gesture for what
	// finger is shown.
	approves := func(finger *softkey.Key, fields func(statement []string) []string) url.Values {
		t.Helper()
		moment := device.moment()
		statement := []string{"countersign answer", u.Host, device.handle, moment, device.counts(), id, number, text, approval.Approved}
		form := url.Values{"app": {device.handle}, "moment": {moment}, "count": {fmt.Sprint(device.count)}, "id": {id}, "number": {number}, "text": {text}, "decision": {approval.Approved}, "signature": {device.sign(statement...)}}
		if finger != nil {
			form.Set("gesture", (&phone{w: w, finger: finger, shows: device.shows}).gesture(fields(statement)...))
		}
		return form
	}
	same := func(s []string) []string { return s }
	lying := func(l softkey.Lie) *softkey.Key {
		k := device.finger.Clone()
		k.Lie = l
		return k
	}
	junk := approves(nil, nil)
	junk.Set("gesture", `{"id":"AAAA"}`)
	for name, c := range map[string]struct {
		form url.Values
		want string
	}{
		"none":                     {approves(nil, nil), "no-gesture"},
		"junk":                     {junk, "wrong-gesture"},
		"without verification":     {approves(lying(softkey.Lie{Disobey: true, ClearFlags: 4}), same), "wrong-gesture"},
		"without presence":         {approves(lying(softkey.Lie{Disobey: true, ClearFlags: 1}), same), "wrong-gesture"},
		"a bogus signature":        {approves(lying(softkey.Lie{BogusSignature: true}), same), "wrong-gesture"},
		"of another page":          {approves(lying(softkey.Lie{Disobey: true, Origin: "https://countersign.example.net"}), same), "wrong-gesture"},
		"for another number":       {approves(device.finger.Clone(), func(s []string) []string { s[5] = "000000"; return s }), "wrong-gesture"},
		"for a refusal":            {approves(device.finger.Clone(), func(s []string) []string { s[7] = approval.Denies; return s }), "wrong-gesture"},
		"for another moment":       {approves(device.finger.Clone(), func(s []string) []string { s[3] += "0"; return s }), "wrong-gesture"},
		"by nobody's credential":   {approves(lying(softkey.Lie{CredentialID: []byte("another credential of 16 bytes")}), same), "wrong-gesture"},
		"of a creation, not a use": {approves(lying(softkey.Lie{Type: "webauthn.create"}), same), "wrong-gesture"},
	} {
		if _, refused := device.post("answer", c.form); refused != c.want {
			t.Errorf("%s: %q, want %q", name, refused, c.want)
		}
	}
	if w.events("approval.approved") != 0 {
		t.Fatal("something was approved")
	}

	good := approves(device.finger, same)
	if _, refused := device.post("answer", good); refused != "" {
		t.Fatalf("the owner's own gesture: %s", refused)
	}
	if _, refused := device.post("answer", good); refused == "" {
		t.Error("the same answer approves twice")
	}
	if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Granted {
		t.Fatalf("approved, and yet %v %v", s.State, err)
	}
	if e := w.latestOf("approval.approved"); e.Detail["traits"] != "held+user-verified" {
		t.Errorf("the log says %q", e.Detail["traits"])
	}

	// A gesture that was shown for the last approval is none for the next one.
	_, id, number, text = begin()
	replayed := approves(nil, nil)
	replayed.Set("gesture", good.Get("gesture"))
	if _, refused := device.post("answer", replayed); refused != "wrong-gesture" {
		t.Errorf("a gesture of before: %q", refused)
	}
	device.finger = nil
	if r := device.decide(id, number, text, approval.Denies); r != "" {
		t.Errorf("to refuse takes a gesture: %s", r)
	}
}

// The promise: an app that was bound without a gesture gains nothing by sending one,
// also not its owner's passkey's.
func TestGestureOfAPlainApp(t *testing.T) {
	w, ada, device := withApp(t)
	step := w.begin(display("ada", passphrase))
	number, _ := elsewhere(step)
	id, text, _ := device.look(number)
	desk := w.person()
	desk.get("/sign-in")
	w.later(0)
	desk.signIn("ada", ada.code())
	key := &softkey.Key{}
	desk.addPasskey(key)
	device.finger = key
	if r := device.decide(id, number, text, approval.Approved); r != "wrong-gesture" {
		t.Errorf("a passkey's gesture: %q", r)
	}
	device.finger = nil
	device.approve(number)
	if e := w.latestOf("approval.approved"); e.Detail["traits"] != "held" {
		t.Errorf("the log says %q", e.Detail["traits"])
	}
	if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Granted {
		t.Fatalf("%v %v", s.State, err)
	}
}

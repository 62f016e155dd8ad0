package push

import (
	"context"
	"fmt"
	"net/url"
	"testing"

	"countersign/internal/approval"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/virtualauth"
)

// withFinger is withApp on a device that checks its owner.
func withFinger(t *testing.T) (w *servertest.World, ada *servertest.Person, device *servertest.Phone) {
	t.Helper()
	w, ada = servertest.WithVPN(t)
	device = w.Phone()
	device.Finger = &virtualauth.Key{}
	servertest.Settle(w, ada, device)
	return w, ada, device
}

// The promise: an app that was bound with its owner's gesture approves with a
// gesture for exactly that approval and with none else, so that whoever has the
// phone unlocked, or its key, approves nothing; to refuse takes none; and what was
// shown is in the log.
func TestGestureCannotBeTakenOut(t *testing.T) {
	w, _, device := withFinger(t)
	u, _ := url.Parse(w.Base)
	begin := func() (step signin.Step, id, number, text string) {
		t.Helper()
		step = w.Begin(servertest.Display("ada", servertest.Passphrase))
		number, _ = servertest.Elsewhere(step)
		id, text, refused := device.Look(number)
		if refused != "" {
			t.Fatal(refused)
		}
		return step, id, number, text
	}
	step, id, number, text := begin()
	// approves is what the app sends to approve, signed, with a gesture for what
	// finger is shown.
	approves := func(finger *virtualauth.Key, fields func(statement []string) []string) url.Values {
		t.Helper()
		moment := device.Moment()
		statement := []string{"countersign answer", u.Host, device.Handle, moment, device.Counts(), id, number, text, approval.Approved}
		form := url.Values{"app": {device.Handle}, "moment": {moment}, "count": {fmt.Sprint(device.Count)}, "id": {id}, "number": {number}, "text": {text}, "decision": {approval.Approved}, "signature": {device.Sign(statement...)}}
		if finger != nil {
			form.Set("gesture", (&servertest.Phone{W: w, Finger: finger, Shows: device.Shows}).Gesture(fields(statement)...))
		}
		return form
	}
	same := func(s []string) []string { return s }
	lying := func(l virtualauth.Lie) *virtualauth.Key {
		k := device.Finger.Clone()
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
		"without verification":     {approves(lying(virtualauth.Lie{Disobey: true, ClearFlags: 4}), same), "wrong-gesture"},
		"without presence":         {approves(lying(virtualauth.Lie{Disobey: true, ClearFlags: 1}), same), "wrong-gesture"},
		"a bogus signature":        {approves(lying(virtualauth.Lie{BogusSignature: true}), same), "wrong-gesture"},
		"of another page":          {approves(lying(virtualauth.Lie{Disobey: true, Origin: "https://countersign.example.net"}), same), "wrong-gesture"},
		"for another number":       {approves(device.Finger.Clone(), func(s []string) []string { s[5] = "000000"; return s }), "wrong-gesture"},
		"for a refusal":            {approves(device.Finger.Clone(), func(s []string) []string { s[7] = approval.Denies; return s }), "wrong-gesture"},
		"for another moment":       {approves(device.Finger.Clone(), func(s []string) []string { s[3] += "0"; return s }), "wrong-gesture"},
		"by nobody's credential":   {approves(lying(virtualauth.Lie{CredentialID: []byte("another credential of 16 bytes")}), same), "wrong-gesture"},
		"of a creation, not a use": {approves(lying(virtualauth.Lie{Type: "webauthn.create"}), same), "wrong-gesture"},
	} {
		if _, refused := device.Post("answer", c.form); refused != c.want {
			t.Errorf("%s: %q, want %q", name, refused, c.want)
		}
	}
	if w.Events("approval.approved") != 0 {
		t.Fatal("something was approved")
	}

	good := approves(device.Finger, same)
	if _, refused := device.Post("answer", good); refused != "" {
		t.Fatalf("the owner's own gesture: %s", refused)
	}
	if _, refused := device.Post("answer", good); refused == "" {
		t.Error("the same answer approves twice")
	}
	if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Granted {
		t.Fatalf("approved, and yet %v %v", s.State, err)
	}
	if e := servertest.LatestOf(w, "approval.approved"); e.Detail["traits"] != "held+user-verified" {
		t.Errorf("the log says %q", e.Detail["traits"])
	}

	// A gesture that was shown for the last approval is none for the next one.
	_, id, number, text = begin()
	replayed := approves(nil, nil)
	replayed.Set("gesture", good.Get("gesture"))
	if _, refused := device.Post("answer", replayed); refused != "wrong-gesture" {
		t.Errorf("a gesture of before: %q", refused)
	}
	device.Finger = nil
	if r := device.Decide(id, number, text, approval.Denies); r != "" {
		t.Errorf("to refuse takes a gesture: %s", r)
	}
}

// The promise: an app that was bound without a gesture gains nothing by sending one,
// also not its owner's passkey's.
func TestGestureOfAPlainApp(t *testing.T) {
	w, ada, device := withApp(t)
	step := w.Begin(servertest.Display("ada", servertest.Passphrase))
	number, _ := servertest.Elsewhere(step)
	id, text, _ := device.Look(number)
	desk := w.Person()
	desk.Get("/sign-in")
	w.Later(0)
	desk.SignIn("ada", ada.Code())
	key := &virtualauth.Key{}
	desk.AddPasskey(key)
	device.Finger = key
	if r := device.Decide(id, number, text, approval.Approved); r != "wrong-gesture" {
		t.Errorf("a passkey's gesture: %q", r)
	}
	device.Finger = nil
	device.Approve(number)
	if e := servertest.LatestOf(w, "approval.approved"); e.Detail["traits"] != "held" {
		t.Errorf("the log says %q", e.Detail["traits"])
	}
	if s, err := w.Engine.Answer(context.Background(), step.Ticket, signin.Reply{}); err != nil || s.State != signin.Granted {
		t.Fatalf("%v %v", s.State, err)
	}
}

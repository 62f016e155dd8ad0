package passkey

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Gesture is an authorization gesture (WebAuthn Level 3 section 4) over one
// statement: a device of ours had its owner show a fingerprint, a face or a PIN
// for these bytes and no others. Its credential belongs to the device that made
// it, is nobody's passkey, and signs nobody in.
type Gesture struct {
	// User is the user handle that the device made the credential for, 1 to 64
	// bytes. It must differ from every account's, because a discoverable
	// credential replaces the one of the same handle (section 6.3.2 step 7).
	User []byte
	// Statement is what the gesture is for; its SHA-256 is the challenge.
	Statement authenticator.Memo
	// Reply is the browser's answer, as JSON.
	Reply json.RawMessage
}

// GestureOptions returns creation options for a device that makes its own
// challenge and user handle, and puts them in.
func (a *Authenticator) GestureOptions() (json.RawMessage, error) {
	options := a.creation(authenticator.Person{})
	options.Selection = selection{Attachment: "platform", ResidentKey: Discouraged, UserVerification: Required}
	options.Hints = []string{"client-device"}
	return json.Marshal(options)
}

// AcceptGesture verifies a new credential for gestures as [Authenticator.Accept]
// does one to sign in with, and that it verified its user whatever the options
// say. A refused one is an *authenticator.Refused.
func (a *Authenticator) AcceptGesture(ctx context.Context, g Gesture, now time.Time) (authenticator.Enrolled, error) {
	sealed := a.gestureMemo(typeCreate, g, now).encode()
	made, err := a.Accept(ctx, authenticator.Person{UserHandle: g.User}, sealed, prompt.Answer{Authenticator: Kind, Data: g.Reply}, now)
	if err == nil && !made.Traits.Has(assurance.UserVerified) {
		return authenticator.Enrolled{}, a.refuse(reasonVerified)
	}
	return made, err
}

// CheckGesture verifies a gesture by the credential of this state as
// [Authenticator.Check] does an assertion. What is accepted shows UserVerified.
func (a *Authenticator) CheckGesture(ctx context.Context, kept []byte, g Gesture, now time.Time) (authenticator.Result, error) {
	s, err := decodeState(kept)
	if err != nil {
		return authenticator.Result{}, err
	}
	m := a.gestureMemo(typeGet, g, now)
	only := authenticator.Credential{Handle: s.ID.String(), State: kept}
	m.Asked = []assurance.CredentialID{only.ID}
	r, err := a.Check(ctx, []authenticator.Credential{only}, m.encode(), prompt.Answer{Authenticator: Kind, Data: g.Reply}, now)
	if err == nil && r.OK && !r.Traits.Has(assurance.UserVerified) {
		return authenticator.Wrong(reasonVerified), nil
	}
	return r, err
}

// gestureMemo is a question whose challenge is the statement's own. How old the
// statement may be is for whoever made it to say.
func (a *Authenticator) gestureMemo(ceremony string, g Gesture, now time.Time) memo {
	sum := sha256.Sum256(g.Statement)
	m := a.newMemo(ceremony, now)
	m.Challenge, m.Verify = sum[:], true
	return m
}

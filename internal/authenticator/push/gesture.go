package push

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/passkey"
)

// bindGesture is the state of a device that is bound, with its credential for
// gestures if it made one: over this code and this key, so that neither is
// another's.
func (a *Authenticator) bindGesture(ctx context.Context, code string, device proposal, now time.Time) (state, string, error) {
	kept := state{Key: device.Key}
	if len(device.Gesture) == 0 {
		return kept, "P-256, no gesture", nil
	}
	made, err := a.gestures.AcceptGesture(ctx, passkey.Gesture{
		User:      userOf(device.Key),
		Statement: authenticator.Statement("countersign gesture", code, base64.RawURLEncoding.EncodeToString(device.Key)),
		Reply:     device.Gesture,
	}, now)
	kept.Gesture = made.State
	return kept, "P-256, gesture: " + made.Detail, err
}

// userOf is the user handle of a device's credential for gestures: its own, so
// that it replaces no passkey of its owner's.
func userOf(point []byte) []byte {
	sum := sha256.Sum256(point)
	return sum[:]
}

// gestured adds to a right signature what the gesture shows. One that is wrong
// makes the whole answer wrong: it is never taken for none.
func (a *Authenticator) gestured(ctx context.Context, s state, signed authenticator.Result, g passkey.Gesture, now time.Time) (authenticator.Result, error) {
	wrong := authenticator.Result{Reason: "wrong-gesture", Credential: signed.Credential}
	if len(s.Gesture) == 0 {
		wrong.Detail = "not bound"
		return wrong, nil
	}
	shown, err := a.gestures.CheckGesture(ctx, s.Gesture, g, now)
	if err != nil {
		return authenticator.Result{}, err
	}
	if wrong.Detail = shown.Reason; !shown.OK {
		return wrong, nil
	}
	signed.Traits, signed.Bound = s.traits(), shown.Bound
	if shown.Next == nil {
		return signed, nil
	}
	s.Gesture = shown.Next
	signed.Next, err = s.encode()
	return signed, err
}

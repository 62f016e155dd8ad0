package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"countersign/internal/approval"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/webpush"
)

// Pusher wakes apps.
type Pusher struct {
	pushes *approval.Pushes
	sender *webpush.Sender
	Public string
}

func newPusher(in *Installation, s Settings, key webpush.Key) (*Pusher, error) {
	public, err := key.Public()
	return &Pusher{pushes: in.SignIn.Pushes, sender: webpush.NewSender(key, subjectOf(s), s.Push, s.Now), Public: public}, err
}

// subjectOf is whom push services turn to (RFC 8292 section 2.1).
func subjectOf(s Settings) string { return cmp.Or(s.PushSubject, s.PublicURL.String()) }

// gestureOptions are how an app makes its credential for gestures.
func gestureOptions(kinds []authenticator.Authenticator) (json.RawMessage, error) {
	for _, kind := range kinds {
		if keys, ok := kind.(*passkey.Authenticator); ok {
			return keys.GestureOptions()
		}
	}
	return nil, errors.New("no passkeys: the app's gestures could not be verified")
}

// checkAddress refuses what a push could never be sent to.
func checkAddress(to authenticator.Address) error {
	_, err := webpush.CheckEndpoint(to.Endpoint)
	return errors.Join(err, webpush.Recipient{Public: to.Public, Secret: to.Secret}.Check())
}

// wakeText is all that a push says, even to the browser: who and what is read in
// the app, after the number was typed.
const wakeText = `{"countersign":"wake"}`

// wake sends one push. It is worth nothing when the number is over.
func (p *Pusher) wake(ctx context.Context, to authenticator.Address) error {
	return p.sender.Send(ctx, to.Endpoint, webpush.Recipient{Public: to.Public, Secret: to.Secret}, webpush.Message{Text: []byte(wakeText), Keep: 3 * time.Minute})
}

// WakeAll wakes the apps for which something waits.
func (p *Pusher) WakeAll(ctx context.Context) error {
	_, err := p.pushes.Wake(ctx, p.wake)
	return err
}

// run wakes what waits, every second.
func (p *Pusher) run(ctx context.Context, log *slog.Logger) {
	everySecond(ctx, log, "waking apps", func() error { return p.WakeAll(ctx) })
}

// everySecond does something until ctx ends, and logs what goes wrong.
func everySecond(ctx context.Context, log *slog.Logger, what string, do func() error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := do(); err != nil && ctx.Err() == nil {
			log.Warn(what, "error", err)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/signin"
	"countersign/internal/webpush"
)

// pusher wakes apps.
type pusher struct {
	engine *signin.Engine
	sender *webpush.Sender
	public string
}

func newPusher(in *installation, s settings, key webpush.Key) (*pusher, error) {
	public, err := key.Public()
	return &pusher{engine: in.engine, sender: webpush.NewSender(key, s.publicURL.String(), s.push, s.now), public: public}, err
}

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
func (p *pusher) wake(ctx context.Context, to authenticator.Address) error {
	return p.sender.Send(ctx, to.Endpoint, webpush.Recipient{Public: to.Public, Secret: to.Secret}, webpush.Message{Text: []byte(wakeText), Keep: 3 * time.Minute})
}

// wakeAll wakes the apps for which something waits.
func (p *pusher) wakeAll(ctx context.Context) error {
	_, err := p.engine.Pushes.Wake(ctx, p.wake)
	return err
}

// run wakes what waits, every second.
func (p *pusher) run(ctx context.Context, log *slog.Logger) {
	everySecond(ctx, log, "waking apps", func() error { return p.wakeAll(ctx) })
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

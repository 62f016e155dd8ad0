package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/webpush"
)

// pusher wakes apps.
type pusher struct {
	engine *signin.Engine
	sender *webpush.Sender
	public string
}

func openPusher(ctx context.Context, in *installation, s settings) (*pusher, error) {
	key, err := pushKey(ctx, in.db, in.keys)
	if err != nil {
		return nil, err
	}
	public, err := key.Public()
	return &pusher{engine: in.engine, sender: webpush.NewSender(key, s.publicURL.String(), s.push, s.now), public: public}, err
}

// pushKey reads the key that push services know us by, and makes it the first
// time. Another one would silence every app that is subscribed.
func pushKey(ctx context.Context, db *store.DB, keys *keyring.Keyring) (webpush.Key, error) {
	place := keyring.AAD{Table: "push_key", Column: "payload", Key: "1"}
	read := func() ([]byte, error) {
		var sealed []byte
		err := db.QueryRow(ctx, `select payload from push_key where id = 1`).Scan(&sealed)
		return sealed, err
	}
	sealed, err := read()
	if errors.Is(err, store.ErrNotFound) {
		fresh, err := webpush.NewKey()
		if err != nil {
			return webpush.Key{}, err
		}
		scalar, err := fresh.Bytes()
		if err != nil {
			return webpush.Key{}, err
		}
		err = db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
			tx.Record(audit.Entry{Event: "key.push-made", Outcome: audit.OK})
			_, err := tx.Exec(ctx, `insert into push_key (id, payload, created) values (1, $1, $2) on conflict do nothing`, keys.Seal(keyring.Push, place, scalar), store.Unix(tx.Now()))
			return err
		})
		if err != nil {
			return webpush.Key{}, err
		}
		if sealed, err = read(); err != nil { // another server may have been first
			return webpush.Key{}, err
		}
	} else if err != nil {
		return webpush.Key{}, err
	}
	scalar, err := keys.Open(keyring.Push, place, sealed)
	if err != nil {
		return webpush.Key{}, err
	}
	return webpush.ParseKey(scalar)
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

// run wakes what waits, every second.
func (p *pusher) run(ctx context.Context, log *slog.Logger) {
	everySecond(ctx, log, "waking apps", func() error {
		_, err := p.engine.Pushes.Wake(ctx, p.wake)
		return err
	})
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

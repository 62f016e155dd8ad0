package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
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

	db     *store.DB
	keys   *keyring.Keyring
	scalar []byte // of the key in use
}

func openPusher(ctx context.Context, in *installation, s settings) (*pusher, error) {
	key, err := pushKey(ctx, in.db, in.keys)
	if err != nil {
		return nil, err
	}
	public, err := key.Public()
	scalar, err2 := key.Bytes()
	return &pusher{engine: in.engine, sender: webpush.NewSender(key, s.publicURL.String(), s.push, s.now), public: public, db: in.db, keys: in.keys, scalar: scalar}, errors.Join(err, err2)
}

// pushPlace is where the key is that push services know us by.
var pushPlace = keyring.AAD{Table: "push_key", Column: "payload", Key: "1"}

const pushMade = "key.push-made"

// pushKey reads the key that push services know us by, and makes it the first
// time. Another one silences every app that is subscribed: one that is missing though it
// was made is an alarm.
func pushKey(ctx context.Context, db *store.DB, keys *keyring.Keyring) (webpush.Key, error) {
	scalar, err := storedPushKey(ctx, db, keys)
	if errors.Is(err, store.ErrNotFound) {
		if err := makePushKey(ctx, db, keys); err != nil {
			return webpush.Key{}, err
		}
		scalar, err = storedPushKey(ctx, db, keys) // another server may have been first
	}
	if err != nil {
		return webpush.Key{}, err
	}
	return webpush.ParseKey(scalar)
}

func storedPushKey(ctx context.Context, db *store.DB, keys *keyring.Keyring) ([]byte, error) {
	var sealed []byte
	if err := db.QueryRow(ctx, `select payload from push_key where id = 1`).Scan(&sealed); err != nil {
		return nil, err
	}
	scalar, err := keys.Open(keyring.Push, pushPlace, sealed)
	if err != nil {
		return nil, fmt.Errorf("the key for push services: %w", err)
	}
	return scalar, nil
}

func makePushKey(ctx context.Context, db *store.DB, keys *keyring.Keyring) error {
	made, err := db.Entries(ctx, store.Filter{Event: pushMade, Limit: 1})
	if err != nil {
		return err
	}
	if len(made) > 0 || db.Newest("push_key", 1) > 0 {
		db.Report(store.Finding{Table: "push_key", Row: "1", Wrong: store.Missing})
	}
	fresh, err := webpush.NewKey()
	if err != nil {
		return err
	}
	scalar, err := fresh.Bytes()
	if err != nil {
		return err
	}
	return db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		tx.Record(audit.Entry{Event: pushMade, Outcome: audit.OK})
		tx.Anchor("push_key", 1, store.Unix(tx.Now()))
		_, err := tx.Exec(ctx, `insert into push_key (id, payload, created) values (1, $1, $2) on conflict do nothing`, keys.Seal(keyring.Push, pushPlace, scalar), store.Unix(tx.Now()))
		return err
	})
}

// Inspect reports the key that push services know us by where it is missing, does not open
// or is another than the one that this server has in use.
func (p *pusher) Inspect(ctx context.Context) error {
	finding := store.Finding{Table: "push_key", Row: "1", Wrong: store.Older}
	scalar, err := storedPushKey(ctx, p.db, p.keys)
	switch {
	case errors.Is(err, store.ErrNotFound):
		finding.Wrong = store.Missing
	case errors.Is(err, keyring.ErrSealed):
		finding.Wrong = store.Altered
	case err != nil:
		return err
	case subtle.ConstantTimeCompare(scalar, p.scalar) == 1:
		return nil
	}
	p.db.Report(finding)
	return nil
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

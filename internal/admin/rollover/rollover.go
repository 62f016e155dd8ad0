// Package rollover is the commands that change the keys which others know by a certificate.
//
// It owns the steps of a roll-over as commands; the keys are certkey's. Its one invariant: a
// key that nobody was told of never begins to sign, and the one that signs is never removed.
package rollover

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"countersign/internal/admin"
	"countersign/internal/certkey"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about a roll-over, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[Show]("Show the keys that others know by a certificate: which signs, and which are announced.", []Key{}),
		admin.Changes[Announce]("Make the next key, and announce it beside the one that signs.", []Key{}).
			Telling("key.cert-announced", "{by} announced the next key for {detail.purpose}"),
		admin.Changes[Switch]("Have the announced key sign from now on; the former one stays announced.", []Key{}).
			Telling("key.cert-switched", "{by} had the next key sign for {detail.purpose}"),
		admin.Changes[Retire]("Remove the former key, or the announced one if there is no former one.", []Key{}).
			Telling("key.cert-retired", "{by} removed a key for {detail.purpose}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB   *store.DB
	Keys *certkey.Keys
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk { return admin.At(&desk{admin.NewBook(p.DB), p.Keys}) }

type desk struct {
	admin.Book
	keys *certkey.Keys
}

// Key is one key, for people. State is "signs", "announced" or "former".
type Key struct {
	Purpose string    `json:"purpose"`
	State   string    `json:"state"`
	Made    time.Time `json:"made"`
	// Fingerprint is the SHA-256 of its certificate.
	Fingerprint string `json:"fingerprint"`
}

// of lists the keys of a purpose, the one that signs first.
func (a *desk) of(ctx context.Context, purpose string) ([]Key, error) {
	set, err := a.keys.Of(ctx, purpose)
	if err != nil {
		return nil, err
	}
	out := []Key{}
	for _, one := range []struct {
		state string
		key   *certkey.Key
	}{{"signs", set.Now}, {"announced", set.Next}, {"former", set.Former}} {
		if one.key != nil {
			sum := sha256.Sum256(one.key.Certificate)
			out = append(out, Key{purpose, one.state, one.key.Created.UTC(), hex.EncodeToString(sum[:])})
		}
	}
	return out, nil
}

// Show lists the keys of a purpose.
type Show struct {
	Purpose string `json:"purpose" arg:"" help:"What they sign: saml."`
}

func (c *Show) Action() string { return "rollover.show" }
func (c *Show) Object() string { return "" }
func (c *Show) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	return a.of(ctx, c.Purpose)
}

// Announce makes the next key.
type Announce struct {
	Purpose string `json:"purpose" arg:"" help:"What it will sign: saml."`
}

func (c *Announce) Action() string { return "rollover.announce" }
func (c *Announce) Object() string { return "the next key for " + text.Name(c.Purpose) }
func (c *Announce) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	fresh, err := a.keys.Make(ctx, c.Purpose)
	if err != nil {
		return nil, err
	}
	return a.step(ctx, g, "key.cert-announced", c.Purpose, func(tx *store.Tx) error { return a.keys.AnnounceTx(ctx, tx, fresh) })
}

// Switch has the announced key sign.
type Switch struct {
	Purpose string `json:"purpose" arg:"" help:"What it signs: saml."`
}

func (c *Switch) Action() string { return "rollover.switch" }
func (c *Switch) Object() string { return "sign with the announced key for " + text.Name(c.Purpose) }
func (c *Switch) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.step(ctx, g, "key.cert-switched", c.Purpose, func(tx *store.Tx) error { return a.keys.SwitchTx(ctx, tx, c.Purpose) })
}

// Retire removes the former key.
type Retire struct {
	Purpose string `json:"purpose" arg:"" help:"What it signed: saml."`
}

func (c *Retire) Action() string { return "rollover.retire" }
func (c *Retire) Object() string {
	return "remove the former or announced key for " + text.Name(c.Purpose)
}
func (c *Retire) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.step(ctx, g, "key.cert-retired", c.Purpose, func(tx *store.Tx) error { return a.keys.RetireTx(ctx, tx, c.Purpose) })
}

// step does one step and lists what is there afterwards.
func (a *desk) step(ctx context.Context, g signin.Grant, event, purpose string, do func(tx *store.Tx) error) (any, error) {
	if err := a.Change(ctx, g, event, map[string]string{"purpose": purpose}, nil, do); err != nil {
		return nil, err
	}
	return a.of(ctx, purpose)
}

// Package rollover is the commands that change the keys which others know: by a certificate, or
// by the published set of keys.
//
// It owns the steps of a roll-over as commands; the keys are certkey's and signingkey's. Its one
// invariant: a key that nobody was told of never begins to sign, and the one that signs is never
// removed.
package rollover

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/certkey"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/signingkey"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about a roll-over, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[Show]("Show the keys that others know: which signs, and which are announced.", []Key{}),
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
	DB *store.DB
	// Certs are keys that others know by a certificate, Signing those that are published as a set.
	Certs   *certkey.Keys
	Signing *signingkey.Keys
	Now     func() time.Time
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), p.Certs, p.Signing, p.Now})
}

type desk struct {
	admin.Book
	certs   *certkey.Keys
	signing *signingkey.Keys
	now     func() time.Time
}

// Purposes are all that keys are for, in the order in which they are shown: the word of each and
// what its keys sign.
func Purposes() [][2]string {
	return [][2]string{{"oidc-es256", "ID tokens, by ES256"}, {"oidc-rs256", "ID tokens, by RS256"}, {"saml", "SAML responses"}}
}

// algorithm is that of a purpose of OpenID, by its word: "oidc-es256".
func algorithm(purpose string) (string, bool) {
	word, ours := strings.CutPrefix(purpose, "oidc-")
	return strings.ToUpper(word), ours
}

// known refuses a word that is no purpose.
func known(purpose string) error {
	if slices.ContainsFunc(Purposes(), func(p [2]string) bool { return p[0] == purpose }) {
		return nil
	}
	return failure.New(failure.NotFound, "Nothing is signed with keys named %q; use oidc-es256, oidc-rs256 or saml.", purpose)
}

// Key is one key, for people. State is "signs", "announced" or "former".
type Key struct {
	Purpose string    `json:"purpose"`
	State   string    `json:"state"`
	Made    time.Time `json:"made"`
	// Signs is from when on it signs by itself; zero where that waits for somebody's word.
	Signs time.Time `json:"signs,omitzero"`
	// Name is what tokens call it (kid); empty for a key that others know by a certificate.
	Name string `json:"name,omitempty"`
	// Fingerprint is the SHA-256 of its certificate, or of its public key (SubjectPublicKeyInfo).
	Fingerprint string `json:"fingerprint"`
}

// of lists the keys of a purpose.
func (a *desk) of(ctx context.Context, purpose string) ([]Key, error) {
	if err := known(purpose); err != nil {
		return nil, err
	}
	if by, ours := algorithm(purpose); ours {
		return a.published(ctx, purpose, by)
	}
	set, err := a.certs.Of(ctx, purpose)
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
			out = append(out, Key{Purpose: purpose, State: one.state, Made: one.key.Created.UTC(), Fingerprint: hex.EncodeToString(sum[:])})
		}
	}
	return out, nil
}

// published lists the keys of an algorithm.
func (a *desk) published(ctx context.Context, purpose, by string) ([]Key, error) {
	all, err := a.signing.Of(ctx, by)
	if err != nil {
		return nil, err
	}
	out := []Key{}
	for _, key := range all {
		public, err := key.Public()
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(public)
		out = append(out, Key{purpose, signingkey.State(all, key, a.now()), key.Created.UTC(), key.Starts.UTC(), key.ID, hex.EncodeToString(sum[:])})
	}
	return out, nil
}

// Show lists the keys of a purpose.
type Show struct {
	Purpose string `json:"purpose" arg:"" help:"What they sign: oidc-es256, oidc-rs256 or saml."`
}

func (c *Show) Action() string { return "rollover.show" }
func (c *Show) Object() string { return "" }
func (c *Show) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	return a.of(ctx, c.Purpose)
}

// Announce makes the next key.
type Announce struct {
	Purpose string `json:"purpose" arg:"" help:"What it will sign: oidc-es256, oidc-rs256 or saml."`
}

func (c *Announce) Action() string { return "rollover.announce" }
func (c *Announce) Object() string { return "the next key for " + text.Name(c.Purpose) }
func (c *Announce) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	if err := known(c.Purpose); err != nil {
		return nil, err
	}
	announce, err := a.fresh(ctx, c.Purpose)
	if err != nil {
		return nil, err
	}
	return a.step(ctx, g, "key.cert-announced", c.Purpose, announce)
}

// fresh makes a key, before the change that keeps it.
func (a *desk) fresh(ctx context.Context, purpose string) (func(tx *store.Tx) error, error) {
	if by, ours := algorithm(purpose); ours {
		fresh, err := a.signing.Make(ctx, by)
		return func(tx *store.Tx) error { return a.signing.AnnounceTx(ctx, tx, fresh) }, err
	}
	fresh, err := a.certs.Make(ctx, purpose)
	return func(tx *store.Tx) error { return a.certs.AnnounceTx(ctx, tx, fresh) }, err
}

// Switch has the announced key sign.
type Switch struct {
	Purpose string `json:"purpose" arg:"" help:"What it signs: oidc-es256, oidc-rs256 or saml."`
}

func (c *Switch) Action() string { return "rollover.switch" }
func (c *Switch) Object() string { return "sign with the announced key for " + text.Name(c.Purpose) }
func (c *Switch) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.step(ctx, g, "key.cert-switched", c.Purpose, func(tx *store.Tx) error {
		if by, ours := algorithm(c.Purpose); ours {
			return a.signing.SwitchTx(ctx, tx, by)
		}
		return a.certs.SwitchTx(ctx, tx, c.Purpose)
	})
}

// Retire removes the former key.
type Retire struct {
	Purpose string `json:"purpose" arg:"" help:"What it signed: oidc-es256, oidc-rs256 or saml."`
}

func (c *Retire) Action() string { return "rollover.retire" }
func (c *Retire) Object() string {
	return "remove the former or announced key for " + text.Name(c.Purpose)
}
func (c *Retire) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.step(ctx, g, "key.cert-retired", c.Purpose, func(tx *store.Tx) error {
		if by, ours := algorithm(c.Purpose); ours {
			return a.signing.RetireTx(ctx, tx, by)
		}
		return a.certs.RetireTx(ctx, tx, c.Purpose)
	})
}

// step does one step and lists what is there afterwards.
func (a *desk) step(ctx context.Context, g signin.Grant, event, purpose string, do func(tx *store.Tx) error) (any, error) {
	if err := known(purpose); err != nil {
		return nil, err
	}
	if err := a.Change(ctx, g, event, map[string]string{"purpose": purpose}, nil, do); err != nil {
		return nil, err
	}
	return a.of(ctx, purpose)
}

package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/jws"
	"countersign/internal/protocol"
)

// client is an application that asks by this protocol, with its settings.
type client struct {
	app   string // the application
	title string
	Settings
}

// register is who may ask. It is safe for concurrent use.
type register struct {
	applications protocol.Applications
	cache        atomic.Pointer[table]
}

// of finds the application of a client ID. An unknown one is not ok.
func (r *register) of(ctx context.Context, id string) (c client, ok bool, err error) {
	if !clientIDForm.MatchString(id) {
		return client{}, false, nil
	}
	t, err := r.table(ctx)
	if err != nil {
		return client{}, false, err
	}
	c, ok = t.byID[id]
	return c, ok, nil
}

// named finds a client by its application.
func (r *register) named(ctx context.Context, app string) (c client, ok bool, err error) {
	t, err := r.table(ctx)
	if err != nil {
		return client{}, false, err
	}
	c, ok = t.byName[app]
	return c, ok, nil
}

// table is who may ask, as it was read last.
type table struct {
	changed uint64
	byID    map[string]client
	byName  map[string]client
}

// table is read anew when an application changed.
func (r *register) table(ctx context.Context) (*table, error) {
	changed := r.applications.Changed()
	if t := r.cache.Load(); t != nil && t.changed == changed {
		return t, nil
	}
	apps, err := r.applications.ByProtocol(ctx, Protocol)
	if err != nil {
		return nil, err
	}
	t := &table{changed: changed, byID: map[string]client{}, byName: map[string]client{}}
	for _, a := range apps {
		if c, err := clientFrom(a); err == nil {
			t.byID[c.ClientID], t.byName[a.Name] = c, c
		}
	}
	r.cache.Store(t)
	return t, nil
}

func clientFrom(a application.Application) (client, error) {
	s, err := parse(a.Settings)
	if err != nil {
		return client{}, err
	}
	title := a.Title
	if title == "" {
		title = a.Name
	}
	return client{app: a.Name, title: title, Settings: s}, nil
}

// keys reads the client's public keys. A private or a shared key is refused: it would be known
// to whoever may read settings.
func (s Settings) keys() ([]jose.JSONWebKey, error) {
	var out []jose.JSONWebKey
	for _, text := range s.Keys {
		var k jose.JSONWebKey
		if len(text) > 8192 || json.Unmarshal([]byte(text), &k) != nil || !k.Valid() {
			return nil, failure.New(failure.Invalid, "A public key is a JWK on one line, such as {\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"…\",\"y\":\"…\"}.")
		}
		if !k.IsPublic() {
			return nil, failure.New(failure.Invalid, "One of the keys is no public key. Paste the public half; the private one stays with the client.")
		}
		if jws.KeyAlgorithms(k) == nil {
			return nil, failure.New(failure.Invalid, "A client's key is EC on P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits at least.")
		}
		out = append(out, k)
	}
	return out, nil
}

// secretIs compares in constant time.
func (s Settings) secretIs(got string) bool {
	return s.Secret != "" && len(got) <= 1024 && subtle.ConstantTimeCompare([]byte(got), []byte(s.Secret)) == 1
}

func (s Settings) accessLife() time.Duration { return time.Duration(s.AccessMinutes) * time.Minute }

package signal

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/failure"
)

const (
	// keySetKept is how long the keys of an issuer are used without asking for them again.
	keySetKept = time.Hour
	// keySetAgain is how soon they are asked for again: because a token is signed by none of them, or
	// because they could not be had.
	keySetAgain = time.Minute
	// mostKeys is how many keys an issuer has at most.
	mostKeys = 32
)

// keySets are the keys of issuers, as they were fetched.
type keySets struct {
	caller caller
	now    func() time.Time
	mu     sync.Mutex
	sets   map[string]*keySet
}

type keySet struct {
	one     sync.Mutex // fetches once for many
	keys    jose.JSONWebKeySet
	fetched time.Time
	tried   time.Time
	wrong   error
}

func newKeySets(c caller, now func() time.Time) *keySets {
	return &keySets{caller: c, now: now, sets: map[string]*keySet{}}
}

// of returns the keys of a source's issuer, and whether they were fetched just now. Anew fetches
// them although there are some, unless that was done just before.
func (k *keySets) of(ctx context.Context, one Source, anew bool) (jose.JSONWebKeySet, bool, error) {
	k.mu.Lock()
	name := one.Issuer + " " + one.JWKS
	if len(k.sets) > 2*mostParties {
		clear(k.sets)
	}
	s, ok := k.sets[name]
	if !ok {
		s = &keySet{}
		k.sets[name] = s
	}
	k.mu.Unlock()
	s.one.Lock()
	defer s.one.Unlock()
	now := k.now()
	fresh := !s.fetched.IsZero() && now.Sub(s.fetched).Abs() < keySetKept
	if fresh && !anew || !s.tried.IsZero() && now.Sub(s.tried).Abs() < keySetAgain {
		if fresh {
			return s.keys, false, nil
		}
		return s.keys, false, s.wrong
	}
	s.tried = now
	keys, err := k.fetch(ctx, one)
	if err != nil {
		if s.wrong = err; fresh {
			return s.keys, false, nil
		}
		return jose.JSONWebKeySet{}, false, err
	}
	s.keys, s.fetched, s.wrong = keys, now, nil
	return keys, true, nil
}

// fetch asks for the keys, at the address that the issuer's metadata names where none is set.
func (k *keySets) fetch(ctx context.Context, one Source) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	at := one.JWKS
	if at == "" {
		var err error
		if at, err = k.discover(ctx, one.Issuer); err != nil {
			return set, err
		}
	}
	if err := k.document(ctx, at, &set); err != nil {
		return set, err
	}
	if len(set.Keys) == 0 || len(set.Keys) > mostKeys {
		return set, failure.New(failure.Unavailable, "The key set of the issuer has %d keys; 1 to %d are taken.", len(set.Keys), mostKeys)
	}
	return set, nil
}

// discover reads the transmitter's metadata (SSF 1.0 section 7): its issuer must be the one that was
// asked.
func (k *keySets) discover(ctx context.Context, issuer string) (string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", failure.New(failure.Unavailable, "The issuer is no address.")
	}
	u.Path = "/.well-known/ssf-configuration" + strings.TrimSuffix(u.Path, "/")
	var says struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := k.document(ctx, u.String(), &says); err != nil {
		return "", err
	}
	if says.Issuer != issuer {
		return "", failure.New(failure.Unavailable, "The metadata of the transmitter is of another issuer.")
	}
	if err := checkURL("jwks_uri", says.JWKS, k.caller.inside); err != nil {
		return "", failure.New(failure.Unavailable, "The metadata of the transmitter names no address of keys that can be asked.")
	}
	return says.JWKS, nil
}

func (k *keySets) document(ctx context.Context, at string, into any) error {
	got, err := k.caller.do(ctx, call{http.MethodGet, at, map[string]string{"Accept": "application/json"}, nil})
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		return got.refused(at)
	}
	if err := json.Unmarshal(got.body, into); err != nil {
		return failure.New(failure.Unavailable, "The document that the issuer publishes cannot be read.")
	}
	return nil
}

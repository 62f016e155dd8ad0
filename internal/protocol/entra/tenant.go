package entra

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/outside"
)

// tenants are the keys by which tenants sign, fetched from Microsoft. It is safe for concurrent
// use.
type tenants struct {
	fetch *http.Client
	now   func() time.Time

	mu    sync.Mutex
	known map[string]*tenantKeys // by issuer
}

// tenantKeys are those of one tenant. A lock of its own lets one request fetch for all that wait.
type tenantKeys struct {
	mu     sync.Mutex
	keys   map[string]*rsa.PublicKey
	asked  time.Time
	loaded time.Time
}

const (
	// keysKept is how long keys are believed without being fetched anew, as long as Entra itself
	// keeps ours, and keysAgain the least between two fetches because of a key that is not known:
	// strangers can name any.
	keysKept, keysAgain = 24 * time.Hour, time.Minute
	// documentMost is how long a document of theirs may be, in bytes, and fetchLasts how long one
	// may take.
	documentMost, fetchLasts = 1 << 20, 10 * time.Second
)

var errFetch = errors.New("entra: the tenant's keys could not be fetched")

// newTenants makes tenants that fetch by a transport; nil connects to addresses on the public
// internet alone.
func newTenants(by http.RoundTripper, now func() time.Time) *tenants {
	if by == nil {
		by = &http.Transport{DialContext: dialOutside, ForceAttemptHTTP2: true, TLSHandshakeTimeout: fetchLasts, IdleConnTimeout: fetchLasts}
	}
	refuses := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &tenants{fetch: &http.Client{Transport: by, Timeout: fetchLasts, CheckRedirect: refuses}, now: now, known: map[string]*tenantKeys{}}
}

// dialOutside connects to public addresses alone, whatever the name leads to.
func dialOutside(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{Timeout: fetchLasts, Control: outside.Listed{}.Control(host)}).DialContext(ctx, network, address)
}

// key is the tenant's key of a name; nil where it has none. An error is that Microsoft could not
// be asked.
func (t *tenants) key(ctx context.Context, s Settings, kid string) (*rsa.PublicKey, error) {
	t.mu.Lock()
	k := t.known[s.issuer()]
	if k == nil {
		k = &tenantKeys{}
		t.known[s.issuer()] = k
	}
	t.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	now := t.now()
	fresh := !k.loaded.IsZero() && now.Sub(k.loaded) < keysKept
	if found := k.keys[kid]; fresh && (found != nil || now.Sub(k.asked) < keysAgain) {
		return found, nil
	}
	if !fresh && !k.asked.IsZero() && now.Sub(k.asked) < keysAgain/6 {
		return nil, errFetch
	}
	k.asked = now
	keys, err := t.load(ctx, s)
	switch {
	case err == nil:
		k.keys, k.loaded = keys, now
	case !fresh:
		return nil, err
	}
	return k.keys[kid], nil
}

// load fetches the tenant's metadata and the keys that it names.
func (t *tenants) load(ctx context.Context, s Settings) (map[string]*rsa.PublicKey, error) {
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := t.get(ctx, s.issuer()+discoveryPath, &about); err != nil {
		return nil, err
	}
	at, err := url.Parse(about.Keys)
	if about.Issuer != s.issuer() || err != nil || at.Scheme != "https" || at.Host != hosts[s.Cloud] || at.User != nil {
		return nil, fmt.Errorf("%w: the metadata is not the tenant's", errFetch)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := t.get(ctx, about.Keys, &set); err != nil {
		return nil, err
	}
	out := map[string]*rsa.PublicKey{}
	for _, raw := range set.Keys {
		if kid, key := s.signs(raw); key != nil {
			out[kid] = key
		}
	}
	return out, nil
}

// signs reads a key that signs for the tenant; nil for any other. A key says for which issuer it
// signs where it is not everybody's (Microsoft's "Validate the signing key issuer").
func (s Settings) signs(raw json.RawMessage) (string, *rsa.PublicKey) {
	var more struct {
		Issuer string `json:"issuer"`
	}
	var k jose.JSONWebKey
	if json.Unmarshal(raw, &more) != nil || json.Unmarshal(raw, &k) != nil || k.KeyID == "" || k.Use != "" && k.Use != "sig" {
		return "", nil
	}
	if more.Issuer != "" && strings.ReplaceAll(more.Issuer, "{tenantid}", s.Tenant) != s.issuer() {
		return "", nil
	}
	key, ok := k.Key.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < 2048 {
		return "", nil
	}
	return k.KeyID, key
}

// get fetches a document of Microsoft's.
func (t *tenants) get(ctx context.Context, address string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	answer, err := t.fetch.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %w", errFetch, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, documentMost+1))
	if err != nil || answer.StatusCode != http.StatusOK || len(b) > documentMost || json.Unmarshal(b, into) != nil {
		return fmt.Errorf("%w: %s answered %d", errFetch, r.URL.Host, answer.StatusCode)
	}
	return nil
}

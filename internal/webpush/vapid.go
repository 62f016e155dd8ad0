package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"time"
)

// Key is the application server's key: browsers tie their subscription to its
// public half, so that nobody else can send to them (RFC 8292 section 4).
type Key struct{ private *ecdsa.PrivateKey }

// NewKey makes a key.
func NewKey() (Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return Key{private}, err
}

// ParseKey parses the result of [Key.Bytes]: a scalar of 32 bytes.
func ParseKey(scalar []byte) (Key, error) {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return Key{}, errors.New("webpush: not a P-256 private key") // the cause could hold the key
	}
	return Key{private}, nil
}

// Bytes returns the private scalar; the caller must seal it.
func (k Key) Bytes() ([]byte, error) { return k.private.Bytes() }

// Public returns the uncompressed point in base64url, the form that browsers expect.
func (k Key) Public() (string, error) {
	b, err := k.private.PublicKey.Bytes()
	return base64.RawURLEncoding.EncodeToString(b), err
}

// String hides the key from logs and errors.
func (k Key) String() string { return "[web push key]" }

// GoString hides the key from %#v too.
func (k Key) GoString() string { return k.String() }

// tokenLife is far below the 24 hours that RFC 8292 section 2 allows.
const tokenLife = time.Hour

// authorization is the header field for one push service (RFC 8292 section 3).
// The subject says whom the service can turn to.
func (k Key) authorization(endpoint *url.URL, subject string, now time.Time) (string, error) {
	claims, err := json.Marshal(struct {
		Audience string `json:"aud"`
		Expires  int64  `json:"exp"`
		Subject  string `json:"sub"`
	}{endpoint.Scheme + "://" + endpoint.Host, now.Add(tokenLife).Unix(), subject})
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding.EncodeToString
	signed := enc([]byte(`{"typ":"JWT","alg":"ES256"}`)) + "." + enc(claims)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	public, err := k.Public()
	return "vapid t=" + signed + "." + enc(signature) + ", k=" + public, err
}

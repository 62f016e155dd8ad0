package openid

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
)

// key is what tokens can be bound to (RFC 9449).
type key struct {
	private *ecdsa.PrivateKey
	nonce   string
}

// holder is a new key of a client whose tokens must be bound to one, and nil for another client.
func (c Client) holder() (*key, error) {
	if c.Held == "" {
		return nil, nil
	}
	return newKey()
}

func newKey() (*key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &key{private: private}, err
}

// proves adds a proof of the key for one request (RFC 9449 section 4.2), and with a token the hash
// of that.
func (k *key) proves(h http.Header, method, address, access string) error {
	point, err := k.private.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		return err
	}
	enc := base64.RawURLEncoding.EncodeToString
	head := map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": map[string]string{"kty": "EC", "crv": "P-256", "x": enc(point[1:33]), "y": enc(point[33:])}}
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": address, "iat": time.Now().Unix()}
	if k.nonce != "" {
		claims["nonce"] = k.nonce
	}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims["ath"] = enc(sum[:])
	}
	a, err := json.Marshal(head)
	if err != nil {
		return err
	}
	b, err := json.Marshal(claims)
	if err != nil {
		return err
	}
	text := enc(a) + "." + enc(b)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest[:])
	if err != nil {
		return err
	}
	h.Set("DPoP", text+"."+enc(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)))
	return nil
}

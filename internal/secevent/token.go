package secevent

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Type is the explicit type of a Security Event Token (RFC 8417 section 2.3), and MediaType what
// it is sent as.
const Type, MediaType = "secevent+jwt", "application/secevent+jwt"

// MostBytes is the longest token that is read.
const MostBytes = 64 << 10

// The error codes of RFC 8935 section 2.4.
const (
	InvalidRequest  = "invalid_request"
	InvalidKey      = "invalid_key"
	InvalidIssuer   = "invalid_issuer"
	InvalidAudience = "invalid_audience"
)

// Fault says why a token is not taken: a code of RFC 8935 and a sentence for the transmitter. It
// repeats nothing of the token.
type Fault struct{ Code, Says string }

func (f *Fault) Error() string { return f.Code + ": " + f.Says }

func bad(format string, args ...any) error {
	return &Fault{InvalidRequest, fmt.Sprintf(format, args...)}
}

// Event is one event of a token.
type Event struct {
	Type string
	// Claims are the members of its payload.
	Claims map[string]json.RawMessage
}

// Text is a member that is a string; empty is none.
func (e Event) Text(name string) string {
	var s string
	if json.Unmarshal(e.Claims[name], &s) != nil {
		return ""
	}
	return s
}

// Token is a Security Event Token whose signature was verified.
type Token struct {
	Issuer, ID, Transaction string
	Issued                  time.Time
	Subject                 Subject
	Events                  []Event
}

// Expected is what a token must be to be taken.
type Expected struct {
	Issuer   string
	Audience string
	// Algorithms are those that a signature may have. None and shared secrets are never among them.
	Algorithms []jose.SignatureAlgorithm
	Keys       jose.JSONWebKeySet
	Now        time.Time
	// Oldest is how long ago a token may have been issued at most.
	Oldest time.Duration
}

// ahead is how far a transmitter's clock may be ahead of ours.
const ahead = 5 * time.Minute

// Allowed are the algorithms that any transmitter may be allowed: signatures by a private key alone.
func Allowed() []string { return []string{"ES256", "ES384", "ES512", "PS256", "RS256", "EdDSA"} }

// ErrUnknownKey says that the issuer's keys, as they are known, have none by which the token is
// signed: they may have been rotated since.
var ErrUnknownKey = &Fault{InvalidKey, "The token is signed by no key that its issuer publishes."}

// Parse verifies a token and reads it. Every error is a [Fault].
func Parse(text string, want Expected) (Token, error) {
	signed, err := open(text, want.Algorithms)
	if err != nil {
		return Token{}, err
	}
	payload, err := verify(signed, want.Keys)
	if err != nil {
		return Token{}, err
	}
	return read(payload, want)
}

// open reads the form of a token, and believes nothing of it.
func open(text string, algorithms []jose.SignatureAlgorithm) (*jose.JSONWebSignature, error) {
	if len(text) > MostBytes {
		return nil, bad("The token is longer than %d bytes.", MostBytes)
	}
	signed, err := jose.ParseSignedCompact(text, algorithms)
	var other *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &other):
		return nil, &Fault{InvalidKey, "The token is signed by an algorithm that is not allowed for this transmitter."}
	case err != nil || len(signed.Signatures) != 1:
		return nil, bad("The token is no signed JWT in compact form.")
	}
	head := signed.Signatures[0].Protected
	typ, _ := head.ExtraHeaders[jose.HeaderType].(string)
	if typ = strings.ToLower(typ); typ != Type && typ != MediaType {
		return nil, bad("The type of the token (typ) is not %s.", Type)
	}
	if head.JSONWebKey != nil {
		return nil, &Fault{InvalidKey, "The token brings its own key."}
	}
	return signed, nil
}

// verify returns the payload that a key of the issuer has signed.
func verify(signed *jose.JSONWebSignature, keys jose.JSONWebKeySet) ([]byte, error) {
	head := signed.Signatures[0].Protected
	for _, k := range keys.Keys {
		if head.KeyID != "" && k.KeyID != head.KeyID || head.KeyID == "" && len(keys.Keys) != 1 {
			continue
		}
		if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != head.Algorithm || !slices.Contains(algorithmsOf(k), jose.SignatureAlgorithm(head.Algorithm)) {
			continue
		}
		if payload, err := signed.Verify(k); err == nil {
			return payload, nil
		}
	}
	return nil, ErrUnknownKey
}

// algorithmsOf are those by which a key may have signed; none is a key that is not taken. The key
// says so and never the token, so that no public key is taken for a shared secret.
func algorithmsOf(k jose.JSONWebKey) []jose.SignatureAlgorithm {
	switch key := k.Key.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return []jose.SignatureAlgorithm{jose.ES256}
		case 384:
			return []jose.SignatureAlgorithm{jose.ES384}
		case 521:
			return []jose.SignatureAlgorithm{jose.ES512}
		}
	case *rsa.PublicKey:
		if key.N.BitLen() >= 2048 {
			return []jose.SignatureAlgorithm{jose.PS256, jose.RS256}
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	}
	return nil
}

// members reads a JSON object by the exact names of its members. A name that is there twice is an
// error: two readers could read two things.
func members(raw []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no object")
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("no name")
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		if _, twice := out[name]; twice {
			return nil, errors.New("twice")
		}
		out[name] = v
	}
	if _, err := d.Token(); err != nil || d.More() {
		return nil, errors.New("no end")
	}
	return out, nil
}

// read reads what was signed.
func read(payload []byte, want Expected) (Token, error) {
	all, err := members(payload)
	if err != nil {
		return Token{}, bad("The payload of the token is not a JSON object, or a name in it is there twice.")
	}
	if err := addressed(all, want); err != nil {
		return Token{}, err
	}
	for _, never := range []string{"sub", "exp"} { // SSF 1.0: what is confused with no other JWT
		if _, there := all[never]; there {
			return Token{}, bad("The token has the claim %s, which a signal must not have.", never)
		}
	}
	t := Token{Issuer: want.Issuer}
	if t.Issued, err = issued(all["iat"], want); err != nil {
		return Token{}, err
	}
	if json.Unmarshal(all["jti"], &t.ID) != nil || t.ID == "" || len(t.ID) > longest {
		return Token{}, bad("The token has no jti, or one of more than %d bytes.", longest)
	}
	if raw, there := all["txn"]; there && (json.Unmarshal(raw, &t.Transaction) != nil || len(t.Transaction) > longest) {
		return Token{}, bad("The token's txn is no text of %d bytes at most.", longest)
	}
	if t.Subject, err = ParseSubject(all["sub_id"]); err != nil {
		return Token{}, err
	}
	t.Events, err = eventsOf(all["events"])
	return t, err
}

// addressed checks who says it, and to whom.
func addressed(all map[string]json.RawMessage, want Expected) error {
	var iss string
	if json.Unmarshal(all["iss"], &iss) != nil || iss == "" || iss != want.Issuer {
		return &Fault{InvalidIssuer, "The token is of another issuer."}
	}
	var one string
	var many []string
	if json.Unmarshal(all["aud"], &one) == nil {
		many = []string{one}
	} else if json.Unmarshal(all["aud"], &many) != nil {
		return &Fault{InvalidAudience, "The token names no audience."}
	}
	if want.Audience == "" || !slices.Contains(many, want.Audience) {
		return &Fault{InvalidAudience, "The token is for another audience."}
	}
	return nil
}

func issued(raw json.RawMessage, want Expected) (time.Time, error) {
	var seconds float64
	if raw == nil || json.Unmarshal(raw, &seconds) != nil || seconds <= 0 || seconds > math.MaxInt32*4 {
		return time.Time{}, bad("The token does not say when it was issued (iat).")
	}
	at := time.Unix(int64(seconds), 0)
	switch {
	case at.After(want.Now.Add(ahead)):
		return at, bad("The token was issued in the future. Set the clocks.")
	case at.Before(want.Now.Add(-want.Oldest)):
		return at, bad("The token was issued too long ago.")
	}
	return at, nil
}

// mostEvents is how many events one token has at most: it should be one (SSF 1.0).
const mostEvents = 8

func eventsOf(raw json.RawMessage) ([]Event, error) {
	all, err := members(raw)
	if err != nil || len(all) == 0 || len(all) > mostEvents {
		return nil, bad("A token has 1 to %d events.", mostEvents)
	}
	var out []Event
	for uri, payload := range all {
		claims, err := members(payload)
		if err != nil {
			return nil, bad("The payload of an event is not a JSON object.")
		}
		out = append(out, Event{uri, claims})
	}
	slices.SortFunc(out, func(a, b Event) int { return strings.Compare(a.Type, b.Type) })
	return out, nil
}

// Statement is what a token is to say.
type Statement struct {
	Issuer      string
	ID          string
	Transaction string
	Audience    []string
	Issued      time.Time
	Subject     Subject
	Event       string
	Claims      map[string]any
}

// Sign writes a token in compact form. The signer must be made for [Type].
func Sign(s Statement, by jose.Signer) (string, error) {
	if s.Claims == nil {
		s.Claims = map[string]any{}
	}
	all := map[string]any{"iss": s.Issuer, "jti": s.ID, "iat": s.Issued.Unix(), "aud": s.Audience, "sub_id": s.Subject, "events": map[string]any{s.Event: s.Claims}}
	if len(s.Audience) == 1 {
		all["aud"] = s.Audience[0]
	}
	if s.Transaction != "" {
		all["txn"] = s.Transaction
	}
	payload, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	signed, err := by.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

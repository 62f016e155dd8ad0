package virtualauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

var b64 = base64.RawURLEncoding

// binaryText is base64url in JSON.
type binaryText []byte

func (b *binaryText) UnmarshalText(text []byte) (err error) {
	*b, err = b64.DecodeString(string(text))
	return err
}

type descriptor struct {
	ID binaryText `json:"id"`
}

func ids(list []descriptor) [][]byte {
	out := make([][]byte, len(list))
	for i, d := range list {
		out[i] = d.ID
	}
	return out
}

// options is what is read of either kind of options.
type options struct {
	Challenge binaryText `json:"challenge"`
	// A request has these,
	RPID             string       `json:"rpId"`
	Allow            []descriptor `json:"allowCredentials"`
	UserVerification string       `json:"userVerification"`
	// and a creation these.
	RP struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID binaryText `json:"id"`
	} `json:"user"`
	Algorithms []struct {
		Alg Algorithm `json:"alg"`
	} `json:"pubKeyCredParams"`
	Exclude   []descriptor `json:"excludeCredentials"`
	Selection struct {
		ResidentKey      string `json:"residentKey"`
		UserVerification string `json:"userVerification"`
	} `json:"authenticatorSelection"`
	Attestation string `json:"attestation"`
}

// Create answers PublicKeyCredentialCreationOptionsJSON on a page of this origin
// with RegistrationResponseJSON, or with the error that a browser would give.
func (k *Key) Create(origin string, creation []byte) (json.RawMessage, error) {
	var o options
	if err := json.Unmarshal(creation, &o); err != nil {
		return nil, fmt.Errorf("softkey: creation options: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.mayCreate(origin, o); err != nil {
		return nil, err
	}
	c, err := k.newCredential(o)
	if err != nil {
		return nil, err
	}
	client := k.clientData("webauthn.create", origin, o.Challenge)
	object, err := k.attestationObject(c, client, o.Attestation)
	if err != nil {
		return nil, err
	}
	k.credentials = append(k.credentials, c)
	return k.response(c.id, map[string]any{
		"clientDataJSON":    b64.EncodeToString(client),
		"attestationObject": b64.EncodeToString(k.truncate(object)),
		"transports":        append([]string{}, k.Transports...),
	})
}

// mayCreate refuses what a browser or key would refuse.
func (k *Key) mayCreate(origin string, o options) error {
	if k.Lie.Disobey {
		return nil
	}
	if !mayUse(origin, o.RP.ID) {
		return ErrSecurity
	}
	if !slices.ContainsFunc(o.Algorithms, func(p struct {
		Alg Algorithm `json:"alg"`
	}) bool {
		return p.Alg == k.algorithm()
	}) {
		return ErrNotSupported
	}
	for _, c := range k.credentials {
		if c.rpID == o.RP.ID && slices.ContainsFunc(ids(o.Exclude), func(id []byte) bool { return bytes.Equal(id, c.id) }) {
			return ErrInvalidState
		}
	}
	if k.NoUV && o.Selection.UserVerification == "required" || k.NoResident && o.Selection.ResidentKey == "required" {
		return ErrNotAllowed
	}
	return nil
}

// Get answers PublicKeyCredentialRequestOptionsJSON on a page of this origin with
// AuthenticationResponseJSON, or with the error that a browser would give.
func (k *Key) Get(origin string, request []byte) (json.RawMessage, error) {
	var o options
	if err := json.Unmarshal(request, &o); err != nil {
		return nil, fmt.Errorf("softkey: request options: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.Lie.Disobey && !mayUse(origin, o.RPID) {
		return nil, ErrSecurity
	}
	c := k.find(o.RPID, ids(o.Allow))
	if c == nil || k.NoUV && o.UserVerification == "required" && !k.Lie.Disobey {
		return nil, ErrNotAllowed
	}
	if !k.NoCounter {
		c.counter++
	}
	client := k.clientData("webauthn.get", origin, o.Challenge)
	auth := k.authData(c, 0)
	if k.Lie.Extensions != nil {
		auth = append(k.authData(c, 0x80), k.Lie.Extensions...)
	}
	auth = k.truncate(auth)
	hash := sha256.Sum256(client)
	signature, err := k.sign(c, append(bytes.Clone(auth), hash[:]...))
	if err != nil {
		return nil, err
	}
	id := c.id
	if k.Lie.CredentialID != nil {
		id = k.Lie.CredentialID
	}
	return k.response(id, merge(map[string]any{
		"clientDataJSON":    b64.EncodeToString(client),
		"authenticatorData": b64.EncodeToString(auth),
		"signature":         b64.EncodeToString(signature),
	}, k.userHandle(c)))
}

// userHandle is the optional member: only discoverable credentials know it.
func (k *Key) userHandle(c *credential) map[string]any {
	handle := c.user
	if !c.resident {
		handle = nil
	}
	if k.Lie.UserHandle != nil {
		handle = k.Lie.UserHandle
	}
	if len(handle) == 0 {
		return nil
	}
	return map[string]any{"userHandle": b64.EncodeToString(handle)}
}

func (k *Key) response(id []byte, response map[string]any) (json.RawMessage, error) {
	text := b64.EncodeToString(id)
	return json.Marshal(map[string]any{
		"id": text, "rawId": text, "type": "public-key",
		"response":                response,
		"clientExtensionResults":  map[string]any{},
		"authenticatorAttachment": "cross-platform",
	})
}

// clientData serializes as section 5.8.1.1 prescribes.
func (k *Key) clientData(ceremony, origin string, challenge []byte) []byte {
	if k.Lie.ClientData != nil {
		return k.Lie.ClientData
	}
	if k.Lie.Type != "" {
		ceremony = k.Lie.Type
	}
	if k.Lie.Origin != "" {
		origin = k.Lie.Origin
	}
	if k.Lie.Challenge != nil {
		challenge = k.Lie.Challenge
	}
	text := func(s string) string {
		b, _ := json.Marshal(s) // a string always has a JSON form
		return string(b)
	}
	out := `{"type":` + text(ceremony) + `,"challenge":` + text(b64.EncodeToString(challenge)) +
		`,"origin":` + text(origin) + fmt.Sprintf(`,"crossOrigin":%t`, k.Lie.CrossOrigin)
	if k.Lie.TopOrigin != "" {
		out += `,"topOrigin":` + text(k.Lie.TopOrigin)
	}
	return []byte(out + "}")
}

// authData is the fixed part of authenticator data.
func (k *Key) authData(c *credential, extra byte) []byte {
	rpID := c.rpID
	if k.Lie.RPID != "" {
		rpID = k.Lie.RPID
	}
	flags := byte(1) | extra // somebody is present
	if !k.NoUV {
		flags |= 4
	}
	if c.be {
		flags |= 8
	}
	if c.bs {
		flags |= 16
	}
	flags = flags&^k.Lie.ClearFlags | k.Lie.SetFlags
	counter := c.counter
	if k.Lie.Counter != nil {
		counter = *k.Lie.Counter
	}
	hash := sha256.Sum256([]byte(rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), counter)
}

func (k *Key) truncate(b []byte) []byte {
	return b[:max(0, len(b)-k.Lie.Truncate)]
}

// mayUse is the browser's tie of origin and rpId (section 5.1.3), without the
// public suffix list.
func mayUse(origin, rpID string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Hostname() != "localhost" {
		return false
	}
	return u.Hostname() == rpID || strings.HasSuffix(u.Hostname(), "."+rpID)
}

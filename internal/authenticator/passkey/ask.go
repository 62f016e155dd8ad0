package passkey

import (
	"encoding/json"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// requestOptions is PublicKeyCredentialRequestOptionsJSON (WebAuthn Level 3
// section 5.1.9).
type requestOptions struct {
	Challenge        octets       `json:"challenge"`
	Timeout          int64        `json:"timeout"` // milliseconds
	RPID             string       `json:"rpId"`
	Allow            []descriptor `json:"allowCredentials"`
	UserVerification string       `json:"userVerification"`
	Hints            []string     `json:"hints,omitempty"`
}

// descriptor is PublicKeyCredentialDescriptorJSON.
type descriptor struct {
	Type       string   `json:"type"`
	ID         octets   `json:"id"`
	Transports []string `json:"transports,omitempty"`
}

// Ask returns the question for [PublicKeyCredential.parseRequestOptionsFromJSON].
// With credentials it lists them; with none it asks for any discoverable passkey
// and demands user verification, because nothing else is known of the person.
//
// A list tells whoever typed a name which keys the account has (section 14.6.2).
// A caller that has only an unproven name can ask with none instead, as for a
// name that does not exist.
//
// [PublicKeyCredential.parseRequestOptionsFromJSON]: https://www.w3.org/TR/webauthn-3/#sctn-parseRequestOptionsFromJSON
func (a *Authenticator) Ask(credentials []authenticator.Credential, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	m := a.newMemo(typeGet, now)
	options := requestOptions{
		Challenge:        m.Challenge,
		Timeout:          a.options.Timeout.Milliseconds(),
		RPID:             a.options.RPID,
		Allow:            []descriptor{},
		UserVerification: a.options.UserVerification,
		Hints:            a.options.Hints,
	}
	for _, c := range credentials {
		kept, err := decodeState(c.State)
		if err != nil {
			return prompt.Prompt{}, nil, err
		}
		options.Allow = append(options.Allow, kept.descriptor())
		m.Account = c.Account
		m.Asked = append(m.Asked, c.ID)
	}
	if len(credentials) == 0 {
		options.UserVerification = Required
	}
	m.Verify = options.UserVerification == Required
	return a.pose(m, "Use your passkey or security key", options)
}

func (s state) descriptor() descriptor {
	return descriptor{Type: "public-key", ID: s.ID, Transports: s.Transports}
}

func (a *Authenticator) pose(m memo, label string, options any) (prompt.Prompt, authenticator.Memo, error) {
	data, err := json.Marshal(options)
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.PublicKey, Label: label, Data: data}, m.encode(), nil
}

// Discover returns the credential id in base64url, which is the Handle.
func (a *Authenticator) Discover(answer prompt.Answer) (handle string, ok bool) {
	// Only whose it would be: Check reads all of it.
	if len(answer.Data) <= maxReply {
		if r, plain := quickReply(answer.Data); plain {
			return r.ID, r.ID != ""
		}
	}
	var r struct {
		ID string `json:"id"`
	}
	if len(answer.Data) > maxReply || json.Unmarshal(answer.Data, &r) != nil || r.ID == "" {
		return "", false
	}
	return r.ID, true
}

package passkey

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

const maxUserHandle = 64 // bytes; section 5.4.3

// creationOptions is PublicKeyCredentialCreationOptionsJSON (section 5.1.8).
type creationOptions struct {
	RP struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"rp"`
	User struct {
		ID      octets `json:"id"`
		Name    string `json:"name"`
		Display string `json:"displayName"`
	} `json:"user"`
	Challenge  octets       `json:"challenge"`
	Algorithms []algorithm  `json:"pubKeyCredParams"`
	Timeout    int64        `json:"timeout"` // milliseconds
	Exclude    []descriptor `json:"excludeCredentials"`
	Selection  selection    `json:"authenticatorSelection"`
	Hints      []string     `json:"hints,omitempty"`
	Attest     string       `json:"attestation"`
}

type algorithm struct {
	Type string `json:"type"`
	Alg  int    `json:"alg"`
}

type selection struct {
	Attachment       string `json:"authenticatorAttachment,omitempty"`
	ResidentKey      string `json:"residentKey"`
	RequireResident  bool   `json:"requireResidentKey"`
	UserVerification string `json:"userVerification"`
}

// Offer returns the options for [PublicKeyCredential.parseCreationOptionsFromJSON].
// The account's existing keys are excluded, so that none enrolls twice.
//
// [PublicKeyCredential.parseCreationOptionsFromJSON]: https://www.w3.org/TR/webauthn-3/#sctn-parseCreationOptionsFromJSON
func (a *Authenticator) Offer(p authenticator.Person, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	if len(p.UserHandle) == 0 || len(p.UserHandle) > maxUserHandle {
		return prompt.Prompt{}, nil, fmt.Errorf("passkey: a user handle has 1 to %d bytes, not %d", maxUserHandle, len(p.UserHandle))
	}
	m := a.newMemo(typeCreate, now)
	m.Account = p.Account
	options := a.creation(p)
	options.Challenge = m.Challenge
	for _, c := range p.Existing {
		kept, err := decodeState(c.State)
		if err != nil {
			return prompt.Prompt{}, nil, err
		}
		options.Exclude = append(options.Exclude, kept.descriptor())
	}
	return a.pose(m, "Add a passkey or security key", options)
}

// creation is what every new credential is asked for, without a challenge.
func (a *Authenticator) creation(p authenticator.Person) creationOptions {
	options := creationOptions{
		Timeout: a.options.Timeout.Milliseconds(),
		Exclude: []descriptor{},
		Selection: selection{
			ResidentKey:      a.options.ResidentKey,
			RequireResident:  a.options.ResidentKey == Required,
			UserVerification: a.options.UserVerification,
		},
		Hints:  a.options.Hints,
		Attest: a.options.Attestation,
	}
	options.RP.ID, options.RP.Name = a.options.RPID, a.options.RPName
	options.User.ID, options.User.Name, options.User.Display = p.UserHandle, p.Name, p.Display
	for _, alg := range []int{algES256, algEdDSA, algRS256} {
		options.Algorithms = append(options.Algorithms, algorithm{Type: "public-key", Alg: alg})
	}
	return options
}

// Accept verifies a new credential (section 7.1): everything that was asked for
// is held to here, whatever the browser made of it. That no other account has
// the credential is for the store to say, by its Handle.
func (a *Authenticator) Accept(_ context.Context, p authenticator.Person, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Enrolled, error) {
	m, reason := a.openMemo(sealed, typeCreate, now)
	if reason == "" && m.Account != p.Account {
		reason = reasonChallenge
	}
	if reason != "" {
		return authenticator.Enrolled{}, a.refuse(reason)
	}
	if len(p.UserHandle) == 0 || len(p.UserHandle) > maxUserHandle {
		return authenticator.Enrolled{}, fmt.Errorf("passkey: a user handle has 1 to %d bytes, not %d", maxUserHandle, len(p.UserHandle))
	}
	r, object, err := parseCreation(answer.Data)
	if err != nil {
		return authenticator.Enrolled{}, a.refuse(reasonMalformed)
	}
	kept, reason := a.created(m, r, object)
	if reason == "" && enrolledBefore(p.Existing, kept.ID) {
		reason = reasonDuplicate
	}
	if reason != "" {
		return authenticator.Enrolled{}, a.refuse(reason)
	}
	hash := sha256.Sum256(r.Response.ClientData)
	v, ok := a.attest(object, hash[:], now)
	if !ok {
		return authenticator.Enrolled{}, a.refuse(reasonBadAttestation)
	}
	kept.Attestation, kept.Attested, kept.User = v.words, v.trusted, p.UserHandle
	return a.enrolled(kept, now)
}

// parseCreation reads the reply and its attestation object (steps 3 to 12).
func parseCreation(data []byte) (*reply, *protocol.AttestationObject, error) {
	r, err := parseReply(data)
	if err != nil {
		return nil, nil, err
	}
	var object protocol.AttestationObject
	if err := webauthncbor.Unmarshal(r.Response.Attestation, &object); err != nil {
		return nil, nil, err
	}
	if err := object.AuthData.Unmarshal(object.RawAuthData); err != nil {
		return nil, nil, err
	}
	attested := object.AuthData.AttData
	if !object.AuthData.Flags.HasAttestedCredentialData() || len(attested.AAGUID) != len(aaguid{}) {
		return nil, nil, errors.New("no attested credential data")
	}
	if len(attested.CredentialID) > maxCredentialID || !bytes.Equal(attested.CredentialID, r.RawID) {
		return nil, nil, errors.New("the credential id is not the attested one")
	}
	return r, &object, nil
}

// created takes the steps of section 7.1 up to the attestation statement, and
// returns the record so far or the reason against it.
func (a *Authenticator) created(m memo, r *reply, o *protocol.AttestationObject) (state, string) {
	var client clientData
	if json.Unmarshal(r.Response.ClientData, &client) != nil {
		return state{}, reasonMalformed
	}
	if reason, _ := client.check(m, a.options.Origins); reason != "" {
		return state{}, reason
	}
	data := authData{flags: byte(o.AuthData.Flags), counter: o.AuthData.Counter}
	copy(data.rpIDHash[:], o.AuthData.RPIDHash)
	if reason := data.check(a.rpIDHash, a.options.UserVerification == Required); reason != "" {
		return state{}, reason
	}
	key, err := canonicalKey(o.AuthData.AttData.CredentialPublicKey)
	if err != nil {
		return state{}, reasonAlgorithm
	}
	s := state{
		Version:        stateVersion,
		ID:             r.RawID,
		Key:            key,
		Counter:        data.counter,
		BackupEligible: data.has(flagBackupEligible),
		BackupState:    data.has(flagBackupState),
		Verified:       data.has(flagVerified),
		Transports:     transports(r.Response.Transports),
	}
	copy(s.AAGUID[:], o.AuthData.AttData.AAGUID)
	return s, ""
}

// enrolledBefore is the server's side of excludeCredentials.
func enrolledBefore(existing []authenticator.Credential, id octets) bool {
	return slices.ContainsFunc(existing, func(c authenticator.Credential) bool { return c.Handle == id.String() })
}

// transports keeps the known ones (section 5.8.4): they go back to the browser
// in every later question, and anything may have been sent.
func transports(sent []string) []string {
	var kept []string
	for _, known := range []string{"usb", "nfc", "ble", "smart-card", "hybrid", "internal"} {
		if slices.Contains(sent, known) {
			kept = append(kept, known)
		}
	}
	return kept
}

// enrolled judges a finished record as a check would, and more strictly where
// the metadata knows a flaw: nobody should start out with a flawed key.
func (a *Authenticator) enrolled(kept state, now time.Time) (authenticator.Enrolled, error) {
	entry, _ := a.options.MDS.model(kept.AAGUID)
	if slices.ContainsFunc(entry.statuses(now), flaw) {
		return authenticator.Enrolled{}, a.refuse(reasonRevoked)
	}
	standing := a.standing(kept, now)
	if standing.reason != "" {
		return authenticator.Enrolled{}, a.refuse(standing.reason)
	}
	encoded, err := kept.encode()
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	return authenticator.Enrolled{
		State:  encoded,
		Handle: kept.ID.String(),
		Traits: standing.traits(kept, true),
		Label:  label(kept.AAGUID, entry.description),
		Detail: fmt.Sprintf("aaguid %v, attestation %s, trusted %t, backup-eligible %t, user-verified %t",
			kept.AAGUID, kept.Attestation, kept.Attested, kept.BackupEligible, kept.Verified),
	}, nil
}

func flaw(status string) bool {
	switch status {
	case statusRevoked, statusRetired, statusVerificationBypass, statusAttestationCompromise,
		statusRemoteCompromise, statusPhysicalCompromise:
		return true
	}
	return false
}

package passkey

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Reasons of a refusal, as the audit log words them.
const (
	reasonMalformed    = "malformed"
	reasonStale        = "stale"
	reasonType         = "wrong-type"
	reasonChallenge    = "wrong-challenge"
	reasonOrigin       = "wrong-origin" // the Detail says which was seen
	reasonFramed       = "cross-origin"
	reasonRelyingParty = "wrong-relying-party"
	reasonPresent      = "not-present"
	reasonVerified     = "not-verified"
	reasonBackup       = "wrong-backup-flags"
	reasonUnknown      = "unknown-credential"
	reasonSignature    = "wrong-signature"
	reasonCloned       = "cloned"
	reasonRevoked      = "metadata-revoked"
	reasonModel        = "model-refused"
	reasonAttestation  = "not-attested"
	reasonSynced       = "backup-eligible"
)

// Check verifies an assertion (WebAuthn Level 3 section 7.2).
//
// Held and PhishingResistant are shown by every accepted assertion.
// UserVerified is shown when the key says that it verified its user and had
// already done so when it was enrolled. A key that enrolled without it never
// shows it: whoever finds a key without a PIN could set one, and section 7.2
// wants another factor before that is believed, which this room cannot see; such
// a key is enrolled again. HardwareBound is shown when the key cannot be backed
// up and its maker's attestation verified up to a trusted root: a cleared
// backup-eligible flag alone is only the key's own word. Metadata can take away
// what it no longer vouches for; see [Metadata].
//
// An assertion says nothing of which it was bound to but the origin, which is
// the Result's Bound. Its Once is the challenge.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	m, reason := a.openMemo(sealed, typeGet, now)
	if reason != "" {
		return authenticator.Wrong(reason), nil
	}
	r, err := parseReply(answer.Data)
	if err != nil {
		return authenticator.Wrong(reasonMalformed), nil
	}
	credential, kept, known, err := a.find(credentials, m, r.ID)
	if err != nil {
		return authenticator.Result{}, err
	}
	data, origin, refused := a.assert(m, r, kept)
	if refused.Reason == reasonSignature && !known {
		refused.Reason = reasonUnknown
	}
	if refused.Reason != "" {
		return refused, nil
	}
	if !known {
		return authenticator.Wrong(reasonUnknown), nil
	}
	if reason, detail := owned(m, r, kept); reason != "" {
		return authenticator.Result{Reason: reason, Detail: detail}, nil
	}
	result := a.accept(kept, data, now)
	result.Once = "w" + m.Challenge.String()
	result.Bound = origin
	result.Credential = credential
	if !result.OK {
		return authenticator.Result{Reason: result.Reason, Detail: result.Detail}, nil
	}
	return result, nil
}

// find returns the credential that the reply names, if it is one of those that
// were asked for, and the decoy if not.
func (a *Authenticator) find(credentials []authenticator.Credential, m memo, id string) (assurance.CredentialID, state, bool, error) {
	for _, c := range credentials {
		if c.Handle != id || !m.covers(c) {
			continue
		}
		kept, err := decodeState(c.State)
		if err != nil {
			return 0, state{}, false, err
		}
		if kept.ID.String() != id {
			return 0, state{}, false, fmt.Errorf("passkey: stored credential %d does not fit its handle", c.ID)
		}
		return c.ID, kept, true, nil
	}
	return 0, a.decoy, false, nil
}

// assert verifies that the kept key signed what was asked, in the order of
// section 7.2 from step 7 on. A Result without a Reason is a yes so far.
func (a *Authenticator) assert(m memo, r *reply, kept state) (authData, string, authenticator.Result) {
	client, plain := quickClient(r.Response.ClientData)
	if !plain && json.Unmarshal(r.Response.ClientData, &client) != nil {
		return authData{}, "", authenticator.Wrong(reasonMalformed)
	}
	data, err := parseAssertion(r.Response.AuthData)
	if err != nil {
		return authData{}, "", authenticator.Wrong(reasonMalformed)
	}
	if reason, detail := client.check(m, a.options.Origins); reason != "" {
		return authData{}, "", authenticator.Result{Reason: reason, Detail: detail}
	}
	if reason := data.check(a.rpIDHash, m.Verify || a.options.UserVerification == Required); reason != "" {
		return authData{}, "", authenticator.Wrong(reason)
	}
	key, err := parseKey(kept.Key)
	if err != nil {
		return authData{}, "", authenticator.Result{Reason: reasonUnknown, Detail: err.Error()}
	}
	hash := sha256.Sum256(r.Response.ClientData)
	message := append(append(make([]byte, 0, len(r.Response.AuthData)+len(hash)), r.Response.AuthData...), hash[:]...)
	if !verify(key, message, r.Response.Signature) {
		return authData{}, "", authenticator.Wrong(reasonSignature)
	}
	return data, client.Origin, authenticator.Result{}
}

// owned checks section 7.2 step 6: the key says whose it is, and must when
// nobody was named before.
func owned(m memo, r *reply, kept state) (reason, detail string) {
	switch handle := r.Response.UserHandle; {
	case len(handle) == 0 && m.named():
		return "", ""
	case len(handle) == 0:
		return reasonUnknown, "a passkey without a user handle answered for nobody in particular"
	case !bytes.Equal(handle, kept.User):
		return reasonUnknown, "user handle of another account"
	}
	return "", ""
}

// accept judges an assertion whose signature is right: flags that may not
// change, the counter, and what policy and metadata say of the model today.
func (a *Authenticator) accept(kept state, data authData, now time.Time) authenticator.Result {
	if data.has(flagBackupEligible) != kept.BackupEligible {
		return authenticator.Result{Reason: reasonBackup, Detail: "backup eligibility changed since enrollment"}
	}
	result := authenticator.Result{OK: true}
	if (data.counter != 0 || kept.Counter != 0) && data.counter <= kept.Counter {
		result.Detail = fmt.Sprintf("signature counter went from %d to %d", kept.Counter, data.counter)
		if a.options.CounterRegression == Refuse {
			return authenticator.Result{Reason: reasonCloned, Detail: result.Detail}
		}
	}
	standing := a.standing(kept, now)
	if standing.reason != "" {
		return authenticator.Result{Reason: standing.reason, Detail: standing.detail}
	}
	result.Traits = standing.traits(kept, data.has(flagVerified))
	next := kept
	next.Counter = max(kept.Counter, data.counter)
	next.BackupState = data.has(flagBackupState)
	if next.Counter != kept.Counter || next.BackupState != kept.BackupState {
		encoded, err := next.encode()
		if err != nil {
			return authenticator.Wrong(reasonMalformed)
		}
		result.Next = encoded
	}
	return result
}

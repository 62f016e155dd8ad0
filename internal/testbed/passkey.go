package testbed

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Passkey is a virtual authenticator that is plugged into one [Browser].
type Passkey struct {
	b  *Browser
	id webauthn.AuthenticatorID
}

// Credential is one key on a [Passkey], with its private half: an attacker who
// copied it has all of this.
type Credential = webauthn.Credential

// PasskeyOptions say what a virtual authenticator is. The zero value is a
// security key over USB that checks no person and keeps no name.
type PasskeyOptions struct {
	// Platform is built into the machine ("internal"), else it is a USB key.
	Platform bool
	// Resident keeps discoverable credentials.
	Resident bool
	// Verifies can check the person, and says that it did.
	Verifies bool
	// Synced credentials can leave the device: backup eligible and backed up.
	Synced bool
}

// Passkey plugs in the usual platform authenticator: internal, discoverable,
// and it verifies its user.
func (b *Browser) Passkey() *Passkey {
	b.t.Helper()
	return b.PasskeyWith(PasskeyOptions{Platform: true, Resident: true, Verifies: true})
}

// PasskeyWith plugs in another kind of authenticator.
func (b *Browser) PasskeyWith(o PasskeyOptions) *Passkey {
	b.t.Helper()
	b.Do(call(webauthn.Enable, webauthn.EnableParams{}))
	transport := webauthn.AuthenticatorTransportUsb
	if o.Platform {
		transport = webauthn.AuthenticatorTransportInternal
	}
	added := read(b, func(ctx context.Context, t *chromedp.Target) (webauthn.AddVirtualAuthenticatorResult, error) {
		return cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
			Options: &webauthn.VirtualAuthenticatorOptions{
				Protocol:                    webauthn.AuthenticatorProtocolCtap2,
				Ctap2version:                webauthn.Ctap2versionCtap21,
				Transport:                   transport,
				HasResidentKey:              o.Resident,
				HasUserVerification:         o.Verifies,
				IsUserVerified:              o.Verifies,
				AutomaticPresenceSimulation: true,
				DefaultBackupEligibility:    o.Synced,
				DefaultBackupState:          o.Synced,
			},
		})
	})
	return &Passkey{b: b, id: added.AuthenticatorID}
}

// Verifies sets whether the check of the person succeeds from now on.
func (p *Passkey) Verifies(ok bool) {
	p.b.t.Helper()
	p.b.Do(call(webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: p.id, IsUserVerified: ok}))
}

// Touched sets whether somebody touches the authenticator when it asks; when
// nobody does, the page waits.
func (p *Passkey) Touched(ok bool) {
	p.b.t.Helper()
	p.b.Do(call(webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: p.id, Enabled: ok}))
}

// Credentials are the keys on it.
func (p *Passkey) Credentials() []*Credential {
	p.b.t.Helper()
	return read(p.b, func(ctx context.Context, t *chromedp.Target) ([]*Credential, error) {
		r, err := cdp.Call(ctx, t, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: p.id})
		return r.Credentials, err
	})
}

// addCredential is chromedp's command with the fields that every virtual
// authenticator takes; the generated one always sends some that most refuse.
var addCredential = cdp.Command[addCredentialParams, cdp.Empty]{Method: webauthn.CommandAddCredential}

type addCredentialParams struct {
	AuthenticatorID webauthn.AuthenticatorID `json:"authenticatorId"`
	Credential      clone                    `json:"credential"`
}

type clone struct {
	CredentialID         []byte  `json:"credentialId"`
	IsResidentCredential bool    `json:"isResidentCredential"`
	RpID                 string  `json:"rpId"`
	PrivateKey           []byte  `json:"privateKey"`
	UserHandle           []byte  `json:"userHandle,omitempty"`
	SignCount            float64 `json:"signCount"`
	BackupEligibility    bool    `json:"backupEligibility"`
	BackupState          bool    `json:"backupState"`
}

// Add puts a key on it, as whoever cloned one would.
func (p *Passkey) Add(c *Credential) {
	p.b.t.Helper()
	p.b.Do(call(addCredential, addCredentialParams{AuthenticatorID: p.id, Credential: clone{
		CredentialID: c.CredentialID, IsResidentCredential: c.IsResidentCredential, RpID: c.RpID, PrivateKey: c.PrivateKey,
		UserHandle: c.UserHandle, SignCount: c.SignCount, BackupEligibility: c.BackupEligibility, BackupState: c.BackupState,
	}}))
}

// Unplug takes the authenticator away.
func (p *Passkey) Unplug() {
	p.b.t.Helper()
	p.b.Do(call(webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: p.id}))
}

// call runs a command whose result is of no interest.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

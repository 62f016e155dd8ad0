package oidc

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/signingkey"
)

// Protocol is the word for it in an application.
const Protocol = "oidc"

// Settings are an application's: one client.
type Settings struct {
	// ClientID is what the client calls itself: letters, digits and -._~, once in an
	// installation.
	ClientID string `json:"client_id"`
	// Redirects are the addresses that answers may go to, each compared as it is written here.
	Redirects []string `json:"redirect_uris"`
	// PostLogout are the addresses that a browser may go to after it signed out, each compared as
	// it is written here.
	PostLogout []string `json:"post_logout_redirect_uris,omitempty"`
	// BackChannel is where the client is told by us that a session is over, and FrontChannel where
	// the browser of whoever signs out is sent in a frame. The two booleans are the client's word
	// that it needs to know which session: it is always told.
	BackChannel         string `json:"backchannel_logout_uri,omitempty"`
	BackChannelSession  bool   `json:"backchannel_logout_session_required,omitempty"`
	FrontChannel        string `json:"frontchannel_logout_uri,omitempty"`
	FrontChannelSession bool   `json:"frontchannel_logout_session_required,omitempty"`
	// Inside are the networks, addresses and host names of the organisation's own at which
	// BackChannel may be. Without them only public addresses are told.
	Inside []string `json:"inside,omitempty"`
	// Authentication is how the client proves who it is: [BySecret] unless set, [ByKey], [ByTLS],
	// [BySelfSigned], or [ByNothing] for programs that can keep no secret.
	Authentication string `json:"authentication,omitempty"`
	// Secret is for BySecret: 32 characters at least.
	Secret string `json:"client_secret,omitempty"`
	// Keys are the client's public keys, each a JWK (RFC 7517), for ByKey and for signed
	// requests.
	Keys []string `json:"public_keys,omitempty"`
	// Certificates are PEM, in one text or line by line: for ByTLS of the authority that issues
	// the client's certificate, for BySelfSigned the client's own.
	Certificates []string `json:"tls_certificates,omitempty"`
	// TLSName is the one name by which the client's certificate is known, for ByTLS (RFC 8705
	// section 2.1.2): dn:, dns:, uri:, ip: or email:, and the name.
	TLSName string `json:"tls_name,omitempty"`
	// Runs is where it runs: on a server unless set, or [RunsNative].
	Runs string `json:"runs,omitempty"`
	// Consent is [AsksConsent] for an application of somebody else's, to which people say
	// themselves whether it may know who they are.
	Consent string `json:"consent,omitempty"`
	// Requests is how the client must hand over its requests: in the browser's address unless
	// set, [Pushed] or [Signed].
	Requests string `json:"requests,omitempty"`
	// PKCE is [PKCEOptional] for a client on a server that knows no PKCE, or empty: every request
	// has it then.
	PKCE string `json:"pkce,omitempty"`
	// Profile is [FAPI2] for a client that keeps to the FAPI 2.0 Security Profile, or empty.
	Profile string `json:"profile,omitempty"`
	// Algorithm signs ID tokens: ES256 unless set, or RS256.
	Algorithm string `json:"id_token_algorithm,omitempty"`
	// Classes are the words in which acr is stated: [ClassesOurs] unless set, [ClassesREFEDS] or
	// [ClassesNIST].
	Classes string `json:"acr_words,omitempty"`
	// Class is the context class that every sign-in to it must reach, and every access token
	// about which it asks as a resource server, or empty.
	Class string `json:"acr,omitempty"`
	// Refresh says how long refresh tokens live: empty is that there are none, [WithSession],
	// or [Offline] for OfflineDays where the client asks for offline_access.
	Refresh     string `json:"refresh,omitempty"`
	OfflineDays int    `json:"offline_days,omitempty"`
	// RefreshGrace is for how many seconds after its use a refresh token may come once more, of a
	// client that refreshes twice at once: 0 unless set, 30 at most.
	RefreshGrace int `json:"refresh_grace_seconds,omitempty"`
	// AccessMinutes is how long access tokens are good: 10 unless set, 1 to 60.
	AccessMinutes int `json:"access_minutes,omitempty"`
	// Sender binds its tokens to a key: [ByDPoP], [ByDPoPNonce], [ByCertificate], or where the
	// client shows one by DPoP if it is empty.
	Sender string `json:"sender_constrained,omitempty"`
	// Introspects are the client IDs of which it may ask what an access token is good for, as a
	// resource server (RFC 7662). One that does nothing else needs no redirect URI.
	Introspects []string `json:"introspects,omitempty"`
	// SessionTag is the key of a session tag in ID tokens, for clouds of AWS's kind, which says what
	// was shown in the last SessionTagMinutes: 15 unless set, 1 to 60. Empty is none.
	SessionTag        string `json:"session_tag,omitempty"`
	SessionTagMinutes int    `json:"session_tag_minutes,omitempty"`
	// Device lets devices without a browser wait until somebody lets them in by another one (RFC
	// 8628): never if it is empty, [FromAnywhere] or [FromSameNetwork].
	Device string `json:"device,omitempty"`
	// Scopes are further ones that it may ask for, beside those of OpenID Connect: what its
	// resource servers know them by, such as mail.
	Scopes []string `json:"scopes,omitempty"`
	// TokenScope is a scope that each access token must have about which it asks, as a resource
	// server; empty is none.
	TokenScope string `json:"token_scope,omitempty"`
	// AppPasswords are its services that take app passwords, as a resource server: [Services].
	AppPasswords []string `json:"app_passwords,omitempty"`
	// Doors are where a mail server is reached, such as imaps://mail.example.org:993: what a drill
	// attacks.
	Doors []string `json:"doors,omitempty"`
	// TellsOwners has people told by mail of who comes to it as them, and of who is refused with a
	// token of theirs, as a resource server: [TellEach], or empty.
	TellsOwners string `json:"tells_owners,omitempty"`
	// Sessions is [application.BoundSessions] for a client that takes sessions alone that are bound
	// to their device, or empty.
	Sessions string `json:"sessions,omitempty"`
	// Start is where people begin, for their list of applications; empty is nowhere.
	Start string `json:"start,omitempty"`
}

// The values of [Settings.Authentication].
const (
	BySecret  = "secret"
	ByKey     = "private-key"
	ByNothing = "none"
)

// RunsNative is a program on people's own machines, whose loopback addresses may have any port
// (RFC 8252 section 7.3).
const RunsNative = "native"

// AsksConsent is described at [Settings].
const AsksConsent = "ask"

// The values of [Settings.Requests]: by the pushed authorization request endpoint (RFC 9126), or
// signed by the client (RFC 9101), pushed or not.
const (
	Pushed = "pushed"
	Signed = "signed"
)

// PKCEOptional is described at [Settings].
const PKCEOptional = "optional"

// FAPI2 is described at [Settings].
const FAPI2 = "fapi2"

// The values of [Settings.Refresh].
const (
	WithSession = "session"
	Offline     = "offline"
)

const (
	minSecret      = 32
	mostRedirects  = 50
	defaultMinutes = 10
	maxMinutes     = 60
	maxOfflineDays = 90
	maxGrace       = 30
)

// parse reads settings and fills in what is not set.
func parse(raw json.RawMessage) (Settings, error) {
	var s Settings
	if err := application.ReadSettings(raw, &s); err != nil {
		return s, err
	}
	if s.Authentication == "" {
		s.Authentication = BySecret
	}
	if s.Algorithm == "" {
		s.Algorithm = signingkey.ES256
	}
	if s.SessionTag != "" && s.SessionTagMinutes == 0 {
		s.SessionTagMinutes = defaultTagMinutes
	}
	if s.AccessMinutes == 0 {
		s.AccessMinutes = defaultMinutes
	}
	return s, nil
}

var clientIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]{0,99}$`)

// CheckSettings says what is wrong with settings that are to be saved.
func CheckSettings(raw json.RawMessage) error {
	s, err := parse(raw)
	if err != nil {
		return err
	}
	switch {
	case !clientIDForm.MatchString(s.ClientID):
		return invalid("The client ID is 1 to 100 letters, digits, dots, hyphens, underscores and tildes, and begins with a letter or a digit.")
	case len(s.Redirects) == 0 && !s.serves() && s.Device == "":
		return invalid("Name at least one redirect URI, such as https://wiki.example.org/callback.")
	case len(s.Redirects) > mostRedirects || len(s.PostLogout) > mostRedirects:
		return invalid("An application has at most 50 redirect URIs.")
	case !slices.Contains(signingkey.Algorithms(), s.Algorithm):
		return invalid("ID tokens are signed by ES256 or RS256.")
	case s.AccessMinutes < 1 || s.AccessMinutes > maxMinutes:
		return invalid("Access tokens are good for 1 to 60 minutes.")
	}
	for _, uri := range s.Redirects {
		if why := redirectFault(uri, s.native()); why != "" {
			return invalid("The redirect URI %q %s.", uri, why)
		}
	}
	for _, uri := range s.PostLogout {
		if why := redirectFault(uri, s.native()); why != "" {
			return invalid("The address after signing out %q %s.", uri, why)
		}
	}
	for _, check := range []func() error{s.checkWords, s.checkAuthentication, s.checkRefresh, s.checkClasses, s.checkStart, s.checkProfile, s.checkSessionTag, s.checkIntrospects, s.checkCertificates, s.checkLogout, s.checkScopes, s.checkAppPasswords, s.checkMail, s.checkDevice, func() error { return checkSessions(s) }} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s Settings) native() bool { return s.Runs == RunsNative }

func (s Settings) checkWords() error {
	switch {
	case s.Runs != "" && s.Runs != RunsNative:
		return invalid("An application runs on a server, or on people's own machines: native.")
	case s.Consent != "" && s.Consent != AsksConsent:
		return invalid("Consent is asked for (ask), or it is empty.")
	case s.Requests != "" && s.Requests != Pushed && s.Requests != Signed:
		return invalid("Requests are pushed or signed, or it is empty.")
	case s.Sender != "" && s.Sender != ByDPoP && s.Sender != ByDPoPNonce && s.Sender != ByCertificate:
		return invalid("Tokens are bound to a key by dpop, dpop-nonce or tls, or it is empty.")
	case s.PKCE != "" && s.PKCE != PKCEOptional:
		return invalid("PKCE is optional for a client that knows none, or it is empty.")
	case s.PKCE != "" && (s.Authentication == ByNothing || s.native() || s.Profile != ""):
		return invalid("PKCE can be optional only for an application on a server that proves who it is, and without a profile.")
	case s.Requests == Signed && len(s.Keys) == 0:
		return invalid("Signed requests need the client's public key, as a JWK.")
	}
	return nil
}

// checkProfile demands what FAPI 2.0 Security Profile section 5.3 does of what can be set.
func (s Settings) checkProfile() error {
	switch {
	case s.Profile == "":
		return nil
	case s.Profile != FAPI2:
		return invalid("The profile is fapi2, or it is empty.")
	case s.Authentication != ByKey && s.Authentication != ByTLS && s.Authentication != BySelfSigned:
		return invalid("A client of the FAPI 2.0 profile authenticates by a private key, or by a certificate.")
	case s.Algorithm != signingkey.ES256:
		return invalid("ID tokens of the FAPI 2.0 profile are signed by ES256.")
	case s.native():
		return invalid("The FAPI 2.0 profile is for applications on a server.")
	case s.RefreshGrace > 0:
		return invalid("A client of the FAPI 2.0 profile keeps its refresh token when it refreshes; leave refresh_grace_seconds out.")
	}
	for _, uri := range s.Redirects {
		if !strings.HasPrefix(uri, "https://") {
			return invalid("The redirect URIs of the FAPI 2.0 profile are https.")
		}
	}
	return nil
}

// pushes reports whether requests must be pushed.
func (s Settings) pushes() bool { return s.Requests == Pushed || s.Profile == FAPI2 }

func (s Settings) checkAuthentication() error {
	switch {
	case !slices.Contains([]string{BySecret, ByKey, ByTLS, BySelfSigned, ByNothing}, s.Authentication):
		return invalid("A client authenticates by secret, private-key, tls, self-signed-tls or none.")
	case s.Authentication == BySecret && len(s.Secret) < minSecret:
		return invalid("The client secret has 32 characters at least; make one with: openssl rand -base64 32.")
	case s.Authentication == BySecret && strings.ContainsFunc(s.Secret, func(r rune) bool { return r <= ' ' || r > '~' }):
		return invalid("The client secret is of printable ASCII characters, without blanks.")
	case s.Authentication != BySecret && s.Secret != "":
		return invalid("A client that does not authenticate by a secret has none; empty it.")
	case s.Authentication == ByKey && len(s.Keys) == 0:
		return invalid("A client that authenticates by a private key needs its public key, as a JWK.")
	}
	_, err := s.keys()
	return err
}

func (s Settings) checkRefresh() error {
	switch {
	case s.Refresh != "" && s.Refresh != WithSession && s.Refresh != Offline:
		return invalid("Refresh tokens live with the session, or offline.")
	case s.Refresh == Offline && (s.OfflineDays < 1 || s.OfflineDays > maxOfflineDays):
		return invalid("Offline refresh tokens live for 1 to 90 days: set offline_days.")
	case s.Refresh != Offline && s.OfflineDays != 0:
		return invalid("offline_days is for offline refresh tokens.")
	case s.RefreshGrace < 0 || s.RefreshGrace > maxGrace:
		return invalid("A refresh token may come once more for 30 seconds at most: set refresh_grace_seconds to 0 to 30.")
	case s.RefreshGrace > 0 && s.Refresh == "":
		return invalid("refresh_grace_seconds is for clients with refresh tokens.")
	case s.RefreshGrace > 0 && s.Authentication == ByNothing && !s.binds():
		return invalid("refresh_grace_seconds is for clients that prove who they are, or whose tokens are bound to a key: of any other one, whoever has the token would get the next one.")
	}
	return nil
}

func (s Settings) grace() time.Duration { return time.Duration(s.RefreshGrace) * time.Second }

// checkSessions demands that nothing outlives the session, or stands beside it, where it must be bound.
func checkSessions(s Settings) error {
	switch {
	case s.Sessions == "":
		return nil
	case s.Refresh == Offline:
		return invalid("Offline refresh tokens outlive the session, and so are bound to no device: leave out sessions, or set refresh to session.")
	case s.Device != "":
		return invalid("A device without a browser has no session that could be bound: leave out sessions or device.")
	}
	return application.CheckSessions(s.Sessions)
}

func (s Settings) checkClasses() error {
	if _, ok := vocabularies[s.Classes]; !ok {
		return invalid("acr is stated in the words of refeds or nist, or in our own where it is empty.")
	}
	if _, ok := requirementOf(s.Class); s.Class != "" && !ok {
		return invalid("%q is no acr that is known; use one of %s.", s.Class, strings.Join(classNames(), ", "))
	}
	return nil
}

func (s Settings) checkStart() error {
	if s.Start == "" {
		return nil
	}
	if why := redirectFault(s.Start, false); why != "" {
		return invalid("The address where people begin %s.", why)
	}
	return nil
}

// mostIntrospects bounds whose tokens one resource server asks about.
const mostIntrospects = 100

func (s Settings) checkIntrospects() error {
	switch {
	case len(s.Introspects) > mostIntrospects:
		return invalid("A resource server asks about the tokens of 100 clients at most.")
	case s.serves() && s.Authentication == ByNothing:
		return invalid("A resource server proves who it is, by a secret, a private key or a certificate.")
	}
	for _, id := range s.Introspects {
		if !clientIDForm.MatchString(id) {
			return invalid("%q is no client ID; name each client whose tokens it may ask about by the ID in that client's settings.", id)
		}
	}
	return nil
}

// serves reports whether it is a resource server: one that is shown tokens or app passwords, and
// asks about them.
func (s Settings) serves() bool { return len(s.Introspects) > 0 || len(s.AppPasswords) > 0 }

// scopeForm is a scope-token of RFC 6749 section 3.3 that is easy to read.
var scopeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$`)

const mostScopes = 20

func (s Settings) checkScopes() error {
	if len(s.Scopes) > mostScopes {
		return invalid("A client has 20 further scopes at most.")
	}
	for _, scope := range append(slices.Clone(s.Scopes), s.TokenScope) {
		switch {
		case scope == "" && len(s.Scopes) == 0:
		case !scopeForm.MatchString(scope) && scope != "":
			return invalid("%q is no scope: letters, digits and . _ : / - alone, such as mail.", scope)
		case slices.Contains(scopesKnown, scope) && scope != s.TokenScope:
			return invalid("%s is a scope that every client may ask for; leave it out.", scope)
		}
	}
	if slices.Contains(s.Scopes, "") {
		return invalid("A further scope is empty; leave it out.")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return failure.New(failure.Invalid, format, args...)
}

// Start is where people begin.
func Start(raw json.RawMessage, _ string) string {
	s, err := parse(raw)
	if err != nil {
		return ""
	}
	return s.Start
}

// Clash says which client ID two applications both claim.
func Clash(a, b json.RawMessage) (what string, shut bool, err error) {
	ours, err := parse(a)
	if err != nil {
		return "", false, err
	}
	theirs, err := parse(b)
	if err != nil {
		return "", false, nil //nolint:nilerr // settings that cannot be read serve no client
	}
	if ours.ClientID == theirs.ClientID {
		return "the client ID " + ours.ClientID, true, nil
	}
	return "", false, nil
}

// Caveats says what settings weaken.
func Caveats(raw json.RawMessage) (out []string) {
	s, err := parse(raw)
	if err != nil {
		return nil
	}
	if s.Device != "" {
		out = append(out, "people can be talked into letting somebody else's device in, passkey or not (device: "+s.Device+")")
	}
	if s.Refresh == Offline {
		out = append(out, "the application may act for people without their session for days (refresh: offline)")
	}
	if slices.ContainsFunc(s.Redirects, func(u string) bool { return strings.HasPrefix(u, "http://") && !loopback(u) }) {
		out = append(out, "answers go to an address without https")
	}
	if s.PKCE == PKCEOptional {
		out = append(out, "requests may come without PKCE (pkce: optional): only the application itself keeps another's code from being used in a browser that it was not made for")
	}
	if len(s.AppPasswords) > 0 {
		out = append(out, "where policy accepts them, devices come in with app passwords, which are one factor that can be copied ("+strings.Join(s.AppPasswords, ", ")+")")
	}
	if len(s.Introspects) > 0 {
		out = append(out, "it learns of whom the access tokens of other applications are ("+strings.Join(s.Introspects, ", ")+")")
	}
	return out
}

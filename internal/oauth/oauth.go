// Package oauth keeps what OAuth clients were given on behalf of people.
//
// It owns the tables oauth_grant, oauth_logout and oauth_used. A row of oauth_grant is one time that
// somebody signed in to a client (RFC 6749 calls it the authorization): first it is the code,
// and once that is used it is all tokens that came of it, its family. The tokens themselves
// are not stored: each is sealed and names its row, its kind and its step, so that one of ours
// that is used a second time is known for what it is, and nothing that anybody made up is.
//
// It decides nothing and speaks no HTTP. A row begins with a [signin.Grant], and each token is
// issued for another one, which the engine gives over [Grants.Reference]: so a suspended
// account, a removed authenticator, an ended session and another policy end tokens like
// everything else. Its neighbours are signin, session and protocol/oidc. Its one invariant:
// of any number of concurrent uses of one code or refresh token exactly one is answered with
// tokens, and a second use ends all that came of the first.
//
// A row of oauth_logout is a client that is to be told when a session is over: it waits there from
// the sign-in on, so that neither a restart nor a time that runs out loses it.
//
// Where things are: oauth.go what a row says, seal.go how rows and tokens are bound,
// issue.go codes and tokens, known.go
// rows that are remembered, active.go what the engine reads, consented.go what somebody has
// allowed before, connected.go what stands, device.go devices that wait to be let in, end.go how a
// family ends, refused.go tokens that were brought where they open nothing, told.go which clients
// are to be told of the end of a session, logouts.go how they are, used.go what clients sign and may
// use once, keep.go
// sweeping and inspecting.
package oauth

import (
	"context"
	"net/netip"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/ticket"
)

// Sessions are what a family hangs from.
type Sessions interface {
	signin.ActiveSessions
	// Standing returns what the session of a number holds, without a browser.
	Standing(ctx context.Context, number string) (signin.Held, error)
	// AllEnded reports whether an account's sessions of before a moment were ended together.
	AllEnded(account assurance.AccountID, began time.Time) bool
}

// Parts are what Grants are made of.
type Parts struct {
	DB       *store.DB
	Keys     *keyring.Keyring
	Sessions Sessions
	// Tell tells an account's owner of misuse, inside the change that records it; nil tells
	// nobody.
	Tell func(ctx context.Context, tx *store.Tx, account assurance.AccountID, subject, what language.Sentence) error
	// Tickets and Tries are for devices: what waits, and how many codes somebody may type.
	Tickets *ticket.Tickets
	Tries   *throttle.Tries
	Now     func() time.Time
}

// Grants begins, reads and ends what clients were given. It is safe for concurrent use.
type Grants struct {
	db       *store.DB
	keys     *keyring.Keyring
	wrap     wrapper
	sessions Sessions
	tell     func(ctx context.Context, tx *store.Tx, account assurance.AccountID, subject, what language.Sentence) error
	now      func() time.Time
	waiting  *logoutRows
	refused  refusals
	known    *known
}

// New makes Grants.
func New(p Parts) *Grants {
	return &Grants{db: p.DB, keys: p.Keys, wrap: wrapper{p.Keys}, sessions: p.Sessions, tell: p.Tell, now: p.Now, waiting: &logoutRows{p.DB, p.Keys, p.Now}, known: &known{feed: p.DB.Feed(), now: p.Now}}
}

const table = "oauth_grant"

// over is the failure for what is unknown, used, ended or expired: nobody learns which.
var over = &failure.Error{Class: failure.Refused, Reason: "unknown-token", Public: "This is not good, or not any more."}

// Spec is what a client is to be given.
type Spec struct {
	// Redirect is where the code goes, exactly as the client must say it again.
	Redirect string `json:"redirect"`
	// Challenge is the S256 challenge of PKCE (RFC 7636): 43 characters.
	Challenge string `json:"challenge"`
	// Scopes are what was granted, and Nonce is the client's for the ID token.
	Scopes []string `json:"scopes"`
	Nonce  string   `json:"nonce,omitempty"`
	// Wanted are the context classes (acr) of which the client wanted one, in its order.
	Wanted []string `json:"wanted,omitempty"`
	// IDClaims and UserClaims are single claims that were asked for, by where they go.
	IDClaims   []string `json:"id_claims,omitempty"`
	UserClaims []string `json:"user_claims,omitempty"`
	// Raise is what the client demanded beyond policy; nil is nothing. Since is the moment
	// before which nothing counted when the code was issued; zero is no such moment.
	Raise *assurance.Requirement `json:"raise,omitempty"`
	Since time.Time              `json:"since,omitzero"`
	// Key is the thumbprint of the key that tokens are bound to (RFC 9449), or empty: first of
	// that which the code was asked for with, then of that which the last tokens were.
	Key string `json:"key,omitempty"`
	// Offline says that refresh tokens live on without the session, for Lasts; otherwise they
	// end with it.
	Offline bool `json:"offline,omitempty"`
	// Device says that it is for a device which waits ([Devices]): no code of it leaves this server,
	// and none is turned into tokens by who brings one.
	Device bool `json:"device,omitempty"`
	// Lasts is how long a family lives at the longest; zero is as long as a session can.
	Lasts time.Duration `json:"-"`
	// Subject is what the client calls the person, and Listens says that it is to be told when the
	// session is over.
	Subject string `json:"subject,omitempty"`
	Listens bool   `json:"listens,omitempty"`
}

// payload is what is sealed. It names its row so that it cannot be moved.
type payload struct {
	ID     []byte `json:"id"`
	Name   string `json:"name"` // of the account, for the log
	Source string `json:"source,omitempty"`
	Spec
	// Evidence is what was shown when it began.
	Evidence []assurance.Evidence `json:"evidence"`
	// Code is until when the code can be used.
	Code time.Time `json:"code"`
	// Turned is when the last tokens were issued.
	Turned time.Time `json:"turned,omitzero"`
}

// Given is one row: what a client was given. It is no yes: tokens are issued for a
// [signin.Grant] over it.
type Given struct {
	payload
	Account assurance.AccountID
	// Client is the application.
	Client string
	// Session is the number of the session that it began from.
	Session string
	Created time.Time
	Expires time.Time

	step   int64
	ended  time.Time
	sealed []byte
	mac    []byte
	// reference is what [Grants.Reference] has made of it, or empty.
	reference string
	// again says that it was found by the refresh token before the one that stands.
	again bool
}

// Again reports whether a grant was found by a refresh token that was just replaced
// ([Grants.ByRefreshWithin]): the tokens that come of it are those of the one that stands.
func (g Given) Again() bool { return g.again }

// Evidence is what was shown when the grant began.
func (g Given) Evidence() []assurance.Evidence { return g.payload.Evidence }

// Number is what the log calls it.
func (g Given) Number() string { return number(g.ID) }

// AccountName is the name that the account had.
func (g Given) AccountName() string { return g.Name }

// From is where the person was; the zero address is not known.
func (g Given) From() netip.Addr {
	a, _ := netip.ParseAddr(g.Source) // empty is none
	return a
}

// Used reports whether the code was used.
func (g Given) Used() bool { return g.step > 0 }

// longest is how long a family lives that hangs from a session, which lives no longer.
const longest = 24 * time.Hour

// CodeLife is how long a code can be used: a minute (OpenID certification and OWASP ASVS
// 10.4.3 ask for at most one at level 3).
const CodeLife = time.Minute

// logged is what the log says of a grant.
func (g Given) logged(event, outcome, reason string) audit.Entry {
	return audit.Entry{Event: event, Outcome: outcome, Reason: reason, Account: int64(g.Account), AccountName: g.Name, Application: g.Client,
		Protocol: "oidc", Source: g.Source, Detail: map[string]string{"grant": g.Number(), "session": g.Session}}
}

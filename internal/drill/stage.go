package drill

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"time"
)

// Stage is the target of the attacks: one Countersign and what it protects.
type Stage struct {
	// Components are attacked in this order. The cookies that somebody gets at one they
	// have at those after it.
	Components []Component
	// Groups are those that a canary must be in for policy to let it in everywhere.
	Groups []string
	// Ends is when canaries end by themselves, in the words of account.create: "10m".
	// Empty is never, for who moves the clock.
	Ends string
	// From is the address that attackers come from, where this machine has
	// several; honest people come from the usual one.
	From netip.Addr
	// Patience is the time without an answer that counts as silence; three seconds
	// if it is zero. Honest users wait longer.
	Patience time.Duration
}

// Kind is what a component is. Rows name the kinds that they cannot do without.
type Kind string

// The kinds of components.
const (
	// Portal is Countersign's own pages for people.
	Portal Kind = "portal"
	// Administration is its API and console.
	Administration Kind = "administration"
	// Page is a page behind forward-auth.
	Page Kind = "page"
	// Radius is a RADIUS server.
	Radius Kind = "radius"
	// Validation is where programs ask about one-time passwords of YubiKeys.
	Validation Kind = "validation"
	// Console is the log-in of a host, which also works without the network.
	Console Kind = "console"
	// OpenID is an application by OpenID Connect.
	OpenID Kind = "openid"
	// Repository is a repository of code, which Git reads and writes over https.
	Repository Kind = "repository"
	// Upstream is another organisation's identity provider, by way of which people sign in.
	Upstream Kind = "upstream"
	// Mail is a mail server that takes tokens.
	Mail Kind = "mail"
)

// Component is something that people sign in to. A field that is nil is what cannot be
// done there.
type Component struct {
	Kind Kind
	// Application is the name of the application that it is a part of: results are of
	// applications. Countersign's own pages and API are one.
	Application string
	// Name is what a report calls it: the host of a site, as the application's settings
	// have it.
	Name string
	// Doors are its entrances for a name and a password.
	Doors []Door
	// Moves are what attackers can do here besides.
	Moves map[Move]Attack
	// Enter has the owner of an account enter, as people do. An error says what did not
	// let them in.
	Enter func(ctx context.Context, p *Play, c *Canary) error
	// Enroll gives a new account, which has a welcome link, all that people sign in
	// with. One component of a stage does that.
	Enroll func(ctx context.Context, p *Play, c *Canary) error
	// Check reports, before anything is attacked, why that could not be played here: one
	// sentence that says how to mend it. It sends nothing that counts as a guess.
	Check func(ctx context.Context) error
	// Log returns the lines of the component's own log that are new since it was asked
	// last, the oldest first.
	Log func(ctx context.Context) ([]string, error)
}

// Door is one entrance of a component.
type Door struct {
	Name string
	// Guess tries a name and a password, and nothing else that is right.
	Guess func(ctx context.Context, p *Play, g *Guess) []Try
}

// Guess is an attacker who has a name and a password. Jar are the cookies that they
// collect on their way from door to door; nil before the first.
type Guess struct {
	Name, Password string
	Jar            http.CookieJar
}

// Try is what an attacker tried at a component.
type Try struct {
	// Application, Component and Door are where; a try that is no guess has no door of
	// its own.
	Application string `json:"application"`
	Component   string `json:"component"`
	Door        string `json:"door,omitempty"`
	// Name says what was sent, and Answer what came back, in the protocol's words: "302 to
	// /sign-in".
	Name   string `json:"name"`
	Answer string `json:"answer,omitempty"`
	// Open is set if the attacker got through.
	Open   bool   `json:"open"`
	Detail string `json:"detail,omitempty"`
	// Error is why nothing is known: the try could not be made, or an answer that was
	// owed did not come. A try with an error says neither that a door is open nor that
	// it is shut.
	Error string `json:"error,omitempty"`
}

// Tried is what came of a try. One that got through is open whatever went wrong besides;
// one that failed by an error is not shut.
func Tried(name string, open bool, err error) Try {
	if err != nil && !open {
		return Try{Name: name, Error: err.Error()}
	}
	return Try{Name: name, Open: open}
}

// Attack tries what a move is, against an account. An error is an attack that could not
// be played.
type Attack func(ctx context.Context, p *Play, c *Canary) ([]Try, error)

// Move is one thing that attackers do. A row is made of moves, and a component brings
// those that can be done at it.
type Move string

// The moves that components bring.
const (
	// Replay listens to a whole sign-in, and plays it again.
	Replay Move = "replay"
	// GuessPasswords tries a list of wrong ones.
	GuessPasswords Move = "guess passwords"
	// GuessCodes has the right password and guesses codes, one after another;
	// RaceCodes many at once, and then one right code many times at once.
	GuessCodes Move = "guess codes"
	RaceCodes  Move = "race codes"
	// Spray tries the right password on names that do not have it, Stuff leaked pairs.
	Spray Move = "spray"
	Stuff Move = "stuff"
	// ChangePassword has the right password and sets another.
	ChangePassword Move = "change password"
	// ShippedSecrets tries what equipment is shipped with.
	ShippedSecrets Move = "shipped secrets"
	// LocalAccount uses the local password of a host, and takes its network away.
	LocalAccount Move = "local account"
	// RegisterDevice enrolls an authenticator of the attacker's own.
	RegisterDevice Move = "register device"
	// StaleSession uses a stolen session of an administrator.
	StaleSession Move = "stale session"
	// CreateAccount makes an account to come back with.
	CreateAccount Move = "create account"
	// MadeUp asks for what no application would.
	MadeUp Move = "made up"
	// ReadPages tries to read what is protected.
	ReadPages Move = "read pages"
	// LookAlike passes on what an owner does, and keeps what it hears.
	LookAlike Move = "look-alike"
	// ComeBack uses all that is right, on an account that nobody used for a month.
	ComeBack Move = "come back"
	// StolenCookie uses the cookies of somebody's sign-in in another browser.
	StolenCookie Move = "stolen cookie"
	// KeptSession uses a session from before, and Arrive has the owner come before, where a
	// component has to be entered for there to be one.
	KeptSession Move = "kept session"
	Arrive      Move = "arrive"
	// ReadMail reads somebody's mail, and Delegate gives it to somebody else.
	ReadMail Move = "read mail"
	Delegate Move = "delegate"
	// StolenKey uses automation keys of which not everything is right.
	StolenKey Move = "stolen key"
	// ShowCards shows cards of which not everything is right.
	ShowCards Move = "show cards"
	// CloneCode reads and writes a repository of code.
	CloneCode Move = "clone code"
	// ForgeIdentity has a provider of identities say what is not so.
	ForgeIdentity Move = "forge identity"
	// Bombard asks for approvals until somebody gives one.
	Bombard Move = "bombard"
)

// Administrator runs admin commands on a stage, and decodes their results. What does not
// exist is an error of the class [failure.NotFound].
type Administrator interface {
	Do(ctx context.Context, action string, in, out any) error
}

// Bed is what only a test bed can do with a stage.
type Bed interface {
	// Unguarded returns the same stage without the guard, where one factor of any
	// age is enough, and its administrator.
	Unguarded() (Stage, Administrator)
	// Trick tampers with the guard, and returns a function that undoes it.
	Trick(ctx context.Context, name string) (undo func(), err error)
	// Later moves the clock of the guarded stage and of the unguarded one.
	Later(d time.Duration)
	// Smuggle copies an account of the guarded stage, and all that it signs in with, to
	// another name, in the database and not through the server. What it returns deletes it.
	Smuggle(account, name string) (undo func())
	// Mailbox gives an account of the guarded stage a mail address, and returns how its
	// owner reads the subjects of what came there.
	Mailbox(ctx context.Context, name string) (read func(context.Context) ([]string, error), err error)
	// Card issues a card of an authority that the guarded stage trusts, and returns how that
	// revokes it.
	Card(name string) (card *tls.Certificate, revoke func())
	// Woken counts, from now on, how often the guarded stage has a push service wake a phone,
	// which is known by its address there.
	Woken(endpoint string) (rings func() int)
}

// Tricks are what intruders do to a second factor that they cannot answer (CISA
// AA22-074A), and failures. Dropped packets and a frozen server are both silence.
var Tricks = []string{"hosts-entry", "silent", "wrong-certificate", "clock-a-year-on", "disk-full", "read-only",
	"stopped", "database-gone", "database-frozen"}

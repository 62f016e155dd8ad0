// Package protocol is the contract that every protocol fulfils: one [Description]
// in which it says of itself what the rest of the server asks.
//
// It owns the shape of a description, the list of them, and what a protocol is served
// with. It knows no protocol: server hands the list to admin and the console, and opens
// each protocol's [Service]. Its one invariant: what no protocol of the list knows is
// refused, or leaves nothing open.
package protocol

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/attack"
	"countersign/internal/certkey"
	"countersign/internal/clientaddr"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/linked"
	"countersign/internal/metadata"
	"countersign/internal/metrics"
	"countersign/internal/oauth"
	"countersign/internal/participant"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/signingkey"
	"countersign/internal/ticket"
)

// Description is what a protocol is, constant for its lifetime. Functions may be
// called at any time and by several at once.
type Description struct {
	// Name is the stable word in applications, policy and the audit log: "radius".
	Name string
	// Way says how it asks, for people and within a sentence: "behind a proxy".
	Way string
	// Document is its page in docs: "radius.md".
	Document string
	// Plays is what it can play at its best.
	Plays prompt.Medium
	// CheckSettings says in one sentence what is wrong with an application's settings
	// that are to be saved, as an Invalid failure that shows no secret.
	CheckSettings func(settings json.RawMessage) error
	// CheckCompatible says in one sentence what of an application's settings does not fit
	// the rest of the installation, as an Invalid or Conflict failure. Nil is for a
	// protocol in which everything fits.
	CheckCompatible func(app application.Application, around Environment) error
	// Clash says what two applications of the protocol both claim: a host, a network,
	// a number; empty for nothing. Shut says that neither would have it any more; else
	// the first takes a part of it from the second. An error is about the first. Nil
	// where nothing can be claimed twice.
	Clash func(a, b json.RawMessage) (what string, shut bool, err error)
	// Exposure says what an application's settings leave open; nil for nothing. An
	// error shows nothing of what was written, which may be a secret.
	Exposure func(app application.Application) (Exposure, error)
	// Start is the address at which a person begins, where a browser does; empty where the
	// settings name none. Nil is for a protocol that nobody begins in a browser. scheme is
	// that of our own pages.
	Start func(settings json.RawMessage, scheme string) string
	// Begin is a path of ours at which a person begins, in the place of Start; empty where the
	// application's settings want none. Nil is for a protocol in which nobody begins with us.
	Begin func(app application.Application) string
	// Words are what each scope and each fact of a person means to them, within a sentence. One
	// without words is shown as it is.
	Words map[string]language.Sentence
	// Form is what the console asks for. Every field of kind Secret is hidden wherever
	// settings are shown, by its name.
	Form []Group
	// Guides are how what asks by this protocol is set up, one for each product, the usual
	// one first.
	Guides []Guide
	// Test finds out whether an application is set up; nil where nothing can be said.
	Test Test
	// Open makes what serves the protocol. It opens no socket yet and starts nothing. Nil
	// is for a protocol that serves nothing.
	Open func(p Parts) (Service, error)
	// ProxyPaths are prefixes of paths at which only proxies and resource servers ask, which take
	// no page: an answer of 200 there goes without the headers that protect pages.
	ProxyPaths []string
	// ForeignPaths are prefixes of paths whose answers can reach a browser at another
	// host's address: they make no promise of https for it (RFC 6797).
	ForeignPaths []string
	// CertifiedPaths are those at which programs show certificates of their own: they are served
	// where these arrive, and nothing else is.
	CertifiedPaths []string
	// Identify is by what an application knows somebody, of what an administrator typed; an
	// Invalid failure says what to type. Nil is for protocols whose applications know nobody by
	// an identifier of their own.
	Identify func(settings json.RawMessage, typed string) (id string, err error)
	// Keys are what it signs with that others know by a certificate.
	Keys []certkey.Purpose
	// Metrics are the names of the samples of [Service.Metrics], all of them and no others.
	// The audit log is counted by protocol without them.
	Metrics []string
}

// Service is a protocol that serves, as [Description.Open] makes it for one server. A field
// is nil if the protocol has no use for it.
type Service struct {
	// Handle mounts what is served by HTTP beside the pages.
	Handle func(mux *http.ServeMux)
	// Around returns a handler that gets every request before the headers of pages are set
	// and before a path is tidied. It answers its own requests, and hands next all others
	// unchanged.
	Around func(next http.Handler) http.Handler
	// Listen opens sockets at addresses such as "127.0.0.1:1812", one at least, and serves
	// nothing yet. An error leaves none open.
	Listen func(addresses []string) (Sockets, error)
	// Left returns a path of ours at which the browser goes on whose session of this number is
	// ended at our pages, so that applications can be told; onward where none is to be. Onward is
	// where the protocols before in the list want the browser next, or empty.
	Left func(ctx context.Context, session, onward string) (string, error)
	// Work is done beside what is served until ctx ends: it returns when what is under way is
	// finished.
	Work func(ctx context.Context)
	// Metrics returns the samples that [Description.Metrics] names.
	Metrics metrics.Source
}

// Sockets are the open sockets of a protocol.
type Sockets struct {
	// Addresses are those that the sockets have, in the order in which they were asked for.
	Addresses []net.Addr
	// Serve answers until ctx ends or a socket breaks, finishes what is in flight, and
	// closes the sockets. It is called once. The end of ctx is no error.
	Serve func(ctx context.Context) error
}

// Begins is Way as a phrase begins with it: "Behind a proxy".
func (d Description) Begins() string {
	if d.Way == "" {
		return d.Name
	}
	return strings.ToUpper(d.Way[:1]) + d.Way[1:]
}

// Parts are what a protocol serves with. Each takes only what it uses.
type Parts struct {
	Engine       Engine
	Applications Applications
	// Handovers and Continuations are for protocols that send a browser to sign in.
	Handovers     *session.Handovers
	Continuations *session.Continuations
	// Devices are for protocols that give a browser a session at another host.
	Devices Devices
	// Sessions and Endings are for protocols by which somebody signs out.
	Sessions *session.Sessions
	Endings  *session.Endings
	// Participants, Requests and CertKeys are for protocols that tell applications who somebody
	// is, in words that they sign.
	Participants *participant.Participants
	Requests     *participant.Requests
	CertKeys     *certkey.Keys
	// Metadata is what applications say of themselves at addresses of theirs.
	Metadata *metadata.Kept
	// Tickets, Grants and Signing are for protocols that issue tokens: what a browser comes back
	// with, what clients were given, and the keys that sign.
	Tickets *ticket.Tickets
	Grants  *oauth.Grants
	Signing *signingkey.Keys
	// Links are who stands for whom at parties that name people by identifiers of their own.
	Links *linked.Links
	// Abroad reaches servers of others in a test; nil connects to public addresses alone.
	Abroad http.RoundTripper
	// Comings tells people who comes to an application as them.
	Comings *signin.Comings
	// Waiting are devices that wait to be let in.
	Waiting *oauth.Devices
	// Method is the RFC 8176 word of a kind of authenticator, where its traits do not say.
	Method func(kind string) string
	// Pages shows pages of ours.
	Pages Pages
	// Locales has pages speak a language that a client asks for.
	Locales Locales
	// Clients reads where a request comes from, behind the trusted proxies.
	Clients *clientaddr.Reader
	// PublicURL is where our own pages are.
	PublicURL *url.URL
	// Mutual is where programs show certificates of their own; nil for nowhere.
	Mutual *url.URL
	Now    func() time.Time
	// Log receives what an administrator can mend; nil is no log. Nothing that anybody typed
	// is written to it.
	Log *slog.Logger
	// Ears hear when applications ask and what was not served; nil hears nothing.
	Ears *Ears
}

// Locales are the languages of our pages.
type Locales interface {
	// Tags are the languages there are, as BCP 47 tags, the installation's own first.
	Tags() []string
	// Suggest has the pages of the next minutes be in the first of these languages that is there,
	// in a browser in which nobody has chosen another one. It returns the request as it is then.
	Suggest(w http.ResponseWriter, r *http.Request, tags []string) *http.Request
}

// Engine is what protocols ask of signin. An error is a breakdown or a refusal, and never a
// Grant.
type Engine interface {
	Begin(ctx context.Context, r signin.Request) (signin.Step, error)
	Answer(ctx context.Context, ticket string, reply signin.Reply) (signin.Step, error)
	Poll(ctx context.Context, ticket string) (signin.Step, error)
	// Names is a Refused failure if a name is not of whom the ticket's attempt is about.
	Names(ctx context.Context, ticket, name string) error
	Check(ctx context.Context, r signin.Request) (signin.Step, error)
	// CheckKey decides over an automation key or an app password that comes with a request.
	CheckKey(ctx context.Context, r signin.Request, kind, key string) (signin.Step, error)
	// Opens reports whether what an application opens to everybody may go on.
	Opens(ctx context.Context, r signin.Request) (bool, error)
}

// Applications lists who may ask.
type Applications interface {
	ByProtocol(ctx context.Context, protocol string) ([]application.Application, error)
	// Changed is another number after every change.
	Changed() uint64
}

// Environment is the rest of an installation, as an application meets it.
type Environment struct {
	// Applications are the other ones, of whatever protocol, and Groups the names of
	// all groups.
	Applications []application.Application
	Groups       []string
	// Public is where our own pages are.
	Public *url.URL
}

// Exposure is what an application's settings leave open, as its protocol reads
// them. It holds no secret.
type Exposure struct {
	// Medium is what can be played there, where the settings say.
	Medium prompt.Medium
	// Actions are those that requests to it can be besides signing in.
	Actions []string
	// Groups are those that the settings name.
	Groups []string
	// Web says that requests carry a method and a path.
	Web bool
	// AppPasswords are the services that app passwords can be made for.
	AppPasswords []string
	// Keys says that requests may come with automation keys.
	Keys bool
	// Entrances are where people come in by way of us, as a drill calls them: each must
	// have been attacked before a row is proven here.
	Entrances []string
	// Drill is what a drill attacks it as, "page", "radius", "validation", "openid" or "mail"; empty
	// where it cannot yet.
	Drill string
	// Exceptions are what was loosened, with their ends.
	Exceptions []attack.Exception
	// Doors are ways in that do not pass Countersign, and Caveats weaknesses that
	// leave the second factor in place.
	Doors, Caveats []string
}

// List is every protocol that applications can ask by.
type List []Description

// Named returns the description of that name.
func (l List) Named(name string) (Description, bool) {
	i := slices.IndexFunc(l, func(d Description) bool { return d.Name == name })
	if i < 0 {
		return Description{}, false
	}
	return l[i], true
}

// Names lists their names, in the list's order.
func (l List) Names() []string {
	var out []string
	for _, d := range l {
		out = append(out, d.Name)
	}
	return out
}

// Ways says how they ask, as alternatives: "behind a proxy or by RADIUS".
func (l List) Ways() string {
	var out []string
	for _, d := range l {
		out = append(out, d.Way)
	}
	return or(out)
}

func or(words []string) string {
	n := len(words)
	if n < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
}

// Keys are what all of them sign with that others know by a certificate.
func (l List) Keys() []certkey.Purpose {
	var out []certkey.Purpose
	for _, d := range l {
		out = append(out, d.Keys...)
	}
	return out
}

// CheckSettings asks the protocol whose settings they are. One that is not of the
// list is an Invalid failure, and so is one that cannot say.
func (l List) CheckSettings(name string, settings json.RawMessage) error {
	d, ok := l.Named(name)
	if !ok || d.CheckSettings == nil {
		return failure.New(failure.Invalid, "There is no protocol %q; use %s.", name, or(l.Names()))
	}
	return d.CheckSettings(settings)
}

// CheckCompatible asks the protocol of an application whether its settings fit the rest of
// the installation.
func (l List) CheckCompatible(app application.Application, around Environment) error {
	if d, ok := l.Named(app.Protocol); ok && d.CheckCompatible != nil {
		return d.CheckCompatible(app, around)
	}
	return nil
}

// Clash asks a protocol what the settings of two of its applications both claim.
func (l List) Clash(name string, a, b json.RawMessage) (what string, shut bool, err error) {
	if d, ok := l.Named(name); ok && d.Clash != nil {
		return d.Clash(a, b)
	}
	return "", false, nil
}

// Exposure asks the protocol whose settings they are what they leave open.
func (l List) Exposure(app application.Application) (Exposure, error) {
	var o Exposure
	var err error
	if d, ok := l.Named(app.Protocol); ok && d.Exposure != nil {
		o, err = d.Exposure(app)
	}
	if app.Vouches == application.VouchesPassword {
		o.Caveats = append(o.Caveats, "the equipment checks the password itself and is believed; Countersign asks for the rest")
	}
	return o, err
}

// Plays is what a channel can play at its best: a page, where no protocol of the
// list says otherwise.
func (l List) Plays(name string) prompt.Medium {
	if d, ok := l.Named(name); ok {
		return d.Plays
	}
	return prompt.Browser
}

// Secret reports whether a setting of that name is hidden where settings are shown:
// whichever protocol they are of, so that no mistake about that shows one.
func (l List) Secret(setting string) bool {
	return strings.Contains(setting, "secret") || slices.ContainsFunc(l, func(d Description) bool {
		return slices.ContainsFunc(d.Form, func(g Group) bool {
			return slices.ContainsFunc(g.Fields, func(f Field) bool { return f.Kind == Secret && f.Name == setting })
		})
	})
}

package saml

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"countersign/internal/certkey"
	"countersign/internal/clientaddr"
	"countersign/internal/failure"
	"countersign/internal/participant"
	"countersign/internal/protocol"
	"countersign/internal/protocol/saml/message"
	"countersign/internal/session"
)

// keys are what this protocol signs with.
var keys = certkey.Purpose{Name: "saml", Algorithm: certkey.RSA, Says: "SAML responses"}

// provider answers applications.
type provider struct {
	engine        protocol.Engine
	continuations *session.Continuations
	participants  *participant.Participants
	endings       *session.Endings
	requests      *participant.Requests
	keys          *certkey.Keys
	parties       *parties
	method        func(kind string) string
	pages         protocol.Pages
	clients       *clientaddr.Reader
	public        *url.URL
	now           func() time.Time
	log           *slog.Logger
	ears          *protocol.Ears
}

func newProvider(p protocol.Parts) *provider {
	return &provider{engine: p.Engine, continuations: p.Continuations, participants: p.Participants, endings: p.Endings, requests: p.Requests, keys: p.CertKeys,
		parties: &parties{applications: p.Applications, metadata: p.Metadata, now: p.Now}, method: p.Method, pages: p.Pages, clients: p.Clients, public: p.PublicURL, now: p.Now, log: p.Log, ears: p.Ears}
}

// The addresses.
const (
	metadataPath = "/saml/metadata"
	signInPath   = "/saml/sso"
	continuePath = "/saml/continue"
	startPath    = "/saml/start/"
)

func (d *provider) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET "+metadataPath, d.metadata)
	mux.HandleFunc("GET "+signInPath, d.byQuery)
	mux.HandleFunc("POST "+signInPath, d.byForm)
	mux.HandleFunc("GET "+continuePath, d.goOn)
	mux.HandleFunc("GET "+startPath+"{app}", d.begin)
}

// at is the whole address of a path of ours.
func (d *provider) at(path string) string { return d.public.JoinPath(path).String() }

// entity is what we call ourselves by: the address of our metadata (SAML core, section 8.3.6).
func (d *provider) entity() string { return d.at(metadataPath) }

// signs is what we sign with now.
func (d *provider) signs(ctx context.Context) (message.Credential, certkey.Set, error) {
	set, err := d.keys.Of(ctx, keys.Name)
	if err != nil {
		return message.Credential{}, set, err
	}
	return message.Credential{Signer: set.Now.Signer, Certificate: set.Now.Certificate}, set, nil
}

// offered are the formats of names that metadata offers.
func offered() []string {
	return []string{message.FormatPersistent, message.FormatTransient, message.FormatMail, message.FormatUnspecified}
}

// metadataLasts is how long metadata says that it is good.
const metadataLasts = 7 * 24 * time.Hour

func (d *provider) metadata(w http.ResponseWriter, r *http.Request) {
	by, set, err := d.signs(r.Context())
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	about := message.Provider{ID: message.NewID(), Entity: d.entity(), SignIn: d.at(signInPath), SignOut: d.at(signOutPath), SOAP: d.at(soapPath), Formats: offered(), Until: d.now().Add(metadataLasts)}
	for _, k := range set.Announced() {
		about.Certificates = append(about.Certificates, k.Certificate)
	}
	b, err := about.Write(by)
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(b) // the client may be gone
}

// certificates finds those of a message's issuer.
func (d *provider) certificates(ctx context.Context, found **party) message.Certificates {
	return func(issuer string) ([]*x509.Certificate, error) {
		p, err := d.parties.of(ctx, issuer)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, errUnknown
		}
		*found = p
		return p.certificates, nil
	}
}

var errUnknown = failure.Refuse("unknown-entity", "No application is registered here by the name that it calls itself.")

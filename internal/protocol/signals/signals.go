// Package signals serves shared signals by HTTP: the OpenID Shared Signals Framework 1.0, with
// delivery of tokens by push (RFC 8935) and by poll (RFC 8936).
//
// It owns the wire: the metadata of the transmitter, the management of streams by their receivers,
// polling, and the address that other transmitters push to. It has no rule of its own and writes
// nothing itself: what a receiver does is a command of admin, under the automation key that it comes
// with and that names the action; what a transmitter says goes to signal, which believes it or not.
// Its neighbours are admin/signal, whose commands it asks for, and signal. Its one invariant: no
// receiver learns of a stream that is not its own, not even that it is there.
package signals

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"countersign/internal/admin"
	commands "countersign/internal/admin/signal"
	"countersign/internal/directory"
	"countersign/internal/secevent"
	"countersign/internal/signal"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Root is where everything is but the metadata, which is at Metadata (SSF 1.0 section 7.2).
const Root, Metadata = "/signals/", "/.well-known/ssf-configuration"

// The endpoints.
const (
	streamPath = Root + "stream"
	statusPath = Root + "status"
	addPath    = Root + "subjects/add"
	removePath = Root + "subjects/remove"
	verifyPath = Root + "verify"
)

// The methods of delivery (SSF 1.0 section 10.3.1).
const (
	pushMethod = "urn:ietf:rfc:8935"
	pollMethod = "urn:ietf:rfc:8936"
)

// Parts are what the server works on.
type Parts struct {
	View     store.View
	Accounts *directory.Accounts
	Roll     *directory.Roll
	Streams  *signal.Streams
	Hearing  *signal.Hearing
	Engine   *signin.Engine
	Admin    *admin.Admin
	// Channel is the word of policy and of the audit log for a request to the API: this is another
	// form of it.
	Channel string
	// Source is the address that a request comes from.
	Source    func(*http.Request) netip.Addr
	PublicURL *url.URL
	// Keys is the path of the keys by which tokens are signed.
	Keys string
	Log  *slog.Logger
}

// Server serves signals: it is the list of requests.
type Server struct {
	desk    *desk
	hearing *signal.Hearing
	public  *url.URL
	keys    string
	log     *slog.Logger
}

// New prepares a Server.
func New(p Parts) *Server {
	d := &desk{view: p.View, people: p.Accounts, roll: p.Roll, streams: p.Streams, engine: p.Engine, admin: p.Admin, channel: p.Channel, source: p.Source, public: p.PublicURL, budget: newBudget()}
	return &Server{desk: d, hearing: p.Hearing, public: p.PublicURL, keys: p.Keys, log: p.Log}
}

// Route is one request that the server takes. Actions are those that a key must name for it; Secret
// says that a source's secret is asked for. Without both it is open to everybody.
type Route struct {
	Pattern string
	Actions []string
	Secret  bool
	handler func(*request) (*answer, error)
}

// Requests lists everything that the server takes.
func (s *Server) Requests() []Route {
	d := s.desk
	return []Route{
		{"GET " + Metadata, nil, false, s.metadata},
		{"POST " + streamPath, []string{"stream.create"}, false, d.create},
		{"GET " + streamPath, []string{"stream.list"}, false, d.read},
		{"PATCH " + streamPath, []string{"stream.list", "stream.update"}, false, d.patch},
		{"PUT " + streamPath, []string{"stream.list", "stream.update"}, false, d.replace},
		{"DELETE " + streamPath, []string{"stream.list", "stream.remove"}, false, d.remove},
		{"GET " + statusPath, []string{"stream.list"}, false, d.status},
		{"POST " + statusPath, []string{"stream.list", "stream.set-status"}, false, d.setStatus},
		{"POST " + addPath, []string{"stream.list", "stream.add-subject"}, false, d.addSubject},
		{"POST " + removePath, []string{"stream.list", "stream.remove-subject"}, false, d.removeSubject},
		{"POST " + verifyPath, []string{"stream.list", "stream.verify"}, false, d.verify},
		{"POST " + commands.PollPath + "{id}", []string{"stream.poll"}, false, d.poll},
		{"POST " + commands.ReceivePath + "{name}", nil, true, s.receive},
	}
}

// Handler serves every request.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.Requests() {
		mux.Handle(r.Pattern, s.serve(r))
	}
	return mux
}

// metadata is the transmitter's (SSF 1.0 section 7.1). It is the same for everybody.
func (s *Server) metadata(*request) (*answer, error) {
	at := func(path string) string { return s.public.JoinPath(path).String() }
	return &answer{status: http.StatusOK, public: true, body: map[string]any{
		"spec_version":               "1_0",
		"issuer":                     strings.TrimSuffix(s.public.String(), "/"),
		"jwks_uri":                   at(s.keys),
		"delivery_methods_supported": []string{pushMethod, pollMethod},
		"configuration_endpoint":     at(streamPath),
		"status_endpoint":            at(statusPath),
		"add_subject_endpoint":       at(addPath),
		"remove_subject_endpoint":    at(removePath),
		"verification_endpoint":      at(verifyPath),
		"authorization_schemes":      []map[string]string{{"spec_urn": "urn:ietf:rfc:6750"}},
		"default_subjects":           "ALL",
		"events_supported":           secevent.Sent(),
	}}, nil
}

// receive takes a token that another transmitter pushes (RFC 8935 section 2).
func (s *Server) receive(r *request) (*answer, error) {
	secret, _ := bearer(r.http)
	err := s.hearing.Pushed(r.http.Context(), r.http.PathValue("name"), secret, func() ([]byte, error) {
		if kind := mediaOf(r.http); kind != secevent.MediaType {
			return nil, &secevent.Fault{Code: secevent.InvalidRequest, Says: "Send one token as " + secevent.MediaType + "."}
		}
		return r.read(secevent.MostBytes)
	})
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusAccepted}, nil
}

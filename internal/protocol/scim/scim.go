// Package scim is a SCIM 2.0 server (RFC 7643, RFC 7644): identity providers provision people and
// groups by it.
//
// It owns the wire: resources, filters, paths, PATCH, Bulk, versions, and the errors of SCIM. It
// has no rule of its own and writes nothing itself: each change is a command of admin, approved by
// the automation key that the request comes with and that names the action, and in the audit log as
// the same command of anybody else. Somebody so made has no authenticator and gets nothing before a
// pass. Its neighbours are the admin API, which does the same commands one by one, and directory,
// which it reads. Its one invariant: nothing is read or changed for a request that the engine has
// not granted.
package scim

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

	"countersign/internal/admin"
	"countersign/internal/directory"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Root is where SCIM 2.0 begins.
const Root = "/scim/v2"

// keyKind is the authenticator that a key is checked by.
const keyKind = "apikey"

// Parts are what the server works on.
type Parts struct {
	View      store.View
	Entries   *store.AuditLog
	Accounts  *directory.Accounts
	Groups    *directory.Groups
	Roll      *directory.Roll
	Externals *directory.Externals
	Engine    *signin.Engine
	Admin     *admin.Admin
	// Channel is the word of policy and of the audit log for a request to the API: SCIM is
	// another form of it, and what policy asks of one holds for the other.
	Channel string
	// Source is the address that a request comes from.
	Source    func(*http.Request) netip.Addr
	PublicURL *url.URL
	Log       *slog.Logger
}

// Server serves SCIM. It is the list of requests, each served by the piece that it is about.
type Server struct {
	log    *slog.Logger
	base   string
	budget *budget
	people *people
	teams  *teams
	bulk   *bulk
}

// New prepares a Server.
func New(p Parts) *Server {
	base := p.PublicURL.JoinPath(Root).String()
	d := &desk{engine: p.Engine, admin: p.Admin, channel: p.Channel, source: p.Source}
	rows := rows{view: p.View, entries: p.Entries, accounts: p.Accounts, groups: p.Groups, roll: p.Roll, externals: p.Externals, base: base}
	s := &Server{log: p.Log, base: base, budget: newBudget(), people: &people{rows: rows, desk: d, scans: make(chan struct{}, mostScans)}, teams: &teams{rows: rows, desk: d}}
	s.bulk = &bulk{people: s.people, teams: s.teams, log: p.Log}
	return s
}

// Route is one request that the server takes. Actions are those that a key must name for it; of
// several, those that the request comes to. None is open to everybody.
type Route struct {
	Pattern string
	Actions []string
	handler func(*request) (*answer, error)
}

// The actions that a key must name.
var (
	userWrites  = []string{"account.show", "account.set-display", "account.set-mail", "account.set-external", "account.suspend", "account.resume", "account.rename"}
	groupWrites = []string{"group.show", "group.set-display", "group.set-external", "group.member.add", "group.member.remove"}
)

// Requests lists everything that the server takes.
func (s *Server) Requests() []Route {
	about := []Route{
		{"GET " + Root + "/ServiceProviderConfig", nil, s.config},
		{"GET " + Root + "/ResourceTypes", nil, s.resourceTypes},
		{"GET " + Root + "/ResourceTypes/{id}", nil, s.resourceTypes},
		{"GET " + Root + "/Schemas", nil, s.schemas},
		{"GET " + Root + "/Schemas/{id}", nil, s.schemas},
	}
	users := []Route{
		{"GET " + Root + "/Users", []string{"account.list"}, s.people.list},
		{"POST " + Root + "/Users/.search", []string{"account.list"}, s.people.search},
		{"POST " + Root + "/Users", []string{"account.create", "account.suspend"}, s.people.create},
		{"GET " + Root + "/Users/{id}", []string{"account.show"}, s.people.get},
		{"PUT " + Root + "/Users/{id}", userWrites, s.people.put},
		{"PATCH " + Root + "/Users/{id}", userWrites, s.people.patch},
		{"DELETE " + Root + "/Users/{id}", []string{"account.show", "account.remove"}, s.people.remove},
	}
	groups := []Route{
		{"GET " + Root + "/Groups", []string{"group.list"}, s.teams.list},
		{"POST " + Root + "/Groups/.search", []string{"group.list"}, s.teams.search},
		{"POST " + Root + "/Groups", []string{"group.create", "group.member.add"}, s.teams.create},
		{"GET " + Root + "/Groups/{id}", []string{"group.show"}, s.teams.get},
		{"PUT " + Root + "/Groups/{id}", groupWrites, s.teams.put},
		{"PATCH " + Root + "/Groups/{id}", groupWrites, s.teams.patch},
		{"DELETE " + Root + "/Groups/{id}", []string{"group.show", "group.member.remove", "group.remove"}, s.teams.remove},
	}
	out := append(append(about, users...), groups...)
	return append(out, Route{"POST " + Root + "/Bulk", []string{"those of its operations"}, s.bulk.do})
}

// Handler serves every request.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.Requests() {
		mux.Handle(r.Pattern, s.serve(r))
	}
	mux.Handle(Root+"/Me", s.serve(Route{handler: notHere}))
	mux.Handle("POST "+Root+"/.search", s.serve(Route{handler: notHere}))
	mux.Handle("/", s.serve(Route{handler: s.unknown}))
	return mux
}

// notHere answers what the standard has and this server has not: whoever comes is a program, and
// so no resource is its own; and each search is for one type of resource.
func notHere(*request) (*answer, error) {
	return nil, &fault{status: http.StatusNotImplemented, detail: "This server does not do that; see " + Root + "/ServiceProviderConfig."}
}

// unknown answers an address that is none, and a method that its address has not.
func (s *Server) unknown(r *request) (*answer, error) {
	probe := http.NewServeMux()
	for _, route := range s.Requests() {
		probe.HandleFunc(route.Pattern, func(http.ResponseWriter, *http.Request) {})
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := r.http.Clone(r.http.Context())
		other.Method = method
		if _, pattern := probe.Handler(other); pattern != "" {
			return nil, &fault{status: http.StatusMethodNotAllowed, detail: "This address does not take that method."}
		}
	}
	return nil, notFound
}

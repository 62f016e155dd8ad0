package forwardauth

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"countersign/internal/clientaddr"
	"countersign/internal/failure"
	"countersign/internal/oauth"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// Guard answers proxies.
type Guard struct {
	engine        protocol.Engine
	handovers     *session.Handovers
	devices       protocol.Devices
	continuations *session.Continuations
	applications  protocol.Applications
	clients       *clientaddr.Reader
	publicURL     *url.URL
	now           func() time.Time
	log           *slog.Logger
	ears          *protocol.Ears
	grants        *oauth.Grants

	cache atomic.Pointer[hostCache]
}

// New makes a Guard.
func New(p protocol.Parts) *Guard {
	return &Guard{engine: p.Engine, handovers: p.Handovers, devices: p.Devices, continuations: p.Continuations, applications: p.Applications, clients: p.Clients, publicURL: p.PublicURL, now: p.Now, log: p.Log, ears: p.Ears, grants: p.Grants}
}

const (
	// askedPath begins the addresses at which proxies ask, and hostPath those that a browser
	// reaches at an application's host.
	askedPath = "/verify/"
	hostPath  = "/.countersign/"
)

// Handle mounts the addresses of forward-auth: those that proxies ask at, and those that
// a browser is sent to. Envoy's is mounted by [Guard.Around].
func (d *Guard) Handle(mux *http.ServeMux) {
	mux.HandleFunc(askedPath+"nginx", d.nginx)
	mux.HandleFunc(askedPath+"haproxy", d.traefik)
	mux.HandleFunc(askedPath+"caddy", d.caddy)
	mux.HandleFunc(askedPath+"traefik", d.traefik)
	mux.HandleFunc("GET /forward/start", d.start)
	mux.HandleFunc("GET "+beginPath, d.begin)
	mux.HandleFunc("GET "+acceptPath, d.accept)
	mux.HandleFunc("GET "+endedPath, d.ended)
	mux.HandleFunc("GET "+waitPath, d.wait)
	mux.HandleFunc("POST "+bindPath, d.bind)
	mux.HandleFunc("POST "+refreshPath, d.refresh)
}

var (
	errNoURL   = failure.Refuse("no-url", "Refused.")
	errNoHost  = failure.Refuse("unknown-host", "Refused.")
	errNoProxy = failure.Refuse("not-listed", "Refused.")
	errNoWord  = failure.Refuse("no-method", "Refused.")
	errRefused = failure.Refuse("forward-auth", "Refused.")
	errUnclear = failure.Refuse("ambiguous", "This address can be read in two ways, so it is refused.")
	errMethod  = failure.Refuse("method", "The method of a request is written in capital letters: GET, POST, DELETE.")
	errForged  = failure.Refuse("forged-identity", "Headers that begin with Remote- are for Countersign to send, so this request is refused.")
	errTunnel  = failure.Refuse("upgrade", "A connection changes to a WebSocket here and to nothing else. Ask without Upgrade and HTTP2-Settings.")
	errNowhere = failure.Refuse("no-address", "The proxy in front of this site does not say where you are, so nobody is let in. Whoever runs it sees why in Countersign's log.")
)

// question is what a proxy asked, understood.
type question struct {
	at     place
	scheme string
	host   string // in its one spelling
	request
	action string
	// open says that the settings open it to everybody, if policy does not deny it.
	open bool
}

// origin is how a session names the host that it serves.
func (q question) origin() string { return q.scheme + "://" + q.host }

// understand finds the application that is asked for, and what is to be done
// there. What has no one reading is a Refused failure.
func (d *Guard) understand(ctx context.Context, a asked, overridden bool) (question, error) {
	q := question{scheme: a.scheme, request: request{method: a.method}}
	var ok bool
	if a.host == "" {
		return q, errNoURL
	}
	if a.scheme != "https" && (a.scheme != "http" || d.publicURL.Scheme == "https") {
		return q, failure.Refuse("scheme", "This site is reached by https only.")
	}
	if q.host, ok = plainHost(a.scheme, a.host); !ok {
		return q, errNoURL
	}
	if !method(a.method) {
		return q, errNoWord
	}
	if !capital(a.method) {
		return q, errMethod
	}
	at, known, err := d.find(ctx, q.host)
	if err != nil {
		return q, errRefused
	}
	if !known {
		return q, errNoHost
	}
	q.at = at
	if q.target, ok = at.read(a.target); !ok {
		return q, errUnclear
	}
	q.overridden = overridden || namesMethod(q.query) || q.hidesMethod()
	if q.action, ok = at.rules.action(q.request); !ok {
		return q, errUnclear
	}
	return q, nil
}

// read reads a target. What programs may read in several ways passes where none of the
// application's rules looks at it, or its settings say so.
func (at place) read(raw string) (target, bool) {
	if t, ok := readTarget(raw); ok || len(at.rules) > 0 && !at.passes {
		return t, ok
	}
	return readOdd(raw)
}

// verify answers a proxy. Only a Grant is answered with 200, or the engine's word that the request is
// open to everybody.
func (d *Guard) verify(w http.ResponseWriter, r *http.Request, a asked) {
	w.Header()["Cache-Control"] = noStore
	q, source, err := d.read(r, a)
	if err != nil {
		d.miss(failure.ReasonOf(err), q, source)
		refuse(w, r, a.method, failure.Public(err))
		return
	}
	d.ears.Hear(q.at.app, d.now())
	reference := q.reference(r)
	step, err := d.check(r.Context(), q, reference, source)
	brought, open := q.at.readCredentials(r.Header), false
	if err == nil && step.State != signin.Granted && brought.ours() {
		step, err = d.serveProgram(r.Context(), q, brought, source)
	}
	if err == nil && step.State != signin.Granted && q.open {
		open, err = d.engine.Opens(r.Context(), q.asks(reference, source))
	}
	switch {
	case err != nil:
		refuse(w, r, a.method, "The sign-in service is not available. Try again soon.")
	case step.State == signin.Granted:
		identify(w.Header(), step.Grant)
		pass(w, r, a, brought)
	case open:
		identifyNobody(w.Header())
		pass(w, r, a, brought)
	case brought.ours():
		challengeProgram(w, r, q.at)
		http.Error(w, cmp.Or(step.Public, "That was not enough."), http.StatusUnauthorized)
	case step.State == signin.Ask:
		send(w, r, q, a.redirects, step)
	case step.State == signin.Wait:
		lead(w, r, q, a.redirects, waitPath)
	default:
		if q.pathForPolicy() == signin.AnyPath {
			d.miss("ambiguous", q, source)
		}
		refuse(w, r, a.method, q.refusal(step))
	}
}

// pass lets a request go on to the application, without our cookies and without what it brought
// for us: the proxy takes both from the answer, or is told what to take away.
func pass(w http.ResponseWriter, r *http.Request, a asked, brought credentials) {
	if brought.ours() {
		w.Header().Set(spentHeader, "authorization")
	}
	if a.cookies {
		w.Header().Set("Cookie", withoutOurs(r.Header["Cookie"]))
		if !brought.ours() {
			w.Header().Set("Authorization", one(r, "Authorization"))
		} else {
			w.Header().Set("Authorization", "")
		}
	}
	w.WriteHeader(http.StatusOK)
}

// refusal is the sentence for who gets nothing here.
func (q question) refusal(step signin.Step) string {
	if q.pathForPolicy() == signin.AnyPath {
		return failure.Public(errUnclear)
	}
	return step.Public
}

// read understands a proxy's question, and where the browser is. What the door
// refuses without asking the engine is a Refused failure.
func (d *Guard) read(r *http.Request, a asked) (question, netip.Addr, error) {
	source, listed := d.clients.Behind(r)
	if !listed {
		return question{}, clientaddr.Peer(r), errNoProxy
	}
	if !source.IsValid() {
		return question{}, source, errNowhere
	}
	told := look(r.Header)
	if told.identity {
		return question{}, source, errForged
	}
	if told.tunnel {
		return question{}, source, errTunnel
	}
	q, err := d.understand(r.Context(), a, told.method)
	q.open = err == nil && q.action == "" && q.at.opens(q.request, r.Header)
	return q, source, err
}

// check asks the engine about one request for an application.
func (d *Guard) check(ctx context.Context, q question, reference string, source netip.Addr) (signin.Step, error) {
	return d.engine.Check(ctx, q.asks(reference, source))
}

// asks is the question as the engine is asked it.
func (q question) asks(reference string, source netip.Addr) signin.Request {
	return signin.Request{Application: q.at.app, Action: q.action, Session: reference,
		Source: source, Protocol: Protocol, Medium: prompt.Browser, Method: q.forPolicy(), Path: q.pathForPolicy()}
}

// forPolicy is the method that policy sees. A request that names a second one
// may be any.
func (q question) forPolicy() string {
	if q.overridden {
		return signin.AnyMethod
	}
	return q.method
}

// pathForPolicy is the path that policy sees. One that programs may read in several ways
// may be any, unless the application's settings let it pass.
func (q question) pathForPolicy() string {
	if q.odd && !q.at.passes {
		return signin.AnyPath
	}
	return q.path
}

// identify tells the application who it is. Values are percent-encoded where
// they are not plain, so that no name can be taken for another header. All four
// are always there, so that a proxy that copies them replaces what a browser
// sent under these names.
func identify(h http.Header, g signin.Grant) {
	v := []string{plain(g.Name()), plain(g.Display()), plain(g.Mail()), plain(strings.Join(g.Groups(), ","))}
	h["Remote-User"], h["Remote-Name"], h["Remote-Email"], h["Remote-Groups"] = v[0:1:1], v[1:2:2], v[2:3:3], v[3:4:4]
}

// identifyNobody tells the application nobody, and has a proxy take away what a browser sent.
func identifyNobody(h http.Header) {
	for _, name := range []string{"Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups"} {
		h.Set(name, "")
	}
}

// noStore is a header's value that all answers share, and that nothing appends to.
var noStore = []string{"no-store"}[:1:1]

func plain(s string) string {
	for _, r := range s {
		if r < 0x20 || r > 0x7e || r == '%' {
			return url.PathEscape(s)
		}
	}
	return s
}

// send answers who must sign in: a page goes to do so, and comes back; a form gets a page that
// says that it was not sent; anything else gets 401.
func send(w http.ResponseWriter, r *http.Request, q question, redirects bool, step signin.Step) {
	if posted(r, q) {
		tellEnded(w, q, step)
		return
	}
	lead(w, r, q, redirects, beginPath)
}

// lead sends a page to a path of ours at its host, and refuses anything else.
func lead(w http.ResponseWriter, r *http.Request, q question, redirects bool, path string) {
	if page(r, q.method) {
		w.Header().Set("Location", q.origin()+path+"?"+url.Values{"to": {comeBack(q.target)}}.Encode())
		if redirects {
			w.WriteHeader(http.StatusFound)
			return
		}
	}
	challengeProgram(w, r, q.at)
	http.Error(w, "Sign in first.", http.StatusUnauthorized)
}

// challengeProgram is challenge, and asks a program for Basic where it may use that: in its place,
// because nginx passes on one challenge. No browser is asked, because it would ask people for it by
// itself.
func challengeProgram(w http.ResponseWriter, r *http.Request, at place) {
	challenge(w, at.app)
	if len(at.programs) > 0 && program(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+at.app+`", charset="UTF-8"`)
	}
}

// spentHeader tells a proxy that cannot replace a header by nothing which one is ours.
const spentHeader = "Countersign-Spent"

// challenge is what a 401 must have (RFC 9110 section 11.6.1), in a scheme that no browser asks for.
func challenge(w http.ResponseWriter, app string) {
	w.Header().Set("WWW-Authenticate", `Countersign realm="`+app+`"`)
}

// longWay is how long an address to come back to may be, percent-encoded: proxies
// keep a whole answer's headers in 4 KiB, and take a longer one for an error.
const longWay = 3000

// comeBack is where a browser comes back to: to what it asked for, or as near to
// it as can be carried.
func comeBack(t target) string {
	path, _, _ := strings.Cut(t.raw, "?")
	for _, to := range []string{t.raw, path} {
		if len(url.QueryEscape(to)) <= longWay {
			return to
		}
	}
	return "/"
}

// page reports whether a person looks at what a request brings: then they can
// be sent elsewhere. A browser says so itself (Fetch Metadata, Sec-Fetch-Mode);
// of anything else we look at what it accepts. A preflight and the opening of a
// WebSocket are no pages.
func page(r *http.Request, method string) bool {
	if method != http.MethodGet && method != http.MethodHead || r.Header.Get("Upgrade") != "" {
		return false
	}
	return looks(r)
}

// looks reports whether a person looks at the answer, whatever the method is.
func looks(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	if r.Header.Get("X-Requested-With") != "" { // a script, as libraries say it themselves
		return false
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

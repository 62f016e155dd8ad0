package demo

import (
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"countersign/internal/authenticator/otp"
	"countersign/internal/config"
)

//go:embed all:pages
var files embed.FS

var templates = template.Must(template.ParseFS(files, "pages/*.html"))

// stage is what is served beside Countersign: the first page, and the site behind its proxy.
type stage struct {
	made        scenario
	console     string // where Countersign's own pages are
	start, site net.Listener
	servers     []*http.Server
}

// openStage opens the sockets, so that a port that is taken is said before anything is
// served. The site stays at the port that its application has.
func openStage(made scenario, f config.File) (*stage, error) {
	_, port, err := net.SplitHostPort(made.Site)
	if err != nil {
		return nil, err
	}
	s := &stage{made: made, console: f.PublicURL}
	if s.site, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err != nil {
		return nil, err
	}
	if s.start, err = listenNear("127.0.0.1:8082"); err != nil {
		return nil, errors.Join(err, s.site.Close())
	}
	return s, nil
}

func (s *stage) serve(ask http.Handler) {
	for l, h := range map[net.Listener]http.Handler{s.site: &guard{host: s.made.Site, ask: ask, pages: s.intranet()}, s.start: s.named(s.first())} {
		server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: 32 << 10}
		s.servers = append(s.servers, server)
		go server.Serve(l) //nolint:errcheck // it ends with the demonstration
	}
}

func (s *stage) close() {
	for _, server := range s.servers {
		_ = server.Close() // it only ends
	}
	_, _ = s.start.Close(), s.site.Close() // where nothing was served yet
}

// named refuses names other than loopback's, so that no site of somebody else's shows these
// codes under a name of its own that it made lead here.
func (s *stage) named(next http.Handler) http.Handler {
	_, port, _ := net.SplitHostPort(s.start.Addr().String())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "127.0.0.1:"+port && r.Host != "localhost:"+port {
			http.Error(w, "Open this page at http://127.0.0.1:"+port, http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// step is how long a code is good.
const step = 30 * time.Second

// shown is somebody with the code of this moment.
type shown struct {
	player
	Code string
}

// people are those whose codes are shown, and for how many seconds the codes are good.
func (s *stage) people(now time.Time) (all []shown, left int) {
	seconds := int64(step / time.Second)
	for _, p := range s.made.Shown {
		k := otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: p.Secret}
		all = append(all, shown{p, k.Code(uint64(now.Unix() / seconds))})
	}
	return all, int(seconds - now.Unix()%seconds)
}

type firstView struct {
	People                      []shown
	Left                        int // seconds until there are other codes
	Console                     string
	Handbook, Payroll, Machines string
	Radius                      string
}

// first is the page that says what to try.
func (s *stage) first() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /style.css", file("pages/style.css"))
	mux.HandleFunc("GET /codes.js", file("pages/codes.js"))
	mux.HandleFunc("GET /codes", func(w http.ResponseWriter, _ *http.Request) {
		people, left := s.people(time.Now())
		codes := map[string]string{}
		for _, p := range people {
			codes[p.Name] = p.Code
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{"left": left, "codes": codes}) // the browser may be gone
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		at := "http://" + s.made.Site
		v := firstView{Console: s.console, Handbook: at + "/", Payroll: at + "/payroll/", Machines: at + "/machines/", Radius: s.made.Radius}
		v.People, v.Left = s.people(time.Now())
		render(w, "first.html", v)
	})
	return mux
}

// pageView is a page of the site, for who reads it.
type pageView struct {
	Title, Here   string
	Name, Groups  string
	SignOut, Time string
}

// intranet are the three pages behind the guard. They believe the headers, because nothing
// reaches them but through it.
func (s *stage) intranet() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /style.css", file("pages/style.css"))
	for path, page := range map[string][2]string{"/{$}": {"handbook.html", "The handbook"}, "/payroll/{$}": {"payroll.html", "Payroll"}, "/machines/{$}": {"machines.html", "The machine room"}} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			name, err := url.PathUnescape(r.Header.Get("Remote-Name"))
			if err != nil || name == "" {
				name = r.Header.Get("Remote-User")
			}
			render(w, page[0], pageView{Title: page[1], Here: page[0], Name: name, Groups: strings.ReplaceAll(r.Header.Get("Remote-Groups"), ",", ", "), SignOut: s.console + "/account", Time: time.Now().UTC().Format("15:04:05 UTC")})
		})
	}
	return mux
}

func file(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, name) }
}

func render(w http.ResponseWriter, name string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if err := templates.ExecuteTemplate(w, name, data); err != nil {
		http.Error(w, "This page could not be shown.", http.StatusInternalServerError)
	}
}

package look

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"countersign/internal/failure"
)

// Server composes the routes of all rooms into one handler.
type Server struct {
	Look *Look
	// PublicURL is where browsers believe to be; forms from there are ours even
	// where a proxy has changed the host.
	PublicURL *url.URL
	Routes    []Route
}

// Handler returns the pages. A route without a demand, without a method, or
// that is there twice is an error.
func (s *Server) Handler() (http.Handler, error) {
	guardian := http.NewCrossOriginProtection()
	if s.PublicURL != nil {
		if err := guardian.AddTrustedOrigin(s.PublicURL.Scheme + "://" + s.PublicURL.Host); err != nil {
			return nil, err
		}
	}
	routes := append([]Route{
		{Pattern: "GET " + assetRoot + "{name}", Demand: Public(), Handler: s.Look.assets.serve},
		{Pattern: "GET /favicon.ico", Demand: Public(), Handler: s.favicon},
	}, s.Routes...)
	mux := http.NewServeMux()
	methods, err := sortMethods(routes)
	if err != nil {
		return nil, err
	}
	for _, route := range routes {
		mux.Handle(route.Pattern, s.serve(guardian, route))
	}
	for path, allowed := range methods {
		mux.Handle(path, s.serve(nil, Route{Handler: wrongMethod(allowed)}))
	}
	if methods["/"] == nil {
		mux.Handle("/", s.serve(nil, Route{Handler: func(http.ResponseWriter, *http.Request) error { return errNoPage }}))
	}
	return s.Look.Strict(mux, nil, nil), nil
}

// sortMethods checks the routes and gathers which methods each path has.
func sortMethods(routes []Route) (map[string][]string, error) {
	methods := map[string][]string{}
	seen := map[string]bool{}
	for _, r := range routes {
		method, path, ok := strings.Cut(r.Pattern, " ")
		switch {
		case !ok || method != http.MethodGet && method != http.MethodPost:
			return nil, fmt.Errorf("look: the route %q does not begin with GET or POST", r.Pattern)
		case r.Demand == Demand{}:
			return nil, fmt.Errorf("look: the route %q does not say what it demands", r.Pattern)
		case r.Handler == nil || seen[r.Pattern]:
			return nil, fmt.Errorf("look: the route %q has no handler, or is there twice", r.Pattern)
		}
		seen[r.Pattern] = true
		methods[path] = append(methods[path], method)
	}
	return methods, nil
}

// serve runs one route: the form's origin first, then the route, then the page
// of its error.
func (s *Server) serve(guardian *http.CrossOriginProtection, route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route.English {
			r = r.WithContext(context.WithValue(r.Context(), english{}, true))
		}
		out := &once{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				s.Look.Log.Error("a page panicked", "route", route.Pattern, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				s.Look.fail(out, r, errors.New("panic"))
			}
		}()
		err := s.admit(w, r, guardian, route)
		if err == nil {
			err = route.Handler(out, r)
		}
		if err != nil {
			s.Look.fail(out, r, err)
		}
	})
}

// fileInMemory is how much of an uploaded file is held; the rest is on disk until the request
// was answered.
const fileInMemory = 1 << 20

// admit lets through what changes nothing and forms of our own.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, guardian *http.CrossOriginProtection, route Route) error {
	if guardian == nil || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if route.Bare {
		r.Body = http.MaxBytesReader(w, r.Body, 0)
		return nil
	}
	if err := guardian.Check(r); err != nil {
		return failure.Wrap(failure.Refused, err, errStrayForm.Public)
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	file := route.File && kind == "multipart/form-data"
	if err != nil || kind != "application/x-www-form-urlencoded" && !file {
		return failure.New(failure.Invalid, "This page takes forms only.")
	}
	limit := route.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if file {
		err = r.ParseMultipartForm(fileInMemory)
	} else {
		err = r.ParseForm()
	}
	if err != nil {
		return failure.Wrap(failure.Invalid, err, "The form could not be read; it may be too large.")
	}
	return s.Look.checkToken(r)
}

func (s *Server) favicon(w http.ResponseWriter, r *http.Request) error {
	path, err := s.Look.assets.path("icon.svg")
	if err != nil {
		return err
	}
	http.Redirect(w, r, path, http.StatusFound)
	return nil
}

// once notes whether anything was written.
type once struct {
	http.ResponseWriter
	wrote bool
}

func (o *once) WriteHeader(status int) {
	o.wrote = true
	o.ResponseWriter.WriteHeader(status)
}

func (o *once) Write(b []byte) (int, error) {
	o.wrote = true
	return o.ResponseWriter.Write(b)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (o *once) Unwrap() http.ResponseWriter { return o.ResponseWriter }

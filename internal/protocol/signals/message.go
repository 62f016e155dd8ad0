package signals

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/secevent"
	"countersign/internal/signal"
)

// most is the greatest body of a request of a receiver, in bytes.
const most = 64 << 10

// request is one request.
type request struct{ http *http.Request }

// answer is what it is answered with; without a body it is empty.
type answer struct {
	status int
	body   any
	public bool // it may be kept for an hour
}

// fault is an error of ours.
type fault struct {
	status int
	says   string
	after  int // Retry-After, in seconds; 0 is none
}

func (f *fault) Error() string { return strconv.Itoa(f.status) + ": " + f.says }

func bad(says string) error { return &fault{status: http.StatusBadRequest, says: says} }

var notFound = &fault{status: http.StatusNotFound, says: "There is no such stream."}

// bearer is what a request comes with, and whether it is an automation key.
func bearer(r *http.Request) (secret string, key bool) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return secret, strings.HasPrefix(secret, "cskey_")
}

// mediaOf is the media type of a body; empty is none that can be read.
func mediaOf(r *http.Request) string {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return ""
	}
	return kind
}

// read reads the body, up to a length.
func (r *request) read(limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.http.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, bad("The request broke off.")
	case len(b) > limit:
		return nil, &fault{status: http.StatusRequestEntityTooLarge, says: "The request is longer than " + strconv.Itoa(limit) + " bytes."}
	}
	return b, nil
}

// decode reads a JSON object. Members that are unknown are left out, as SSF has it.
func (r *request) decode(into any) error {
	if mediaOf(r.http) != "application/json" {
		return &fault{status: http.StatusUnsupportedMediaType, says: "Send JSON in UTF-8, with Content-Type: application/json."}
	}
	b, err := r.read(most)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(into); err != nil || d.More() {
		return bad("The request is not one JSON object of the form that is asked for.")
	}
	return nil
}

// statuses are those of the classes.
var statuses = map[failure.Class]int{failure.Internal: http.StatusInternalServerError, failure.Invalid: http.StatusBadRequest, failure.Refused: http.StatusForbidden,
	failure.NotFound: http.StatusNotFound, failure.Conflict: http.StatusConflict, failure.Unavailable: http.StatusServiceUnavailable}

// faultOf is what a client is told of an error.
func faultOf(err error) (*fault, string) {
	var f *fault
	var token *secevent.Fault
	switch {
	case errors.As(err, &f):
		return f, ""
	case errors.As(err, &token):
		return &fault{status: http.StatusBadRequest, says: token.Says}, token.Code
	case errors.Is(err, signal.ErrStranger):
		return &fault{status: http.StatusUnauthorized, says: failure.Public(err)}, "authentication_failed"
	case errors.Is(err, signal.ErrCrowded), errors.Is(err, signal.ErrBusy):
		return &fault{status: http.StatusTooManyRequests, says: failure.Public(err), after: 1}, ""
	}
	f = &fault{status: statuses[failure.ClassOf(err)], says: failure.Public(err)}
	if f.status == http.StatusServiceUnavailable {
		f.after = 60
	}
	return f, ""
}

// serve has a route answer.
func (s *Server) serve(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Cache-Control", "no-store")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		done, err := s.enter(route, r)
		if err == nil {
			defer done()
			var a *answer
			if a, err = route.handler(&request{r}); err == nil {
				write(w, a)
				return
			}
		}
		s.fail(w, r, err)
	})
}

// enter takes a place for a request of a receiver, which must come with something like a key.
func (s *Server) enter(route Route, r *http.Request) (done func(), err error) {
	if len(route.Actions) == 0 {
		return func() {}, nil
	}
	if _, key := bearer(r); !key {
		return nil, keyNeeded
	}
	return s.desk.budget.enter(r)
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f, code := faultOf(err)
	if f.status == http.StatusInternalServerError {
		s.log.Error("a request about signals failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="signals"`)
		w.Header().Set("Connection", "close") // or the rest of the request would be read first
	}
	if f.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.after))
	}
	body := map[string]string{"description": f.says}
	if code != "" {
		body["err"] = code
		w.Header().Set("Content-Language", "en")
	}
	write(w, &answer{status: f.status, body: body})
}

func write(w http.ResponseWriter, a *answer) {
	if a.public {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(a.body) //nolint:errcheck // the client went away
}

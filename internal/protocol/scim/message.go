package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"countersign/internal/failure"
)

// The messages of RFC 7644.
const (
	errorMessage  = "urn:ietf:params:scim:api:messages:2.0:Error"
	listMessage   = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	patchMessage  = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	searchMessage = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	bulkMessage   = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	bulkAnswer    = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

// mediaType is that of RFC 7644, section 8.1.
const mediaType = "application/scim+json"

// most is the greatest body, in bytes. It is what ServiceProviderConfig says.
const most = 1 << 20

// fault is an error as SCIM writes one (RFC 7644, section 3.12). Its detail is a sentence that the
// client may show.
type fault struct {
	status   int
	scimType string
	detail   string
	after    int // Retry-After, in seconds; 0 is none
}

func (f *fault) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.scimType, f.detail) }

var notFound = &fault{status: http.StatusNotFound, detail: "There is no such resource."}

func bad(scimType, format string, args ...any) *fault {
	return &fault{status: http.StatusBadRequest, scimType: scimType, detail: fmt.Sprintf(format, args...)}
}

// statuses are those of the classes.
var statuses = map[failure.Class]int{failure.Internal: http.StatusInternalServerError, failure.Invalid: http.StatusBadRequest, failure.Refused: http.StatusForbidden,
	failure.NotFound: http.StatusNotFound, failure.Conflict: http.StatusConflict, failure.Unavailable: http.StatusServiceUnavailable}

// faultOf is what a client is told of an error.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return &fault{status: http.StatusRequestEntityTooLarge, detail: fmt.Sprintf("The request is longer than %d bytes; send it in parts.", most)}
	}
	class := failure.ClassOf(err)
	f = &fault{status: statuses[class], detail: failure.Public(err)}
	switch field := failure.FieldOf(err); {
	case class == failure.Invalid:
		f.scimType = "invalidValue"
	case class == failure.Conflict && (field == "name" || field == "to" || field == "display"):
		f.scimType = "uniqueness"
	}
	return f
}

type errorBody struct {
	Schemas  []string `json:"schemas"`
	Status   string   `json:"status"`
	ScimType string   `json:"scimType,omitempty"`
	Detail   string   `json:"detail,omitempty"`
}

func (f *fault) body() errorBody {
	return errorBody{[]string{errorMessage}, strconv.Itoa(f.status), f.scimType, f.detail}
}

// answer is what a request is answered with. A nil body is none.
type answer struct {
	status   int
	body     any
	version  string // the resource's, as ETag
	location string // of the resource
}

// request is one request, or one operation of a Bulk request.
type request struct {
	http    *http.Request
	id      string // the resource's, or empty
	body    object // nil before it is read, and where there is none
	ifMatch string
	ifNone  string
	// refs are what the bulkId of operations that are done lead to.
	refs map[string]string
}

func newRequest(r *http.Request) *request {
	return &request{http: r, id: r.PathValue("id"), ifMatch: r.Header.Get("If-Match"), ifNone: r.Header.Get("If-None-Match")}
}

// read reads the body.
func (r *request) read() error {
	if r.body != nil {
		return nil
	}
	kind, params, err := mime.ParseMediaType(r.http.Header.Get("Content-Type"))
	if err != nil || kind != mediaType && kind != "application/json" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return &fault{status: http.StatusUnsupportedMediaType, detail: "Send JSON in UTF-8, with Content-Type: application/scim+json."}
	}
	b, err := io.ReadAll(r.http.Body)
	if err != nil {
		return err
	}
	v, err := decode(b)
	if err != nil {
		return err
	}
	o, ok := v.(object)
	if !ok {
		return bad("invalidSyntax", "The request is not a JSON object.")
	}
	r.body = o
	return nil
}

// serve has a route answer.
func (s *Server) serve(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, most)
		head := w.Header()
		head.Set("Cache-Control", "no-store")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		done, err := s.enter(route, r)
		if err == nil {
			defer done()
			var a *answer
			if a, err = route.handler(newRequest(r)); err == nil {
				write(w, a)
				return
			}
		}
		s.fail(w, r, err)
	})
}

// enter reads the body of a request, and then takes a place for it: a client that sends slowly
// takes none.
func (s *Server) enter(route Route, r *http.Request) (done func(), err error) {
	if len(route.Actions) > 0 && bearer(r) == "" {
		return nil, keyNeeded // before anything is read for a stranger
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, strangerMost+1))
	if err == nil && len(b) > strangerMost {
		if err := s.people.desk.known(r); err != nil {
			return nil, err
		}
		var rest []byte
		rest, err = io.ReadAll(r.Body)
		b = append(b, rest...)
	}
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	return s.budget.enter(r)
}

// strangerMost is how much is read of a request before its key is found to be one, in octets. What
// is made of JSON takes many times its length.
const strangerMost = 64 << 10

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := faultOf(err)
	if f.status >= 500 && f.status != http.StatusNotImplemented {
		s.log.Error("a SCIM request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="SCIM"`)
		w.Header().Set("Connection", "close") // or the rest of the request would be read first
	}
	if f.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.after))
	}
	write(w, &answer{status: f.status, body: f.body()})
}

func write(w http.ResponseWriter, a *answer) {
	if a.version != "" {
		w.Header().Set("ETag", a.version)
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(a.status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(a.body) //nolint:errcheck // the client went away
}

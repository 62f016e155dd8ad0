package scim

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"countersign/internal/text"
)

// What a Bulk request has at most: operations, and how many people are made at once.
const (
	maxOperations = 1000
	maxTogether   = 64
)

// bulk does several operations of one request (RFC 7644, section 3.7).
type bulk struct {
	people *people
	teams  *teams
	log    *slog.Logger
}

// step is one operation, and what it is answered with.
type step struct {
	method, bulkID, path, version string
	data                          object
	needs                         []string // the bulkIds that it names
	done                          bool
	out                           result
}

type result struct {
	Method   string `json:"method"`
	BulkID   string `json:"bulkId,omitempty"`
	Version  string `json:"version,omitempty"`
	Location string `json:"location,omitempty"`
	Status   string `json:"status"`
	Response any    `json:"response,omitempty"`
}

const bulkPrefix = "bulkid:"

// resolved is what a reference to another operation leads to; any other text is itself.
func (r *request) resolved(id string) (string, error) {
	if len(id) < len(bulkPrefix) || !strings.EqualFold(id[:len(bulkPrefix)], bulkPrefix) {
		return id, nil
	}
	real, ok := r.refs[id[len(bulkPrefix):]]
	if !ok {
		return "", bad("invalidValue", "A bulkId is named that leads to nothing.")
	}
	return real, nil
}

func (b *bulk) do(r *request) (*answer, error) {
	if bearer(r.http) == "" {
		return nil, keyNeeded
	}
	if err := r.read(); err != nil {
		return nil, err
	}
	steps, most, err := readBulk(r.body)
	if err != nil {
		return nil, err
	}
	run := &running{bulk: b, http: r.http, steps: steps, most: most, refs: map[string]string{}}
	run.all()
	out := []result{}
	for _, s := range steps {
		if s.done {
			out = append(out, s.out)
		}
	}
	return &answer{status: http.StatusOK, body: map[string]any{"schemas": []string{bulkAnswer}, "Operations": out}}, nil
}

// readBulk reads a Bulk request; most is how many errors end it, 0 for none.
func readBulk(o object) (steps []*step, most int, err error) {
	if !o.declares(bulkMessage) {
		return nil, 0, bad("invalidSyntax", "The message is no BulkRequest: name its schema in schemas.")
	}
	if v := o["failonerrors"]; v != nil {
		n, ok := v.(json.Number)
		if most, err = strconv.Atoi(n.String()); !ok || err != nil || most < 1 {
			return nil, 0, bad("invalidValue", "failOnErrors is a whole number above 0.")
		}
	}
	list, ok := o["operations"].([]any)
	if !ok {
		return nil, 0, bad("invalidSyntax", "Operations is a list.")
	}
	if len(list) > maxOperations {
		return nil, 0, &fault{status: http.StatusRequestEntityTooLarge, scimType: "tooMany", detail: "A Bulk request has " + strconv.Itoa(maxOperations) + " operations at most; send it in parts."}
	}
	ids := map[string]bool{}
	for _, v := range list {
		one, ok := v.(object)
		if !ok {
			return nil, 0, bad("invalidSyntax", "An operation is an object.")
		}
		s, err := readStep(one)
		if err != nil {
			return nil, 0, err
		}
		if s.bulkID != "" && ids[s.bulkID] {
			return nil, 0, bad("invalidValue", "A bulkId is given to two operations.")
		}
		ids[s.bulkID] = true
		steps = append(steps, s)
	}
	return steps, most, nil
}

func readStep(o object) (*step, error) {
	s := &step{}
	for name, to := range map[string]*string{"method": &s.method, "bulkid": &s.bulkID, "path": &s.path, "version": &s.version} {
		v, err := textOf(o, name)
		if err != nil || len(v.text) > 256 {
			return nil, bad("invalidSyntax", "method, bulkId, path and version of an operation are short texts.")
		}
		*to = v.text
	}
	s.method = strings.ToUpper(s.method)
	data, ok := o["data"].(object)
	switch s.method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		if !ok {
			return nil, bad("invalidSyntax", "An operation that makes or changes something has data.")
		}
	case http.MethodDelete:
	default:
		return nil, bad("invalidSyntax", "The method of an operation is POST, PUT, PATCH or DELETE.")
	}
	if s.method == http.MethodPost && s.bulkID == "" {
		return nil, bad("invalidSyntax", "An operation by POST has a bulkId.")
	}
	s.data = data
	s.needs = references(data, nil)
	if id := s.path[strings.LastIndexByte(s.path, '/')+1:]; len(id) > len(bulkPrefix) && strings.EqualFold(id[:len(bulkPrefix)], bulkPrefix) {
		s.needs = append(s.needs, id[len(bulkPrefix):])
	}
	s.out = result{Method: s.method, BulkID: s.bulkID}
	return s, nil
}

// references are the bulkIds that something names, in paths too: members[value eq "bulkId:a"].
func references(v any, out []string) []string {
	switch v := v.(type) {
	case object:
		for _, one := range v {
			out = references(one, out)
		}
	case []any:
		for _, one := range v {
			out = references(one, out)
		}
	case string:
		if len(v) > len(bulkPrefix) && strings.EqualFold(v[:len(bulkPrefix)], bulkPrefix) {
			out = append(out, v[len(bulkPrefix):])
		}
	}
	return out
}

// running is a Bulk request that is under way.
type running struct {
	*bulk
	http   *http.Request
	steps  []*step
	most   int
	errors int
	refs   map[string]string // what is made, by bulkId
}

func (r *running) over() bool { return r.most > 0 && r.errors >= r.most }

// all does the operations in their order. One that names what is made later waits for it, and so do
// those after it that are about the same; those that wait for each other are refused.
func (r *running) all() {
	for {
		moved, waiting := r.pass()
		if r.over() || len(waiting) == 0 {
			return
		}
		if moved {
			continue
		}
		for _, s := range waiting {
			if r.over() {
				return
			}
			r.settle(s, nil, &fault{status: http.StatusConflict, detail: "The operation names a bulkId that leads to nothing, or that waits for this one."})
		}
		return
	}
}

// pass does what can be done now.
func (r *running) pass() (moved bool, waiting []*step) {
	held := map[string]bool{}
	for i := 0; i < len(r.steps) && !r.over(); i++ {
		s := r.steps[i]
		switch {
		case s.done:
		case held[s.path] && s.method != http.MethodPost || !r.ready(s):
			held[s.path] = true
			waiting = append(waiting, s)
		default:
			if n := r.alike(i); n > 1 {
				r.together(r.steps[i : i+n])
				i += n - 1
			} else {
				r.settleBy(s)
			}
			moved = true
		}
	}
	return moved, waiting
}

// ready reports whether all that a step names is there.
func (r *running) ready(s *step) bool {
	for _, id := range s.needs {
		if _, ok := r.refs[id]; !ok {
			return false
		}
	}
	return true
}

// alike is how many steps from one on make people, name nothing, and have no name or address in
// common, so that it makes no difference that they are done at once: not more than there may be
// errors.
func (r *running) alike(from int) int {
	n, most, seen := 0, maxTogether, map[string]bool{}
	if r.most > 0 {
		most = min(most, r.most-r.errors)
	}
	for n < most && from+n < len(r.steps) {
		s := r.steps[from+n]
		if s.done || s.method != http.MethodPost || s.path != userKind.endpoint || len(s.needs) > 0 || clash(s.data, seen) {
			break
		}
		n++
	}
	return n
}

// clash reports whether a person's name, address or display name was seen, and notes them.
func clash(o object, seen map[string]bool) (was bool) {
	all := []any{o["username"], o["displayname"]}
	if name, ok := o["name"].(object); ok {
		all = append(all, name["formatted"])
	}
	if list, err := listOf(o["emails"]); err == nil {
		for _, one := range list {
			all = append(all, one.(object)["value"])
		}
	}
	own := map[string]bool{}
	for _, v := range all {
		if s, ok := v.(string); ok && s != "" {
			own[text.Spelling(s)] = true
		}
	}
	for s := range own {
		was = was || seen[s]
		seen[s] = true
	}
	return was
}

// together does steps at once, so that they share what a change costs.
func (r *running) together(steps []*step) {
	type outcome struct {
		a   *answer
		err error
	}
	got := make([]outcome, len(steps))
	var wg sync.WaitGroup
	for i, s := range steps {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil { // which would end the server outside of its request
					got[i].err = fmt.Errorf("scim: an operation panicked: %v", p)
				}
			}()
			got[i].a, got[i].err = r.one(s)
		})
	}
	wg.Wait()
	for i, s := range steps {
		r.settle(s, got[i].a, got[i].err)
	}
}

func (r *running) settleBy(s *step) {
	a, err := r.one(s)
	r.settle(s, a, err)
}

// settle writes down what a step came to.
func (r *running) settle(s *step, a *answer, err error) {
	s.done = true
	if err != nil {
		f := faultOf(err)
		if f.status >= 500 && f.status != http.StatusNotImplemented {
			r.log.Error("a SCIM operation failed", "method", s.method, "error", err)
		}
		r.errors++
		s.out.Status, s.out.Response = strconv.Itoa(f.status), f.body()
		return
	}
	s.out.Status, s.out.Version, s.out.Location = strconv.Itoa(a.status), a.version, a.location
	if s.method == http.MethodPost && s.bulkID != "" {
		r.refs[s.bulkID] = a.location[strings.LastIndexByte(a.location, '/')+1:]
	}
}

// one does a step as the request that it stands for.
func (r *running) one(s *step) (*answer, error) {
	endpoint, id, _ := strings.Cut(strings.TrimPrefix(s.path, "/"), "/")
	sub := *r.http
	sub.Method, sub.URL = s.method, &url.URL{Path: Root + s.path}
	req := &request{http: &sub, body: s.data, ifMatch: s.version, refs: r.refs}
	if s.data == nil {
		req.body = object{}
	}
	var err error
	if req.id, err = req.resolved(id); err != nil {
		return nil, err
	}
	do, ok := r.handlers(s.path, endpoint)[s.method+" "+strconv.FormatBool(id != "")]
	if !ok {
		return nil, notFound
	}
	return do(req)
}

func (r *running) handlers(path, endpoint string) map[string]func(*request) (*answer, error) {
	switch {
	case !strings.HasPrefix(path, "/"):
	case endpoint == "Users":
		return map[string]func(*request) (*answer, error){"POST false": r.people.create, "PUT true": r.people.put, "PATCH true": r.people.patch, "DELETE true": r.people.remove}
	case endpoint == "Groups":
		return map[string]func(*request) (*answer, error){"POST false": r.teams.create, "PUT true": r.teams.put, "PATCH true": r.teams.patch, "DELETE true": r.teams.remove}
	}
	return nil
}

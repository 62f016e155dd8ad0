package provision

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/outside"
	"countersign/internal/text"
)

func hash(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

const (
	// patience bounds one request, mostAnswer what is read of its answer, and longestSaid what is
	// repeated of it.
	patience    = 20 * time.Second
	mostAnswer  = 8 << 20
	longestSaid = 200
	// longestWait is the longest Retry-After that is believed.
	longestWait = time.Hour
	mediaType   = "application/scim+json"
)

// client speaks SCIM to one application. It follows no redirect, asks no proxy, keeps no cookie,
// and connects to no address inside that is not listed.
type client struct {
	base  string
	token string
	http  *http.Client
	// can is what the application says that it can do, once it was asked.
	can *abilities
}

// abilities are what ServiceProviderConfig says (RFC 7643, section 5).
type abilities struct {
	patch, filter bool
	most          int // resources in an answer
}

func newClient(s Settings) (*client, error) {
	u, err := url.Parse(s.Address)
	if err != nil {
		return nil, failure.New(failure.Unavailable, "The address cannot be used.")
	}
	listed, err := outside.List(s.Inside)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: listed.Control(u.Hostname())}
	transport := &http.Transport{Proxy: nil, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second,
		ResponseHeaderTimeout: patience, MaxResponseHeaderBytes: 16 << 10, MaxConnsPerHost: atOnce, MaxIdleConnsPerHost: atOnce, IdleConnTimeout: time.Minute}
	return &client{base: strings.TrimSuffix(s.Address, "/"), token: s.Token,
		http: &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// answerError is an answer that is no success. Its text never has the token or the address.
type answerError struct {
	status int
	after  time.Duration // from Retry-After; 0 for none
	says   string
}

func (e *answerError) Error() string {
	if e.status == 0 {
		return e.says
	}
	return fmt.Sprintf("The application answered %d: %s", e.status, e.says)
}

// Whole reports whether the error is about the application as a whole and not about one resource.
func (e *answerError) whole() bool {
	return e.status == 0 || e.status == http.StatusUnauthorized || e.status == http.StatusTooManyRequests || e.status/100 == 3 || e.status >= 500 && e.status != http.StatusNotImplemented
}

func statusOf(err error) int {
	if e, ok := errors.AsType[*answerError](err); ok {
		return e.status
	}
	return 0
}

// call sends a request and reads the answer's resource; body and nil are what there is.
func (c *client) call(ctx context.Context, method, path string, body any, into any) error {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(b))
	if err != nil {
		return &answerError{says: "The address cannot be used."}
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Accept", mediaType)
	r.Header.Set("User-Agent", "countersign")
	if body != nil {
		r.Header.Set("Content-Type", mediaType)
	}
	a, err := c.http.Do(r)
	if err != nil {
		return c.unreached(err)
	}
	defer a.Body.Close()
	said, err := io.ReadAll(io.LimitReader(a.Body, mostAnswer+1))
	switch {
	case a.StatusCode/100 == 3:
		return &answerError{status: a.StatusCode, says: "it leads elsewhere, which is not followed. Set its final address."}
	case a.StatusCode/100 != 2:
		return &answerError{status: a.StatusCode, after: retryAfter(a.Header.Get("Retry-After")), says: c.said(said)}
	case err != nil:
		return &answerError{says: "The application's answer broke off."}
	case len(said) > mostAnswer:
		return &answerError{says: "The application's answer is too long."}
	case into == nil || len(said) == 0:
		return nil
	}
	if err := json.Unmarshal(said, into); err != nil {
		return &answerError{status: a.StatusCode, says: "that is no SCIM resource."}
	}
	return nil
}

// unreached says why nothing came back, without the address.
func (c *client) unreached(err error) error {
	if errors.Is(err, outside.ErrInside) {
		return &answerError{says: "The application's address leads inside the network, and is not listed in inside."}
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	return &answerError{says: "The application cannot be reached: " + c.hidden(text.Seen(err.Error())) + "."}
}

// said is what an answer says of itself, on one line, without the token.
func (c *client) said(b []byte) string {
	var e struct {
		Detail string `json:"detail"`
		Type   string `json:"scimType"`
	}
	s := string(b)
	if json.Unmarshal(b, &e) == nil && e.Detail != "" {
		s = e.Detail
		if e.Type != "" {
			s += " (" + e.Type + ")"
		}
	}
	s = c.hidden(strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " "))
	if len(s) > longestSaid {
		s = strings.ToValidUTF8(s[:longestSaid], "") + "…"
	}
	if s == "" {
		s = "nothing"
	}
	return text.Seen(s)
}

func (c *client) hidden(s string) string { return strings.ReplaceAll(s, c.token, "***") }

// retryAfter reads seconds (RFC 9110, section 10.2.3); a date is read as none.
func retryAfter(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, longestWait)
}

// abilities asks what the application can do. One that does not say is taken to replace whole
// resources, which every one can.
func (c *client) abilities(ctx context.Context) (abilities, error) {
	if c.can != nil {
		return *c.can, nil
	}
	var said struct {
		Patch  struct{ Supported bool } `json:"patch"`
		Filter struct {
			Supported  bool `json:"supported"`
			MaxResults int  `json:"maxResults"`
		} `json:"filter"`
	}
	err := c.call(ctx, http.MethodGet, "/ServiceProviderConfig", nil, &said)
	if s := statusOf(err); err != nil && s != http.StatusNotFound && s != http.StatusNotImplemented {
		return abilities{}, err
	}
	can := abilities{patch: said.Patch.Supported, filter: said.Filter.Supported || err != nil, most: 100}
	if said.Filter.MaxResults > 0 {
		can.most = min(can.most, said.Filter.MaxResults)
	}
	c.can = &can
	return can, nil
}

// listed is a page of resources.
type listed struct {
	Total     int        `json:"totalResults"`
	Resources []resource `json:"Resources"`
}

// resource is what we read of a User or a Group.
type resource struct {
	ID       string          `json:"id"`
	External string          `json:"externalId"`
	UserName string          `json:"userName"`
	Display  string          `json:"displayName"`
	Active   *flag           `json:"active"`
	Emails   []remoteAddress `json:"emails"`
	Members  []remoteMember  `json:"members"`
}

type remoteAddress struct {
	Value   string `json:"value"`
	Primary flag   `json:"primary"`
}

type remoteMember struct {
	Value string `json:"value"`
}

// flag is a boolean, which some write as a text.
type flag bool

// UnmarshalJSON reads true, "true" and "True".
func (f *flag) UnmarshalJSON(b []byte) error {
	*f = flag(strings.EqualFold(strings.Trim(string(b), `"`), "true"))
	return nil
}

// mail is the address that counts.
func (r resource) mail() string {
	for _, m := range r.Emails {
		if m.Primary {
			return m.Value
		}
	}
	if len(r.Emails) > 0 {
		return r.Emails[0].Value
	}
	return ""
}

var errTwo = &answerError{status: http.StatusConflict, says: "there are two of that name."}

// find looks for the one of a name, before one is made; an empty id is none.
func (c *client) find(ctx context.Context, endpoint, attribute, name string) (resource, error) {
	can, err := c.abilities(ctx)
	if err != nil {
		return resource{}, err
	}
	if !can.filter {
		return c.findAmongAll(ctx, endpoint, attribute, name)
	}
	var page listed
	q := url.Values{"filter": {attribute + " eq " + quoted(name)}}
	if err := c.call(ctx, http.MethodGet, endpoint+"?"+q.Encode(), nil, &page); err != nil {
		return resource{}, err
	}
	return one(page.Resources, attribute, name)
}

// one is the resource of a name among some: servers may choose more than was asked for.
func one(all []resource, attribute, name string) (out resource, err error) {
	for _, r := range all {
		called := r.UserName
		if attribute == "displayName" {
			called = r.Display
		}
		if !strings.EqualFold(called, name) {
			continue
		}
		if out.ID != "" {
			return resource{}, errTwo
		}
		out = r
	}
	return out, nil
}

func (c *client) findAmongAll(ctx context.Context, endpoint, attribute, name string) (out resource, err error) {
	err = c.each(ctx, endpoint, func(r resource) error {
		found, err := one([]resource{r}, attribute, name)
		if err == nil && found.ID != "" {
			if out.ID != "" {
				return errTwo
			}
			out = found
		}
		return err
	})
	return out, err
}

// quoted is a text in a filter (RFC 7644, section 3.4.2.2: as JSON has it).
func quoted(s string) string {
	b := &bytes.Buffer{}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text can be written
	return strings.TrimSpace(b.String())
}

// mostThere bounds how many resources of an application are read.
const mostThere = 1_000_000

// each goes through all resources of a type, page by page. An application that gives the same page
// again is stopped.
func (c *client) each(ctx context.Context, endpoint string, fn func(resource) error) error {
	can, err := c.abilities(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for from := 1; from < mostThere; {
		q := url.Values{"startIndex": {strconv.Itoa(from)}, "count": {strconv.Itoa(can.most)}}
		var page listed
		if err := c.call(ctx, http.MethodGet, endpoint+"?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		fresh := 0
		for _, r := range page.Resources {
			if r.ID == "" || seen[r.ID] {
				continue
			}
			seen[r.ID], fresh = true, fresh+1
			if err := fn(r); err != nil {
				return err
			}
		}
		if from += len(page.Resources); fresh == 0 || from > page.Total {
			return nil
		}
	}
	return nil
}

func at(endpoint, id string) string { return endpoint + "/" + url.PathEscape(id) }

func isAnswer(err error) bool {
	_, is := errors.AsType[*answerError](err)
	return is
}

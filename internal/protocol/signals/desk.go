package signals

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"

	"countersign/internal/admin"
	commands "countersign/internal/admin/signal"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signal"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// keyKind is the authenticator that a key is checked by.
const keyKind = "apikey"

// desk serves receivers: it asks the engine about their requests, and has admin do what it granted.
type desk struct {
	view    store.View
	people  *directory.Accounts
	roll    *directory.Roll
	streams *signal.Streams
	engine  *signin.Engine
	admin   *admin.Admin
	channel string
	source  func(*http.Request) netip.Addr
	public  *url.URL
	budget  *budget
}

var keyNeeded = &fault{status: http.StatusUnauthorized, says: "Come with an automation key: Authorization: Bearer cskey_..."}

// strangers are the reasons of refusals of which nobody learns more: whoever came did not show a
// key that is good here.
var strangers = map[string]bool{"no-keys": true, "malformed": true, "unknown-key": true, "wrong": true, "expired": true, "not-a-service": true, "disabled": true, "revoked": true, "lost": true}

// ask asks the engine whether the request's key may do exactly this.
func (d *desk) ask(r *http.Request, c admin.Command) (signin.Grant, error) {
	key, _ := bearer(r)
	step, err := d.engine.CheckKey(r.Context(), signin.Request{Application: signin.Self, Action: c.Action(), Object: c.Object(), Source: d.source(r), Protocol: d.channel}, keyKind, key)
	switch {
	case err != nil:
		return signin.Grant{}, err
	case step.State == signin.Granted:
		return step.Grant, nil
	case strangers[step.Reason]:
		return signin.Grant{}, &fault{status: http.StatusUnauthorized, says: "The automation key is not valid here."}
	case step.Reason == "other-action":
		return signin.Grant{}, &fault{status: http.StatusForbidden, says: "The automation key was not issued for " + c.Action() + "; issue one that names it."}
	}
	return signin.Grant{}, failure.Refuse(step.Reason, step.Public)
}

// do has a command done under the request's key.
func do[T any](d *desk, r *request, c admin.Command) (T, error) {
	var none T
	ctx := r.http.Context()
	if err := d.admin.Prepare(ctx, c); err != nil {
		return none, err
	}
	g, err := d.ask(r.http, c)
	if err != nil {
		return none, err
	}
	if _, polls := c.(*commands.PollStream); !polls { // which ends with the request
		ctx = context.WithoutCancel(ctx)
	}
	got, err := d.admin.Do(ctx, g, c)
	if err != nil {
		if errors.Is(err, commands.ErrTooSoon) {
			err = &fault{status: http.StatusTooManyRequests, says: failure.Public(err), after: commands.VerifySeconds}
		}
		return none, err
	}
	out, ok := got.(T)
	if !ok {
		return none, failure.New(failure.Internal, "%s answers another type", c.Action())
	}
	return out, nil
}

// own returns the stream of a request that is the receiver's own.
func (d *desk) own(r *request, id string) (commands.Stream, error) {
	all, err := do[[]commands.Stream](d, r, &commands.ListStreams{})
	if err != nil {
		return commands.Stream{}, err
	}
	for _, one := range all {
		if one.ID == id && id != "" {
			return one, nil
		}
	}
	return commands.Stream{}, notFound
}

// poll gives a receiver what waits (RFC 8936 section 2.4).
func (d *desk) poll(r *request) (*answer, error) {
	var q struct {
		Most        *int                       `json:"maxEvents"`
		Immediately bool                       `json:"returnImmediately"`
		Ack         []string                   `json:"ack"`
		Errors      map[string]json.RawMessage `json:"setErrs"`
	}
	if err := r.decode(&q); err != nil {
		return nil, err
	}
	one, err := d.streams.ByID(r.http.Context(), r.http.PathValue("id"))
	if failure.ClassOf(err) == failure.NotFound {
		one.Name = "." // which no stream is called: what is asked of the key is asked all the same
	} else if err != nil {
		return nil, err
	}
	c := &commands.PollStream{Name: one.Name, Most: signal.MostPolled, Acked: q.Ack, Waits: !q.Immediately}
	if q.Most != nil {
		c.Most = max(0, *q.Most)
	}
	if c.Refused, err = refusals(q.Errors); err != nil {
		return nil, err
	}
	got, err := do[commands.Polled](d, r, c)
	if failure.ClassOf(err) == failure.NotFound {
		return nil, notFound
	}
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: map[string]any{"sets": got.Sets, "moreAvailable": got.More}}, nil
}

// refusals are the tokens that a receiver could not take, with its words for why.
func refusals(raw map[string]json.RawMessage) (map[string]string, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for id, v := range raw {
		var says struct {
			Err         string `json:"err"`
			Description string `json:"description"`
		}
		if err := json.Unmarshal(v, &says); err != nil || says.Err == "" {
			return nil, bad("Each error of setErrs has err and description.")
		}
		out[id] = says.Err + " " + says.Description
	}
	return out, nil
}

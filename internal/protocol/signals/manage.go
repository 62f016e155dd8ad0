package signals

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"countersign/internal/admin"
	commands "countersign/internal/admin/signal"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/secevent"
	"countersign/internal/signal"
	"countersign/internal/signingkey"
)

// delivery is how tokens come to a receiver (SSF 1.0 section 10.3.1).
type delivery struct {
	Method   string `json:"method"`
	Endpoint string `json:"endpoint_url,omitempty"`
	// Authorization is the value of that header in each push. It is taken, and never given back.
	Authorization string `json:"authorization_header,omitempty"`
}

// configuration is that of a stream (SSF 1.0 section 8.1.1). A nil member was left out.
type configuration struct {
	ID          string          `json:"stream_id,omitempty"`
	Issuer      string          `json:"iss,omitempty"`
	Audience    json.RawMessage `json:"aud,omitempty"`
	Supported   []string        `json:"events_supported,omitempty"`
	Requested   []string        `json:"events_requested,omitempty"`
	Delivered   []string        `json:"events_delivered,omitempty"`
	Delivery    *delivery       `json:"delivery,omitempty"`
	Interval    *int            `json:"min_verification_interval,omitempty"`
	Description *string         `json:"description,omitempty"`
}

// shown is a stream as its receiver reads it.
func (d *desk) shown(one commands.Stream) configuration {
	s := one.Settings
	c := configuration{ID: one.ID, Issuer: strings.TrimSuffix(d.public.String(), "/"), Audience: audience(s.Audience), Supported: secevent.Sent(), Delivered: full(s.Events), Requested: s.Requested}
	if len(c.Requested) == 0 {
		c.Requested = c.Delivered
	}
	interval := commands.VerifySeconds
	c.Interval = &interval
	if s.Description != "" {
		c.Description = &s.Description
	}
	c.Delivery = &delivery{Method: pushMethod, Endpoint: s.Endpoint}
	if s.Delivery == signal.Poll {
		c.Delivery = &delivery{Method: pollMethod, Endpoint: one.Poll}
	}
	return c
}

// audience is one text, or a list of several.
func audience(all []string) json.RawMessage {
	var b []byte
	if len(all) == 1 {
		b, _ = json.Marshal(all[0]) // a text can always be written
	} else {
		b, _ = json.Marshal(all)
	}
	return b
}

// full are events by their URIs.
func full(words []string) []string {
	out := []string{}
	for _, w := range words {
		if uri, ok := secevent.Named(w, secevent.Sent()); ok {
			out = append(out, uri)
		}
	}
	return out
}

// sendable are those of the requested events that can be sent.
func sendable(requested []string) []string {
	var out []string
	for _, uri := range requested {
		if slices.Contains(secevent.Sent(), uri) && !slices.Contains(out, uri) {
			out = append(out, uri)
		}
	}
	return out
}

// over puts what a receiver asks for over the settings that a stream has.
func (d *desk) over(c configuration, s commands.Settings, poll string) (json.RawMessage, error) {
	if c.Requested != nil {
		s.Requested, s.Events = c.Requested, sendable(c.Requested)
	}
	if c.Description != nil {
		s.Description = *c.Description
	}
	switch to := c.Delivery; {
	case to == nil:
	case to.Method == pushMethod:
		s.Delivery, s.Endpoint, s.Authorization = signal.Push, to.Endpoint, to.Authorization
	case to.Method == pollMethod && (to.Endpoint == "" || to.Endpoint == poll) && to.Authorization == "":
		s.Delivery, s.Endpoint, s.Authorization = signal.Poll, "", ""
	case to.Method == pollMethod:
		return nil, bad("The address of a poll is the transmitter's to name; leave endpoint_url out.")
	default:
		return nil, bad("The delivery method is " + pushMethod + " or " + pollMethod + ".")
	}
	return json.Marshal(s)
}

// create makes a stream for the receiver (SSF 1.0 section 8.1.1.1). Without a delivery it is polled.
func (d *desk) create(r *request) (*answer, error) {
	var c configuration
	if err := r.decode(&c); err != nil {
		return nil, err
	}
	name := "stream-" + strings.ToLower(rand.Text()[:8])
	if c.Delivery == nil {
		c.Delivery = &delivery{Method: pollMethod}
	}
	settings, err := d.over(c, commands.Settings{Audience: []string{cmp.Or(d.receiver(r), name)}}, "")
	if err != nil {
		return nil, err
	}
	one, err := do[commands.Stream](d, r, &commands.CreateStream{Name: name, Settings: settings})
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusCreated, body: d.shown(one)}, nil
}

// receiver is what the receiver's streams are for: what those are for that it has.
func (d *desk) receiver(r *request) string {
	all, err := do[[]commands.Stream](d, r, &commands.ListStreams{})
	if err != nil || len(all) == 0 || len(all[0].Settings.Audience) == 0 {
		return ""
	}
	return all[0].Settings.Audience[0]
}

// read shows one stream, or all of the receiver's.
func (d *desk) read(r *request) (*answer, error) {
	if id := r.http.URL.Query().Get("stream_id"); id != "" {
		one, err := d.own(r, id)
		if err != nil {
			return nil, err
		}
		return &answer{status: http.StatusOK, body: d.shown(one)}, nil
	}
	all, err := do[[]commands.Stream](d, r, &commands.ListStreams{})
	if err != nil {
		return nil, err
	}
	out := []configuration{}
	for _, one := range all {
		out = append(out, d.shown(one))
	}
	return &answer{status: http.StatusOK, body: out}, nil
}

// patch changes what a request has, and replace also what it has not.
func (d *desk) patch(r *request) (*answer, error)   { return d.update(r, false) }
func (d *desk) replace(r *request) (*answer, error) { return d.update(r, true) }

func (d *desk) update(r *request, whole bool) (*answer, error) {
	var c configuration
	if err := r.decode(&c); err != nil {
		return nil, err
	}
	one, err := d.own(r, c.ID)
	if err != nil {
		return nil, err
	}
	if err := d.matches(c, one); err != nil {
		return nil, err
	}
	s := one.Settings
	if whole { // what is left out is deleted
		none := ""
		c.Description = cmp.Or(c.Description, &none)
		if c.Delivery == nil {
			c.Delivery = &delivery{Method: pollMethod}
		}
		if c.Requested == nil {
			s.Requested, s.Events = nil, nil
		}
	}
	settings, err := d.over(c, s, one.Poll)
	if err != nil {
		return nil, err
	}
	one, err = do[commands.Stream](d, r, &commands.UpdateStream{Name: one.Name, Settings: settings})
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: d.shown(one)}, nil
}

// matches refuses other values for what the transmitter supplies.
func (d *desk) matches(c configuration, one commands.Stream) error {
	is := d.shown(one)
	switch {
	case c.Issuer != "" && c.Issuer != is.Issuer, c.Audience != nil && string(compact(c.Audience)) != string(is.Audience),
		c.Supported != nil && !slices.Equal(c.Supported, is.Supported), c.Interval != nil && *c.Interval != *is.Interval:
		return bad("iss, aud, events_supported and min_verification_interval are the transmitter's; leave them out, or as they are.")
	}
	return nil
}

// compact writes JSON without white space; what is no JSON stays.
func compact(raw json.RawMessage) json.RawMessage {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return raw
	}
	b, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return b
}

func (d *desk) remove(r *request) (*answer, error) {
	one, err := d.own(r, r.http.URL.Query().Get("stream_id"))
	if err != nil {
		return nil, err
	}
	if _, err := do[map[string]string](d, r, &commands.RemoveStream{Name: one.Name}); err != nil {
		return nil, err
	}
	return &answer{status: http.StatusNoContent}, nil
}

// state is the state of a stream (SSF 1.0 section 8.1.2).
type state struct {
	ID     string `json:"stream_id"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

func (d *desk) status(r *request) (*answer, error) {
	one, err := d.own(r, r.http.URL.Query().Get("stream_id"))
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: state{one.ID, one.Status, one.Reason}}, nil
}

func (d *desk) setStatus(r *request) (*answer, error) {
	var s state
	if err := r.decode(&s); err != nil {
		return nil, err
	}
	one, err := d.own(r, s.ID)
	if err != nil {
		return nil, err
	}
	one, err = do[commands.Stream](d, r, &commands.SetStatus{Name: one.Name, Status: s.Status, Reason: s.Reason})
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusOK, body: state{one.ID, one.Status, one.Reason}}, nil
}

// addSubject has a stream tell of somebody (SSF 1.0 section 8.1.3.2). Whether there is such a person
// is not told: a receiver that asks for a name learns nothing by it.
func (d *desk) addSubject(r *request) (*answer, error) {
	return d.subject(r, http.StatusOK, func(stream, account string) admin.Command {
		return &commands.AddSubject{Name: stream, Account: account}
	})
}

func (d *desk) removeSubject(r *request) (*answer, error) {
	return d.subject(r, http.StatusNoContent, func(stream, account string) admin.Command {
		return &commands.RemoveSubject{Name: stream, Account: account}
	})
}

func (d *desk) subject(r *request, status int, command func(stream, account string) admin.Command) (*answer, error) {
	var q struct {
		ID      string          `json:"stream_id"`
		Subject json.RawMessage `json:"subject"`
	}
	if err := r.decode(&q); err != nil {
		return nil, err
	}
	one, err := d.own(r, q.ID)
	if err != nil {
		return nil, err
	}
	about, err := secevent.ParseSubject(q.Subject)
	if err != nil {
		return nil, err
	}
	name, err := d.named(r.http.Context(), about)
	if err != nil {
		return nil, err
	}
	if name == "" { // the key is asked for all the same, of the same action
		_, err = d.ask(r.http, command(one.Name, "nobody"))
	} else {
		_, err = do[commands.Stream](d, r, command(one.Name, name))
	}
	if err != nil {
		return nil, err
	}
	return &answer{status: status}, nil
}

// named finds whom a receiver means, by the names that streams call people; empty is nobody.
func (d *desk) named(ctx context.Context, s secevent.Subject) (string, error) {
	if s.Format == secevent.Complex && s.User != nil {
		s = *s.User
	}
	switch s.Format {
	case secevent.Email:
		all, err := d.roll.WithMail(ctx, d.view, s.Email, 2)
		if err != nil || len(all) != 1 {
			return "", err
		}
		return all[0].Name, nil
	case secevent.Account:
		if name, host, ok := secevent.SplitAccount(s.URI); ok && host == d.public.Hostname() {
			return d.called(ctx, name)
		}
	case secevent.IssSub:
		if s.Iss == strings.TrimSuffix(d.public.String(), "/") {
			return d.withSubject(ctx, s.Sub)
		}
	case secevent.Opaque:
		return d.withSubject(ctx, s.ID)
	}
	return "", nil
}

func (d *desk) called(ctx context.Context, name string) (string, error) {
	one, err := d.people.Find(ctx, d.view, name)
	if class := failure.ClassOf(err); err != nil && (class == failure.NotFound || class == failure.Invalid) {
		return "", nil
	}
	if err != nil || one.Kind != directory.Person {
		return "", err
	}
	return one.Name, nil
}

// mostRead is how many people are looked through for a subject, which nothing is kept by.
const mostRead = 20_000

// withSubject finds the person who is called so in tokens.
func (d *desk) withSubject(ctx context.Context, sub string) (string, error) {
	var after assurance.AccountID
	for read := 0; read < mostRead; {
		all, last, n, err := d.roll.People(ctx, d.view, after, 500)
		if err != nil || n == 0 {
			return "", err
		}
		for _, one := range all {
			if signingkey.Subject(one.Handle) == sub {
				return one.Name, nil
			}
		}
		after, read = last, read+n
	}
	return "", nil
}

// verify has a verification sent (SSF 1.0 section 8.1.4.2).
func (d *desk) verify(r *request) (*answer, error) {
	var q struct {
		ID    string `json:"stream_id"`
		State string `json:"state"`
	}
	if err := r.decode(&q); err != nil {
		return nil, err
	}
	one, err := d.own(r, q.ID)
	if err != nil {
		return nil, err
	}
	if _, err := do[commands.Stream](d, r, &commands.Verify{Name: one.Name, State: q.State}); err != nil {
		return nil, err
	}
	return &answer{status: http.StatusNoContent}, nil
}

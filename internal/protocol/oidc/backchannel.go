package oidc

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"countersign/internal/oauth"
	"countersign/internal/outside"
)

// herald tells clients that a session is over (OpenID Connect Back-Channel Logout 1.0). What it
// tells waits in the database; a client that does not answer holds up no other one.
type herald struct {
	common
	statements *statements
	queue      *oauth.Logouts

	all  sync.WaitGroup // clients that are being told
	room chan struct{}

	mu      sync.Mutex
	clients map[string]*rest
}

// rest is how a client is doing that something is due for.
type rest struct {
	busy  bool
	until time.Time // it is left alone until then, because it did not answer
	pause time.Duration
}

const (
	heraldEvery = time.Second
	// heraldClients is how many clients are told at a time, heraldBatch how much is taken for one
	// at once, and heraldAtOnce how many requests one has at a time.
	heraldClients, heraldBatch, heraldAtOnce = 32, 64, 4
	// patience bounds one request from the look-up of the name to the answer.
	patience = 5 * time.Second
	// restFirst and restMost are how long a client is left alone that does not answer: twice as
	// long each time.
	restFirst, restMost = 2 * time.Second, time.Minute
	// logoutLife is how long a logout token is good: two minutes (section 4).
	logoutLife = 2 * time.Minute
	// mostAnswer is how many bytes of an answer are read.
	mostAnswer = 4 << 10
	// logoutEvent is the member of events that makes a logout token (section 2.4).
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	logoutType  = "logout+jwt"
)

func newHerald(c common, says *statements) *herald {
	return &herald{common: c, statements: says, queue: oauth.NewLogouts(c.grants), room: make(chan struct{}, heraldClients), clients: map[string]*rest{}}
}

// work tells until ctx ends, and then waits for what is under way.
func (h *herald) work(ctx context.Context) {
	defer h.all.Wait()
	tick := time.NewTicker(heraldEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := h.round(ctx); err != nil && ctx.Err() == nil {
			h.notes.fails(err)
		}
	}
}

// round begins with each client that something is due for.
func (h *herald) round(ctx context.Context) error {
	due, err := h.queue.Due(ctx)
	if err != nil {
		return err
	}
	for _, app := range due {
		if !h.begins(app) {
			continue
		}
		h.all.Go(func() {
			h.room <- struct{}{}
			answers, err := h.serve(ctx, app)
			<-h.room
			h.came(app, answers)
			if err != nil && ctx.Err() == nil {
				h.notes.fails(err)
			}
		})
	}
	return nil
}

// begins reports whether a client is to be told now, and then it is being told.
func (h *herald) begins(app string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.clients[app]
	if r == nil {
		r = &rest{}
		h.clients[app] = r
	}
	if r.busy || time.Now().Before(r.until) {
		return false
	}
	r.busy = true
	return true
}

// came notes how a client did.
func (h *herald) came(app string, answers bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if answers {
		delete(h.clients, app)
		return
	}
	r := h.clients[app]
	r.busy, r.pause = false, min(max(2*r.pause, restFirst), restMost)
	r.until = time.Now().Add(r.pause)
}

// serve tells one client all that is due, until it does not answer.
func (h *herald) serve(ctx context.Context, app string) (answers bool, err error) {
	c, known, err := h.common.clients.named(ctx, app)
	if err != nil {
		return true, err
	}
	var out *caller
	if known && c.BackChannel != "" {
		if out, err = c.caller(); err != nil {
			return true, err
		}
		defer out.close()
	}
	for more := true; more && ctx.Err() == nil; {
		var taken []*oauth.Logout
		if taken, more, err = h.queue.Take(ctx, app, heraldBatch); err != nil {
			return true, err
		}
		outcomes, answers := h.tellAll(ctx, c, out, taken)
		if err := h.queue.Settle(context.WithoutCancel(ctx), outcomes); err != nil {
			return true, err
		}
		if !answers {
			return false, nil
		}
	}
	return true, nil
}

// tellAll tells a client, a few at a time. After one that nobody answered no more are begun.
func (h *herald) tellAll(ctx context.Context, c client, out *caller, taken []*oauth.Logout) (outcomes []oauth.Outcome, answers bool) {
	outcomes = make([]oauth.Outcome, len(taken))
	answers = true
	var mu sync.Mutex
	next := 0
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1
	}
	tell := func() {
		for i := take(); i < len(taken); i = take() {
			mu.Lock()
			goes := answers
			mu.Unlock()
			o, reached := oauth.Outcome{Logout: taken[i], Untried: true}, true
			if goes {
				o, reached = h.tell(ctx, c, out, taken[i])
			}
			mu.Lock()
			outcomes[i], answers = o, answers && reached
			mu.Unlock()
		}
	}
	var all sync.WaitGroup
	for range min(heraldAtOnce, len(taken)) {
		all.Go(tell)
	}
	all.Wait()
	return outcomes, answers
}

// tell tells a client of one session. Reached says that it answers at all.
func (h *herald) tell(ctx context.Context, c client, out *caller, l *oauth.Logout) (o oauth.Outcome, reached bool) {
	o.Logout = l
	if out == nil {
		return o, true // it does not want to be told any more
	}
	token, err := h.statements.logoutToken(ctx, c, l)
	if err != nil {
		h.notes.fails(err)
		o.Untried = true
		return o, false
	}
	if o.Why, reached = out.post(ctx, c.BackChannel, url.Values{"logout_token": {token}}); o.Why != "" {
		h.notes.untold(c, o.Why)
	}
	return o, reached
}

// logoutToken is what a client is told (section 2.4): of whom, and of which session. It is signed
// as the client's ID tokens are, and has neither their type nor a nonce, so that it is no ID token.
func (p *statements) logoutToken(ctx context.Context, c client, l *oauth.Logout) (string, error) {
	jti := make([]byte, 16)
	rand.Read(jti)
	now := p.now()
	says := map[string]any{"iss": p.issuer, "aud": c.ClientID, "iat": now.Unix(), "exp": now.Add(logoutLife).Unix(), "jti": base64.RawURLEncoding.EncodeToString(jti),
		"events": map[string]any{logoutEvent: struct{}{}}, "sid": sidOf(l.Session)}
	if l.Subject() != "" {
		says["sub"] = l.Subject()
	}
	statement, err := json.Marshal(says)
	if err != nil {
		return "", err
	}
	return p.sign(ctx, c.Algorithm, logoutType, statement)
}

// caller posts to one client. It goes nowhere inside that the settings do not list, whatever name
// leads there, follows no redirect, asks no proxy and keeps no cookie.
type caller struct{ client *http.Client }

func (s Settings) caller() (*caller, error) {
	inside, err := s.inside()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(s.BackChannel)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: patience, Control: inside.Control(u.Hostname())}
	return &caller{&http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: nil, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: patience, MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConnsPerHost: heraldAtOnce, MaxConnsPerHost: heraldAtOnce, IdleConnTimeout: time.Minute}}}, nil
}

func (c *caller) close() { c.client.CloseIdleConnections() }

// post sends a form (section 2.5). Why is a sentence of what went wrong, with nothing of the answer
// in it; reached says that the client answers at all.
func (c *caller) post(ctx context.Context, to string, form url.Values) (why string, reached bool) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader([]byte(form.Encode())))
	if err != nil {
		return "The address cannot be used.", true
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "countersign")
	answer, err := c.client.Do(r)
	if err != nil {
		return unreached(err), false
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, mostAnswer) // so that the connection serves again; what it says is nothing to us
	switch code := answer.StatusCode; {
	case code/100 == 2: // 200, and 204 of frameworks that answer so (section 2.8)
		return "", true
	case code/100 == 3:
		return fmt.Sprintf("It answered %d, which leads elsewhere and is not followed.", code), true
	default:
		return fmt.Sprintf("It answered %d.", code), code < 500 && code != http.StatusTooManyRequests
	}
}

// unreached says why nobody answered, without the address.
func unreached(err error) string {
	var slow net.Error
	switch {
	case errors.Is(err, outside.ErrInside):
		return "Its address is inside the network, and the application's settings do not list it."
	case errors.As(err, &slow) && slow.Timeout():
		return "It did not answer within five seconds."
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return "It cannot be reached: " + err.Error() + "."
}

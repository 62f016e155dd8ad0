package testbed

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// SMS is one message as a gateway was handed it.
type SMS struct{ Number, Text string }

// SMSGateway is an HTTP service that would send messages, and keeps them.
type SMSGateway struct {
	URL string
	// Secret is what Authorization must be after "Bearer "; Down answers 503, and
	// Elsewhere redirects there.
	Secret string

	mu        sync.Mutex
	down      bool
	elsewhere string
	got       []SMS
}

// NewSMSGateway starts one that ends with the test. It takes the fields "to" and
// "message", as JSON or as a form.
func NewSMSGateway(t testing.TB, secret string) *SMSGateway {
	t.Helper()
	g := &SMSGateway{Secret: secret}
	s := httptest.NewServer(http.HandlerFunc(g.take))
	t.Cleanup(s.Close)
	g.URL = s.URL + "/send"
	return g
}

// Fail makes it answer 503, or redirect to an address, or neither.
func (g *SMSGateway) Fail(down bool, elsewhere string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down, g.elsewhere = down, elsewhere
}

// Got are the messages since the last call.
func (g *SMSGateway) Got() []SMS {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.got
	g.got = nil
	return out
}

func (g *SMSGateway) take(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.elsewhere != "":
		http.Redirect(w, r, g.elsewhere, http.StatusTemporaryRedirect)
		return
	case g.down:
		http.Error(w, "later", http.StatusServiceUnavailable)
		return
	case r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer "+g.Secret:
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	fields := map[string]string{}
	if err == nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(b, &fields)
	} else if err == nil {
		var form url.Values
		if form, err = url.ParseQuery(string(b)); err == nil {
			fields["to"], fields["message"] = form.Get("to"), form.Get("message")
		}
	}
	if err != nil || fields["to"] == "" || fields["message"] == "" {
		http.Error(w, "what", http.StatusBadRequest)
		return
	}
	g.got = append(g.got, SMS{fields["to"], fields["message"]})
	w.WriteHeader(http.StatusAccepted)
}

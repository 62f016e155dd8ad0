package yubikey

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the protocol is made of it
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/internal/drill"
)

// path is where programs ask (Validation Protocol Version 2.0).
const path = "/wsapi/2.0/verify"

// Statuses of the protocol.
const (
	isOK      = "OK"
	badOTP    = "BAD_OTP"
	unsigned  = "BAD_SIGNATURE"
	noClient  = "NO_SUCH_CLIENT"
	broken    = "BACKEND_ERROR"
	sameAgain = "REPLAYED_REQUEST"
)

// signature is the HMAC-SHA-1 over the parameters in the order of their names, without "h".
func signature(values url.Values, key []byte) string {
	var pairs []string
	for name := range values {
		if name != "h" {
			pairs = append(pairs, name+"="+values.Get(name))
		}
	}
	slices.Sort(pairs)
	m := hmac.New(sha1.New, key)
	m.Write([]byte(strings.Join(pairs, "&")))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// query asks about a one-time password, under a client's signature.
func (s Validation) query(otp string) url.Values {
	q := url.Values{"id": {fmt.Sprint(s.Client)}, "nonce": {rand.Text()}, "otp": {otp}}
	q.Set("h", signature(q, s.Key))
	return q
}

// answer is what came back. Fault says why no program would believe it, or is empty.
type answer struct{ status, fault string }

func (a answer) words() string { return "status=" + a.status }

// answered is how long an honest program waits.
const answered = 90 * time.Second

// send sends a query, from the attacker's address where there is one.
func (s Validation) send(ctx context.Context, p *drill.Play, q url.Values) (answer, error) {
	d := &net.Dialer{Timeout: 20 * time.Second}
	if p.From.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: p.From.AsSlice()}
	}
	wait := answered
	if p.Down {
		wait = p.Patience
	}
	client := &http.Client{Timeout: wait, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Server+path+"?"+q.Encode(), nil)
	if err != nil {
		return answer{}, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, hidden(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return answer{}, hidden(err)
	}
	a := s.read(string(body), q)
	if a.status == "" || a.status == broken {
		err = fmt.Errorf("no status but %d %s", resp.StatusCode, cmp.Or(a.status, http.StatusText(resp.StatusCode)))
	}
	s.heard.note(a)
	return a, err
}

// hidden is an error without the address, whose query holds a code.
func hidden(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// read reads an answer to a query. Only one about a client that there is bears a signature.
func (s Validation) read(body string, q url.Values) answer {
	said := url.Values{}
	for line := range strings.SplitSeq(strings.TrimSpace(body), "\r\n") {
		name, value, _ := strings.Cut(line, "=")
		said.Add(name, value)
	}
	a := answer{status: said.Get("status")}
	switch {
	case a.status != isOK && a.status != badOTP && !strings.HasPrefix(a.status, "REPLAYED_"):
	case said.Get("h") != signature(said, s.Key):
		a.fault = "its signature is wrong"
	case said.Get("nonce") != q.Get("nonce"), said.Get("otp") != q.Get("otp") && (said.Has("otp") || a.status != badOTP): // what no key types is not repeated
		a.fault = "it is about another request"
	}
	return a
}

// heard keeps the answers of a move, to be looked at together. A nil one keeps nothing.
type heard struct {
	mu  sync.Mutex
	all []answer
}

func (h *heard) note(a answer) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, a)
}

// signed is what is wrong with the answers: one without a right signature over all that it
// says can be made by whoever is on the way.
func (h *heard) signed() drill.Try {
	t := drill.Try{Name: "an answer that can be forged", Detail: fmt.Sprintf("%d answers", len(h.all))}
	if i := slices.IndexFunc(h.all, func(a answer) bool { return a.fault != "" }); i >= 0 {
		t.Open, t.Answer = true, h.all[i].words()+": "+h.all[i].fault
	}
	if !slices.ContainsFunc(h.all, func(a answer) bool { return a.status == isOK }) {
		t.Error = "there was no OK"
	}
	return t
}

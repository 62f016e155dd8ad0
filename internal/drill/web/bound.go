package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"countersign/internal/dbsc"
	"countersign/internal/drill"
)

// offer is a server's wish that a browser bind the session that it has just been given.
type offer struct{ origin, path, challenge string }

var offered = regexp.MustCompile(`^\([^)]*ES256[^)]*\);path="([^"]+)";challenge="([^"]+)"$`)

// offerOf reads an answer's offer; the zero offer is none.
func offerOf(r *http.Response) offer {
	m := offered.FindStringSubmatch(r.Header.Get(dbsc.Registration))
	if m == nil {
		return offer{}
	}
	return offer{r.Request.URL.Scheme + "://" + r.Request.URL.Host, m[1], m[2]}
}

// tie is what binds a session of a host to a browser: its key, and what the server said of it.
type tie struct {
	offer
	key        *ecdsa.PrivateKey
	Identifier string `json:"session_identifier"`
	Refresh    string `json:"refresh_url"`
}

// post has a browser post to a host by itself, as those that bind sessions do, without a body.
func post(ctx context.Context, b *browser, address string, headers map[string]string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	answer, err := b.client.Do(r)
	if err == nil {
		b.answer = said(answer)
	}
	return answer, err
}

// bind binds a session to a key of a browser's. The second result is whether the server took it.
func (o offer) bind(ctx context.Context, b *browser) (*tie, bool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, false, err
	}
	proof, err := dbsc.Signed(key, o.challenge, true)
	if err != nil {
		return nil, false, err
	}
	answer, err := post(ctx, b, o.origin+o.path, map[string]string{dbsc.Response: proof})
	if err != nil {
		return nil, false, err
	}
	defer answer.Body.Close()
	t := &tie{offer: o, key: key}
	if answer.StatusCode != http.StatusOK {
		return t, false, nil
	}
	return t, true, json.NewDecoder(answer.Body).Decode(t)
}

var challenged = regexp.MustCompile(`^"([^"]+)"`)

// refresh has a browser come for the next bound cookie of a session, with a key, and reports
// whether it is given.
func (t *tie) refresh(ctx context.Context, b *browser, key *ecdsa.PrivateKey) (bool, error) {
	headers := map[string]string{dbsc.ID: `"` + t.Identifier + `"`}
	first, err := post(ctx, b, t.origin+t.Refresh, headers)
	if err != nil {
		return false, err
	}
	first.Body.Close()
	m := challenged.FindStringSubmatch(first.Header.Get(dbsc.Challenge))
	if m == nil {
		return first.StatusCode == http.StatusOK, nil
	}
	if headers[dbsc.Response], err = dbsc.Signed(key, m[1], false); err != nil {
		return false, err
	}
	second, err := post(ctx, b, t.origin+t.Refresh, headers)
	if err != nil {
		return false, err
	}
	second.Body.Close()
	return second.StatusCode == http.StatusOK, nil
}

// ties binds all sessions that the owner's browser was offered to bind.
func (s thief) ties(ctx context.Context, owner *browser, offers []offer) (all []*tie, err error) {
	for _, o := range offers {
		t, bound, err := o.bind(ctx, owner)
		if err != nil || !bound {
			return nil, errors.Join(fmt.Errorf("the owner's browser cannot bind its session at %s: %s", o.origin, owner.answer), err)
		}
		all = append(all, t)
	}
	if len(all) < 2 {
		return nil, fmt.Errorf("the owner's browser was offered to bind %d sessions, and not that of the server and that of the page", len(all))
	}
	return all, nil
}

// bound uses copied cookies once the bound ones among them are gone, as they are five minutes after
// they were given, and tries to go on with the sessions with a key of the thief's. Their owner
// goes on.
func (s thief) bound(ctx context.Context, p *drill.Play, owner *browser, ties []*tie) (tries []drill.Try, err error) {
	for host, what := range map[string]string{s.origin(): "its copied cookies", s.server: "the server's copied cookies"} {
		try := s.late(ctx, p, s.name()+" with "+what+", five minutes old", unbound(cookies(owner, host, "")), host)
		tries = append(tries, try)
	}
	for _, t := range ties {
		b := s.attacker(p)
		gives(b, t.origin, unbound(cookies(owner, t.origin, "")))
		mine, again, err := t.bind(ctx, b)
		tries = append(tries, b.tried(p, "binding the session of "+s.at(t)+" again, to a key of the thief's", again, err))
		open, err := t.refresh(ctx, b, mine.key)
		tries = append(tries, b.tried(p, "a new bound cookie of "+s.at(t)+" by a key of the thief's", open, err))
	}
	for _, t := range ties {
		gives(owner, t.origin, ended(cookies(owner, t.origin, "")))
		on, err := t.refresh(ctx, owner, t.key)
		if err != nil || !on {
			return tries, errors.Join(fmt.Errorf("the owner's own browser cannot go on at %s: %s", t.origin, owner.answer), err)
		}
	}
	if in, err := s.reads(ctx, owner, s.URL); err != nil || !in {
		return tries, errors.Join(errors.New("the owner's own browser does not get to the page five minutes later"), err)
	}
	return tries, nil
}

// at is what people call where a session is.
func (s thief) at(t *tie) string {
	if t.origin == s.server {
		return "the server"
	}
	return s.name()
}

// onTheWay is how long a server may answer what a browser sent before it bound its session.
const onTheWay = 20 * time.Second

// late asks for the page with cookies until they are refused, or a little longer than a server may
// answer what was on its way when the session was bound.
func (s thief) late(ctx context.Context, p *drill.Play, name string, copied []*http.Cookie, host string) drill.Try {
	for deadline := time.Now().Add(onTheWay); ; time.Sleep(500 * time.Millisecond) {
		b := s.attacker(p)
		gives(b, host, copied)
		try := s.asks(ctx, p, name, b, s.URL, nil)
		if !try.Open || time.Now().After(deadline) || ctx.Err() != nil {
			return try
		}
	}
}

// isBound reports whether a cookie is a bound one, which browsers keep for less than five minutes.
func isBound(c *http.Cookie) bool { return strings.Contains(c.Name, "countersign-bound") }

// unbound are cookies without the bound ones.
func unbound(all []*http.Cookie) (out []*http.Cookie) {
	for _, c := range all {
		if !isBound(c) {
			out = append(out, c)
		}
	}
	return out
}

// ended are the bound ones among cookies, as a browser drops them.
func ended(all []*http.Cookie) (out []*http.Cookie) {
	for _, c := range all {
		if isBound(c) {
			out = append(out, &http.Cookie{Name: c.Name, MaxAge: -1})
		}
	}
	return out
}

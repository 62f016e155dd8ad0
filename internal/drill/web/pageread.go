package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"countersign/internal/drill"
)

// reader is an attacker who wants to read a page.
type reader struct{ page }

// read tries to read what is behind forward-auth: as somebody without a session, with the
// password alone, past the guard, and with what belongs to another site or browser.
func (s reader) read(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	tries := s.strangers(ctx, p, c)
	tries = append(tries, s.spelled(ctx, p, c)...)
	tries = append(tries, s.behind(ctx, p)...)
	tries = append(tries, s.signsIn(ctx, p, s.name()+" with the password alone", c.Name, c.Password, ""))
	tries = append(tries, s.elsewhere(ctx, p, c)...)
	if p.Down {
		return tries, nil // nobody can sign in, and there is nothing to steal
	}
	tries = append(tries, s.posing(ctx, p, c)...)
	tries = append(tries, s.believed(ctx, p, c)...)
	as := carrier(s)
	tries = append(tries, as.codes(ctx, p, c)...)
	tries = append(tries, as.foreign(ctx, p, c)...)
	return append(tries, s.steppingUp(ctx, p, c)...), nil
}

// strangers have no session.
func (s reader) strangers(ctx context.Context, p *drill.Play, c *drill.Canary) (tries []drill.Try) {
	for _, with := range []struct {
		name    string
		headers http.Header
	}{
		{"without anything", nil},
		{"with forged identity headers", http.Header{"Remote-User": {c.Name}, "X-Forwarded-User": {c.Name}, "X-Remote-User": {c.Name}}},
		{"with another address in the proxy's headers", http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Uri": {"/healthz"},
			"X-Original-Url": {"/healthz"}, "X-Forwarded-Host": {"elsewhere.example"}}},
		{"with a made-up cookie", http.Header{"Cookie": {"countersign-app=" + rand.Text() + "; __Host-countersign-app=" + rand.Text()}}},
	} {
		b := s.attacker(p)
		b.headers = with.headers
		tries = append(tries, s.asks(ctx, p, s.name()+" "+with.name, b, s.URL, nil))
	}
	return tries
}

// spellings are other ways to write a guarded path, which a proxy, Countersign and an
// application may read differently.
func spellings(path string) []string {
	bare := strings.TrimSuffix(path, "/")
	all := []string{"/" + path, "/." + path, "/x/.." + path, "/.countersign/accept?code=x&to=" + path}
	if bare != "" {
		all = append(all, fmt.Sprintf("/%%%02x%s", bare[1], path[2:]), strings.ToUpper(path), bare+";/", path+"%00", bare+"%2f")
	}
	return append(all, "/%2e%2e"+path, "/;"+path)
}

// spelled asks for the page by other spellings of its path. Where the site is open besides,
// only an answer with what the page alone shows its owner counts as read.
func (s reader) spelled(ctx context.Context, p *drill.Play, c *drill.Canary) (tries []drill.Try) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil
	}
	beside := s.attacker(p)
	open, err := s.reads(ctx, beside, s.origin()+"/")
	var own []string
	if open && err == nil {
		if own = s.owns(ctx, p, c, beside.body); len(own) == 0 {
			return nil // nothing tells the page from what everybody may read
		}
	}
	for _, path := range spellings(cmp.Or(u.EscapedPath(), "/")) {
		b := s.attacker(p)
		try := s.asks(ctx, p, s.name()+" by the path "+path, b, s.origin()+path, nil)
		try.Open = try.Open && (own == nil || holds(b.body, own))
		tries = append(tries, try)
	}
	return tries
}

// owns are the texts that the page shows its owner, and the open part of the site does not
// show, neither at its root nor at an address that does not exist.
func (s reader) owns(ctx context.Context, p *drill.Play, c *drill.Canary, root string) (own []string) {
	b, nowhere := s.honest(p), s.attacker(p)
	if p.Down || s.signedIn(ctx, b, c) != nil || nowhere.get(ctx, s.origin()+"/"+strings.ToLower(rand.Text())) != nil {
		return nil
	}
	path := b.at.Path
	for _, text := range texts(b.body) {
		if !strings.Contains(root, text) && !strings.Contains(nowhere.body, text) && !strings.Contains(text, path) && !strings.Contains(text, c.Name) {
			own = append(own, text)
		}
	}
	return own
}

var tag = regexp.MustCompile(`(?s)<(script|style).*?</(script|style)>|<[^>]*>`)

// texts are the texts of a page, without those that are too short to mean anything.
func texts(body string) []string {
	all := strings.Split(tag.ReplaceAllString(body, "\n"), "\n")
	return slices.DeleteFunc(all, func(text string) bool { return len(strings.TrimSpace(text)) < 8 })
}

// holds reports whether a body holds at least half of some texts.
func holds(body string, own []string) bool {
	n := 0
	for _, text := range own {
		if strings.Contains(body, text) {
			n++
		}
	}
	return 2*n >= len(own)
}

// behind asks the application itself, as somebody who has found its address. A refused
// connection is an answer.
func (s reader) behind(ctx context.Context, p *drill.Play) []drill.Try {
	if s.Backend == "" {
		return nil
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil
	}
	b := attacker(p, s.server)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	err = b.get(ctx, strings.TrimSuffix(s.Backend, "/")+u.RequestURI())
	try := drill.Tried("the application behind "+s.name()+", directly", err == nil && b.status == http.StatusOK, nil)
	if try.Answer = b.answer; errors.Is(err, syscall.ECONNREFUSED) {
		try.Answer = "connection refused"
	} else if err != nil {
		try.Answer, try.Detail = "no answer", err.Error()
	}
	return []drill.Try{try}
}

package web

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"

	"countersign/internal/drill"
)

// Page is a page that asks the server by forward-auth.
func (s Server) Page(address string) drill.Component {
	of := page{string(s), address}
	return drill.Component{Kind: drill.Page, Name: "the page",
		Doors: []drill.Door{{Name: "the page", Guess: of.guess}},
		Moves: map[drill.Move]drill.Attack{drill.ReadPages: of.read, drill.KeptSession: of.keptSession},
		Enter: of.enter}
}

type page struct{ server, url string }

// enter reads the page with the session that its owner has.
func (s page) enter(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	b := honest(p, s.server)
	b.client.Jar = c.Jar
	if in, err := b.reads(ctx, s.url); err != nil || !in {
		return errors.Join(errors.New("the owner does not get to the page with the passkey"), err)
	}
	return nil
}

// guess asks for the page with what the portal left in the browser.
func (s page) guess(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	b := attacker(p, s.server)
	var err error
	if g.Jar != nil {
		b.client.Jar = g.Jar
	} else {
		err = b.typed(ctx, g.Name, g.Password, "")
	}
	return []drill.Try{s.asks(ctx, p, "the page", b, s.url, err)}
}

func (s page) keptSession(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	return []drill.Try{s.asks(ctx, p, "the page with a session from before", kept(p, s.server, c), s.url, nil)}, nil
}

// asks tries to read an address of the page, with what the browser has. The page answers
// also while Countersign is stopped, unless it waits for it. typed is how it went at the
// portal before.
func (s page) asks(ctx context.Context, p *drill.Play, name string, b *browser, address string, typed error) drill.Try {
	open, err := b.reads(ctx, address)
	if err == nil && !open || s.excused(err) {
		return p.Tried(name, false, errors.Join(err, typed))
	}
	return drill.Tried(name, open, err)
}

// excused reports whether an error is what becomes of a page whose Countersign is stopped:
// it waits, or sends the browser there.
func (s page) excused(err error) bool {
	var e *url.Error
	if !errors.As(err, &e) {
		return false
	}
	at, bad := url.Parse(e.URL)
	return e.Timeout() || bad == nil && at.Scheme+"://"+at.Host != s.origin()
}

// origin is the page's scheme and host.
func (s page) origin() string {
	u, err := url.Parse(s.url)
	if err != nil {
		return s.url
	}
	return u.Scheme + "://" + u.Host
}

// read tries to read what is behind forward-auth.
func (s page) read(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	asks := func(name string, b *browser, address string, typed error) drill.Try {
		return s.asks(ctx, p, name, b, address, typed)
	}
	tries := []drill.Try{asks("without anything", attacker(p, s.server), s.url, nil)}
	forged := attacker(p, s.server)
	forged.headers = http.Header{"Remote-User": {c.Name}, "X-Forwarded-User": {c.Name}, "X-Forwarded-For": {"127.0.0.1"},
		"X-Forwarded-Uri": {"/healthz"}, "X-Original-Url": {"/healthz"}, "X-Forwarded-Host": {"elsewhere.example"}}
	tries = append(tries, asks("with forged headers", forged, s.url, nil))
	made := attacker(p, s.server)
	made.headers = http.Header{"Cookie": {"countersign=" + rand.Text() + "; __Host-countersign=" + rand.Text()}}
	tries = append(tries, asks("with a made-up cookie", made, s.url, nil))
	for _, path := range []string{"//", "/%2e%2e/", "/.countersign/accept?code=x&to=/", "/;/", "/%00"} {
		tries = append(tries, asks("by the path "+path, attacker(p, s.server), s.origin()+path, nil))
	}
	b := attacker(p, s.server)
	err := b.typed(ctx, c.Name, c.Password, "")
	tries = append(tries, asks("with the password alone", b, s.url, err))
	b = attacker(p, s.server)
	err = b.typed(ctx, c.Name, c.Password, "000000")
	return append(tries, asks("with the password and a guessed code", b, s.url, err)), nil
}

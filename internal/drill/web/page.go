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
	if !b.reads(ctx, s.url) {
		return errors.New("the owner does not get to the page with the passkey")
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
	return []drill.Try{{Name: "the page", Open: b.reads(ctx, s.url), Detail: errText(err)}}
}

func (s page) keptSession(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	return []drill.Try{{Name: "the page with a session from before", Open: kept(p, s.server, c).reads(ctx, s.url)}}, nil
}

// read tries to read what is behind forward-auth.
func (s page) read(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	host := s.url
	if u, err := url.Parse(s.url); err == nil {
		host = u.Scheme + "://" + u.Host
	}
	tries := []drill.Try{{Name: "without anything", Open: attacker(p, s.server).reads(ctx, s.url)}}
	forged := attacker(p, s.server)
	forged.headers = http.Header{"Remote-User": {c.Name}, "X-Forwarded-User": {c.Name}, "X-Forwarded-For": {"127.0.0.1"},
		"X-Forwarded-Uri": {"/healthz"}, "X-Original-Url": {"/healthz"}, "X-Forwarded-Host": {"elsewhere.example"}}
	tries = append(tries, drill.Try{Name: "with forged headers", Open: forged.reads(ctx, s.url)})
	made := attacker(p, s.server)
	made.headers = http.Header{"Cookie": {"countersign=" + rand.Text() + "; __Host-countersign=" + rand.Text()}}
	tries = append(tries, drill.Try{Name: "with a made-up cookie", Open: made.reads(ctx, s.url)})
	for _, path := range []string{"//", "/%2e%2e/", "/.countersign/accept?code=x&to=/", "/;/", "/%00"} {
		tries = append(tries, drill.Try{Name: "by the path " + path, Open: attacker(p, s.server).reads(ctx, host+path)})
	}
	b := attacker(p, s.server)
	err := b.typed(ctx, c.Name, c.Password, "")
	tries = append(tries, drill.Try{Name: "with the password alone", Open: err == nil && b.reads(ctx, s.url)})
	b = attacker(p, s.server)
	err = b.typed(ctx, c.Name, c.Password, "000000")
	return append(tries, drill.Try{Name: "with the password and a guessed code", Open: err == nil && b.reads(ctx, s.url)}), nil
}

package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"countersign/internal/drill"
)

// Site is a site behind forward-auth, as an attacker finds it.
type Site struct {
	// Application is the name of its application in the installation; empty if nobody
	// knows it.
	Application string
	// Door is what the application's settings call the site: its host, or *. for many.
	// It is the host of URL if it is empty.
	Door string
	// URL is an address of it that is guarded. Of a site that is guarded under a path
	// only, it is in that path.
	URL string
	// Connect is the host and port to connect to where the name in URL does not resolve,
	// or empty.
	Connect string
	// Backend is the address of the application behind the guard, as others than its proxy
	// would reach it, such as http://192.0.2.20:3000; empty if it is not to be asked.
	Backend string
	// Stronger is an address of the site for which the policy demands a passkey, where
	// password and code suffice for the rest; empty if there is none. Only a test bed can
	// try it: a new passkey counts there a day later.
	Stronger string
	// Log returns the lines of its proxy's access log that are new since it was asked last,
	// or is nil.
	Log func(ctx context.Context) ([]string, error)
}

// Page is a site that asks the server by forward-auth.
func (s Server) Page(site Site) drill.Component { return s.Pages(site)[0] }

// Pages are sites that ask the server by forward-auth, each attacked with what another one
// gives as well.
func (s Server) Pages(sites ...Site) (all []drill.Component) {
	for i, site := range sites {
		of := page{Site: site, server: string(s), others: slices.Concat(sites[:i:i], sites[i+1:])}
		all = append(all, drill.Component{Kind: drill.Page, Name: cmp.Or(site.Door, of.host()), Application: site.Application,
			Doors: []drill.Door{{Name: of.name(), Guess: of.guess}},
			Moves: map[drill.Move]drill.Attack{drill.ReadPages: reader{of}.read, drill.KeptSession: of.keptSession,
				drill.Replay: thief{of}.replay, drill.StolenCookie: thief{of}.stolenCookie},
			Enter: of.enter, Check: of.check, Log: site.Log})
	}
	return all
}

type page struct {
	Site
	server string
	// others are the other sites behind the same server.
	others []Site
}

// host is the host of the site, with its port where that is not the scheme's own.
func (s page) host() string {
	if u, err := url.Parse(s.URL); err == nil {
		return u.Host
	}
	return s.URL
}

// name is what people call it.
func (s page) name() string {
	if s.Application == "" {
		return "the page"
	}
	return "the page of " + s.Application
}

// check asks for the page as somebody without a session does, and follows nothing.
func (s page) check(ctx context.Context) error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is not the address of a page; give one such as https://wiki.example.org/", s.URL)
	}
	b := s.honest(&drill.Play{})
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if err := b.get(ctx, s.URL); err != nil {
		return fmt.Errorf("the page %s does not answer (%w); correct its address, or give the host and port to connect to", s.URL, err)
	}
	if b.status == http.StatusNotFound {
		return fmt.Errorf("there is no page at %s; give an address that its users can read", s.URL)
	}
	return nil
}

// signedIn has the account's owner sign in to the page by its own redirect, with the
// passkey.
func (s page) signedIn(ctx context.Context, b *browser, c *drill.Canary) error {
	if err := b.get(ctx, s.URL); err != nil {
		return err
	}
	if err := b.passkey(ctx, c.Key); err != nil {
		return fmt.Errorf("%s: %w", s.name(), err)
	}
	if in, err := s.reads(ctx, b, s.URL); err != nil || !in {
		return errors.Join(fmt.Errorf("the owner does not get to %s with the passkey: %s", s.name(), b.answer), err)
	}
	return nil
}

// finds has a browser connect to where the sites are.
func (s page) finds(b *browser) *browser {
	for _, site := range append([]Site{s.Site}, s.others...) {
		u, err := url.Parse(site.URL)
		if err != nil || site.Connect == "" {
			continue
		}
		port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		b.connect[net.JoinHostPort(u.Hostname(), port)] = site.Connect
	}
	return b
}

func (s page) honest(p *drill.Play) *browser { return s.finds(honest(p, s.server)) }

func (s page) attacker(p *drill.Play) *browser { return s.finds(attacker(p, s.server)) }

// enter goes to the page, is sent to sign in, and does so with the passkey.
func (s page) enter(ctx context.Context, p *drill.Play, c *drill.Canary) error {
	return s.signedIn(ctx, s.honest(p), c)
}

// guess signs in where the page sends people, and asks for it with what the portal left in
// the browser.
func (s page) guess(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	tries := []drill.Try{s.signsIn(ctx, p, s.name()+" by its own sign-in", g.Name, g.Password, "000000")}
	if g.Jar != nil {
		b := s.attacker(p)
		b.client.Jar = g.Jar
		tries = append(tries, s.asks(ctx, p, s.name()+" after the portal", b, s.URL, nil))
	}
	return tries
}

// signsIn is signsInWith in a new browser.
func (s page) signsIn(ctx context.Context, p *drill.Play, try, name, password, code string) drill.Try {
	return s.signsInWith(ctx, p, s.attacker(p), try, name, password, code)
}

// signsInWith asks for the page, types what it is given where the page sends it, and asks for
// the page again. A page that refuses at once is shut.
func (s page) signsInWith(ctx context.Context, p *drill.Play, b *browser, try, name, password, code string) drill.Try {
	err := b.get(ctx, s.URL)
	refused := b.status == http.StatusUnauthorized || b.status == http.StatusForbidden
	if err == nil && !refused && !(b.status == http.StatusOK && s.shows(b, s.URL)) {
		err = b.types(ctx, name, password, code)
	}
	return s.asks(ctx, p, try, b, s.URL, err)
}

// shows reports whether a browser that asked for an address is at it, and not where people
// sign in.
func (s page) shows(b *browser, address string) bool {
	want, err := url.Parse(address)
	return err == nil && b.at.Host == want.Host && !strings.HasPrefix(b.at.Path, "/sign-in") && !strings.HasPrefix(b.at.Path, "/.countersign")
}

func (s page) keptSession(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	return []drill.Try{s.asks(ctx, p, s.name()+" with a session from before", s.finds(kept(p, s.server, c)), s.URL, nil)}, nil
}

// asks tries to read an address of the page, with what the browser has. The page answers
// also while Countersign is stopped, unless it waits for it. typed is how it went before.
func (s page) asks(ctx context.Context, p *drill.Play, name string, b *browser, address string, typed error) drill.Try {
	open, err := s.reads(ctx, b, address)
	try := drill.Tried(name, open, err)
	if err == nil && !open || s.excused(err) {
		try = p.Tried(name, false, errors.Join(err, typed))
	}
	try.Answer = b.answer
	return try
}

// reads reports whether the browser gets to read an address: it is answered there, and not
// sent away to sign in.
func (s page) reads(ctx context.Context, b *browser, address string) (bool, error) {
	err := b.get(ctx, address)
	return err == nil && b.status == http.StatusOK && s.shows(b, address), err
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
func (s page) origin() string { return originOf(s.URL) }

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}

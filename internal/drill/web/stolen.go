package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"countersign/internal/drill"
)

// noted notes the cookies that a browser is given, and what it is offered.
type noted struct {
	http.RoundTripper
	mu     sync.Mutex
	given  []*http.Cookie
	offers []offer
}

func (n *noted) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := n.RoundTripper.RoundTrip(r)
	if err == nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.given = append(n.given, answer.Cookies()...)
		if o := offerOf(answer); o != (offer{}) {
			n.offers = append(slices.DeleteFunc(n.offers, func(was offer) bool { return was.origin == o.origin }), o) // the session was raised
		}
	}
	return answer, err
}

// signsOut ends the session of the server's own pages, and those that hang from it.
func (b *browser) signsOut(ctx context.Context) error {
	if err := b.get(ctx, b.server+"/account"); err != nil {
		return err
	}
	return b.post(ctx, "/sign-out")
}

// thief is an attacker who has what went through the browser of a page's owner.
type thief struct{ page }

// stolenCookie copies the cookies of somebody's sign-in at the page into another browser. The
// owner's browser binds its sessions: a copy of all cookies opens the page for the five minutes of
// the bound ones, and nothing after. What is asserted is that, what they open besides, that they
// end, who can copy them, and that the owner goes on.
func (s thief) stolenCookie(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	if p.Down {
		return s.keptSession(ctx, p, c)
	}
	owner := s.honest(p)
	notes := &noted{RoundTripper: owner.client.Transport}
	owner.client.Transport = notes
	if err := s.comes(ctx, owner, c); err != nil {
		return nil, err
	}
	ties, err := s.ties(ctx, owner, notes.offers)
	if err != nil {
		return nil, err
	}
	tries := append(s.copies(notes.given), s.passedOn(owner))
	site, own := cookies(owner, s.origin(), ""), cookies(owner, s.server, "")
	thief, elsewhere := s.attacker(p), s.attacker(p)
	gives(thief, s.origin(), site)
	gives(elsewhere, s.server, own)
	if in, err := s.reads(ctx, thief, s.URL); err != nil || !in {
		return tries, errors.Join(errors.New("the copied cookie opens nothing even before its owner signs out, so what follows would show nothing"), err)
	}
	tries = append(tries, s.atThePortal(ctx, p, site))
	later, err := s.bound(ctx, p, owner, ties)
	if tries = append(tries, later...); err != nil {
		return tries, err
	}
	if err := owner.signsOut(ctx); err != nil {
		return tries, err
	}
	dead := s.asks(ctx, p, s.name()+" with its copied cookies, after their owner signed out", thief, s.URL, nil)
	dead.Detail = "until then, and for five minutes at most, a copy of all cookies opens the page"
	tries = append(tries, dead, s.asks(ctx, p, s.name()+" with the server's copied cookies, after their owner signed out", elsewhere, s.URL, nil))
	return append(tries, s.signsInWith(ctx, p, thief, s.name()+" with copied cookies, the password and a guessed code", c.Name, c.Password, "000000")), nil
}

// copies reports which of the cookies that a sign-in gave others than its host and browser
// could get: a script, or over https another host or a connection without TLS.
func (s thief) copies(given []*http.Cookie) []drill.Try {
	script := drill.Try{Name: "a script reads a cookie of a sign-in at " + s.name(), Answer: fmt.Sprintf("%d cookies, all HttpOnly", len(given))}
	sent := drill.Try{Name: "a cookie of a sign-in at " + s.name() + " is sent elsewhere", Answer: "every cookie is of its host alone"}
	for _, c := range given {
		if c.MaxAge < 0 || c.Value == "" || !strings.HasPrefix(strings.TrimPrefix(c.Name, "__Host-"), "countersign") {
			continue // one that is taken away, or the application's own
		}
		if !c.HttpOnly {
			script.Open, script.Answer = true, c.Name+" without HttpOnly"
		}
		secure := !strings.HasPrefix(s.URL, "https://") || c.Secure && strings.HasPrefix(c.Name, "__Host-")
		if !secure || c.Domain != "" || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
			sent.Open, sent.Answer = true, c.Name+" without __Host-, Secure or SameSite"
		}
	}
	return []drill.Try{script, sent}
}

// passedOn reports whether the application behind the page was sent the cookie that opens it,
// as far as the page shows what it was sent.
func (s thief) passedOn(owner *browser) drill.Try {
	try := drill.Try{Name: "the application behind " + s.name() + " is sent the cookie of a session", Answer: owner.answer}
	if try.Open = strings.Contains(owner.body, "countersign-app"); !try.Open {
		try.Detail = "the page shows no cookie of Countersign's; the test bed's page shows the names of all that it is sent"
	}
	return try
}

// atThePortal uses the page's cookies under the names of the server's own.
func (s thief) atThePortal(ctx context.Context, p *drill.Play, site []*http.Cookie) drill.Try {
	b := s.attacker(p)
	var renamed []*http.Cookie
	for _, c := range site {
		renamed = append(renamed, &http.Cookie{Name: strings.TrimSuffix(c.Name, "-app"), Value: c.Value})
	}
	gives(b, s.server, renamed)
	in, err := b.inside(ctx)
	return b.tried(p, "the portal with the copied cookie of "+s.name(), in, err)
}

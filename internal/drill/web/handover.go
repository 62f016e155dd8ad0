package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"countersign/internal/drill"
)

// acceptPath is where a browser brings the code that makes it a session of a site.
const acceptPath = "/.countersign/accept?"

// hop asks for an address, follows no redirect, and returns where it leads.
func (b *browser) hop(ctx context.Context, address string) (string, error) {
	client := *b.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "text/html")
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	b.answer = said(resp)
	to, err := resp.Location()
	if errors.Is(err, http.ErrNoLocation) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return to.String(), nil
}

// code follows the way from the page, in a browser that is signed in to the server, up to the
// address with the return code, which it does not visit.
func (s page) code(ctx context.Context, b *browser) (string, error) {
	for at, hops := s.URL, 0; at != "" && hops < 6; hops++ {
		to, err := b.hop(ctx, at)
		if err != nil {
			return "", err
		}
		if strings.Contains(to, acceptPath) {
			return to, nil
		}
		at = to
	}
	return "", fmt.Errorf("%s gives the owner no return code: %s", s.name(), b.answer)
}

// portalOwner is a browser that is signed in to the server, and to no site.
func (s page) portalOwner(ctx context.Context, p *drill.Play, c *drill.Canary) (*browser, error) {
	b := s.honest(p)
	if err := b.get(ctx, b.server+"/sign-in"); err != nil {
		return nil, err
	}
	return b, b.passkey(ctx, c.Key)
}

// carrier is an attacker who brings a page what was made for another browser or site.
type carrier struct{ page }

// brings visits an address with a return code, and reports whether the page can be read
// afterwards.
func (s carrier) brings(ctx context.Context, b *browser, name, link string, err error) drill.Try {
	open, answer := false, ""
	if err == nil {
		_, err = b.hop(ctx, link)
		answer = b.answer
	}
	if err == nil {
		open, err = s.reads(ctx, b, s.URL)
	}
	try := drill.Tried(s.name()+" "+name, open, err)
	try.Answer = answer
	return try
}

// codes uses return codes where they are not meant for: in a browser that did not ask, in
// one that asked for another, for the second time, and at another site.
func (s carrier) codes(ctx context.Context, p *drill.Play, c *drill.Canary) []drill.Try {
	owner, err := s.portalOwner(ctx, p, c)
	if err != nil {
		return []drill.Try{drill.Tried(s.name()+" with the return code of another browser", false, err)}
	}
	link, err := s.code(ctx, owner)
	tries := []drill.Try{s.brings(ctx, s.attacker(p), "by a link with a return code that was sent", link, err)}
	asked := s.attacker(p)
	link, err = s.code(ctx, owner)
	tries = append(tries, s.brings(ctx, asked, "with the return code of another browser", link, errors.Join(err, asked.get(ctx, s.URL))))

	link, err = s.code(ctx, owner)
	if err == nil {
		err = s.uses(ctx, owner, link)
	}
	again := s.attacker(p)
	gives(again, s.origin(), cookies(owner, s.origin(), "-way"))
	tries = append(tries, s.brings(ctx, again, "with a return code that was used", link, err))
	for _, other := range s.others {
		tries = append(tries, s.crossed(ctx, p, c, page{Site: other, server: s.server, others: []Site{s.Site}})...)
	}
	return tries
}

// uses brings a return code as its owner does.
func (s carrier) uses(ctx context.Context, b *browser, link string) error {
	if _, err := b.hop(ctx, link); err != nil {
		return err
	}
	if in, err := s.reads(ctx, b, s.URL); err != nil || !in {
		return errors.Join(fmt.Errorf("the owner does not get to %s with a return code: %s", s.name(), b.answer), err)
	}
	return nil
}

// crossed brings the return code of another site, in a browser that both know by the same
// cookie. A site that gives none says so in its own results.
func (s carrier) crossed(ctx context.Context, p *drill.Play, c *drill.Canary, other page) []drill.Try {
	owner, err := s.portalOwner(ctx, p, c)
	if err != nil {
		return []drill.Try{drill.Tried(s.name()+" with the return code of "+other.name(), false, err)}
	}
	link, err := other.code(ctx, owner)
	if err != nil {
		return nil
	}
	b := s.attacker(p)
	gives(b, s.origin(), cookies(owner, other.origin(), "-way"))
	link = s.origin() + strings.TrimPrefix(link, other.origin())
	return []drill.Try{s.brings(ctx, b, "with the return code of "+other.name(), link, nil)}
}

// cookies are a browser's cookies for an origin whose names end so.
func cookies(b *browser, origin, ending string) (all []*http.Cookie) {
	u, err := url.Parse(origin)
	if err != nil {
		return nil
	}
	for _, c := range b.client.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, ending) {
			all = append(all, c)
		}
	}
	return all
}

// gives puts cookies into a browser.
func gives(b *browser, origin string, cookies []*http.Cookie) {
	u, err := url.Parse(origin)
	if err != nil {
		return
	}
	for _, c := range cookies {
		c.Path, c.Secure = "/", u.Scheme == "https"
	}
	b.client.Jar.SetCookies(u, cookies)
}

// foreign uses sessions that are good elsewhere: another site's, the server's own, and one
// that is not strong enough for what demands more.
func (s carrier) foreign(ctx context.Context, p *drill.Play, c *drill.Canary) (tries []drill.Try) {
	for _, other := range s.others {
		at := page{Site: other, server: s.server, others: []Site{s.Site}}
		owner := s.honest(p)
		if at.signedIn(ctx, owner, c) == nil { // else it says so in its own results
			tries = append(tries, s.carries(ctx, p, "with the session of "+at.name(), cookies(owner, at.origin(), "-app"), nil))
		}
	}
	owner, err := s.portalOwner(ctx, p, c)
	var own []*http.Cookie
	if err == nil {
		for _, cookie := range cookies(owner, s.server, "countersign") {
			own = append(own, &http.Cookie{Name: cookie.Name + "-app", Value: cookie.Value})
		}
	}
	return append(tries, s.carries(ctx, p, "with the server's own session", own, err))
}

// settled is longer than a new authenticator does not count for more than signing in.
const settled = 25 * time.Hour

// steppingUp asks for what demands a passkey with a session of password and code, also by
// other spellings. The session of a passkey reads it afterwards: a path that nobody reads
// would show nothing.
func (s reader) steppingUp(ctx context.Context, p *drill.Play, c *drill.Canary) []drill.Try {
	u, err := url.Parse(s.Stronger)
	if s.Stronger == "" || p.Bed == nil || err != nil {
		return nil
	}
	p.Bed.Later(settled)
	defer p.Bed.Later(-settled)
	where := s.name() + " where more is demanded"
	weak, strong := s.attacker(p), s.honest(p)
	signedIn := s.signsInAs(ctx, weak, c)
	tries := []drill.Try{s.asks(ctx, p, where+", with a session of password and code", weak, s.Stronger, signedIn)}
	for _, path := range spellings(u.EscapedPath()) {
		tries = append(tries, s.asks(ctx, p, where+", with the same session by the path "+path, weak, s.origin()+path, signedIn))
	}
	if err = s.signedIn(ctx, strong, c); err == nil {
		var in bool
		if in, err = s.reads(ctx, strong, s.Stronger); err == nil && !in {
			err = fmt.Errorf("the owner does not get to %s with the passkey: %s", s.Stronger, strong.answer)
		}
	}
	if err != nil {
		tries = append(tries, drill.Tried(where, false, err))
	}
	return tries
}

// carries asks for the page with cookies from elsewhere.
func (s carrier) carries(ctx context.Context, p *drill.Play, name string, cookies []*http.Cookie, err error) drill.Try {
	if err == nil && len(cookies) == 0 {
		err = errors.New("the sign-in gave no cookie that could be used")
	}
	if err != nil {
		return drill.Tried(s.name()+" "+name, false, err)
	}
	b := s.attacker(p)
	gives(b, s.origin(), cookies)
	return s.asks(ctx, p, s.name()+" "+name, b, s.URL, nil)
}

// signsInAs has somebody sign in to the page with password and code.
func (s page) signsInAs(ctx context.Context, b *browser, c *drill.Canary) error {
	err := b.get(ctx, s.URL)
	if err == nil {
		err = b.types(ctx, c.Name, c.Password, c.Code())
	}
	if err != nil {
		return err
	}
	if in, err := s.reads(ctx, b, s.URL); err != nil || !in {
		return errors.Join(fmt.Errorf("the owner does not get to %s with password and code: %s", s.name(), b.answer), err)
	}
	return nil
}

// comes has the page's owner sign in as the site allows it: with password and code, or where
// policy wants more, with the passkey.
func (s page) comes(ctx context.Context, b *browser, c *drill.Canary) error {
	if s.signsInAs(ctx, b, c) == nil {
		return nil
	}
	return s.signedIn(ctx, b, c)
}

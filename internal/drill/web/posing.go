package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"countersign/internal/drill"
)

// elsewhereFrom is where nobody is (RFC 5737, TEST-NET-2), and where an attacker says to be.
var elsewhereFrom = netip.MustParseAddr("198.51.100.66")

// elsewhere signs in with a guessed code, and with a passkey's signature for another page, and
// says in X-Forwarded-For to be at another address.
func (s reader) elsewhere(ctx context.Context, p *drill.Play, c *drill.Canary) []drill.Try {
	b, lured := s.attacker(p), s.attacker(p)
	b.headers = http.Header{"X-Forwarded-For": {elsewhereFrom.String()}}
	lured.headers = b.headers
	return []drill.Try{
		s.signsInWith(ctx, p, b, s.name()+" with the password and a guessed code", c.Name, c.Password, "000000"),
		s.asks(ctx, p, s.name()+" with a passkey's signature for another page", lured, s.URL, s.lures(ctx, lured, c)),
	}
}

// lures has the owner's passkey sign for a page of the attacker's, in a browser that signs
// for any page, and brings the signature to the site's sign-in.
func (s reader) lures(ctx context.Context, b *browser, c *drill.Canary) error {
	if err := b.get(ctx, s.URL); err != nil {
		return err
	}
	options, err := b.options()
	if err != nil {
		return err
	}
	careless := c.Key.Clone()
	careless.Lie.Disobey = true
	answer, err := careless.Get("https://elsewhere.example", options)
	if err != nil {
		return err
	}
	return b.post(ctx, "/sign-in", "authenticator", "passkey", "data", string(answer))
}

// believed looks in the log for where the attacker and the owner who said to be elsewhere came
// from, by the server's own pages and by the site's proxy. It shows nothing on a deployment
// where the drill itself comes from a loopback address, which the server may list among its
// proxies.
func (s reader) believed(ctx context.Context, p *drill.Play, c *drill.Canary) []drill.Try {
	if p.Bed == nil && s.besides(p) {
		return nil
	}
	found, err := p.Logged(ctx, map[string]any{"account": c.Name})
	try := drill.Tried(s.name()+" from an address that X-Forwarded-For claims", false, err)
	refused := p.Unguarded || err != nil
	for _, e := range found {
		from, _ := netip.ParseAddr(e.Source)
		refused = refused || e.Event == "answer.refused"
		if from.Unmap() == elsewhereFrom {
			try.Open, try.Answer = true, "the log says "+e.Source+" of "+e.Event
		} else if e.Event == "answer.refused" && !try.Open {
			try.Answer = "the log says " + e.Source
		}
	}
	if !refused {
		try.Error = "the log does not tell of the wrong answers"
	}
	return []drill.Try{try}
}

// besides reports whether the drill comes to Countersign from a loopback address.
func (s reader) besides(p *drill.Play) bool {
	if p.From.IsValid() {
		return p.From.IsLoopback()
	}
	u, err := url.Parse(s.server)
	if err != nil {
		return true
	}
	c, err := net.Dial("udp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443"))) // sends nothing
	if err != nil {
		return true
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP.IsLoopback()
}

// identityHeaders are the spellings under which an application may be told who somebody is.
// PHP folds a dot to an underscore, CGI programs any punctuation (RFC 3875 section 4.1.18).
var identityHeaders = []string{"Remote-User", "REMOTE-USER", "Remote_User", "Remote.User", "Remote-Groups", "Remote_Groups", "Remote~Email",
	"X-Forwarded-User", "X-Remote-User", "X_Remote_User", "X.Forwarded.User"}

// posing is somebody with a session of their own who says in a header to be another. It is
// open if the page shows the other's name; a page that shows every header that it gets
// shows nothing by that.
func (s reader) posing(ctx context.Context, p *drill.Play, c *drill.Canary) (tries []drill.Try) {
	b := s.attacker(p) // it has the attacker's address, and the owner's passkey
	b.headers = http.Header{"X-Forwarded-For": {elsewhereFrom.String()}}
	if err := s.signedIn(ctx, b, c); err != nil {
		return []drill.Try{drill.Tried(s.name()+" with a session and forged headers", false, err)}
	}
	detail := ""
	if !strings.Contains(b.body, c.Name) {
		detail = "the page does not show who it was told the person is; the test bed's does"
	}
	for _, header := range identityHeaders {
		forged, plain := "forged-"+strings.ToLower(rand.Text()[:8]), "plain-"+strings.ToLower(rand.Text()[:8])
		b.headers = http.Header{header: {forged}, "X-Drill": {plain}}
		_, err := s.reads(ctx, b, s.URL)
		try := drill.Tried(s.name()+" with a session and "+header+" of another", strings.Contains(b.body, forged) && !strings.Contains(b.body, plain), err)
		try.Answer, try.Detail = b.answer, detail
		tries = append(tries, try)
	}
	b.headers = nil
	return append(tries, s.unclear(ctx, p, b)...)
}

// unclear asks with a whole session for addresses that two programs read differently, which
// no application is to see; those that are legal only where a rule looks at its paths. A
// proxy may clear them up before it asks, so that only the test bed's shows anything.
func (s reader) unclear(ctx context.Context, p *drill.Play, b *browser) (tries []drill.Try) {
	u, err := url.Parse(s.URL)
	if err != nil || p.Bed == nil {
		return nil
	}
	path := u.EscapedPath()
	others := []string{"/" + path, "/." + path, "/x/.." + path}
	if s.Stronger != "" { // something looks at its paths
		others = append(others, path+"%2f", path+"%5c", path+"%2e")
	}
	for _, other := range others {
		tries = append(tries, s.asks(ctx, p, s.name()+" with a session by the unclear path "+other, b, s.origin()+other, nil))
	}
	return tries
}

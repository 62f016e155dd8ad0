package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"countersign/internal/drill"
	"countersign/internal/virtualauth"
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
		stolen, err := s.steal(ctx, p, kit)
		return []drill.Try{p.Tried("the cookie of a sign-in with password and code", stolen, err)}, nil
	}
	var tries []drill.Try
	if err := victim.get(ctx, kit.url+"/sign-in"); err != nil {
		return nil, err
	}
	if err = victim.passkey(ctx, c.Key); errors.Is(err, virtualauth.ErrSecurity) {
		tries = append(tries, drill.Try{Name: "an honest browser's passkey", Answer: err.Error()})
	} else {
		tries = append(tries, s.stolen(ctx, p, "an honest browser's passkey", kit, err))
	}
	liar := honest(p, s.server)
	liar.server = kit.url
	if err := liar.get(ctx, kit.url+"/sign-in"); err != nil {
		return nil, err
	}
	careless := c.Key.Clone()
	careless.Lie.Disobey = true // a browser that signs for any page
	err = liar.passkey(ctx, careless)
	tries = append(tries, s.stolen(ctx, p, "a careless browser's passkey, signed for the look-alike's own name", kit, err))
	return append(tries, s.stolen(ctx, p, "whatever else was heard", kit, nil)), nil
}

// stolen is what came of a victim's sign-in, and of the cookies that the kit heard.
func (s portal) stolen(ctx context.Context, p *drill.Play, name string, k *kit, signedIn error) drill.Try {
	open, err := s.steal(ctx, p, k)
	if !open {
		err = errors.Join(signedIn, err)
	}
	t := p.Tried(name, open, err)
	t.Answer = fmt.Sprintf("%d cookies were heard; let in with one: %t", len(k.heard()), open)
	return t
}

// steal uses every cookie that the kit heard.
func (s portal) steal(ctx context.Context, p *drill.Play, k *kit) (bool, error) {
	for _, heard := range k.heard() {
		b := attacker(p, s.server)
		u, err := url.Parse(s.server)
		if err != nil {
			return false, err
		}
		b.client.Jar.SetCookies(u, []*http.Cookie{{Name: heard.Name, Value: heard.Value, Path: "/", Secure: u.Scheme == "https"}})
		if in, err := b.inside(ctx); in || err != nil {
			return in, err
		}
	}
	return false, nil
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

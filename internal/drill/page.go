package drill

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

var errNotIn = errors.New("the honest sign-in that was to be listened to did not succeed")

// readPages tries to read what is behind forward-auth.
func readPages(ctx context.Context, s *scene) ([]Door, error) {
	host := s.Page
	if u, err := url.Parse(s.Page); err == nil {
		host = u.Scheme + "://" + u.Host
	}
	doors := []Door{{"without anything", s.browse(true).reads(ctx, s.Page), ""}}
	forged := s.browse(true)
	forged.headers = http.Header{"Remote-User": {s.canary.name}, "X-Forwarded-User": {s.canary.name}, "X-Forwarded-For": {"127.0.0.1"},
		"X-Forwarded-Uri": {"/healthz"}, "X-Original-Url": {"/healthz"}, "X-Forwarded-Host": {"elsewhere.example"}}
	doors = append(doors, Door{"with forged headers", forged.reads(ctx, s.Page), ""})
	made := s.browse(true)
	made.headers = http.Header{"Cookie": {"countersign=" + rand.Text() + "; __Host-countersign=" + rand.Text()}}
	doors = append(doors, Door{"with a made-up cookie", made.reads(ctx, s.Page), ""})
	for _, path := range []string{"//", "/%2e%2e/", "/.countersign/accept?code=x&to=/", "/;/", "/%00"} {
		doors = append(doors, Door{"by the path " + path, s.browse(true).reads(ctx, host+path), ""})
	}
	b := s.browse(true)
	err := b.typed(ctx, s.canary.name, s.canary.password, "")
	doors = append(doors, Door{"with the password alone", err == nil && b.reads(ctx, s.Page), ""})
	b = s.browse(true)
	err = b.typed(ctx, s.canary.name, s.canary.password, "000000")
	return append(doors, Door{"with the password and a guessed code", err == nil && b.reads(ctx, s.Page), ""}), nil
}

// lookAlike is a page of the attacker's that passes everything on to
// Countersign and keeps what it hears: what phishing kits are. Its victim uses
// a passkey; the control's types a password and a code.
func lookAlike(ctx context.Context, s *scene) ([]Door, error) {
	kit, err := newKit(s.Server)
	if err != nil {
		return nil, err
	}
	defer kit.close()
	victim := s.browse(false)
	victim.server = kit.url
	if s.unguarded {
		// Typed answers can be passed on by whoever hears them.
		if err := victim.typed(ctx, s.canary.name, s.canary.password, s.canary.code()); err != nil {
			return nil, err
		}
		return []Door{{"the cookie of a sign-in with password and code", s.steal(ctx, kit), ""}}, nil
	}
	var doors []Door
	if err := victim.get(ctx, kit.url+"/sign-in"); err != nil {
		return nil, err
	}
	err = victim.passkey(ctx, s.canary.key)
	doors = append(doors, Door{"an honest browser's passkey", err == nil && s.steal(ctx, kit), errText(err)})
	liar := s.browse(false)
	liar.server = kit.url
	if err := liar.get(ctx, kit.url+"/sign-in"); err != nil {
		return nil, err
	}
	careless := s.canary.key.Clone()
	careless.Lie.Disobey = true // a browser that signs for any page
	err = liar.passkey(ctx, careless)
	doors = append(doors, Door{"a careless browser's passkey, signed for the look-alike's own name", s.steal(ctx, kit), errText(err)})
	return append(doors, Door{"whatever else was heard", s.steal(ctx, kit), ""}), nil
}

// steal uses every cookie that the kit heard.
func (s *scene) steal(ctx context.Context, k *kit) bool {
	for _, c := range k.heard() {
		b := s.browse(true)
		u, err := url.Parse(s.Server)
		if err != nil {
			return false
		}
		b.client.Jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/", Secure: u.Scheme == "https"}})
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

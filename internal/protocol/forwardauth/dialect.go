package forwardauth

import (
	"net/http"
	"net/netip"
	"strings"
)

// asked is a proxy's question, whatever its dialect, and not yet understood.
type asked struct {
	scheme, host, target, method string
	// redirects says that the proxy relays our redirect as it is.
	redirects bool
	// cookies says that the proxy takes what the application gets as cookies from
	// our answer.
	cookies bool
}

// nginx asks with the whole URL in one header, and takes 200, 401 and 403 only.
func (d *Guard) nginx(w http.ResponseWriter, r *http.Request) {
	a := asked{method: one(r, "X-Original-Method"), cookies: true}
	a.scheme, a.host, a.target = splitURL(one(r, "X-Original-Url"))
	d.verify(w, r, a)
}

// splitURL takes a URL apart without interpreting any of it. A browser that
// names a host which is none is refused later.
func splitURL(u string) (scheme, host, target string) {
	scheme, rest, _ := strings.Cut(u, "://")
	at := strings.IndexAny(rest, "/?#")
	if at < 0 {
		return scheme, rest, ""
	}
	return scheme, rest[:at], rest[at:]
}

// caddy asks as Traefik does, and takes our cookies away by itself.
func (d *Guard) caddy(w http.ResponseWriter, r *http.Request) {
	d.verify(w, r, forwarded(r))
}

// traefik is how Traefik asks, and our own script in HAProxy.
func (d *Guard) traefik(w http.ResponseWriter, r *http.Request) {
	a := forwarded(r)
	a.cookies = true
	d.verify(w, r, a)
}

func forwarded(r *http.Request) asked {
	return asked{scheme: proto(r), host: one(r, "X-Forwarded-Host"), target: one(r, "X-Forwarded-Uri"), method: one(r, "X-Forwarded-Method"), redirects: true}
}

const envoyPrefix = "/verify/envoy"

// Before answers Envoy, which asks with the request itself, its path behind our
// prefix, and hands everything else on. It must come before a multiplexer, which
// would tidy the path.
func (d *Guard) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, ok := strings.CutPrefix(r.RequestURI, envoyPrefix)
		if !ok || target != "" && target[0] != '/' && target[0] != '?' {
			next.ServeHTTP(w, r)
			return
		}
		d.verify(w, r, asked{scheme: proto(r), host: r.Host, target: target, method: r.Method, redirects: true, cookies: true})
	})
}

// proto is the scheme that the browser used. Some proxies have words of their
// own for a WebSocket's.
func proto(r *http.Request) string {
	switch p := one(r, "X-Forwarded-Proto"); p {
	case "ws":
		return "http"
	case "wss":
		return "https"
	default:
		return p
	}
}

// one returns a header, by its canonical name, that was sent exactly once.
func one(r *http.Request, name string) string {
	if v := r.Header[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// oneCookie returns a cookie that was sent exactly once.
func oneCookie(r *http.Request, name string) string {
	if c := r.CookiesNamed(name); len(c) == 1 {
		return c[0].Value
	}
	return ""
}

// trusted reports whether a request comes from a listed proxy.
func (d *Guard) trusted(r *http.Request) bool { return d.listed(peer(r)) }

func (d *Guard) listed(a netip.Addr) bool {
	for _, p := range d.proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func peer(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}

// Source returns where a browser is: the peer, or what listed proxies say of it.
// It is the zero address where they say nothing or what cannot be read, so that
// nobody counts as being where the proxy is.
func (d *Guard) Source(r *http.Request) netip.Addr {
	a, ok := d.claimed(r)
	if !ok {
		d.complain(r, noAddress)
	}
	return a
}

// claimed reads X-Forwarded-For from its end. Each listed proxy adds the address
// of its own peer, so the first one that is not a listed proxy's is the
// browser's; what stands before it anybody may have written. It is false when
// the entry that counts cannot be read, and when the proxies name nobody but
// themselves: a proxy's address is nobody's who comes through it.
func (d *Guard) claimed(r *http.Request) (netip.Addr, bool) { return d.claimedBy(peer(r), r) }

func (d *Guard) claimedBy(at netip.Addr, r *http.Request) (netip.Addr, bool) {
	if !d.listed(at) {
		return at, at.IsValid()
	}
	lines, named := r.Header["X-Forwarded-For"], false
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			if !d.listed(at) {
				return at, true
			}
			var entry string
			comma := strings.LastIndexByte(rest, ',')
			rest, entry, more = rest[:max(comma, 0)], rest[comma+1:], comma >= 0
			a, ok := address(strings.TrimSpace(entry))
			if !ok {
				return netip.Addr{}, false
			}
			at, named = a, true
		}
	}
	if !named || d.isProxy(at) {
		return netip.Addr{}, false
	}
	return at, true
}

// isProxy reports whether an address is listed by itself: then it is a proxy's.
// Of a network that is listed somebody may be a person.
func (d *Guard) isProxy(a netip.Addr) bool {
	for _, p := range d.proxies {
		if p.IsSingleIP() && p.Addr() == a {
			return true
		}
	}
	return false
}

// address reads an entry of X-Forwarded-For, which some proxies give a port.
func address(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		p, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = p.Addr()
	}
	a = a.Unmap().WithZone("")
	return a, !a.IsUnspecified() && !a.IsMulticast()
}

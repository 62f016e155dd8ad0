package forwardauth

import (
	"net/http"
	"net/netip"
	"strings"
)

// asked is a proxy's question, whatever its dialect, and not yet understood.
type asked struct {
	scheme, host, target, method string
	// overridden says that the request names a second method.
	overridden bool
	// redirects says that the proxy relays our redirect as it is.
	redirects bool
}

// nginx asks with the whole URL in one header, and takes 200, 401 and 403 only.
func (d *Door) nginx(w http.ResponseWriter, r *http.Request) {
	a := asked{method: one(r, "X-Original-Method"), overridden: overridden(r)}
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

// forwarded is how Caddy and Traefik ask, and our own script in HAProxy.
func (d *Door) forwarded(w http.ResponseWriter, r *http.Request) {
	d.verify(w, r, asked{scheme: proto(r), host: one(r, "X-Forwarded-Host"), target: one(r, "X-Forwarded-Uri"),
		method: one(r, "X-Forwarded-Method"), overridden: overridden(r), redirects: true})
}

const envoyPrefix = "/verify/envoy"

// Before answers Envoy, which asks with the request itself, its path behind our
// prefix, and hands everything else on. It must come before a multiplexer, which
// would tidy the path.
func (d *Door) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, ok := strings.CutPrefix(r.RequestURI, envoyPrefix)
		if !ok || target != "" && target[0] != '/' && target[0] != '?' {
			next.ServeHTTP(w, r)
			return
		}
		d.verify(w, r, asked{scheme: proto(r), host: r.Host, target: target, method: r.Method, overridden: overridden(r), redirects: true})
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

// overridden reports whether a request names a second method, which some
// applications heed.
func overridden(r *http.Request) bool {
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		if len(r.Header.Values(name)) > 0 {
			return true
		}
	}
	return false
}

// one returns a header that was sent exactly once.
func one(r *http.Request, name string) string {
	if v := r.Header.Values(name); len(v) == 1 {
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
func (d *Door) trusted(r *http.Request) bool { return d.listed(peer(r)) }

func (d *Door) listed(a netip.Addr) bool {
	for _, p := range d.Proxies {
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
// It is the zero address where they say what cannot be read, so that nobody
// counts as being where the proxy is.
func (d *Door) Source(r *http.Request) netip.Addr {
	a, _ := d.claimed(r)
	return a
}

// claimed reads X-Forwarded-For from its end. Each listed proxy adds the address
// of its own peer, so the first one that is not a listed proxy's is the
// browser's; what stands before it anybody may have written. It is false when
// the entry that counts cannot be read.
func (d *Door) claimed(r *http.Request) (netip.Addr, bool) {
	at := peer(r)
	var list []string
	for _, line := range r.Header.Values("X-Forwarded-For") {
		list = append(list, strings.Split(line, ",")...)
	}
	for i := len(list) - 1; i >= 0 && d.listed(at); i-- {
		a, ok := address(strings.TrimSpace(list[i]))
		if !ok {
			return netip.Addr{}, false
		}
		at = a
	}
	return at, at.IsValid()
}

// address reads an entry of X-Forwarded-For, which some proxies give a port.
func address(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	p, err := netip.ParseAddrPort(s)
	return p.Addr().Unmap().WithZone(""), err == nil
}

package forwardauth

import (
	"net/http"
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

// Around answers Envoy, which asks with the request itself, its path behind our
// prefix, and hands everything else on. It must come before a multiplexer, which
// would tidy the path.
func (d *Guard) Around(next http.Handler) http.Handler {
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
func one(r *http.Request, name string) string { return single(r.Header, name) }

func single(h http.Header, name string) string {
	if v := h[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// oneCookie returns a cookie that was sent exactly once.
func oneCookie(r *http.Request, name string) string {
	if !anywhere(r.Header["Cookie"], name) {
		return ""
	}
	if value, ok := quickCookie(r.Header["Cookie"], name); ok {
		return value
	}
	if c := r.CookiesNamed(name); len(c) == 1 {
		return c[0].Value
	}
	return ""
}

// anywhere reports whether a text stands in one of these lines: where a cookie's name does not,
// there is no such cookie, and nobody has to read them.
func anywhere(lines []string, text string) bool {
	for _, line := range lines {
		if strings.Contains(line, text) {
			return true
		}
	}
	return false
}

// longestQuick is how long a line of cookies may be for [quickCookie]: what is longer may
// have more cookies than net/http reads.
const longestQuick = 2048

// quickCookie finds a cookie of letters, digits, hyphens and underscores in one line of
// cookies in which its name stands once, as net/http does, and allocates nothing. Of
// anything else it says nothing.
func quickCookie(lines []string, name string) (value string, ok bool) {
	if len(lines) != 1 || len(lines[0]) > longestQuick {
		return "", false
	}
	before, rest, found := strings.Cut(lines[0], name)
	if !found || strings.Contains(rest, name) || before != "" && !strings.HasSuffix(before, "; ") || rest == "" || rest[0] != '=' {
		return "", false
	}
	value, _, _ = strings.Cut(rest[1:], ";")
	for i := range len(value) {
		if b := value[i]; small(b) == 0 && b != '-' && b != '_' {
			return "", false
		}
	}
	return value, true
}

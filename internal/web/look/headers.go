package look

import (
	"net/http"
	"strings"
)

// contentPolicy lets a page load our own script, style and pictures, post forms
// to us, and nothing else. Chromium applies form-action to the redirects that
// follow a post as well, so a browser is sent to another host by a page of ours
// and not by a redirect: see [Look.Leave].
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// permissions switches off what no page of ours uses, and keeps passkeys for
// ourselves.
const permissions = "publickey-credentials-get=(self), publickey-credentials-create=(self), clipboard-write=(self), " +
	"camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=(), " +
	"display-capture=(), browsing-topics=(), clipboard-read=(), identity-credentials-get=()"

// guard sets the headers that every response bears.
//
// The referrer policy is same-origin and not no-referrer: it tells other sites
// just as little, and under no-referrer browsers send "Origin: null" with our
// own forms, which takes the second of the two checks of [http.CrossOriginProtection]
// away (Fetch Standard, "append a request Origin header").
func guard(h http.Header, secure bool) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", permissions)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
	if secure {
		// Two years; subdomains are not ours to promise for.
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
}

// Strict serves next with the strict headers on every response that can reach a
// browser: pages, redirects to a tidier path and refusals of the multiplexer alike.
// Under the paths in proxies a proxy asks, and of a 200 it takes only what it was told to
// take, so that a 200 goes without: a kilobyte of headers costs more than the question.
// Under the paths in foreign a response may reach a browser at another host's address,
// which is not ours to promise https for.
func (l *Look) Strict(next http.Handler, proxies, foreign []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ahead := w.(*unlessYes); ahead || w.Header().Get("X-Frame-Options") != "" { // whoever is in front of us sees to it
			next.ServeHTTP(w, r)
			return
		}
		secure := l.Options.Secure && !under(r.URL.Path, foreign)
		if under(r.URL.Path, proxies) {
			w = &unlessYes{w, secure}
		} else {
			guard(w.Header(), secure)
		}
		next.ServeHTTP(w, r)
	})
}

// under reports whether a path begins with one of the prefixes.
func under(path string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// unlessYes sets the strict headers on every response but 200.
type unlessYes struct {
	http.ResponseWriter
	secure bool
}

func (u *unlessYes) WriteHeader(status int) {
	if status != http.StatusOK {
		guard(u.Header(), u.secure)
	}
	u.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (u *unlessYes) Unwrap() http.ResponseWriter { return u.ResponseWriter }

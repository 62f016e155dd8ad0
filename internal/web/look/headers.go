package look

import "net/http"

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

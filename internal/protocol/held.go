package protocol

import (
	"net/http"
	"net/url"

	"countersign/internal/session"
)

// Held is the session that a browser holds at our own pages, whose address public is: its secret,
// with its bound cookie ([session.With]). It is empty where it holds none, or two of which one is not ours.
func Held(r *http.Request, public *url.URL) string {
	secure := public.Scheme == "https"
	held := r.CookiesNamed(session.Cookie(secure))
	if len(held) != 1 {
		return ""
	}
	bound := r.CookiesNamed(session.BoundCookie(secure))
	if len(bound) != 1 {
		return held[0].Value
	}
	return session.With(held[0].Value, bound[0].Value)
}

package protocol

import (
	"net/http"
	"net/url"

	"countersign/internal/session"
)

// Held is the secret of the session that a browser holds at our own pages, whose address public
// is; empty where it holds none, or two of which one is not ours.
func Held(r *http.Request, public *url.URL) string {
	held := r.CookiesNamed(session.Cookie(public.Scheme == "https"))
	if len(held) != 1 {
		return ""
	}
	return held[0].Value
}

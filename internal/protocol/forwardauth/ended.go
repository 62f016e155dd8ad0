package forwardauth

import (
	"html"
	"net/http"
	"net/url"

	"countersign/internal/failure"
	"countersign/internal/signin"
)

// A form that is posted without a session cannot be sent to sign in and come back: what was typed
// is with the browser and the proxy, and never with us. So the person reads in the answer itself
// that nothing was passed on, signs in in another tab, and reloads: then the browser sends the same
// form again. A form of another site is no reason to do so.
const endedPath = "/.countersign/ended"

// pageHeader tells a proxy that takes no page from our answer where it gets that page.
const pageHeader = "Countersign-Page"

// posted reports whether a person sent a form of the application's own.
func posted(r *http.Request, q question) bool {
	if q.method == http.MethodGet || q.method == http.MethodHead || !looks(r) {
		return false
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return one(r, "Origin") == q.origin()
}

// tellEnded answers a form that was posted without a session, or without enough of one.
func tellEnded(w http.ResponseWriter, q question, step signin.Step) {
	to := "/"
	if step.Reason == "step-up" {
		to = comeBack(q.target) // only there is asked for what this needs
	}
	w.Header().Set(pageHeader, endedPath+"?"+url.Values{"to": {to}}.Encode())
	writeEnded(w, q.at.app, to)
}

// ended is the same page for proxies that get it by themselves. It runs on the application's host.
func (d *Guard) ended(w http.ResponseWriter, r *http.Request) {
	private(w)
	q, err := d.onHost(r)
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusForbidden)
		return
	}
	writeEnded(w, q.at.app, q.raw)
}

func writeEnded(w http.ResponseWriter, app, to string) {
	challenge(w, app)
	link := html.EscapeString(beginPath + "?" + url.Values{"to": {to}}.Encode())
	writePage(w, http.StatusUnauthorized, "Not sent", `<p>You are not signed in here any more, or this needs a fresh sign-in. What you sent was not passed on.</p>
<ol><li><a href="`+link+`" target="_blank" rel="noopener">Sign in in another tab</a>.</li>
<li>Come back to this tab and reload it. The browser asks whether to send the form again: say yes, and it arrives as you filled it in.</li></ol>
<p>Do not close this tab before, and send nothing again that you did not send yourself.</p>`)
}

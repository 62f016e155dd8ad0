package forwardauth

import (
	"html"
	"io"
	"net/http"
	"net/netip"

	"countersign/internal/protocol"
)

// mends says of each refusal that an administrator can mend what is wrong and what to do.
var mends = map[string]string{
	"ambiguous":       "The address of a request can be read in two ways (an encoded slash, percent sign or backslash, or a dot segment), so it was refused; have the application use plain addresses.",
	"scheme":          "A request came by http, or the proxy says so; have the proxy redirect to https, and send X-Forwarded-Proto.",
	"method":          "A request has a method in small letters; have the client write it in capitals.",
	"forged-identity": "A request brought headers that begin with Remote-, which only Countersign sends; have the proxy remove them from what browsers send.",
	"upgrade":         "A request wants to change to another protocol than WebSocket; switch h2c off at the client or the proxy.",
	"no-url":          "The proxy does not say which address was asked for, or what it says is no address; have it send X-Original-URL (nginx), or X-Forwarded-Host and X-Forwarded-Uri.",
	"no-method":       "The proxy does not say the method of a request; have it send X-Original-Method (nginx) or X-Forwarded-Method.",
	"unknown-host":    "No application has the host that was asked for; add it to the hosts of an application, with its port, or have the proxy pass on the host as browsers send it ($http_host in nginx).",
	"not-listed":      "A check came from an address that is not among the trusted proxies; add it to trusted_proxies if it is your proxy.",
	"unknown-token":   "A program brought an access token that is not good, or not any more; have it get a new one by signing its owner in.",
	"other-client":    "A program brought an access token of an application that tokens_of does not name; add that application, or have the program get its tokens from one that is named.",
	"not-enough":      "A program brought an access token whose owner has not shown enough for this application, or whose session is over; have it get a new one by signing its owner in.",
	"bound-token":     "A program brought an access token that is bound to a key (DPoP, or a certificate), which a proxy cannot check; have its client get tokens that are bound to none.",
	"no-client":       "A program brought an access token of an application that is not there any more, or that is no OpenID client; correct tokens_of.",
	"no-address":      "The proxy does not say where the browser is; have it send X-Forwarded-For.",
}

// miss tells administrators what was refused before the engine was asked. The address that
// was asked for is not told: it can hold secrets.
func (d *Guard) miss(cause string, q question, source netip.Addr) {
	mend, known := mends[cause]
	if !known {
		return
	}
	worth := d.ears.Miss(protocol.Trouble{Protocol: Protocol, Cause: cause, Mend: mend, Application: q.at.app, From: source.Unmap()}, d.now())
	if worth && d.log != nil && cause != "not-listed" { // clientaddr has said that
		d.log.Warn("a request behind a proxy was refused: "+mend, "reason", cause, "application", q.at.app, "from", source)
	}
}

// refuse answers 403: with a page to a person who looks at one, and else with a line.
func refuse(w http.ResponseWriter, r *http.Request, method, says string) {
	if !page(r, method) {
		http.Error(w, says, http.StatusForbidden)
		return
	}
	writePage(w, http.StatusForbidden, "Refused", "<p>"+html.EscapeString(says)+"</p>")
}

// writePage writes a page without scripts and without anything of ours. The body is HTML.
func writePage(w http.ResponseWriter, status int, title, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>"+title+"</title>\n<h1>"+title+"</h1>\n"+body+"\n</html>\n") // the client may be gone
}

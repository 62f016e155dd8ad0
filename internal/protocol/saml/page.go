package saml

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"strings"
)

// private keeps what is in the address to this page.
func private(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
}

const (
	// style is that of all pages here, and script posts the form that a page has.
	style  = "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark;color:CanvasText;background:Canvas}button{font:inherit;padding:.6rem 1.2rem;min-height:44px}"
	script = "document.forms[0].submit()"
)

func hashOf(s string) string {
	h := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(h[:]) + "'"
}

// writePage writes a page with one sentence.
func writePage(w http.ResponseWriter, status int, title, says string) {
	write(w, status, "", title, "<p>"+html.EscapeString(says)+"</p>")
}

// field is a hidden field of a form.
type field struct{ name, value string }

// writeForm writes a page that posts a form to an application, by itself where the browser
// runs scripts. What the page may post to is not limited to that address: browsers hold the
// application's own redirects to such a limit as well.
func writeForm(w http.ResponseWriter, to *party, address string, fields []field) {
	form := formOf(address, fields, `<p>Going on to `+html.EscapeString(to.called())+`.</p><noscript><p>Your browser runs no scripts, so press the button.</p></noscript><button>Go on</button>`)
	write(w, http.StatusOK, "; script-src "+hashOf(script), "Signing in", form+"<script>"+script+"</script>")
}

// writeOnward writes a page that goes on to an address by itself.
func writeOnward(w http.ResponseWriter, to *party, address string) {
	w.Header().Set("Refresh", "0;url="+address)
	write(w, http.StatusOK, "", "Signing out", `<p><a href="`+html.EscapeString(address)+`">Go on to `+html.EscapeString(to.called())+`</a></p>`)
}

// writeDenied writes a page that says why somebody is not let in, with a way back.
func writeDenied(w http.ResponseWriter, to *party, says, address string, fields []field) {
	form := formOf(address, fields, `<button>Back to `+html.EscapeString(to.called())+`</button>`)
	write(w, http.StatusForbidden, "", "Not signed in", "<p>"+html.EscapeString(says)+"</p>"+form)
}

// formOf is a form with hidden fields; those without a value are left out. The rest is HTML.
func formOf(address string, fields []field, rest string) string {
	var b strings.Builder
	b.WriteString(`<form method="post" action="` + html.EscapeString(address) + `">`)
	for _, f := range fields {
		if f.value != "" {
			b.WriteString(`<input type="hidden" name="` + f.name + `" value="` + html.EscapeString(f.value) + `">`)
		}
	}
	return b.String() + rest + `</form>`
}

// called is what people call an application.
func (p *party) called() string {
	if p.title == "" {
		return p.app
	}
	return p.title
}

func write(w http.ResponseWriter, status int, policy, title, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src "+hashOf(style)+policy)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>"+html.EscapeString(title)+
		"</title><style>"+style+"</style>\n<main><h1>"+html.EscapeString(title)+"</h1>\n"+body+"</main>\n</html>\n") // the client may be gone
}

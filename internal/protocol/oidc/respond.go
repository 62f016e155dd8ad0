package oidc

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"countersign/internal/language"
	"countersign/internal/protocol"
)

// respond sends the browser back to the client with an answer. Client and redirect URI have been
// found in the settings.
func (p *front) respond(w http.ResponseWriter, r *http.Request, q request, answer url.Values) {
	answer = p.answerTo(q, answer)
	if q.mode == modeForm {
		p.postBack(w, r, q, answer)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", addressed(q.redirect, answer))
	w.WriteHeader(http.StatusSeeOther)
}

// answerTo is an answer with the client's state and with our name (RFC 9207), so that no other
// provider's answer can be taken for ours.
func (p *front) answerTo(q request, answer url.Values) url.Values {
	if q.state != "" {
		answer.Set("state", q.state)
	}
	answer.Set("iss", p.issuer())
	return answer
}

// addressed is an answer in an address.
func addressed(redirect string, answer url.Values) string {
	if strings.Contains(redirect, "?") {
		return strings.TrimSuffix(redirect, "&") + "&" + answer.Encode()
	}
	return redirect + "?" + answer.Encode()
}

func faultAnswer(f fault) url.Values {
	return url.Values{"error": {f.code}, "error_description": {f.says}}
}

// refuse says to the client what is wrong.
func (p *front) refuse(w http.ResponseWriter, r *http.Request, q request, f fault) {
	p.respond(w, r, q, faultAnswer(f))
}

// postBack is a page whose form goes back to the client by itself (OAuth 2.0 Form Post Response
// Mode), and by a button where no script runs.
func (p *front) postBack(w http.ResponseWriter, r *http.Request, q request, answer url.Values) {
	p.pages(w, r, protocol.Page{Title: "Signed in", Heading: language.Say("Back to %s", q.client.title),
		Form: &protocol.PageForm{To: q.redirect, Origin: originOf(q.redirect), Hidden: hidden(answer), Submits: true, Buttons: []protocol.PageButton{{Text: language.Say("Go on")}}}})
}

// hidden are values as a form has them, in one order.
func hidden(answer url.Values) (out []string) {
	names := make([]string, 0, len(answer))
	for name := range answer {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		out = append(out, name, answer.Get(name))
	}
	return out
}

// originOf is where a form may go, for a policy; a scheme of its own where it has no host.
func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return "'none'"
	}
	if u.Host == "" {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}

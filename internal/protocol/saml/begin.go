package saml

import (
	"net/http"

	"countersign/internal/failure"
)

// begin signs somebody in to an application that asked for nothing, from our own pages (SAML
// profiles, section 4.1.5), where its settings let people begin so. A link on another site
// begins nothing: it leads to a page with a link of our own.
func (d *provider) begin(w http.ResponseWriter, r *http.Request) {
	private(w)
	to, err := d.parties.named(r.Context(), r.PathValue("app"))
	switch {
	case err != nil:
		d.unavailable(w, r, err)
	case to == nil || to.settings.Start != StartOurs:
		d.refuse(w, r, to, failure.Refuse("begun-here", "Begin at the application itself: it is not opened from here."))
	case r.Header.Get("Sec-Fetch-Site") == "cross-site" || r.Header.Get("Sec-Fetch-Site") == "same-site":
		d.askOpen(w, r, to)
	default:
		d.send(w, r, asked{App: to.app, To: to.settings.Consumers[0].URL, Came: d.now()})
	}
}

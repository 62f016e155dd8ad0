package upstream

import (
	"strings"
	"testing"
)

// The promise: an administrator adds an identity provider, tests it, links somebody, and removes it
// again in the console; its secret is on no page.
func TestIdentityProvidersInTheConsole(t *testing.T) {
	w, ada, desk := office(t)
	partner := newProvider(w)
	p := w.Person()
	p.Comes("root", desk.Person.Secret)
	p.Get("/console/identity-providers")
	p.Sees("There is no identity provider yet.")
	fields := []string{"name", "partner", "title", "Partner", "protocol", "oidc", "issuer", partner.server.URL, "client_id", clientID, "client_secret", clientSecret, "inside", "127.0.0.1", "link", "administrator", "trust", "reject", "domains", "partner.example"}
	p.Get("/console/new-identity-provider")
	p.Does("/console/new-identity-provider", append([]string{}, append(fields, "client_secret", "short")...)...)
	p.Does("/console/new-identity-provider", fields...)
	p.Sees("The identity provider was added.")
	p.Get("/console/identity-providers/partner")
	p.Sees(w.Base + "/sign-in/upstream/partner")
	if strings.Contains(p.Page, clientSecret) || !strings.Contains(p.Page, "(hidden)") {
		t.Error("the secret is on the page")
	}
	p.Does("/console/identity-providers/partner/test")
	p.Sees("Nothing wrong was found.")
	p.Does("/console/identity-providers/partner/link", "account", "ada", "subject", "upstream-ada")
	p.Sees("not confirmed")
	q := w.Person()
	comesIn(q, ada.Code())
	q.Sees("Where you are signed in")
	p.Get("/console/identity-providers/partner")
	p.Sees("confirmed")
	p.Does("/console/identity-providers/partner/change", append(fields[2:], "client_secret", "(hidden)", "base", "2", "title", "The partner")...)
	p.Get("/console/identity-providers")
	p.Sees("The partner")
	p.Does("/console/identity-providers/partner/unlink", "account", "ada")
	p.Sees("Nobody is linked.")
	p.Does("/console/identity-providers/partner/remove")
	p.Sees("There is no identity provider yet.")
}

package upstream

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// resumes is where a page of the other Countersign goes on by itself.
var resumes = regexp.MustCompile(`href="(http[^"]*/oidc/authorize\?resume=[^"]*)"`)

// The promise: the other organisation can be a Countersign as well. Somebody signs in there with
// two factors, whatever that Countersign says of them, and shows their own factor here.
func TestASecondCountersignIsAnUpstream(t *testing.T) {
	w, ada, desk := office(t)
	other := servertest.NewWorld(t)
	there := other.EnrollCodes("ada.there")
	raw, err := json.Marshal(map[string]any{"client_id": clientID, "client_secret": clientSecret, "redirect_uris": []string{w.Base + "/sign-in/upstream/partner"}})
	if err != nil {
		t.Fatal(err)
	}
	err = other.DB.Change(t.Context(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		if _, err := other.Catalogue.Set(t.Context(), tx, application.Application{Name: clientID, Title: "Ours", Kind: "wiki", Tier: application.Standard, Protocol: "oidc", Settings: raw}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: clientID})
	})
	if err != nil {
		t.Fatal(err)
	}
	register(desk, "partner", map[string]any{"title": "Partner", "protocol": "oidc", "issuer": other.Base, "client_id": clientID, "client_secret": clientSecret, "inside": []string{"localhost"}, "trust": "enforce", "classes": []string{"urn:countersign:aal2"}})
	meets(w, other)
	p := w.Person()
	// Both are at one host here, whose cookies are one jar: so the same browser is two.
	visitor := other.Person()
	var back string
	visitor.Client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), w.Base) {
			back = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	goes := func() {
		t.Helper()
		p.Get("/sign-in")
		p.Post("/sign-in/upstream", "upstream", "partner")
		m := goingOn.FindStringSubmatch(p.Page)
		if m == nil {
			t.Fatalf("the page leads nowhere:\n%s", p.Page)
		}
		visitor.Get(html.UnescapeString(m[1]))
	}
	comesBack := func() {
		t.Helper()
		if m := resumes.FindStringSubmatch(visitor.Page); m != nil {
			visitor.Get(html.UnescapeString(m[1]))
		}
		if back == "" {
			t.Fatalf("the other one sends nobody back:\n%s", visitor.Page)
		}
		p.Get(back)
		back = ""
	}
	goes()
	visitor.Sees("Sign in")
	visitor.Post("/sign-in", "name", "ada.there", "authenticator", "password", "text", servertest.Passphrase)
	visitor.Post("/sign-in", "authenticator", "totp", "text", there.Code())
	comesBack()
	// Nobody is linked yet: the log says who it was.
	e := lastRefused(w)
	subject := regexp.MustCompile(`subject ([^,]+),`).FindStringSubmatch(e.Detail["detail"])
	if e.Reason != "not-linked" || subject == nil {
		t.Fatalf("%q, %q", e.Reason, e.Detail["detail"])
	}
	if err := link(desk, "ada", subject[1]); err != nil {
		t.Fatal(err)
	}
	meets(w, other)
	goes() // there is a session there now
	comesBack()
	p.Sees("Code from your authenticator app")
	w.Later(time.Minute)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	p.Sees("Where you are signed in")
}

// meets has two worlds go on by one clock, which goes back for neither.
func meets(a, b *servertest.World) {
	ahead := max(a.Skew.Load(), b.Skew.Load())
	a.Skew.Store(ahead)
	b.Skew.Store(ahead)
}

package bench

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"countersign/internal/application"
	"countersign/internal/servertest"
	"countersign/internal/session"
)

// introspected measures what a resource server is told of a token against a bare net/http handler
// that reads the same form and answers as long.
func (c *costs) introspected() {
	w := servertest.NewWorld(c.b)
	ada := w.EnrollCodes("ada")
	servertest.PlantApplication(w, application.Application{Name: "bench", Kind: "wiki", Tier: application.Standard, Protocol: "oidc"},
		map[string]any{"client_id": "bench", "client_secret": benchSecret, "redirect_uris": []string{"https://bench.example.org/callback"}, "refresh": "session"})
	c.begins(w, w.SignedIn(ada))
	form := url.Values{"token": {c.access}, "client_id": {"bench"}, "client_secret": {benchSecret}}.Encode()
	says := []byte(`{"active":true,"padding":"` + strings.Repeat("x", 400) + `"}`)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.PostForm.Get("token") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(says) //nolint:errcheck // the client is this program
	}))
	defer bare.Close()
	ours := httptest.NewServer(w.Handler)
	defer ours.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	ask := func(server string) func(int) error {
		return func(int) error {
			resp, err := client.Post(server+"/oidc/introspect", "application/x-www-form-urlencoded", strings.NewReader(form))
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(b), `"active":true`) {
				return fmt.Errorf("%s: %s %w", resp.Status, b, err)
			}
			return nil
		}
	}
	a, l := c.turns(16, ask(ours.URL), ask(bare.URL))
	c.faster("OpenID: introspection of an access token", "SQLite", a, l, "net/http and a form", "0.6")
}

// samlResponse measures a signed response to an application, for somebody who has a session,
// against the RSA signature in it. It is two requests: a start link, and where that leads.
func (c *costs) samlResponse() {
	w := servertest.NewWorld(c.b)
	ada := w.EnrollCodes("ada")
	servertest.PlantApplication(w, application.Application{Name: "bench", Kind: "wiki", Tier: application.Standard, Protocol: "saml"},
		map[string]any{"entity_id": "https://bench.example.org/saml", "consumers": []map[string]any{{"url": "https://bench.example.org/acs"}}, "start": "ours"})
	cookie := session.Cookie(false) + "=" + w.SignedIn(ada)
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		c.b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a response"))
	signatures := 0
	respond := func(int) error {
		got := visited(w, "/saml/start/bench", cookie)
		if got.Code == http.StatusSeeOther {
			got = visited(w, got.Header().Get("Location"), cookie)
		}
		_, rest, ok := strings.Cut(got.Body.String(), `name="SAMLResponse" value="`)
		if got.Code != http.StatusOK || !ok {
			return fmt.Errorf("status %d: %s", got.Code, got.Body)
		}
		if signatures == 0 {
			text, _, _ := strings.Cut(rest, `"`)
			signatures = signaturesIn(text)
		}
		return nil
	}
	if err := respond(0); err != nil {
		c.b.Fatal(err)
	}
	took, limit := c.turns(1, respond, func(int) error {
		for range signatures {
			if _, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:]); err != nil {
				return err
			}
		}
		return nil
	})
	c.dearer(fmt.Sprintf("SAML: a response with %d signatures", signatures), "SQLite", took, limit, "RSA of 3072 bits", "1.3")
}

// visited is what a browser with a cookie gets at an address.
func visited(w *servertest.World, address, cookie string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, address, nil)
	r.Header.Set("Cookie", cookie)
	got := httptest.NewRecorder()
	w.Handler.ServeHTTP(got, r)
	return got
}

// signaturesIn counts the signatures in a response as a form has it.
func signaturesIn(text string) int {
	plain, err := base64.StdEncoding.DecodeString(html.UnescapeString(text))
	if err != nil {
		return 0
	}
	return strings.Count(string(plain), "SignatureValue>") / 2
}

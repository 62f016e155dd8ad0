package saml

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	sp "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// wiki is a web application that signs people in by SAML, by somebody else's code: crewjam/saml.
type wiki struct {
	*httptest.Server
	w      *servertest.World
	sp     *sp.ServiceProvider
	post   bool   // asks by a form
	silent bool   // asks with IsPassive
	onward string // leads whoever is signed in on to this address

	mu     sync.Mutex
	asked  []string // the IDs of its requests
	told   []*sp.Assertion
	raw    []string // the responses as they came
	failed []error
	ended  []string
}

// keyPair makes what an application signs with.
func keyPair(t testing.TB) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "wiki"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return key, c
}

// newWiki starts the application, which knows the server by its metadata.
func newWiki(w *servertest.World) *wiki {
	w.T.Helper()
	key, certificate := keyPair(w.T)
	wi := &wiki{w: w}
	mux := http.NewServeMux()
	mux.HandleFunc("/", wi.front)
	mux.HandleFunc("GET /inside", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><title>in</title><h1>Inside</h1>")
	})
	mux.HandleFunc("POST /saml/acs", wi.accept)
	mux.HandleFunc("/saml/slo", wi.loggedOut)
	wi.Server = httptest.NewServer(mux)
	w.T.Cleanup(wi.Close)
	r, err := http.Get(w.Base + "/saml/metadata")
	if err != nil {
		w.T.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	idp := &sp.EntityDescriptor{}
	if err := xml.Unmarshal(b, idp); err != nil {
		w.T.Fatalf("%v in %s", err, b)
	}
	sp.TimeNow = func() time.Time { return w.Now().UTC() }
	wi.sp = &sp.ServiceProvider{EntityID: wi.URL + "/saml/metadata", Key: key, Certificate: certificate, IDPMetadata: idp, SignatureMethod: dsig.RSASHA256SignatureMethod, AuthnNameIDFormat: sp.UnspecifiedNameIDFormat,
		MetadataURL: parsed(wi.URL + "/saml/metadata"), AcsURL: parsed(wi.URL + "/saml/acs"), SloURL: parsed(wi.URL + "/saml/slo"), LogoutBindings: []string{sp.HTTPPostBinding}}
	return wi
}

func parsed(s string) url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return *u
}

// settings are those that an administrator makes for it.
func (wi *wiki) settings() map[string]any {
	return map[string]any{"entity_id": wi.sp.EntityID, "consumers": []map[string]any{{"url": wi.sp.AcsURL.String()}}, "certificates": []string{base64.StdEncoding.EncodeToString(wi.sp.Certificate.Raw)},
		"attributes": []map[string]any{{"what": "mail"}, {"what": "groups", "as": "groups"}}}
}

// register adds an application of the protocol.
func register(w *servertest.World, name string, settings map[string]any) {
	w.T.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		w.T.Fatal(err)
	}
	if err := server.Protocols().CheckSettings("saml", raw); err != nil {
		w.T.Fatal(err)
	}
	ctx := context.Background()
	err = w.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a := application.Application{Name: name, Title: "The wiki", Kind: "wiki", Tier: application.Standard, Protocol: "saml", Settings: raw}
		if _, err := w.Catalogue.Set(ctx, tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: name})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// front sends whoever comes to sign in.
func (wi *wiki) front(w http.ResponseWriter, r *http.Request) {
	binding := sp.HTTPRedirectBinding
	if wi.post {
		binding = sp.HTTPPostBinding
	}
	request, err := wi.sp.MakeAuthenticationRequest(wi.sp.GetSSOBindingLocation(binding), binding, sp.HTTPPostBinding)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if wi.silent {
		request.IsPassive = &wi.silent
	}
	wi.mu.Lock()
	wi.asked = append(wi.asked, request.ID)
	wi.mu.Unlock()
	if wi.post {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<!doctype html><title>on</title>%s", request.Post(r.URL.RequestURI()))
		return
	}
	to, err := request.Redirect(r.URL.RequestURI(), wi.sp)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// accept takes a response.
func (wi *wiki) accept(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	wi.mu.Lock()
	defer wi.mu.Unlock()
	wi.raw = append(wi.raw, r.PostForm.Get("SAMLResponse"))
	assertion, err := wi.sp.ParseResponse(r, wi.asked)
	if err != nil {
		var private *sp.InvalidResponseError
		if errors.As(err, &private) {
			err = private.PrivateErr
		}
		wi.failed = append(wi.failed, err)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<h1>Not signed in</h1><p>%s</p>", html.EscapeString(err.Error()))
		return
	}
	wi.told = append(wi.told, assertion)
	if wi.onward != "" {
		http.Redirect(w, r, wi.onward, http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, "<!doctype html><title>wiki</title><h1>Welcome %s</h1><p id=relay>%s</p>", html.EscapeString(assertion.Subject.NameID.Value), html.EscapeString(r.PostForm.Get("RelayState")))
}

// loggedOut takes what its single logout service gets: an answer to its own request, or a
// request, which it answers.
func (wi *wiki) loggedOut(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	wi.mu.Lock()
	defer wi.mu.Unlock()
	w.Header().Set("Content-Type", "text/html")
	if r.Form.Get("SAMLResponse") != "" {
		err := wi.sp.ValidateLogoutResponseRequest(r)
		wi.ended = append(wi.ended, fmt.Sprint("answer ", err))
		fmt.Fprintf(w, "<h1>Signed out</h1>")
		return
	}
	b, err := base64.StdEncoding.DecodeString(r.Form.Get("SAMLRequest"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var request sp.LogoutRequest
	if err := xml.Unmarshal(b, &request); err != nil || request.SessionIndex == nil {
		http.Error(w, fmt.Sprint(err, request.SessionIndex), http.StatusBadRequest)
		return
	}
	wi.ended = append(wi.ended, "asked "+request.NameID.Value+" "+request.SessionIndex.Value)
	answer, err := wi.sp.MakePostLogoutResponse(request.ID, r.Form.Get("RelayState"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(answer)
}

// last is what it was told last.
func (wi *wiki) last() *sp.Assertion {
	wi.w.T.Helper()
	wi.mu.Lock()
	defer wi.mu.Unlock()
	if len(wi.told) == 0 {
		wi.w.T.Fatalf("it was told nothing: %v", wi.failed)
	}
	return wi.told[len(wi.told)-1]
}

// classOf is how somebody signed in, by an assertion.
func classOf(a *sp.Assertion) string {
	return a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value
}

// values are those of an attribute, by its name or what people call it.
func values(a *sp.Assertion, name string) (out []string) {
	for _, s := range a.AttributeStatements {
		for _, one := range s.Attributes {
			if one.Name != name && one.FriendlyName != name {
				continue
			}
			for _, v := range one.Values {
				out = append(out, v.Value)
			}
		}
	}
	return out
}

// follow posts the form that a page posts by itself where scripts run.
func follow(p *servertest.Person) {
	p.W.T.Helper()
	_, rest, ok := strings.Cut(p.Page, `<form method="post" action="`)
	if !ok {
		p.W.T.Fatalf("no form to post: %d %s", p.Status, p.Page)
	}
	rest, _, _ = strings.Cut(rest, "</form>")
	to, rest, _ := strings.Cut(rest, `"`)
	form := url.Values{}
	for {
		var name, value string
		if _, rest, ok = strings.Cut(rest, `<input type="hidden" name="`); !ok {
			break
		}
		name, rest, _ = strings.Cut(rest, `" value="`)
		value, rest, _ = strings.Cut(rest, `"`)
		form.Set(name, html.UnescapeString(value))
	}
	p.Take(p.Client.PostForm(html.UnescapeString(to), form))
}

package upstream

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"html"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"countersign/internal/servertest"
)

// samlParty is another organisation's identity provider by crewjam/saml, which we did not write.
type samlParty struct {
	w      *servertest.World
	server *httptest.Server
	idp    *saml.IdentityProvider
	// session is what it says of whoever comes.
	session saml.Session
	// knows edits what it knows of us.
	knows func(us *saml.EntityDescriptor)
}

func newPair(t testing.TB) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "partner"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return key, c
}

func pemOf(all ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range all {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.String()
}

// newSAMLParty starts one. Its clock is ours.
func newSAMLParty(w *servertest.World) *samlParty {
	w.T.Helper()
	saml.TimeNow = w.Now
	key, certificate := newPair(w.T)
	p := &samlParty{w: w, session: saml.Session{ID: "s", Index: "i", NameID: "upstream-ada", NameIDFormat: string(saml.PersistentNameIDFormat), UserEmail: "ada@partner.example"}}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.idp.Handler().ServeHTTP(w, r) }))
	w.T.Cleanup(p.server.Close)
	base, err := url.Parse(p.server.URL)
	if err != nil {
		w.T.Fatal(err)
	}
	p.idp = &saml.IdentityProvider{Key: key, Certificate: certificate, MetadataURL: url.URL{Scheme: "http", Host: base.Host, Path: "/metadata"}, SSOURL: url.URL{Scheme: "http", Host: base.Host, Path: "/sso"}, SignatureMethod: dsig.RSASHA256SignatureMethod,
		ServiceProviderProvider: p, SessionProvider: p}
	return p
}

// GetServiceProvider reads our metadata, as it is published.
func (p *samlParty) GetServiceProvider(_ *http.Request, id string) (*saml.EntityDescriptor, error) {
	answer, err := http.Get(id)
	if err != nil || answer.StatusCode != http.StatusOK {
		return nil, os.ErrNotExist
	}
	defer answer.Body.Close() //nolint:errcheck // it is read
	us := &saml.EntityDescriptor{}
	if err := xml.NewDecoder(answer.Body).Decode(us); err != nil {
		return nil, err
	}
	if p.knows != nil {
		p.knows(us)
	}
	return us, nil
}

func (p *samlParty) GetSession(http.ResponseWriter, *http.Request, *saml.IdpAuthnRequest) *saml.Session {
	s := p.session
	s.CreateTime, s.ExpireTime = p.w.Now(), p.w.Now().Add(time.Hour)
	return &s
}

func (p *samlParty) settings(more map[string]any) map[string]any {
	s := map[string]any{"title": "Partner", "protocol": "saml", "issuer": p.server.URL + "/metadata", "sign_in": p.server.URL + "/sso", "certificates": pemOf(p.idp.Certificate), "domains": []string{"partner.example"}}
	for k, v := range more {
		s[k] = v
	}
	return s
}

var (
	formAction   = regexp.MustCompile(`action="([^"]+)"`)
	samlResponse = regexp.MustCompile(`name="SAMLResponse" value="([^"]+)"`)
)

// fetches has a browser sign in at the partner, and returns the response that it would bring back.
func fetches(p *servertest.Person) (to, response string) {
	p.W.T.Helper()
	visits(p)
	action, value := formAction.FindStringSubmatch(p.Page), samlResponse.FindStringSubmatch(p.Page)
	if action == nil || value == nil {
		p.W.T.Fatalf("the partner sends nobody back:\n%s", p.Page)
	}
	return html.UnescapeString(action[1]), html.UnescapeString(value[1])
}

// brings posts a response as a page of another site does.
func brings(p *servertest.Person, to, response string) {
	p.W.T.Helper()
	p.Take(p.Client.PostForm(to, url.Values{"SAMLResponse": {response}}))
}

// The promise: somebody comes by SAML from an identity provider that we did not write, and shows
// their own factor here; a response is taken once, in the browser that asked.
func TestAPersonComesBySAML(t *testing.T) {
	w, ada, desk := office(t)
	partner := newSAMLParty(w)
	register(desk, "partner", partner.settings(map[string]any{"link": "domain", "mail_attribute": "urn:oid:0.9.2342.19200300.100.1.3"}))
	p := w.Person()
	to, response := fetches(p)
	if to != w.Base+"/sign-in/upstream/partner" {
		t.Errorf("it sends back to %s", to)
	}
	thief := w.Person()
	thief.Get("/sign-in")
	if brings(thief, to, response); heard(thief) {
		t.Error("another browser brought the response")
	}
	fetches(thief)
	if brings(thief, to, response); heard(thief) || lastRefused(w).Reason != "replayed" {
		t.Errorf("a browser brought another's response, %q", lastRefused(w).Reason)
	}
	brings(p, to, response)
	p.Sees("Code from your authenticator app")
	if in(p) {
		t.Fatal("the organisation's word alone let somebody in")
	}
	to, response = fetches(p)
	brings(p, to, response)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	p.Sees("Where you are signed in")
	if all := links(w, "ada"); len(all) != 1 || all[0].Traits.String() != "known+foreign+asserted" {
		t.Errorf("the links are %+v", all)
	}
	again := w.Person()
	fetches(again)
	if brings(again, to, response); heard(again) {
		t.Error("a response was taken twice")
	}
}

// The promise: a response that is unsigned, of another key, for another party, wrapped, late or of a
// name that passes gets nothing; forged with the partner's own key and with any class it is
// something known, and no more.
func TestNoOtherResponseIsTaken(t *testing.T) {
	w, _, desk := office(t)
	partner := newSAMLParty(w)
	register(desk, "partner", partner.settings(nil))
	if err := link(desk, "ada", "upstream-ada"); err != nil {
		t.Fatal(err)
	}
	plain := func(response string) string {
		b, err := base64.StdEncoding.DecodeString(response)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	again := func(xml string) string { return base64.StdEncoding.EncodeToString([]byte(xml)) }
	signature := regexp.MustCompile(`(?s)<ds:Signature .*?</ds:Signature>`)
	other, certificate := newPair(t)
	key, own := partner.idp.Key, partner.idp.Certificate
	for what, c := range map[string]struct {
		before func()
		edit   func(xml string) string
		late   time.Duration
		want   string
	}{
		"unsigned":              {edit: func(x string) string { return signature.ReplaceAllString(x, "") }, want: "unsigned"},
		"another name within":   {edit: func(x string) string { return strings.ReplaceAll(x, "upstream-ada", "upstream-eve") }, want: "wrong-signature"},
		"a comment in the name": {edit: func(x string) string { return strings.ReplaceAll(x, "upstream-ada", "upstream-<!---->ada") }, want: "malformed"},
		"a second assertion": {edit: func(x string) string {
			return strings.Replace(x, "</samlp:Response>", `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="x"/></samlp:Response>`, 1)
		}, want: "several-assertions"},
		"of another key": {before: func() { partner.idp.Key, partner.idp.Certificate = other, certificate }, want: "wrong-signature"},
		"for another party": {before: func() {
			partner.knows = func(us *saml.EntityDescriptor) { us.EntityID = "https://wiki.example.org/saml" }
		}, want: "wrong-audience"},
		"of another issuer":          {before: func() { partner.idp.MetadataURL.Path = "/another" }, want: "wrong-issuer"},
		"too late":                   {late: 3 * time.Minute, want: "late"},
		"a name that passes":         {before: func() { partner.session.NameIDFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient" }, want: "passing-name"},
		"somebody who is not linked": {before: func() { partner.session.NameID = "upstream-eve" }, want: "not-linked"},
		"no XML":                     {edit: func(string) string { return "ada" }, want: "malformed"},
	} {
		if c.before != nil {
			c.before()
		}
		p := w.Person()
		to, response := fetches(p)
		w.Later(c.late)
		if c.edit != nil {
			response = again(c.edit(plain(response)))
		}
		if brings(p, to, response); heard(p) || in(p) {
			t.Errorf("%s was taken", what)
		}
		if e := lastRefused(w); e.Reason != c.want {
			t.Errorf("%s: the log says %q, and was to say %q", what, e.Reason, c.want)
		}
		partner.idp.Key, partner.idp.Certificate, partner.knows, partner.idp.MetadataURL.Path = key, own, nil, "/metadata"
		partner.session.NameID, partner.session.NameIDFormat = "upstream-ada", string(saml.PersistentNameIDFormat)
	}
	p := w.Person()
	to, response := fetches(p)
	if brings(p, to, response); !heard(p) || in(p) {
		t.Error("the right response is not taken, or lets somebody in alone")
	}
}

// The promise: a key that is registered beside the first raises an alarm when it first signs, and
// one that was taken out is not believed any more.
func TestASAMLKeyRollsOver(t *testing.T) {
	w, _, desk := office(t)
	partner := newSAMLParty(w)
	first := partner.idp.Certificate
	register(desk, "partner", partner.settings(nil))
	if err := link(desk, "ada", "upstream-ada"); err != nil {
		t.Fatal(err)
	}
	comes := func() bool {
		t.Helper()
		p := w.Person()
		to, response := fetches(p)
		brings(p, to, response)
		return heard(p)
	}
	if !comes() || w.Events("alarm.upstream-key") != 0 {
		t.Fatal("the first key is not learned")
	}
	old := partner.idp.Key
	partner.idp.Key, partner.idp.Certificate = newPair(t)
	if err := set(desk, "partner", versionOf(desk), partner.settings(map[string]any{"certificates": pemOf(first, partner.idp.Certificate)})); err != nil {
		t.Fatal(err)
	}
	if !comes() || w.Events("alarm.upstream-key") != 1 {
		t.Errorf("%d alarms for the second key", w.Events("alarm.upstream-key"))
	}
	if err := set(desk, "partner", versionOf(desk), partner.settings(nil)); err != nil {
		t.Fatal(err)
	}
	partner.idp.Key, partner.idp.Certificate = old, first
	if comes() {
		t.Error("a key that was taken out is believed")
	}
}

// signedBy is the metadata of the partner as it is now, signed.
func (p *samlParty) signedBy(key *rsa.PrivateKey, certificate *x509.Certificate) string {
	p.w.T.Helper()
	b, err := xml.Marshal(p.idp.Metadata())
	if err != nil {
		p.w.T.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(b); err != nil {
		p.w.T.Fatal(err)
	}
	doc.Root().CreateAttr("ID", "_metadata")
	ctx, err := dsig.NewSigningContext(key, [][]byte{certificate.Raw})
	if err != nil {
		p.w.T.Fatal(err)
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signature, err := ctx.ConstructSignature(doc.Root(), true)
	if err != nil {
		p.w.T.Fatal(err)
	}
	doc.Root().InsertChildAt(0, signature)
	s, err := doc.WriteToString()
	if err != nil {
		p.w.T.Fatal(err)
	}
	return s
}

// The promise: where requests go and whose keys answer is read of metadata that a pinned key signed.
// A key that rolls over in it is believed, with an alarm; metadata of a thief changes nothing.
func TestAProvidersMetadataIsRead(t *testing.T) {
	w, _, desk := office(t)
	partner := newSAMLParty(w)
	key, certificate := newPair(t)
	thief, thiefs := newPair(t)
	var document atomic.Value
	document.Store(partner.signedBy(key, certificate))
	shelf := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, document.Load()) }))
	defer shelf.Close()
	sum := sha256.Sum256(certificate.Raw)
	settings := partner.settings(map[string]any{"metadata_url": shelf.URL, "metadata_pins": []string{hex.EncodeToString(sum[:])}, "inside": []string{"127.0.0.1"}})
	if err := set(desk, "partner", 0, settings); err == nil {
		t.Error("certificates beside metadata that is read are taken")
	}
	delete(settings, "sign_in")
	delete(settings, "certificates")
	register(desk, "partner", settings)
	if err := link(desk, "ada", "upstream-ada"); err != nil {
		t.Fatal(err)
	}
	comes := func() bool {
		t.Helper()
		p := w.Person()
		to, response := fetches(p)
		brings(p, to, response)
		return heard(p)
	}
	test := func() (found struct {
		Works bool `json:"works"`
	}) {
		t.Helper()
		if err := desk.Do(t.Context(), "upstream.test", map[string]any{"name": "partner"}, &found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in/upstream", "upstream", "partner")
	if !strings.Contains(p.Page, "does not answer") {
		t.Errorf("before its metadata was read: %s", p.Page)
	}
	if !test().Works || w.Events("metadata.read") != 1 || !comes() {
		t.Fatal("by its metadata nobody comes in")
	}
	partner.idp.Key, partner.idp.Certificate = newPair(t)
	if comes() {
		t.Error("a key is believed that its metadata does not name")
	}
	document.Store(partner.signedBy(thief, thiefs))
	if test().Works || comes() || w.Events("alarm.metadata-refused") != 1 {
		t.Error("metadata of a thief is believed, or raises no alarm")
	}
	document.Store(partner.signedBy(thief, certificate))
	if test().Works || comes() {
		t.Error("metadata of a thief is believed who shows the pinned certificate")
	}
	document.Store(partner.signedBy(key, certificate))
	test() // which says that it publishes a key it has not signed with
	if !comes() || w.Events("alarm.metadata-key") != 1 || w.Events("alarm.upstream-key") != 1 {
		t.Errorf("the key does not roll over: %d and %d alarms", w.Events("alarm.metadata-key"), w.Events("alarm.upstream-key"))
	}
	// Another pin makes what was read nothing.
	sum = sha256.Sum256(thiefs.Raw)
	settings["metadata_pins"] = []string{hex.EncodeToString(sum[:])}
	if err := set(desk, "partner", versionOf(desk), settings); err != nil {
		t.Fatal(err)
	}
	p = w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in/upstream", "upstream", "partner")
	if !strings.Contains(p.Page, "does not answer") {
		t.Errorf("what was read under another pin counts: %s", p.Page)
	}
}

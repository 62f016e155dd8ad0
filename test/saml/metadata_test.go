package saml

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/etree"
	sp "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"countersign/internal/metadata"
	"countersign/internal/server"
	"countersign/internal/servertest"
)

// notary signs metadata, as a federation or an application's administrators do.
type notary struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func newNotary(t testing.TB) notary {
	key, cert := keyPair(t)
	return notary{key, cert}
}

func (n notary) pin() string {
	sum := sha256.Sum256(n.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// describes is the metadata of an application, unsigned; attributes stand on its root.
func describes(wi *wiki, attributes string) string {
	return fmt.Sprintf(`<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" ID="_m1" entityID="%s" %s>`+
		`<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`+
		`<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="%s" index="1"/></md:SPSSODescriptor></md:EntityDescriptor>`,
		wi.sp.EntityID, attributes, base64.StdEncoding.EncodeToString(wi.sp.Certificate.Raw), wi.sp.AcsURL.String())
}

// signs signs a document; brought is the certificate that comes with the signature.
func (n notary) signs(t testing.TB, xml string, brought *x509.Certificate) *etree.Element {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(xml); err != nil {
		t.Fatal(err)
	}
	ctx, err := dsig.NewSigningContext(n.key, [][]byte{brought.Raw})
	if err != nil {
		t.Fatal(err)
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signature, err := ctx.ConstructSignature(doc.Root(), true)
	if err != nil {
		t.Fatal(err)
	}
	doc.Root().InsertChildAt(0, signature)
	return doc.Root()
}

func (n notary) signed(t testing.TB, xml string) string { return written(t, n.signs(t, xml, n.cert)) }

func written(t testing.TB, el *etree.Element) string {
	t.Helper()
	doc := etree.NewDocument()
	doc.SetRoot(el.Copy())
	s, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shelf is where metadata stands; a test has it answer something else.
type shelf struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func newShelf(t testing.TB) *shelf {
	s := &shelf{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) has(document string) {
	s.does(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, document) })
}

func (s *shelf) does(h http.HandlerFunc) { s.answer.Store(&h) }

// fetched are the settings of an application whose metadata stands on a shelf.
func fetched(wi *wiki, s *shelf, pins ...string) map[string]any {
	return map[string]any{"entity_id": wi.sp.EntityID, "metadata_url": s.URL + "/metadata", "metadata_pins": pins, "inside": []string{"127.0.0.1"}, "attributes": []map[string]any{{"what": "mail"}}}
}

// reads has a server read metadata as it does while it runs.
func reads(w *servertest.World) {
	ctx, stop := context.WithCancel(context.Background())
	w.Metadata.Run(ctx, server.MetadataSources(w.Installation))
	w.T.Cleanup(func() { stop(); w.Metadata.Wait() })
}

// awaits waits for so many entries of an event.
func awaits(w *servertest.World, event string, n int) {
	w.T.Helper()
	for deadline := time.Now().Add(2 * time.Minute); w.Events(event) < n; {
		if time.Now().After(deadline) {
			w.T.Fatalf("%d times %s, and not %d", w.Events(event), event, n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// asks has an application ask, and reports whether it is answered, with what the page says.
func asks(p *servertest.Person, by *wiki) (bool, string) {
	p.W.T.Helper()
	r, err := by.sp.MakeAuthenticationRequest(by.sp.GetSSOBindingLocation(sp.HTTPRedirectBinding), sp.HTTPRedirectBinding, sp.HTTPPostBinding)
	if err != nil {
		p.W.T.Fatal(err)
	}
	to, err := r.Redirect("back", by.sp)
	if err != nil {
		p.W.T.Fatal(err)
	}
	p.Get(to.String())
	return strings.Contains(p.Page, "SAMLResponse"), p.Page
}

// The promise: an application is described by metadata at an address, signed by a pinned key. It is
// read daily; a key that comes into it by that signature is believed, and raises an alarm; and what
// cannot be read anew is believed until it is over, and no longer.
func TestMetadataIsReadDaily(t *testing.T) {
	w, ada, browser, wi := inside(t)
	signer, s := newNotary(t), newShelf(t)
	s.has(signer.signed(t, describes(wi, `cacheDuration="P2D"`)))
	register(w, "wiki", fetched(wi, s, signer.pin()))
	w.Later(2 * time.Second)
	if ok, says := asks(browser, wi); ok || !strings.Contains(says, "could not be read from its address") {
		t.Errorf("before its metadata was read: %s", says)
	}
	reads(w)
	awaits(w, "metadata.read", 1)
	w.Later(2 * time.Second)
	if ok, says := asks(browser, wi); !ok {
		t.Fatalf("its metadata was read: %s", says)
	}
	// The next day it says the same, which is no news.
	asked := s.asked.Load()
	w.Later(25 * time.Hour)
	for s.asked.Load() == asked {
		time.Sleep(20 * time.Millisecond)
	}
	// It has another key.
	old := *wi.sp
	wi.sp.Key, wi.sp.Certificate = keyPair(t)
	s.has(signer.signed(t, describes(wi, "")))
	w.Later(25 * time.Hour)
	awaits(w, "metadata.changed", 1)
	awaits(w, "alarm.metadata-key", 1)
	if w.Events("metadata.read") != 1 {
		t.Error("what says the same is told as news")
	}
	later := again(w, ada)
	if ok, says := asks(later, wi); !ok {
		t.Errorf("by its new key: %s", says)
	}
	former := &wiki{w: w, sp: &old}
	if ok, _ := asks(later, former); ok {
		t.Error("the key that it does not name any more is believed")
	}
	// Its address answers nothing; what was read counts for two weeks.
	s.does(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusNotFound) })
	w.Later(10 * 24 * time.Hour)
	awaits(w, "metadata.unreachable", 1)
	later = again(w, ada)
	if ok, says := asks(later, wi); !ok {
		t.Errorf("within two weeks: %s", says)
	}
	w.Later(5 * 24 * time.Hour)
	later = again(w, ada)
	if ok, says := asks(later, wi); ok || !strings.Contains(says, "expired") {
		t.Errorf("after two weeks: %s", says)
	}
	s.has(signer.signed(t, describes(wi, "")))
	asked = s.asked.Load()
	w.Later(2 * time.Hour)
	for s.asked.Load() == asked || w.Metadata.Problem(sourceOf(w)) != "" {
		time.Sleep(20 * time.Millisecond)
	}
	w.Later(2 * time.Second)
	if ok, says := asks(again(w, ada), wi); !ok {
		t.Errorf("it answers again: %s", says)
	}
}

// sourceOf is where the one application's metadata is read.
func sourceOf(w *servertest.World) metadata.Source {
	w.T.Helper()
	all, err := server.MetadataSources(w.Installation)(context.Background())
	if err != nil || len(all) != 1 {
		w.T.Fatalf("%d sources: %v", len(all), err)
	}
	return all[0]
}

// again is ada in a new browser.
func again(w *servertest.World, ada *servertest.Person) *servertest.Person {
	w.T.Helper()
	p := w.Person()
	p.Get("/sign-in")
	p.SignIn("ada", ada.Code())
	return p
}

// The promise: of metadata at an address nothing is believed that a pinned key did not sign as a
// whole, for this entity and this day; nothing is fetched inside the network, and whoever answers
// neither holds a server nor fills its memory.
func TestHostileMetadata(t *testing.T) {
	w := servertest.NewWorld(t)
	wi, s := newWiki(w), newShelf(t)
	signer, thief := newNotary(t), newNotary(t)
	evil := newWiki(w)
	evil.sp.EntityID = wi.sp.EntityID
	honest := describes(wi, "")
	forged := describes(evil, "")
	from := metadata.Source{Party: "application/wiki", Entity: wi.sp.EntityID, URL: s.URL, Pins: []string{signer.pin()}, Inside: []string{"127.0.0.1"}}
	fetch := func() error {
		_, err := metadata.Fetch(t.Context(), from, w.Now())
		return err
	}
	s.has(signer.signed(t, honest))
	if err := fetch(); err != nil {
		t.Fatalf("the honest one: %v", err)
	}
	signature := func(el *etree.Element) *etree.Element { return el.FindElement("./Signature") }
	wrapped := func(change func(evil, good *etree.Element)) string {
		good := signer.signs(t, honest, signer.cert)
		doc := etree.NewDocument()
		if err := doc.ReadFromString(forged); err != nil {
			t.Fatal(err)
		}
		change(doc.Root(), good)
		return written(t, doc.Root())
	}
	documents := map[string]string{
		"unsigned":              forged,
		"signed by another key": thief.signed(t, forged),
		"another key, and the pinned certificate":   written(t, thief.signs(t, forged, signer.cert)),
		"another key, the pinned beside it":         strings.Replace(thief.signed(t, forged), "</ds:X509Data>", "<ds:X509Certificate>"+base64.StdEncoding.EncodeToString(signer.cert.Raw)+"</ds:X509Certificate></ds:X509Data>", 1),
		"changed behind the signature":              strings.Replace(signer.signed(t, honest), wi.sp.AcsURL.String(), evil.sp.AcsURL.String(), 1),
		"the signed one within, its signature ours": wrapped(func(e, g *etree.Element) { e.InsertChildAt(0, signature(g).Copy()); e.AddChild(g) }),
		"the signed one within the signature": wrapped(func(e, g *etree.Element) {
			sig := signature(g).Copy()
			sig.CreateElement("Object").AddChild(g)
			e.InsertChildAt(0, sig)
		}),
		"the signed one beside, another ID": wrapped(func(e, g *etree.Element) {
			e.CreateAttr("ID", "_evil")
			e.InsertChildAt(0, signature(g).Copy())
			e.AddChild(g)
		}),
		"two signatures": wrapped(func(e, g *etree.Element) {
			e.InsertChildAt(0, signature(g).Copy())
			e.InsertChildAt(0, signature(g).Copy())
		}),
		"a list of entities":    `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">` + signer.signed(t, honest) + `</md:EntitiesDescriptor>`,
		"only a role is signed": strings.Replace(forged, "<md:SPSSODescriptor", "<md:SPSSODescriptor ID=\"_r\"", 1),
		"over":                  signer.signed(t, describes(wi, `validUntil="2020-01-01T00:00:00Z"`)),
		"over in words":         signer.signed(t, describes(wi, `validUntil="tomorrow"`)),
		"kept for no time":      signer.signed(t, describes(wi, `cacheDuration="PT0S"`)),
		"a role that is over":   signer.signed(t, strings.Replace(honest, "<md:SPSSODescriptor", `<md:SPSSODescriptor validUntil="2020-01-01T00:00:00Z"`, 1)),
		"of another entity":     signer.signed(t, strings.Replace(honest, wi.sp.EntityID, "https://other.example.org", 1)),
		"entities that expand":  `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>` + signer.signed(t, strings.Replace(honest, "_m1", "_m1", 1)),
		"an entity of a file":   `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + signer.signed(t, honest),
		"a comment in a name":   strings.Replace(signer.signed(t, honest), "</ds:X509Certificate>", "<!-- x --></ds:X509Certificate>", 1),
		"longer than is read":   signer.signed(t, honest) + strings.Repeat(" ", 200<<10),
		"no XML":                "<html><p>Hello",
		"nothing":               "",
		"nested without end":    strings.Repeat("<a>", 1000),
	}
	for what, document := range documents {
		s.has(document)
		if err := fetch(); err == nil {
			t.Errorf("%s: it is believed", what)
		}
	}
	// The certificate as a pin, in PEM, needs nothing of what comes with the signature.
	from.Pins = strings.Split(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.cert.Raw})), "\n")
	s.has(written(t, signer.signs(t, honest, thief.cert)))
	if err := fetch(); err != nil {
		t.Errorf("the pin is a certificate: %v", err)
	}
	for what, document := range documents {
		s.has(document)
		if err := fetch(); err == nil {
			t.Errorf("%s: it is believed under a certificate as the pin", what)
		}
	}
	s.has(signer.signed(t, describes(wi, "")))

	// Where the address leads.
	reached := false
	hidden := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		fmt.Fprint(w, signer.signed(t, honest))
	}))
	defer hidden.Close()
	s.does(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, hidden.URL, http.StatusFound) })
	if err := fetch(); err == nil || reached {
		t.Errorf("a redirect inside is followed: %v", err)
	}
	for _, inside := range []string{"https://127.0.0.1:1/", "https://localhost:1/", "https://[::1]:1/", "https://10.0.0.1/", "https://169.254.169.254/latest", "http://metadata.example.org/", "file:///etc/passwd", "https://user@idp.example.org/", "https://idp.example.org/#x"} {
		to := from
		to.URL, to.Inside = inside, nil
		if _, err := metadata.Fetch(t.Context(), to, w.Now()); err == nil || !strings.Contains(err.Error()+fmt.Sprint(err), "inside") && !strings.Contains(fmt.Sprint(err), "whole https") {
			t.Errorf("%s: %v", inside, err)
		}
	}
	// Whoever answers without end.
	s.does(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	if err := fetch(); err == nil {
		t.Error("an answer without end is read")
	}
	ended := make(chan struct{})
	s.does(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "<a>")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(ended)
	})
	if err := fetch(); err == nil || !strings.Contains(fmt.Sprint(err), "seconds") {
		t.Errorf("an answer that does not go on: %v", err)
	}
	<-ended
	s.has(signer.signed(t, honest))
	if err := fetch(); err != nil {
		t.Errorf("the honest one afterwards: %v", err)
	}
}

// The promise: metadata that is not believed changes nothing and raises an alarm, once; what was
// believed before stays; and who can write to the database puts nothing in its place.
func TestMetadataThatIsRefused(t *testing.T) {
	w, ada, _, wi := inside(t)
	signer, thief, s := newNotary(t), newNotary(t), newShelf(t)
	s.has(signer.signed(t, describes(wi, "")))
	register(w, "wiki", fetched(wi, s, signer.pin()))
	reads(w)
	awaits(w, "metadata.read", 1)
	evil := newWiki(w)
	evil.sp.EntityID = wi.sp.EntityID
	s.has(thief.signed(t, describes(evil, "")))
	w.Later(25 * time.Hour)
	awaits(w, "alarm.metadata-refused", 1)
	asked := s.asked.Load()
	w.Later(time.Hour)
	for s.asked.Load() == asked {
		time.Sleep(20 * time.Millisecond)
	}
	browser := again(w, ada)
	if ok, says := asks(browser, wi); !ok {
		t.Errorf("what was believed before does not count: %s", says)
	}
	if ok, _ := asks(browser, evil); ok {
		t.Error("a key of metadata that was refused is believed")
	}
	if n := w.Events("alarm.metadata-refused"); n != 1 {
		t.Errorf("%d alarms for one document", n)
	}
	// An older row is put back after the key was changed.
	servertest.Tampers(w, `create table kept as select * from saml_metadata`)
	former := *wi.sp
	wi.sp.Key, wi.sp.Certificate = keyPair(t)
	s.has(signer.signed(t, describes(wi, "")))
	w.Later(2 * time.Hour)
	awaits(w, "metadata.changed", 1)
	s.does(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) })
	servertest.Tampers(w, `update saml_metadata set payload = (select payload from kept), version = (select version from kept)`)
	w.Later(2 * time.Second)
	if ok, says := asks(browser, &wiki{w: w, sp: &former}); ok || !strings.Contains(says, "could not be read from its address") {
		t.Errorf("metadata that was put back is believed: %s", says)
	}
}

// The promise: Test it now reads metadata at its address, says in a sentence what is wrong with it,
// and believes nothing by that.
func TestMetadataIsTried(t *testing.T) {
	w := servertest.NewWorld(t)
	root := servertest.OfficeOf(w, "root")[0]
	wi, s, signer := newWiki(w), newShelf(t), newNotary(t)
	register(w, "wiki", fetched(wi, s, signer.pin()))
	for _, c := range []struct{ document, says string }{
		{signer.signed(t, describes(wi, "")), "signed by a key that is pinned"},
		{newNotary(t).signed(t, describes(wi, "")), "not signed by a key that is pinned"},
		{describes(wi, ""), "The metadata is not signed"},
		{signer.signed(t, strings.ReplaceAll(describes(wi, ""), "SPSSO", "IDPSSO")), "not that of an application"},
		{"", "not one whole element"},
	} {
		s.has(c.document)
		var found struct {
			Findings []struct {
				Says string `json:"says"`
			} `json:"findings"`
		}
		if err := root.Do(t.Context(), "application.test", map[string]any{"name": "wiki"}, &found); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(fmt.Sprint(found), c.says) {
			t.Errorf("%q is not said: %+v", c.says, found)
		}
	}
	if w.Events("metadata.read") != 0 {
		t.Error("a test keeps what it read")
	}
}

package saml

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/protocol/saml/message"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/testbed"
	"countersign/internal/virtualauth"
)

// apache is what stands around the example in a test: modules, and a page that says who is
// signed in.
const apache = `ServerRoot %[1]s
Listen 127.0.0.1:%[2]d
ServerName localhost
User www-data
Group www-data
PidFile %[1]s/pid
ErrorLog /dev/stderr
Mutex file:%[1]s default
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule auth_mellon_module /usr/lib/apache2/modules/mod_auth_mellon.so
DocumentRoot %[1]s/htdocs
%[3]s
<Location "/">
    MellonSecureCookie Off
    Header always set Seen-User "expr=%%{REMOTE_USER}"
    %[4]s
</Location>
`

// withMellon starts Apache with mod_auth_mellon as docs/saml.md sets it up, and registers it by
// the metadata that its own script makes.
func withMellon(t *testing.T, w *servertest.World, name, more string) string {
	t.Helper()
	m := newMellon(t, w, more)
	m.register(name, nil)
	m.start()
	return m.base
}

// mellon is Apache with mod_auth_mellon in a folder of its own.
type mellon struct {
	t    *testing.T
	w    *servertest.World
	dir  string
	port int
	base string
	end  func()
}

func newMellon(t *testing.T, w *servertest.World, more string) *mellon {
	t.Helper()
	dir, err := os.MkdirTemp("", "mellon") // whose files Apache's children read, who are nobody
	if err != nil || os.Chmod(dir, 0o755) != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port := testbed.Port(t)
	base := fmt.Sprintf("http://localhost:%d", port)
	script := exec.Command("/usr/sbin/mellon_create_metadata", base+"/mellon/metadata", base+"/mellon")
	script.Dir = dir
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for ending, to := range map[string]string{"*.key": "sp.key", "*.cert": "sp.cert", "*.xml": "sp.xml"} {
		found, _ := filepath.Glob(filepath.Join(dir, ending))
		if len(found) != 1 || os.Rename(found[0], filepath.Join(dir, to)) != nil {
			t.Fatal("the script made no " + ending)
		}
	}
	m := &mellon{t: t, w: w, dir: dir, port: port, base: base, end: func() {}}
	m.learn()
	for _, page := range []string{"htdocs/index.html"} {
		at := filepath.Join(dir, page)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte("<h1>The page "+page+"</h1>"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf(apache, dir, port, testbed.Example(t, "mellon.conf", "/etc/apache2/mellon", dir), more)
	if err := os.WriteFile(filepath.Join(dir, "apache.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

// learn has it have our metadata as it is now.
func (m *mellon) learn() {
	m.t.Helper()
	r, err := http.Get(m.w.Base + "/saml/metadata")
	if err != nil {
		m.t.Fatal(err)
	}
	defer r.Body.Close()
	idp, err := os.Create(filepath.Join(m.dir, "idp.xml"))
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := idp.ReadFrom(r.Body); err != nil || idp.Close() != nil {
		m.t.Fatal(err)
	}
}

// start starts Apache, anew where it runs.
func (m *mellon) start() {
	m.t.Helper()
	m.end()
	m.end = testbed.StartUntil(m.t, testbed.Process{Path: testbed.Program(m.t, "apache2"), Args: []string{"-f", filepath.Join(m.dir, "apache.conf"), "-DFOREGROUND"}, Dir: m.dir, Ready: fmt.Sprintf("127.0.0.1:%d", m.port)})
}

// read is one of its files.
func (m *mellon) read(name string) string {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// register registers it by the metadata that its own script made.
func (m *mellon) register(name string, more map[string]any) {
	m.t.Helper()
	settings := map[string]any{"metadata": strings.Split(m.read("sp.xml"), "\n"), "attributes": []map[string]any{{"what": "account"}}}
	maps.Copy(settings, more)
	register(m.w, name, settings)
}

// The promise: Apache with mod_auth_mellon, set up as docs/saml.md says and registered by its own
// metadata, signs people in, has them step up, is told where they cannot, and signs them out.
func TestMellon(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	site := withMellon(t, w, "site", "")
	browser := w.Person()
	browser.Get(site + "/")
	browser.SignIn("ada", ada.Code())
	follow(browser)
	browser.Sees("The page htdocs/index.html")
	r, err := browser.Client.Get(site + "/")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if who := r.Header.Get("Seen-User"); who != "ada" {
		t.Errorf("it takes her for %q", who)
	}
	browser.Get(site + "/mellon/logout?ReturnTo=" + site + "/")
	_, on, _ := strings.Cut(browser.Page, `<a class="button second" href="`)
	on, _, _ = strings.Cut(on, `"`)
	browser.Get(html.UnescapeString(on)) // which the page goes on to by itself
	if browser.Get("/account"); browser.Inside() {
		t.Error("she is signed out there, and not here")
	}
	// Another site demands more than she has: it is told so, and lets nobody in.
	safe := withMellon(t, w, "safe", "MellonAuthnContextClassRef phr")
	w.Later(31e9)
	strong := w.Person()
	strong.Get(safe + "/")
	strong.SignIn("ada", ada.Code())
	follow(strong)
	if strings.Contains(strong.Page, "The page") {
		t.Errorf("she is let in without a passkey: %s", strong.Page)
	}
	key := &virtualauth.Key{}
	strong.AddPasskey(key)
	strong.Get(safe + "/")
	strong.Sees("passkey")
	strong.UsePasskey(key)
	follow(strong)
	strong.Sees("The page htdocs/index.html")
}

// The promise: Apache with mod_auth_mellon is told by SOAP, without a browser, that an administrator
// ended a session: its logout address takes SOAP, though its own script does not write that into its
// metadata. Whoever else asks it by SOAP ends nothing there.
func TestMellonIsToldBySOAP(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	m := newMellon(t, w, "")
	m.register("site", map[string]any{"logout_soap": m.base + "/mellon/logout", "inside": []string{"localhost"}})
	m.start()
	browser := w.Person()
	browser.Get(m.base + "/")
	browser.SignIn("ada", ada.Code())
	follow(browser)
	browser.Sees("The page htdocs/index.html")
	there := func() bool {
		t.Helper()
		r, err := browser.Client.Get(m.base + "/")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.Header.Get("Seen-User") == "ada"
	}
	// A request that nobody of ours signed ends nothing.
	evil := newWiki(w)
	forged, err := message.AskLogout(message.NewID(), w.Base+"/saml/metadata", m.base+"/mellon/logout", w.Now(), message.NameID{Value: "ada"}, "").SOAP(message.Credential{Signer: evil.sp.Key, Certificate: evil.sp.Certificate.Raw})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(m.base+"/mellon/logout", "text/xml", bytes.NewReader(forged))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if !there() {
		t.Fatal("a request of somebody else's ended a session")
	}
	working(t, w)
	account, err := w.Accounts.Find(t.Context(), w.DB, "ada")
	if err != nil {
		t.Fatal(err)
	}
	err = w.DB.Change(t.Context(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		if _, err := w.Endings.EndAllTx(t.Context(), tx, account.ID, ""); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "session.ended", Outcome: audit.OK, Account: int64(account.ID)})
	})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "Apache ends its own session", func() bool { return !there() })
	until(t, "Apache's answer is believed, and it is not told again", func() bool {
		var n int
		err := w.DB.QueryRow(t.Context(), `select count(*) from participant`).Scan(&n)
		return err == nil && n == 0
	})
	if browser.Get(m.base + "/"); strings.Contains(browser.Page, "The page") {
		t.Error("she is in, after her session was ended")
	}
}

// The promise: Apache with mod_auth_mellon reads an assertion that is encrypted to its own
// certificate, by AES-GCM, and one that is encrypted to another's lets nobody in.
func TestMellonDecrypts(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	m := newMellon(t, w, "")
	m.register("site", map[string]any{"encryption": strings.Split(m.read("sp.cert"), "\n")})
	m.start()
	browser := w.Person()
	browser.Get(m.base + "/")
	browser.SignIn("ada", ada.Code())
	response := responseIn(t, browser.Page)
	if !strings.Contains(response, "EncryptedAssertion") || !strings.Contains(response, "http://www.w3.org/2009/xmlenc11#aes128-gcm") || strings.Contains(response, "AttributeStatement") {
		t.Errorf("the assertion goes unencrypted: %s", response)
	}
	follow(browser)
	browser.Sees("The page htdocs/index.html")
	other := newMellon(t, w, "")
	m.register("site", map[string]any{"encryption": strings.Split(other.read("sp.cert"), "\n")})
	w.Later(2e9)
	stranger := w.Person()
	stranger.Get(m.base + "/")
	w.Later(31e9)
	stranger.SignIn("ada", ada.Code())
	follow(stranger)
	if strings.Contains(stranger.Page, "The page") {
		t.Error("it reads what is encrypted to another's certificate")
	}
}

// responseIn is the response in a page's form, as XML.
func responseIn(t *testing.T, page string) string {
	t.Helper()
	_, value, _ := strings.Cut(page, `name="SAMLResponse" value="`)
	value, _, ok := strings.Cut(value, `"`)
	b, err := base64.StdEncoding.DecodeString(html.UnescapeString(value))
	if !ok || err != nil {
		t.Fatalf("no response in %s", page)
	}
	return string(b)
}

// The promise: another key takes over while Apache with mod_auth_mellon is in use. Who is signed
// in stays so, who signs in does so before and after it, and one that was not handed the next
// certificate in time lets nobody in by it.
func TestMellonOverARollOver(t *testing.T) {
	w := servertest.NewWorld(t)
	w.Later(-time.Hour) // Apache's clock is the machine's, of which ours must not run ahead
	clerk := servertest.OfficeOf(w, "operator")[0]
	visitors := map[string]*servertest.Person{}
	for _, name := range []string{"ada", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"} {
		visitors[name] = w.EnrollCodes(name)
	}
	w.Skew.Store(int64(-2 * time.Minute))
	step := func(verb string) {
		t.Helper()
		if err := clerk.Do(t.Context(), "rollover."+verb, map[string]any{"purpose": "saml"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	m, late := newMellon(t, w, ""), newMellon(t, w, "")
	m.register("site", nil)
	late.register("late", nil)
	m.start()
	late.start()
	enters := func(m *mellon, name string) *servertest.Person {
		t.Helper()
		browser := w.Person()
		browser.Get(m.base + "/")
		browser.SignIn(name, visitors[name].Code())
		follow(browser)
		return browser
	}
	old := certificatesIn(m.read("idp.xml"))
	before := enters(m, "ada")
	before.Sees("The page htdocs/index.html")
	enters(late, "bob").Sees("The page htdocs/index.html")
	step("announce")
	enters(m, "carol").Sees("The page htdocs/index.html") // who does not know the next one needs it not
	m.learn()
	if both := certificatesIn(m.read("idp.xml")); len(old) != 1 || len(both) != 2 || both[0] != old[0] {
		t.Fatalf("%d certificates are announced, and %d were", len(both), len(old))
	}
	m.start()
	enters(m, "dave").Sees("The page htdocs/index.html")
	before.Get(m.base + "/")
	follow(before) // it forgot its sessions as it was started anew: nobody is asked for anything
	before.Sees("The page htdocs/index.html")
	step("switch")
	before.Get(m.base + "/")
	before.Sees("The page htdocs/index.html")
	enters(m, "erin").Sees("The page htdocs/index.html")
	if strings.Contains(enters(late, "frank").Page, "The page") {
		t.Error("it believes a key that it was never handed")
	}
	step("retire")
	m.learn()
	if last := certificatesIn(m.read("idp.xml")); len(last) != 1 || last[0] == old[0] {
		t.Errorf("%d certificates are left", len(last))
	}
	m.start()
	enters(m, "grace").Sees("The page htdocs/index.html")
	late.learn()
	late.start()
	enters(late, "heidi").Sees("The page htdocs/index.html")
}

// certificatesIn are those of metadata that sign, in its order.
func certificatesIn(metadata string) (out []string) {
	for _, part := range strings.Split(metadata, "<md:KeyDescriptor")[1:] {
		_, part, _ = strings.Cut(part, "X509Certificate>")
		if c, _, ok := strings.Cut(part, "<"); ok {
			out = append(out, c)
		}
	}
	return out
}

package saml

import (
	"fmt"
	"html"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/servertest"
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
	r, err := http.Get(w.Base + "/saml/metadata")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	idp, err := os.Create(filepath.Join(dir, "idp.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idp.ReadFrom(r.Body); err != nil || idp.Close() != nil {
		t.Fatal(err)
	}
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
	testbed.Start(t, testbed.Process{Path: testbed.Program(t, "apache2"), Args: []string{"-f", filepath.Join(dir, "apache.conf"), "-DFOREGROUND"}, Dir: dir, Ready: fmt.Sprintf("127.0.0.1:%d", port)})
	metadata, err := os.ReadFile(filepath.Join(dir, "sp.xml"))
	if err != nil {
		t.Fatal(err)
	}
	register(w, name, map[string]any{"metadata": strings.Split(string(metadata), "\n"), "attributes": []map[string]any{{"what": "account"}}})
	return base
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

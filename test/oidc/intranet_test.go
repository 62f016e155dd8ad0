package oidc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// apacheFrame is Apache with mod_auth_openidc, as docs/oidc.md has it, in a folder of its own.
const apacheFrame = `ServerRoot %[1]s
ServerName 127.0.0.1
Listen %[2]s
PidFile %[1]s/pid
DefaultRuntimeDir %[1]s
Mutex file:%[1]s
ErrorLog %[1]s/error.log
LogLevel warn auth_openidc:info
DocumentRoot %[1]s/pages
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
LoadModule include_module /usr/lib/apache2/modules/mod_include.so
LoadModule auth_openidc_module /usr/lib/apache2/modules/mod_auth_openidc.so
TypesConfig /etc/mime.types
AddType text/html .html
<Directory %[1]s/pages>
  Options +Includes
  SetOutputFilter INCLUDES
  DirectoryIndex index.html
  Require all granted
</Directory>
%[3]s
`

// apacheSnippet is what docs/oidc.md has an administrator paste, with two folders that demand more.
const apacheSnippet = `OIDCProviderMetadataURL %[1]s/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret %[2]s
OIDCRedirectURI http://%[3]s/protected/callback
OIDCCryptoPassphrase %[4]s
OIDCScope "openid profile email groups"
OIDCPKCEMethod S256
OIDCRemoteUserClaim preferred_username
OIDCRefreshAccessTokenBeforeExpiry 30 logout_on_error
<Location /protected/>
  AuthType openid-connect
  Require valid-user
</Location>
<Location /protected/strong/>
  AuthType openid-connect
  OIDCPathAuthRequestParams acr_values=phr
  OIDCUnAutzAction auth
  Require claim acr:phr
</Location>
<Location /protected/hardware/>
  AuthType openid-connect
  Require claim groups:nobody-is-in-it
</Location>
`

// intranet starts it before an application of its own, and returns its address.
func intranet(w *servertest.World) string {
	w.T.Helper()
	dir, err := os.MkdirTemp("", "apache") // Apache's workers are no root, and a test's own folders are
	if err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() { os.RemoveAll(dir) })
	addr := testbed.Addr(w.T)
	register(w, "apache", map[string]any{"client_id": "apache", "client_secret": clientSecret, "redirect_uris": []string{"http://" + addr + "/protected/callback"},
		"post_logout_redirect_uris": []string{"http://" + addr + "/bye.html"}, "refresh": "session", "access_minutes": 1})
	page := `<h1>Welcome</h1><p id="user"><!--#echo var="REMOTE_USER" --></p><p id="acr"><!--#echo var="OIDC_CLAIM_acr" --></p>`
	conf := fmt.Sprintf(apacheFrame, dir, addr, fmt.Sprintf(apacheSnippet, w.Base, clientSecret, addr, strings.Repeat("k", 40)))
	for name, text := range map[string]string{"pages/protected/index.html": page, "pages/protected/strong/index.html": page, "pages/protected/hardware/index.html": page, "pages/bye.html": "<h1>Goodbye</h1>", "pages/favicon.ico": "", "apache.conf": conf} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			w.T.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			w.T.Fatal(err)
		}
	}
	p := testbed.Process{Path: testbed.Program(w.T, "apache2", "/usr/sbin/apache2"), Args: []string{"-f", filepath.Join(dir, "apache.conf"), "-DFOREGROUND"}, Dir: dir, Ready: addr}
	if os.Geteuid() == 0 {
		const nobody = 65534
		p.User = &syscall.Credential{Uid: nobody, Gid: nobody}
		err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Chown(path, nobody, nobody)
		})
		if err != nil {
			w.T.Fatal(err)
		}
	}
	testbed.Start(w.T, p)
	return "http://" + addr
}

// typesIn types ada's password and code where the sign-in page asks for them.
func typesIn(b *testbed.Browser, ada *servertest.Person) {
	b.Fill("#name", "ada")
	b.Fill("#text", servertest.Passphrase)
	b.Click("form:has(#text) button")
	b.Fill("#text-totp", ada.Code())
	b.Click("form:has(#text-totp) button")
}

// The promise, with Debian's Apache and mod_auth_openidc, in Chromium: ada signs in with two
// factors, is asked for her passkey where a folder demands it, is refused where she does not
// belong, signs out here and there at once, and is out when she is suspended.
func TestApacheStepsUpAndCutsOff(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	at := intranet(w)
	b := testbed.Chromium(t)
	b.Passkey()
	b.Visit(at + "/protected/")
	b.WaitLocation(w.Base + "/sign-in")
	typesIn(b, ada)
	b.WaitText("h1", "Welcome")
	if user, acr := b.Text("#user"), b.Text("#acr"); user != "ada" || acr != "urn:countersign:aal2" {
		t.Errorf("Apache has %q by %q", user, acr)
	}
	if status := b.Status(at + "/protected/hardware/"); status != 401 && status != 403 {
		t.Errorf("a folder for others answers %d", status)
	}
	// Stepped up: nothing but the passkey is asked for.
	b.Visit(w.Base + "/account")
	b.Click("form:has(input[value=passkey]) button")
	b.WaitText("button", "Create it")
	b.Click("main form button")
	b.WaitText("main", "Added")
	b.Visit(at + "/protected/strong/")
	b.WaitText("main", "Use a passkey or security key")
	if b.Has("#text-password") || b.Has("#text-totp") {
		t.Error("more than the passkey is asked for")
	}
	b.Click("[data-passkey] button")
	b.WaitText("h1", "Welcome")
	if acr := b.Text("#acr"); acr != "phr" {
		t.Errorf("in the strong folder Apache has %q", acr)
	}
	// Signed out there and here.
	b.Visit(at + "/protected/callback?logout=" + strings.ReplaceAll(at, ":", "%3A") + "%2Fbye.html")
	b.WaitText("h1", "Goodbye")
	b.Visit(at + "/protected/")
	b.WaitLocation(w.Base + "/sign-in")
	w.Later(31 * time.Second)
	typesIn(b, ada)
	b.WaitText("h1", "Welcome")
	// Cut off: at the latest when Apache renews its access token.
	w.Suspend("ada")
	for end := time.Now().Add(45 * time.Second); ; time.Sleep(time.Second) {
		if b.Visit(at + "/protected/"); !strings.HasPrefix(b.Location(), at) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("ada is suspended, and Apache has her in still")
		}
	}
	all, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "client.ended", Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(e audit.Entry) bool { return e.Reason == "suspended" || e.Reason == "no-session" }) {
		t.Errorf("no access of Apache's ended because of the suspension: %v", all)
	}
}

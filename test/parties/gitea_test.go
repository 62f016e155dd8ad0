//go:build parties

package parties

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

const clientSecret = "a-client-secret-of-more-than-32-characters"

var iniBlock = regexp.MustCompile("(?s)```ini\n(.*?)```")

// gitea runs Gitea with what docs/gitea.md shows, as nobody, and returns its address, the
// settings of its application, and a way to call its command line.
func gitea(t *testing.T, w *servertest.World) (string, map[string]any, func(args ...string) string) {
	t.Helper()
	const module, version = "code.gitea.io/gitea", "v1.23.8"
	path := program(t, module, version, ".", "-tags", "sqlite sqlite_unlock_notify")
	doc, err := os.ReadFile("../../docs/gitea.md")
	if err != nil {
		t.Fatal(err)
	}
	block := iniBlock.FindSubmatch(doc)
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil || block == nil {
		t.Fatal("docs/gitea.md shows no app.ini", err)
	}
	root, err := os.MkdirTemp("", "countersign-gitea-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, folder := range []string{"templates", "options", "public"} {
		if out, err := exec.Command("cp", "-r", filepath.Join(strings.TrimSpace(string(cache)), module+"@"+version, folder), root).CombinedOutput(); err != nil {
			t.Fatalf("%s", out)
		}
	}
	if out, err := exec.Command("cp", path, filepath.Join(root, "gitea")).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	addr := testbed.Addr(t)
	_, port, _ := strings.Cut(addr, ":")
	ini := "RUN_USER = nobody\nRUN_MODE = prod\nWORK_PATH = " + root + "/data\n[server]\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = " + port + "\nROOT_URL = http://" + addr + "/\nSTATIC_ROOT_PATH = " + root +
		"\nOFFLINE_MODE = true\nDISABLE_SSH = true\n[database]\nDB_TYPE = sqlite3\nPATH = " + root + "/data/gitea.db\n[security]\nINSTALL_LOCK = true\n[log]\nMODE = console\nLEVEL = Warn\n" + string(block[1])
	if err := os.WriteFile(filepath.Join(root, "app.ini"), []byte(ini), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	nobody := credential(t, "nobody")
	if out, err := exec.Command("sh", "-c", `chmod -R u+w "$0" && chown -R nobody "$0" && chmod 755 "$0"`, root).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	env := []string{"HOME=" + root + "/data", "PATH=" + os.Getenv("PATH"), "USER=nobody"}
	call := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(root, "gitea"), append([]string{"--config", root + "/app.ini"}, args...)...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = root, env, &syscall.SysProcAttr{Credential: nobody}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("gitea %s: %v\n%s", args[0], err, out)
		}
		return string(out)
	}
	call("migrate")
	settings := map[string]any{"client_id": "gitea", "client_secret": clientSecret, "redirect_uris": []string{"http://" + addr + "/user/oauth2/countersign/callback"}, "acr": "urn:countersign:aal2", "pkce": "optional"}
	register(w, "gitea", settings)
	call("admin", "auth", "add-oauth", "--name", "countersign", "--provider", "openidConnect", "--key", "gitea", "--secret", clientSecret, "--auto-discover-url", w.Base+"/.well-known/openid-configuration",
		"--scopes", "profile", "--scopes", "email", "--skip-local-2fa", "--required-claim-name", "acr", "--required-claim-value", "urn:countersign:aal2")
	testbed.Start(t, testbed.Process{Path: filepath.Join(root, "gitea"), Args: []string{"--config", root + "/app.ini", "web"}, Dir: root, Env: env, Ready: addr, User: nobody})
	return "http://" + addr, settings, call
}

func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// register adds an application with code, which asks by OpenID.
func register(w *servertest.World, name string, settings map[string]any) {
	w.T.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		w.T.Fatal(err)
	}
	err = w.DB.Change(w.T.Context(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a := application.Application{Name: name, Title: name, Kind: "code", Tier: application.Standard, Protocol: "oidc", Settings: raw}
		if _, err := w.Catalogue.Set(context.Background(), tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: name})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// addressed gives people mail addresses, which Gitea's accounts need.
func addressed(w *servertest.World, names ...string) {
	w.T.Helper()
	for _, name := range names {
		err := w.DB.Change(w.T.Context(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
			a, err := w.Accounts.Find(w.T.Context(), tx, name)
			if err != nil {
				return err
			}
			if err := w.Accounts.AddMail(w.T.Context(), tx, a.ID, name+"@example.org"); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test.mail", Outcome: audit.OK})
		})
		if err != nil {
			w.T.Fatal(err)
		}
	}
}

// enters signs somebody in to Gitea by its own link, and reports whether Gitea has them signed in.
func enters(p *servertest.Person, site string, signIn func()) bool {
	p.W.T.Helper()
	p.Get(site + "/user/oauth2/countersign")
	signIn()
	if m := leave.FindStringSubmatch(p.Page); m != nil {
		p.Get(strings.ReplaceAll(m[1], "&amp;", "&"))
	}
	p.Get(site + "/user/settings")
	return p.Status == http.StatusOK && strings.Contains(p.Page, `name="full_name"`)
}

// The promise: people sign in to Gitea by OpenID and by nothing else; Gitea itself refuses a token
// that says less than it demands, and a password opens neither its pages, nor its API, nor a
// repository.
func TestGiteaByOpenID(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	w.EnrollCodes("bob")
	addressed(w, "ada", "bob")
	site, settings, call := gitea(t, w)
	p := w.Person()
	both := func() {
		p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
		p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	}
	if !enters(p, site, both) {
		t.Fatalf("ada is not signed in: %d\n%s", p.Status, p.Page)
	}
	thief := w.Person()
	if enters(thief, site, func() {
		thief.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	}) {
		t.Error("a password alone")
	}
	call("admin", "user", "create", "--username", "local", "--password", "a-password-of-gitea-itself-1", "--email", "local@example.org", "--must-change-password=false")
	for _, path := range []string{"/api/v1/user", "/local/tools.git/info/refs?service=git-upload-pack"} {
		r, err := http.NewRequest("GET", site+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("local", "a-password-of-gitea-itself-1")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			t.Errorf("%s with a password: %d", path, answer.StatusCode)
		}
	}
	form, err := http.PostForm(site+"/user/login", map[string][]string{"user_name": {"local"}, "password": {"a-password-of-gitea-itself-1"}})
	if err != nil {
		t.Fatal(err)
	}
	form.Body.Close()
	if form.StatusCode == http.StatusOK && form.Request.URL.Path != "/user/login" {
		t.Errorf("the form for passwords leads to %s", form.Request.URL.Path)
	}
	policy := servertest.PolicyInForce(w)
	settings["acr"] = "" // Gitea alone has to refuse
	register(w, "gitea", settings)
	w.SetPolicy(servertest.OneFactor)
	weak := w.Person()
	if enters(weak, site, func() {
		weak.Post("/sign-in", "name", "bob", "authenticator", "password", "text", servertest.Passphrase)
	}) {
		t.Error("Gitea takes a token for a password alone")
	}
	if n := w.Events("client.tokens"); n != 2 {
		t.Errorf("%d tokens: the weak one was not even issued, and Gitea had nothing to refuse", n)
	}
	w.SetPolicy(policy)
	w.Suspend("ada")
	again := w.Person()
	if enters(again, site, func() {
		again.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
		again.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	}) {
		t.Error("who is suspended signs in to Gitea")
	}
}

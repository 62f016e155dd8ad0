package web

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// tokens are the signs that a header's name may have between its words (RFC 9110
// section 5.6.2), and what else some server takes.
const tokens = "!#$%&'*+-.^_`|~ "

// ourHeaders are what the application is told a person by.
var ourHeaders = []string{"User", "Name", "Email", "Groups"}

// forgeries are headers by which somebody would be taken for another, each sent
// by itself. Each says mallory.
func forgeries() [][]string {
	var out [][]string
	add := func(lines ...string) { out = append(out, lines) }
	for _, sign := range tokens {
		for i, word := range ourHeaders {
			name := fmt.Sprintf("Remote%c%s", sign, word)
			if i%2 == int(sign)%2 {
				name = strings.ToLower(name)
			}
			add(name + ": mallory")
		}
		add(fmt.Sprintf("rEMOTE%c%cuSER: mallory", sign, sign))
		add(fmt.Sprintf("Remote-User%c: mallory", sign), fmt.Sprintf("Remote-Groups%c: mallory", sign))
		add(fmt.Sprintf("%cRemote-User: mallory", sign))
	}
	add("Remote-User: mallory", "Remote-User: mallory")
	add("Remote-User: ada", "Remote.User: mallory", "Remote_User: mallory")
	add("Remote-Groups: mallory", "Remote-Email: mallory", "Remote-Name: mallory")
	add("REMOTE.GROUPS: mallory", "REMOTE.EMAIL: mallory")
	add("Remote-User : mallory")
	add("Remote-User:\r\n mallory")
	add("X-A: b\r\n Remote-User: mallory")
	add("Http-Remote-User: mallory")
	add("Remote-User\x00: mallory")
	add("Remote\tUser: mallory")
	add("Connection: close, Remote-User", "Remote.User: mallory")
	add("Connection: Remote-Groups", "Remote.Groups: mallory")
	return out
}

// knownAs is what an application is told of a person: what they do not have is
// empty.
func knownAs(w *servertest.World, p string) map[string]string {
	w.T.Helper()
	a, err := w.Accounts.Find(context.Background(), w.DB, p)
	if err != nil {
		w.T.Fatal(err)
	}
	return map[string]string{"HTTP_REMOTE_USER": a.Name, "HTTP_REMOTE_NAME": a.Display, "HTTP_REMOTE_EMAIL": a.Mail, "HTTP_REMOTE_GROUPS": strings.Join(a.Groups, ",")}
}

// distinguish gives somebody groups and a mail address.
func distinguish(w *servertest.World, name string) {
	w.T.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a, err := w.Accounts.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		for _, group := range []string{"staff", "editors"} {
			g, err := w.Groups.Create(ctx, tx, group, group, false)
			if err == nil {
				err = w.Groups.AddMember(ctx, tx, g, a)
			}
			if err != nil {
				return err
			}
		}
		if err := w.Accounts.AddMail(ctx, tx, a.ID, name+"@example.org"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.distinguished", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// The promise: behind every proxy, and whatever an application makes of a
// header's name, nobody is taken for another, and what a person does not have is
// not there. Nor does the application see the session by which it was reached.
func TestNobodyIsTakenForAnother(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			w := servertest.NewWorld(t)
			own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
			ada := w.EnrollCodes("ada")
			addrs, hosts := map[string]string{}, []string{}
			for _, a := range testbed.Applications {
				addr := testbed.Addr(t)
				f.Start(t, addr, own, a.Start(t))
				addrs[a.Name] = addr
				hosts = append(hosts, addr)
			}
			w.Protect("wiki", map[string]any{"hosts": hosts})
			secret := w.SignedIn(ada)
			for _, has := range []string{"no groups and no mail", "groups and mail"} {
				if has == "groups and mail" {
					distinguish(w, "ada")
				}
				for _, a := range testbed.Applications {
					isTold(w, a.Name, addrs[a.Name], servertest.Handed(w, secret, addrs[a.Name]), knownAs(w, "ada"), has)
				}
			}
		})
	}
}

// The promise holds where a proxy speaks FastCGI to PHP by itself, as the
// documents say it is done.
func TestProxySpeaksFastCGI(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/nginx.md")
	if err != nil {
		t.Fatal(err)
	}
	params := string(regexp.MustCompile(`(?m)(^ *fastcgi_param HTTP_.*\n)+`).Find(doc))
	if strings.Count(params, "fastcgi_param") != 6+24 {
		t.Fatalf("the document shows other parameters: %s", params)
	}
	whole := regexp.MustCompile(`(?s)        proxy_set_header Remote-User .*?proxy_set_header Connection \$countersign_connection;`)
	for name, start := range map[string]func(t testing.TB, addr, own, fpm, script string){
		"nginx": func(t testing.TB, addr, own, fpm, script string) {
			conf := testbed.Example(t, "nginx.conf", "127.0.0.1:8081", addr, "wiki.example.org", addr, "127.0.0.1:8080", own)
			lines := whole.FindString(conf)
			if lines == "" {
				t.Fatal("the example has other lines")
			}
			testbed.Nginx(t, addr, strings.Replace(conf, lines, fmt.Sprintf("fastcgi_pass %s; fastcgi_param SCRIPT_FILENAME %s; fastcgi_param REQUEST_METHOD $request_method;\n%s", fpm, script, params), 1))
		},
		"caddy": func(t testing.TB, addr, own, fpm, script string) {
			testbed.Caddy(t, addr, testbed.Example(t, "Caddyfile", "http://127.0.0.1:8081, http://localhost:8081", "http://"+addr, "127.0.0.1:8080", own,
				"reverse_proxy 127.0.0.1:3000", fmt.Sprintf("root * %s\n\t\t\trewrite * /index.php\n\t\t\tphp_fastcgi %s", filepath.Dir(script), fpm)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada, addr := w.EnrollCodes("ada"), testbed.Addr(t)
			fpm, script := testbed.FPM(t)
			start(t, addr, strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1), fpm, script)
			w.Protect("wiki", map[string]any{"hosts": []string{addr}})
			secret := w.SignedIn(ada)
			isTold(w, name, addr, servertest.Handed(w, secret, addr), knownAs(w, "ada"), "no groups and no mail")
			distinguish(w, "ada")
			isTold(w, name, addr, servertest.Handed(w, secret, addr), knownAs(w, "ada"), "groups and mail")
			takesNobody(w, name, addr, servertest.Handed(w, secret, addr))
		})
	}
}

// isTold fails the test if an application is told anything else of a person.
func isTold(w *servertest.World, name, addr, cookie string, want map[string]string, has string) {
	w.T.Helper()
	honest := func(sent func(own string) string) {
		w.T.Helper()
		own := strings.TrimPrefix(cookie, "Cookie: ")
		status, body := servertest.Raw(w.T, addr, "GET", "/notes", "Cookie: "+sent(own))
		got := testbed.Variables(body)
		for variable, value := range want {
			if status != http.StatusOK || got[variable] != value {
				w.T.Errorf("%s, %s: answered %d with %s=%q, not %q", name, has, status, variable, got[variable], value)
			}
		}
		if strings.Contains(body, own) || !strings.Contains(body, "theme=dark") || !strings.Contains(body, "lang=en") {
			w.T.Errorf("%s, %s: of the cookies it is told %q", name, has, got["HTTP_COOKIE"])
		}
	}
	honest(func(own string) string { return own + "; theme=dark; lang=en" })
	for _, lines := range forgeries() {
		status, body := servertest.Raw(w.T, addr, "GET", "/notes", append(slices.Clone(lines), cookie)...)
		if status != http.StatusOK {
			continue
		}
		for variable, value := range testbed.Variables(body) {
			if expected, ours := want[variable]; ours && value != expected || similar(variable) && strings.Contains(value, "mallory") {
				w.T.Errorf("%s, %s: with %q it is told %s=%s", name, has, lines, variable, value)
			}
		}
	}
	honest(func(own string) string { return "theme=dark; " + own + "; lang=en" })
	honest(func(own string) string { return "theme=dark; lang=en; countersign-app-way=x; " + own })
}

// similar reports whether an application would read a variable for one of ours.
func similar(variable string) bool {
	plain := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, strings.ToUpper(variable))
	return strings.HasPrefix(plain, "HTTPREMOTE")
}

// foreignHeaders are other headers by which applications are told who somebody is.
func foreignHeaders() []string {
	out := []string{"X-Forwarded-Preferred-Username", "X-Auth-Request-Preferred-Username", "X-Authenticated-User", "X-Authenticated-Groups", "X-Authentik-Username", "X-Webauth-Fullname", "X-Webauth-Role", "X-Remote-Group"}
	for _, family := range []string{"X-Forwarded-", "X-Remote-", "X-Auth-Request-", "X-Webauth-"} {
		for _, word := range []string{"User", "Email", "Groups"} {
			out = append(out, family+word)
		}
	}
	return out
}

// The promise: headers of other names by which applications are told who somebody is reach
// nobody from a browser, however they are spelled: they arrive without, or not at all. What
// only looks alike goes on.
func TestForeignIdentityIsDropped(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			w := servertest.NewWorld(t)
			own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
			secret := w.SignedIn(w.EnrollCodes("ada"))
			addrs, hosts := map[string]string{}, []string{}
			for _, a := range testbed.Applications {
				addr := testbed.Addr(t)
				f.Start(t, addr, own, a.Start(t))
				addrs[a.Name], hosts = addr, append(hosts, addr)
			}
			w.Protect("wiki", map[string]any{"hosts": hosts})
			for name, addr := range addrs {
				takesNobody(w, f.Name+", "+name, addr, servertest.Handed(w, secret, addr))
			}
		})
	}
}

func takesNobody(w *servertest.World, where, addr, cookie string) {
	w.T.Helper()
	for _, header := range foreignHeaders() {
		for _, spelled := range []string{header, strings.ToLower(header), strings.ReplaceAll(header, "-", "_"), strings.ReplaceAll(header, "-", "."), strings.Replace(header, "-", "~", 1), "+" + header} {
			status, body := servertest.Raw(w.T, addr, "GET", "/notes", spelled+": mallory", cookie)
			if status == http.StatusOK && strings.Contains(body, "mallory") {
				w.T.Errorf("%s: with %s it is told mallory", where, spelled)
			}
			if spelled == header && status != http.StatusOK {
				w.T.Errorf("%s: with %s it is answered %d", where, header, status)
			}
		}
	}
	if status, body := servertest.Raw(w.T, addr, "GET", "/notes", "X-Auth-Token: theirs", "X-Requested-By: theirs", cookie); status != http.StatusOK || testbed.Variables(body)["HTTP_X_AUTH_TOKEN"] != "theirs" {
		w.T.Errorf("%s: a header of the application's own does not arrive: %d", where, status)
	}
}

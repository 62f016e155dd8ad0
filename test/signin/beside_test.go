package signin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	"countersign/internal/admin/group"
	"countersign/internal/failure"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: an application is not saved where it would share its sessions with
// another, take another's host or network, or reply to a group that is not there;
// and a group that replies name is not removed.
func TestApplicationsDoNotShare(t *testing.T) {
	t.Parallel()
	w := servertest.NewWorld(t)
	if err := w.PlantApplications(t.Context(), "wiki.test", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	clerk := w.Clerk()
	do := func(c admin.Command) error {
		g, err := clerk.Grant(t.Context(), c)
		if err == nil {
			_, err = w.Admin.Do(t.Context(), g, c)
		}
		return err
	}
	set := func(name, protocol, settings string) error {
		c := &application.Set{Name: name, Kind: "wiki", Protocol: protocol, Settings: json.RawMessage(settings)}
		var err error
		if c.Base, err = w.Catalogue.VersionIn(t.Context(), w.DB, name); err != nil {
			return err
		}
		return do(c)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(says string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(failure.Public(err), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
	must(set("wiki", "forward-auth", `{"hosts":["wiki.example.org"]}`))
	must(set("wiki", "forward-auth", `{"hosts":["wiki.example.org","wiki.example.org:8443"]}`))
	refused("another port", set("evil", "forward-auth", `{"hosts":["wiki.example.org:9443"]}`))
	refused("already", set("evil", "forward-auth", `{"hosts":["Wiki.Example.org."]}`))

	radius := func(networks, replies string) string {
		return fmt.Sprintf(`{"clients":[{"name":"gw","networks":[%q],"secret":"sixteen signs at least"}],"replies":[{"groups":[%q],"attributes":[{"name":"Class","value":"little"}]},{"attributes":[{"name":"Class","value":"much"}]}]}`, networks, replies)
	}
	refused("no group", set("gate", "radius", radius("192.0.2.1", "restricted")))
	must(do(&group.Create{Name: "restricted"}))
	refused("no group", set("gate", "radius", radius("192.0.2.1", "restrictd")))
	must(set("gate", "radius", radius("192.0.2.1", "Restricted")))
	refused("name the group", do(&group.Remove{Name: "restricted"}))
	refused("belongs to the application", set("other", "radius", radius("192.0.2.1", "restricted")))
	must(do(&application.Remove{Name: "gate"}))
	must(do(&group.Remove{Name: "restricted"}))
}

// The promise: what a rule or the policy demands for a method is not passed by a
// method in small letters, nor by naming it in a header or in the address; and a
// request that names one asks for more only where methods are told apart.
func TestSecondMethodIsNoWayAround(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			w := servertest.NewWorld(t)
			ada := w.EnrollCodes("ada")
			page, addr := testbed.NewPage(t), testbed.Addr(t)
			f.Start(t, addr, strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1), page.Addr)
			w.Protect("wiki", map[string]any{"hosts": []string{addr}})
			cookie := servertest.Handed(w, w.SignedIn(ada), addr)
			tries := []struct{ method, target, header string }{
				{"DELETE", "/m", "X-A: b"}, {"delete", "/m", "X-A: b"}, {"Delete", "/m", "X-A: b"}, {"POST", "/m", "X-HTTP-Method-Override: DELETE"}, {"POST", "/m", "X.HTTP.Method.Override: DELETE"},
				{"POST", "/m", "X_HTTP_Method_Override: DELETE"}, {"POST", "/m", "x-http-method: delete"}, {"POST", "/m", "X-METHOD-OVERRIDE: delete"}, {"POST", "/m?_method=DELETE", "X-A: b"}, {"POST", "/m?%5fmethod=DELETE", "X-A: b"}, {"GET", "/m?a&_Method[]=DELETE", "X-A: b"},
			}
			reached := func() (n int) {
				page.Seen()
				for _, c := range tries {
					servertest.Raw(t, addr, c.method, c.target, cookie, "Content-Length: 0", c.header)
					for _, seen := range page.Seen() {
						if overriding := seen.Header.Get("X-A") == ""; overriding && len(seen.Header["X-Http-Method-Override"])+len(seen.Header["X-Http-Method"])+len(seen.Header["X-Method-Override"])+len(seen.Header["X_http_method_override"])+len(seen.Header["X.http.method.override"]) == 0 {
							continue // the proxy itself took it away
						}
						n++
					}
				}
				return n
			}
			if n := reached(); n < 6 {
				t.Errorf("where nothing tells methods apart only %d get through", n)
			}
			w.SetPolicy("rules:\n  - name: all\n    require: two-factors\n  - name: deletes\n    when: 'method == \"DELETE\"'\n    deny: nobody deletes\n")
			if n := reached(); n != 0 {
				t.Errorf("%d reach what the policy forbids", n)
			}
			if status, _ := servertest.Raw(t, addr, "POST", "/m", cookie, "Content-Length: 0"); status != http.StatusOK {
				t.Errorf("an ordinary post is answered %d", status)
			}
		})
	}
}

// The promise: nginx set up without a line for X-Forwarded-For lets nobody in, and
// says why to who runs it.
func TestProxyThatHidesItsVisitors(t *testing.T) {
	t.Parallel()
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	page, addr := testbed.NewPage(t), testbed.Addr(t)
	own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
	testbed.Nginx(t, addr, testbed.Example(t, "nginx.conf", "127.0.0.1:8081", addr, "wiki.example.org", addr, "127.0.0.1:8080", own, "127.0.0.1:3000", page.Addr, "proxy_set_header X-Forwarded-For   $remote_addr;", ""))
	w.Protect("wiki", map[string]any{"hosts": []string{addr}})
	cookie := servertest.Handed(w, w.SignedIn(ada), addr)
	if status, _ := servertest.Raw(t, addr, "GET", "/notes", cookie); status != http.StatusForbidden || len(page.Seen()) != 0 {
		t.Errorf("somebody whose address the proxy hides is answered %d", status)
	}
	r, err := http.NewRequest("GET", w.Base+"/verify/caddy", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := w.Person()
	p.Take(p.Client.Do(r))
	if p.Status != http.StatusForbidden {
		t.Errorf("the check is answered %d", p.Status)
	}
	p.Sees("does not say where you are")
}

package drill

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"countersign/internal/drill"
	"countersign/internal/drill/web"
	"countersign/internal/policy"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
	"countersign/internal/throttle"
)

// lenientSite is the policy of a new installation, but that one site lets people in with
// the password alone.
func lenientSite(site string) string {
	everybody := `when: account.kind != "service" && action != "account.recover"`
	return strings.NewReplacer("rules:\n", `rules:
  - name: a lenient site
    when: application.name == "`+site+`"
    require: one-factor
`, everybody, everybody+` && application.name != "`+site+`"`).Replace(string(policy.DefaultForCodes()))
}

// A site that lets people in with the password alone fails its rows, though everything
// else asks for two factors: it is attacked by its own sign-in.
func TestDrillFindsALenientSite(t *testing.T) {
	w := servertest.NewWorld(t)
	admin := w.Clerk()
	stage := (&servertest.Bed{T: t}).StageOf(w, w.Radius)
	w.SetPolicy(lenientSite("wiki"))
	results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: admin, Rows: []string{"T1078", "T1110.002", "T1213"}})
	if err != nil {
		t.Fatal(err)
	}
	fell := 0
	for _, r := range results {
		t.Logf("%s at %s: %s", r.Row, r.Application, r.Blocked.Detail)
		if open := strings.HasPrefix(r.Blocked.Detail, "got through: the page of wiki"); open != (r.Application == "wiki") || open && r.Passed() {
			t.Errorf("%s at %s: %+v", r.Row, r.Application, r.Blocked)
		} else if open {
			fell++
		}
	}
	if fell != 3 {
		t.Errorf("the site fell in %d of 3 rows", fell)
	}
}

// triedAtSites are words for what must have been tried at each site.
var triedAtSites = map[string][]string{
	"T1213": {"without anything", "by the path /%6eotes", "directly", "with the password alone", "guessed code", "signature for another page", "X-Forwarded-For claims",
		"Remote_User of another", "by the unclear path //", "by a link with a return code", "the return code of another browser", "a return code that was used",
		"with the return code of the page of", "with the session of the page of", "with the server's own session"},
	"T1539": {"a script reads", "is sent elsewhere", "is sent the cookie", "the portal with the copied cookie", "its copied cookies, after", "the server's copied cookies, after",
		"its copied cookies, five minutes old", "the server's copied cookies, five minutes old", "again, to a key of the thief's", "by a key of the thief's"},
	"T1040": {"every form of a sign-in again", "every byte of a sign-in again"},
	"T1078": {"by its own sign-in", "after the portal"},
}

// The rows about pages hold at both sites of the bed, of which one is guarded as a whole and
// one under a path, with all proofs.
func TestDrillOfSites(t *testing.T) {
	b := servertest.NewBed(t, throttle.Limits{})
	rows := []string{"T1040", "T1078", "T1110.002", "T1213", "T1539"}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: b.Stage, Admin: b.Admin, Bed: b, Rows: rows})
	if err != nil || len(results) < len(rows) {
		t.Fatal(len(results), err)
	}
	for _, r := range results {
		for _, p := range r.Proofs() {
			t.Logf("%-10s %-12s %-12s %-7s %s", r.Row, r.Application, p.Name, p.State, p.Detail)
			// Where no setting takes the guard out alone, the mutants are the control.
			// Mode wait lets nobody in, so that nobody can be shown to enter there.
			nobody := r.Application == "vpn-wait" && p.Name == "honest" && p.State != drill.Failed
			if p.State != drill.Passed && !nobody && (p.Name != "control" || p.State == drill.Failed) {
				t.Errorf("%s at %s: %s %s: %s", r.Row, r.Application, p.Name, p.State, p.Detail)
			}
		}
		if r.Application == "wiki" && len(r.Log) == 0 {
			t.Errorf("%s: nothing of nginx's own log", r.Row)
		}
		for _, d := range r.Tries {
			t.Logf("%-10s   %s: open %t, %s; %s %s", r.Row, d.Name, d.Open, d.Answer, d.Detail, d.Error)
			if (r.Application == "wiki" || r.Application == "notes") && d.Answer == "" {
				t.Errorf("%s: %s does not say what came back", r.Row, d.Name)
			}
		}
	}
	for _, r := range results {
		for _, what := range triedAtSites[r.Row] {
			if r.Application != "wiki" && r.Application != "notes" {
				continue
			}
			if !slices.ContainsFunc(r.Tries, func(d drill.Try) bool { return strings.Contains(d.Name, what) }) {
				t.Errorf("%s at %s does not try %q", r.Row, r.Application, what)
			}
		}
	}
	for _, c := range b.Stage.Components {
		if c.Check != nil {
			if err := c.Check(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if c.Log != nil {
			lines, err := c.Log(t.Context())
			if err != nil || len(lines) < 1 || strings.Contains(strings.Join(lines, ""), "code=") {
				t.Errorf("the log of %s: %d lines, %v", c.Name, len(lines), err)
			}
		}
	}
}

// A site whose guard is unplugged is named, and the other one is not; so is a site that is
// guarded under a path, and reads another spelling of it as the same.
func TestDrillNamesTheSiteWithoutItsGuard(t *testing.T) {
	w := servertest.NewWorld(t)
	admin, b := w.Clerk(), &servertest.Bed{T: t}
	stage := b.StageOf(w, w.Radius)
	guarded, page := b.Sites[1].Connect, testbed.NewPageFor(t, netip.Addr{}, "/notes")
	sloppy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", guarded, r.In.Host
		if path := strings.ToLower(r.In.URL.Path); path != r.In.URL.Path {
			r.Out.URL.Host, r.Out.URL.Path, r.Out.URL.RawPath = page.Addr, path, ""
		}
	}})
	defer sloppy.Close()
	for connect, want := range map[string]string{page.Addr: "without anything", sloppy.Listener.Addr().String(): "by the path /NOTES/"} {
		notes := b.Sites[1]
		notes.Connect = connect
		stage.Components = append([]drill.Component{web.Server(w.Base).Portal()}, web.Server(w.Base).Pages(b.Sites[0], notes)...)
		results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: admin, Rows: []string{"T1213"}})
		if err != nil || len(results) != 2 {
			t.Fatal(len(results), err)
		}
		for _, r := range results {
			t.Logf("%s: %s %s", r.Application, r.Blocked.State, r.Blocked.Detail)
			named := r.Application == "notes"
			if named == (r.Blocked.State == drill.Passed) || named && !strings.Contains(r.Blocked.Detail, "got through: the page of notes "+want) {
				t.Errorf("%s, %s: %+v", want, r.Application, r.Blocked)
			}
		}
	}
}

// A site whose proxy lacks one of its own guards is named, and the other one is not. Of the
// header that says who somebody is two guards hold: nginx sets it, and Countersign, which is
// not shown it here, refuses a browser's.
func TestDrillNamesWhatAProxyLacks(t *testing.T) {
	w := servertest.NewWorld(t)
	admin, b := w.Clerk(), &servertest.Bed{T: t}
	stage := b.StageOf(w, w.Radius)
	for name, c := range map[string]struct {
		open  bool
		edits []string
		says  string
	}{
		"it asks nobody": {edits: []string{"auth_request /countersign-verify;", ""}, says: "the page of wiki without anything"},
		"it passes on who a browser says that somebody is": {edits: []string{"proxy_set_header Remote-User   $countersign_user;", "",
			`proxy_set_header Content-Length "";`, `proxy_set_header Content-Length ""; proxy_set_header Remote-User "";`}, says: "the page of wiki with a session and Remote-User of another"},
		"the application is reached past it": {open: true, says: "the application behind the page of wiki, directly"},
	} {
		t.Run(name, func(t *testing.T) {
			sites := b.Rewired(w, c.open, c.edits...)
			stage.Components = append([]drill.Component{web.Server(w.Base).Portal()}, web.Server(w.Base).Pages(sites...)...)
			results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: admin, Rows: []string{"T1213"}})
			if err != nil || len(results) != 2 {
				t.Fatal(len(results), err)
			}
			for _, r := range results {
				t.Logf("%s: %s %s", r.Application, r.Blocked.State, r.Blocked.Detail)
				named := r.Application == "wiki"
				if named == (r.Blocked.State == drill.Passed) || named && !strings.Contains(r.Blocked.Detail, c.says) {
					t.Errorf("%s: %+v", r.Application, r.Blocked)
				}
			}
		})
	}
}

package drill

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/drill"
	"countersign/internal/policy"
	"countersign/internal/servertest"
)

// staffOnly is the policy of a new installation, but that the wiki is for one group.
var staffOnly = strings.Replace(string(policy.DefaultForCodes()), "rules:\n", `rules:
  - name: the wiki is for staff
    when: application.name == "wiki" && !("staff" in account.groups)
    deny: staff only
`, 1)

// The promise: one command finds the doors of a usual installation by itself - a site for
// one group, a site that is guarded under a path, RADIUS in three modes, programs of Yubico's protocol, an address for smart cards - and nothing fails
// there but for a fault. A site whose guard is taken out of its proxy is named.
func TestDrillFindsItsDoors(t *testing.T) {
	cards := servertest.NewCardTable(t)
	w := cards.World
	grace := w.Administrator("grace")
	b := &servertest.Bed{T: t}
	b.StageOf(w, w.Radius)
	if err := w.Clerk().Do(t.Context(), "group.create", map[string]string{"name": "staff"}, nil); err != nil {
		t.Fatal(err)
	}
	w.SetPolicy(staffOnly)
	sh, browser := w.Shell(), w.Person()
	w.Later(time.Minute)
	sh.Login(browser, "grace", grace.Code())
	args := []string{"--json", "drill", "run", "--data", w.Folder, "--radius", w.Radius}
	host := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return u.Host
	}
	args = append(args, "--resolve", servertest.CardName+"="+cards.Endpoint)
	for _, s := range b.Sites {
		args = append(args, "--page", s.URL, "--resolve", host(s.URL)+"="+s.Connect)
	}
	args = append(args, "--page", b.Repository)
	began := time.Now()
	results := run(t, sh, args, true)
	t.Logf("a whole run took %s", time.Since(began).Round(time.Second))
	attacked := map[string]int{}
	for _, r := range results {
		if r.Skipped == "" && !r.Passed() {
			t.Errorf("%s at %s: %+v", r.Row, r.Application, r.Proofs())
		}
		attacked[r.Application]++
	}
	tried := func(door string) bool {
		return slices.ContainsFunc(results, func(r drill.Result) bool {
			return slices.ContainsFunc(r.Tries, func(try drill.Try) bool { return strings.HasPrefix(try.Component, door) })
		})
	}
	if !tried("smart cards at " + servertest.CardName) {
		t.Error("nobody showed a card")
	}
	for _, app := range []string{"countersign", "wiki", "notes", "vpn", "vpn-codes", "vpn-line", "gate", "gate-other", "code", "git", "editor"} {
		if attacked[app] < 3 {
			t.Errorf("%s was attacked in %d rows", app, attacked[app])
		}
	}
	for _, row := range []string{"T1133", "T1213.003"} {
		if out, complaint, ok := sh.Run("", "coverage", "show", row); !ok || !strings.Contains(out, "proven") || strings.Contains(out, "did not attack") {
			t.Errorf("%s%s", out, complaint)
		}
	}
	// What is asked by OpenID Connect has no page that the drill could ask for: that is all the row lacks.
	out, complaint, ok := sh.Run("", "coverage", "show", "T1213")
	if !ok || strings.Count(out, "No drill has attacked") != 1 || !strings.Contains(out, "No drill has attacked editor yet") || strings.Contains(out, "did not attack") {
		t.Errorf("%s%s", out, complaint)
	}
	// Its guard is out: the proxy passes everybody on.
	for i, a := range args {
		if a == "--resolve" && strings.HasPrefix(args[i+1], host(b.Sites[0].URL)) {
			args[i+1] = host(b.Sites[0].URL) + "=" + host(b.Sites[0].Backend)
		}
	}
	for _, r := range run(t, sh, append(args, "--row", "T1213"), false) {
		if fell := strings.HasPrefix(r.Blocked.Detail, "got through: the page of wiki"); fell != (r.Application == "wiki") || fell && r.Passed() {
			t.Errorf("%s at %s: %+v", r.Row, r.Application, r.Blocked)
		}
	}
	if out, _, _ := sh.Run("", "coverage", "show", "T1213"); !strings.Contains(out, "The drill of wiki failed") {
		t.Error(out)
	}
	// A change ends what was proven.
	w.SetPolicy(staffOnly + "\n")
	if out, _, _ := sh.Run("", "coverage", "show", "T1133"); strings.Contains(out, "proven") || !strings.Contains(out, "the policy changed since") {
		t.Error(out)
	}
}

// run drills by the command, and returns what it printed.
func run(t *testing.T, sh *servertest.Shell, args []string, holds bool) []drill.Result {
	t.Helper()
	out, complaint, ok := sh.Run("", args...)
	if ok != holds {
		t.Errorf("it ended well: %t: %s", ok, complaint)
	}
	var results []drill.Result
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		t.Fatal(err, complaint)
	}
	return results
}

package drill

import (
	"strings"
	"testing"

	"countersign/internal/drill"
	"countersign/internal/policy"
	"countersign/internal/servertest"
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
	if err != nil || len(results) != 3 {
		t.Fatal(len(results), err)
	}
	for _, r := range results {
		t.Logf("%s: %s", r.Row, r.Blocked.Detail)
		if r.Passed() || !strings.HasPrefix(r.Blocked.Detail, "got through: the page of wiki") {
			t.Errorf("%s is said to hold: %+v", r.Row, r.Blocked)
		}
		for _, try := range r.Doors {
			if try.Open && try.Component != "the page of wiki" {
				t.Errorf("%s: more than the site is open: %+v", r.Row, try)
			}
		}
	}
}

package drill

import (
	"slices"
	"strings"
	"testing"

	"countersign/internal/drill"
	"countersign/internal/servertest"
	"countersign/internal/throttle"
)

// triedBehind are, by row and application, words for what must have been tried there.
var triedBehind = map[string]map[string][]string{
	"T1213.003": {
		"code": {"with nothing, to read", "the right password, to push", "and a code, which it does not take, to push", "for the password alone", "an ID token, to read", "a refresh token, to read",
			"an altered token, to push", "a token of editor, to push", "as Bearer, to read", "after its time, to push", "who was suspended, to push"},
		"git": {"with the password alone", "with the password and a guessed code"},
	},
	"T1556.007": {
		"countersign": {"partner, which says that two factors were shown", "partner, the same, with a guessed code", "partner, for another party", "partner, of another visit", "partner, unsigned", "partner, signed by a stranger",
			"partner, with a key that it has not signed with", "branch, which says that two factors were shown", "branch, unsigned", "branch, wrapped: the signed assertion beside", "branch, wrapped: the signed assertion within",
			"branch, for another party", "branch, signed by a stranger", "branch, a response that another browser used"},
	},
}

// The rows about what stands behind OpenID Connect hold with all five proofs at each of their
// applications: without the guard the attack gets through, with it not, the log tells of it, the
// owner gets in, and with the server stopped nobody does.
func TestDrillOfFederation(t *testing.T) {
	b := servertest.NewBed(t, throttle.Limits{})
	for row, at := range triedBehind {
		results, err := drill.Run(t.Context(), drill.Plan{Stage: b.Stage, Admin: b.Admin, Bed: b, Rows: []string{row}})
		if err != nil {
			t.Fatal(err)
		}
		for name, words := range at {
			i := slices.IndexFunc(results, func(r drill.Result) bool { return r.Application == name })
			if i < 0 {
				t.Errorf("%s: %s was not attacked", row, name)
				continue
			}
			for _, p := range results[i].Proofs() {
				t.Logf("%-10s %-12s %-12s %-7s %s", row, name, p.Name, p.State, p.Detail)
				if p.State != drill.Passed && p.Detail != "shown by the table of mutants" {
					t.Errorf("%s at %s: %s %s: %s", row, name, p.Name, p.State, p.Detail)
				}
			}
			for _, what := range words {
				if !slices.ContainsFunc(results[i].Tries, func(d drill.Try) bool { return strings.Contains(d.Name, what) && d.Answer != "" }) {
					t.Errorf("%s at %s does not try %q, or does not say what came back", row, name, what)
				}
			}
		}
	}
}

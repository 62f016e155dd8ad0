package drill

import (
	"strings"
	"testing"

	"countersign/internal/drill"
	"countersign/internal/servertest"
)

// The promise: on a deployment, where no clock can be moved and the limits are not known,
// RADIUS in each mode is attacked, and lets its owner in afterwards.
func TestRadiusOnADeployment(t *testing.T) {
	w := servertest.NewWorld(t)
	admin := w.Clerk()
	stage := (&servertest.Bed{T: t}).StageOf(w, w.Radius)
	var all []drill.Component
	for _, c := range stage.Components {
		if c.Kind == drill.Portal || c.Kind == drill.Radius {
			all = append(all, c)
		}
	}
	stage.Components = all
	rows := []string{"T1040", "T1110", "T1110.001", "T1133"}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: admin, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]int{}
	for _, r := range results {
		if strings.HasPrefix(r.Application, "vpn") && r.Passed() {
			held[r.Row]++
		} else if strings.HasPrefix(r.Application, "vpn") {
			t.Errorf("%s at %s: %+v %+v %+v", r.Row, r.Application, r.Blocked, r.Audited, r.Honest)
		}
	}
	for _, row := range rows {
		if held[row] != 3 {
			t.Errorf("%s holds at %d of 3 applications", row, held[row])
		}
	}
}

package signin

import (
	"context"
	"testing"

	"countersign/internal/policy"
	"countersign/internal/servertest"
)

// The promise: an installation is made once. Whoever removes its groups, or alters them,
// has neither the first policy back nor groups of another making when the server starts
// again, and the server starts.
func TestInstallationIsMadeOnce(t *testing.T) {
	for name, statement := range map[string]string{
		"groups removed": "delete from team",
		"groups altered": "update team set privileged = 0",
	} {
		t.Run(name, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, dsn string) {
				v := servertest.NewVault(t, dsn)
				v.SetPolicy(string(policy.DefaultForCodes()) + "# ours\n")
				before := servertest.PolicyVersion(v.House.World)
				if !v.Again(func() { v.Must(statement) }, func() {}) {
					t.Fatal("it does not start")
				}
				if after := servertest.PolicyVersion(v.House.World); after != before {
					t.Errorf("the policy is version %d, and was %d", after, before)
				}
				if n := v.Number("select count(*) from team where mac is not null"); name == "groups removed" && n != 0 {
					t.Errorf("%d groups were made anew", n)
				}
				if err := v.Inspect(context.Background()); err != nil {
					t.Error(err)
				}
				alarms, err := v.DB.Alarms().Unseen(context.Background())
				if err != nil || len(alarms) == 0 {
					t.Errorf("no alarm, %v", err)
				}
			})
		})
	}
}

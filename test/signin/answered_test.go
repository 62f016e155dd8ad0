package signin

import (
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store/storetest"
)

// What a right code changes of its generator: the state, the version and when it was
// used, and nothing else.
func TestWhatAnAnswerChanges(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
			t.Fatal(err)
		}
		generator := func() directory.Credential {
			for _, c := range servertest.AuthenticatorsOf(w, "ada") {
				if c.Kind == "totp" {
					return c
				}
			}
			t.Fatal("ada has no generator")
			return directory.Credential{}
		}
		w.Later(time.Hour)
		was, begun := generator(), w.Now().Truncate(time.Microsecond)
		if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
			t.Fatal(s.Reason)
		}
		is := generator()
		if is.Used.Before(begun) || is.Used.After(w.Now()) {
			t.Errorf("used at %v, begun at %v", is.Used, begun)
		}
		if is.Version != was.Version+1 || string(is.State) == string(was.State) {
			t.Errorf("version %d after %d, the same state: %t", is.Version, was.Version, string(is.State) == string(was.State))
		}
		if is.Label != was.Label || is.Handle != was.Handle || is.Traits != was.Traits || is.Status != was.Status || !is.Quarantine.Equal(was.Quarantine) || !is.Created.Equal(was.Created) {
			t.Errorf("%s %s %q was %s %s %q", is.Label, is.Status, is.Traits, was.Label, was.Status, was.Traits)
		}
	})
}

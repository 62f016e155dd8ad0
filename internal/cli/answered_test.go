package cli

import (
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/signin"
	"countersign/internal/store/storetest"
)

// What a right code changes of its generator: the state, the version and when it was
// used, and nothing else.
func TestWhatAnAnswerChanges(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := newWorldOn(t, dsn)
		ada := w.enrollCodes("ada")
		if err := w.PlantApplications(t.Context(), "wiki.test", drillSecret); err != nil {
			t.Fatal(err)
		}
		generator := func() directory.Credential {
			for _, c := range w.authenticatorsOf("ada") {
				if c.Kind == "totp" {
					return c
				}
			}
			t.Fatal("ada has no generator")
			return directory.Credential{}
		}
		w.later(time.Hour)
		was, begun := generator(), w.now().Truncate(time.Microsecond)
		if s := w.begin(line("ada", passphrase, ada.code())); s.State != signin.Granted {
			t.Fatal(s.Reason)
		}
		is := generator()
		if is.Used.Before(begun) || is.Used.After(w.now()) {
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

package signin

import (
	"testing"
	"time"
)

// The promise: an owner is told once an hour that something was opened as them, and apart from it
// that somebody was refused there; and nobody is told of an account that there is not.
func TestComings(t *testing.T) {
	r, ada, _ := withAda(t)
	came := Coming{Account: ada.ID, Application: "wiki", Title: "Mail filters", Client: "webmail"}
	tell := func(c Coming) {
		t.Helper()
		if err := r.Comings.Tell(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	refused := came
	refused.Refused = "stale"
	nobody := came
	nobody.Account = 4711
	for range 3 {
		tell(came)
		tell(refused)
		tell(nobody)
		tell(Coming{Application: "wiki"})
	}
	const opened, turned = "Mail filters was opened as you", "Somebody tried to open Mail filters as you, and was refused"
	if a, b := r.mails(ada, opened), r.mails(ada, turned); a != 1 || b != 1 {
		t.Errorf("%d and %d mails", a, b)
	}
	all := r.events("owner.told")
	if len(all) != 2 || all[0].Reason+all[1].Reason != "openedstale" && all[0].Reason+all[1].Reason != "staleopened" || all[0].Application != "wiki" || all[0].Detail["client"] != "webmail" {
		t.Errorf("%+v", all)
	}
	other := came
	other.Client = "telephone"
	tell(other)
	r.clock.Later(time.Hour + time.Minute)
	tell(came)
	if n := len(r.events("owner.told")); n != 4 {
		t.Errorf("%d entries after another program and another hour", n)
	}
}

package fault

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"countersign/internal/drill"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
	"countersign/internal/throttle"
)

// The promise, T1556.006 for the validation protocol: whatever is done to make the
// second factor go away, Yubico's own client is not told OK of a touch that would be
// right, and afterwards it is again.
func TestYubicoUnderEveryTrick(t *testing.T) {
	testbed.Program(t, "ykclient")
	b := servertest.NewBed(t, throttle.Limits{})
	w := b.Guarded
	desk, bobs := servertest.TokenDesk(w), servertest.NewYubikey(t, "1001")
	w.EnrollCodes("bob")
	desk.Does("token", "import", desk.File(bobs.Row()), "--format", "yubico-csv", "--commit")
	desk.Does("token", "assign", "1001", "bob", "--note", "seen", "--codes", bobs.Touch()+" "+bobs.Touch())
	gateway, _ := servertest.Validators(w)
	// A wait is how long nothing may be said: what is owed an answer is waited for.
	const silence, owed = 6 * time.Second, 2 * time.Minute
	accepted := func(wait time.Duration) bool {
		ctx, stop := context.WithTimeout(t.Context(), wait)
		defer stop()
		cmd := exec.CommandContext(ctx, "ykclient", "--url", gateway.Base+"/wsapi/2.0/verify", "--apikey", gateway.Key, fmt.Sprint(gateway.Id), bobs.Touch())
		out, err := cmd.CombinedOutput()
		t.Logf("%v %s", err, out)
		return err == nil
	}
	if !accepted(owed) {
		t.Fatal("before anything was done it is not accepted")
	}
	for _, trick := range drill.Tricks {
		undo, err := b.Trick(t.Context(), trick)
		if err != nil {
			t.Fatal(err)
		}
		if accepted(silence) {
			t.Errorf("%s: the client is told OK", trick)
		}
		undo()
		if !accepted(owed) {
			t.Errorf("%s: afterwards it is not accepted", trick)
		}
	}
}

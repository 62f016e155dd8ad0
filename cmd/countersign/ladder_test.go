package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/signin"
)

// The promise: an administrator can make the ladder shorter: one request waits and
// one push is sent; the owner's other ways in stay open.
func TestLadderIsTightened(t *testing.T) {
	w := newWorldFrom(t, settings{limits: signin.Limits{Waiting: 1, Unanswered: 2, PushSoon: 1, PushDaily: 2}}, "http://localhost", nil)
	ada := w.enrollCodes("ada")
	if err := w.plantApplications(t.Context(), "wiki.test", drillSecret); err != nil {
		t.Fatal(err)
	}
	device := w.withPhone(ada)
	w.later(time.Hour)
	if r := device.subscribe("https://push.example.net/x", device.point(), make([]byte, 16)); r != "" {
		t.Fatal(r)
	}
	rings, numbers := 0, 0
	flood := func() {
		for range 4 {
			if _, offered := elsewhere(w.begin(display("ada", passphrase))); offered {
				numbers++
			}
		}
		rings += w.rings(nil)
	}
	flood()
	if rings != 1 || numbers != 1 {
		t.Errorf("four at once showed %d numbers and rang %d times, want one of each", numbers, rings)
	}
	for range 5 {
		w.later(4 * time.Minute)
		flood()
	}
	if numbers != 2 || rings > 2 {
		t.Errorf("a flood showed %d numbers and rang %d times, want two at most", numbers, rings)
	}
	p := w.person()
	p.get("/sign-in")
	p.signIn("ada", ada.code())
	if !p.inside() {
		t.Error("a flood keeps the owner from signing in with a code")
	}
}

// The ladder cannot be made longer, nor switched off.
func TestLadderOnlyTightens(t *testing.T) {
	for setting, want := range map[string]string{
		"waiting: 4": "limits.waiting is 4; it may be 1 to 3", "unanswered: 11": "limits.unanswered is 11; it may be 1 to 10",
		"push_soon: 4": "limits.push_soon is 4; it may be 1 to 3", "push_daily: 11": "limits.push_daily is 11; it may be 1 to 10", "push_soon: -1": "limits.push_soon is -1; it may be 1 to 3",
	} {
		path := filepath.Join(t.TempDir(), "countersign.yaml")
		if err := os.WriteFile(path, []byte("limits:\n  "+setting+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := asCountersign([]string{"config", "check", path}).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v %s", setting, err, out)
		}
	}
}

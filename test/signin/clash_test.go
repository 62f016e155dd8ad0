package signin

import (
	"encoding/json"
	"strings"
	"testing"

	"countersign/internal/failure"
	"countersign/internal/servertest"
)

// The promise: no application takes or shuts what another one has, without a word:
// the one that has it is named, before anybody approves it and when it is done. A part
// can be had by whoever says so.
func TestApplicationsDoNotTakeFromEachOther(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := &servertest.Clerk{W: w, Name: "ada", Person: w.Administrator("ada")}
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	set := func(name, protocol, settings string, over ...string) error {
		t.Helper()
		in := map[string]any{"name": name, "kind": "other", "protocol": protocol, "settings": json.RawMessage(settings), "over": over}
		if v, err := w.Catalogue.VersionIn(t.Context(), w.DB, name); err == nil && v != "" {
			in["base"] = v
		}
		sound := w.Admin.Preflight(t.Context(), servertest.Command(t, "application.set", in))
		err := ada.Do(t.Context(), "application.set", in, nil)
		if (sound == nil) != (err == nil) {
			t.Errorf("%s: before the approval %v, after it %v", settings, sound, err)
		}
		return err
	}
	radius := func(network, more string) string {
		return `{"clients":[{"name":"c","networks":["` + network + `"],"secret":"kX9-Lq27-vTzp-40aM"` + more + `}]}`
	}
	for _, c := range []struct{ name, protocol, settings string }{
		{"portal", "forward-auth", `{"hosts":["portal.test","*.apps.test"]}`},
		{"gate", "radius", radius("10.0.0.0/24", "")},
		{"keys", "yubico", `{"clients":[{"name":"a","id":7,"key":"MDEyMzQ1Njc4OWFiY2RlZg=="}]}`},
	} {
		if err := set(c.name, c.protocol, c.settings); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ protocol, settings, owner string }{
		{"forward-auth", `{"hosts":["portal.test"]}`, "portal"},
		{"forward-auth", `{"hosts":["new.test","Portal.TEST."]}`, "portal"},
		{"forward-auth", `{"hosts":["*.apps.test"]}`, "portal"},
		{"forward-auth", `{"hosts":["wiki.apps.test"]}`, "portal"},
		{"radius", radius("10.0.0.0/24", ""), "gate"},
		{"radius", radius("10.0.0.5", ""), "gate"},
		{"radius", radius("10.0.0.0/16", ""), "gate"},
		{"yubico", `{"clients":[{"name":"b","id":7,"key":"MDEyMzQ1Njc4OWFiY2RlZg=="}]}`, "keys"},
	} {
		err := set("mallory", c.protocol, c.settings)
		if failure.ClassOf(err) != failure.Conflict || !strings.Contains(failure.Public(err), c.owner) {
			t.Errorf("%s: %v", c.settings, err)
		}
	}
	for _, c := range []struct {
		protocol, settings string
		over               []string
	}{
		{"forward-auth", `{"hosts":["wiki.apps.test"]}`, []string{"portal"}},
		{"forward-auth", `{"hosts":["wiki.apps.test","more.test"]}`, nil}, // what stands already stays
		{"radius", radius("10.0.0.5", ""), []string{"gate"}},
		{"radius", radius("10.0.1.0/24", ""), nil},
		{"radius", radius("10.0.0.0/24", `,"nas_identifiers":["door"]`), nil},
	} {
		if err := set("second", c.protocol, c.settings, c.over...); err != nil {
			t.Errorf("%s over %v: %v", c.settings, c.over, err)
		}
	}
}

package rooms_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"countersign/internal/rooms"
)

// Every way in which the sources write an event is found, and nothing that only looks
// like one.
func TestEvents(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"ARCHITECTURE.md": small,
		"internal/a/a.go": `package a
type entry struct{ Event, Action string }
const seenEvent = "a.seen"
const made = "a.made"
func record(who int, event string) entry { return entry{Event: event, Action: "no.action"} }
func eventOf(n int) string { if n > 0 { return "a.returned" }; return "b.returned" }
func use(what string) {
	record(1, "a.passed")
	event := "a.variable"
	e := entry{Event: "a.literal"}
	e.Event, e.Action = "a.assigned", "no.assigned"
	e.Event = "a.begun-" + what
	e.Event = "a." + what
	_, _ = entry{Event: made}, event
}
`,
		"internal/a/a_test.go": "package a\nconst testEvent = \"no.test\"\n",
		"internal/try/try.go":  "package try\nconst triedEvent = \"no.tried\"\n",
		"cmd/k/k.go":           "package main\nvar x = struct{ Event string }{Event: \"k.main\"}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := rooms.Events(folder)
	want := []string{"a.", "a.assigned", "a.begun-", "a.literal", "a.made", "a.passed", "a.returned", "a.seen", "a.variable", "b.returned", "k.main"}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("found %q, %v", found, err)
	}
}

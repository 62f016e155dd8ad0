package application

import (
	"strings"
	"testing"
)

// What cannot be heard is told with the setting that mends it, and nothing else is.
func TestUnheard(t *testing.T) {
	deaf := func(protocol string) bool { return protocol == "radius" }
	if got := unheard(deaf, "radius"); !strings.Contains(got, "set radius.listen") {
		t.Errorf("an application that nobody listens for: %q", got)
	}
	if got := unheard(deaf, "forward-auth") + unheard(nil, "radius"); got != "" {
		t.Errorf("one that is heard: %q", got)
	}
}

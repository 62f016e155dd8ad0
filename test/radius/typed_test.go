package radius

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// The promise: what equipment adds to what somebody types keeps nobody out, and the State of
// one person stays theirs, by radclient.
func TestWhatEquipmentAdds(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	w.LoginHost(true)
	ask := func(name, octets, state string) string {
		lines := "User-Name = \"" + name + "\"\nUser-Password = \"" + octets + "\"\nMessage-Authenticator = 0x00\n" + state
		c := exec.Command("radclient", "-x", w.Radius, "auth", servertest.PamSecret)
		c.Stdin = strings.NewReader(lines)
		out, _ := c.CombinedOutput() // it exits 1 for what is no Accept
		return string(out)
	}
	out := ask("ada", servertest.Passphrase+`\r\n`, "")
	state := regexp.MustCompile(`State = 0x[0-9a-f]+`).FindString(out)
	if !strings.Contains(out, "Access-Challenge") || state == "" {
		t.Fatalf("the password with the end of a line:\n%s", out)
	}
	code := ada.Code()
	if out = ask("bob", code, state); !strings.Contains(out, "Access-Reject") {
		t.Errorf("somebody else with her State:\n%s", out)
	}
	if out = ask("ADA", code+`\r\n`, state); !strings.Contains(out, "Received Access-Accept") {
		t.Errorf("the code with the end of a line, the name in capitals:\n%s", out)
	}
}

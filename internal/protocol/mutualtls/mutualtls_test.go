package mutualtls

import (
	"crypto/tls"
	"testing"
	"time"
)

// A PIN is typed while the handshake waits, which net/http ends after the shortest
// of these.
func TestThereIsTimeForAPIN(t *testing.T) {
	s := New(Parts{}).Server(&tls.Config{})
	for name, d := range map[string]time.Duration{"header": s.ReadHeaderTimeout, "read": s.ReadTimeout, "write": s.WriteTimeout} {
		if d < time.Minute || d > 5*time.Minute {
			t.Errorf("%s: %s", name, d)
		}
	}
}

package wire

import "testing"

func FuzzReply(f *testing.F) {
	f.Add([]byte{2, 1, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	packet := ask{name: "ada", password: "secret", secret: "shared"}.packet()
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parse(b, packet, "shared"); err == nil && r.code != silence && len(b) < 20 {
			t.Error("a short answer was believed")
		}
	})
}

//go:build !race

package packet_test

import (
	"testing"

	"countersign/internal/protocol/radius/packet"
)

// Not with the race detector: its sync.Pool forgets at random, so that what is not
// shared is found.

func TestRoundTripAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, packet.MaxLength)
	status := named(t, "status").Bytes()
	telnet := named(t, "telnet")
	hidden, _ := telnet.Get(packet.UserPassword)
	var room [128]byte
	n := testing.AllocsPerRun(1000, func() {
		p, err := packet.Parse(status)
		if err != nil || !xyzzy.VerifyRequest(p) {
			t.Fatal("does not verify")
		}
		if _, err := xyzzy.Reveal(room[:0], hidden, telnet.Authenticator()); err != nil {
			t.Fatal(err)
		}
		d := packet.Start(buf, packet.AccessAccept, p.Identifier())
		d.AddText(packet.ReplyMessage, "Welcome")
		d.AddAll(p, packet.ProxyState)
		if _, err := d.Reply(xyzzy, p.Authenticator()); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations for a request and its reply", n)
	}
}

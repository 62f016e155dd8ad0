package wire

import (
	"context"
	"crypto/md5"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/drill"
)

// answering is a RADIUS server that rejects everything, under a secret, whatever the
// request was written with.
func answering(t *testing.T, secret string) Radius {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := l.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 20 {
				continue
			}
			reply := append([]byte{accessReject, b[1], 0, 20}, b[4:20]...)
			sum := md5.Sum(append(slices.Clone(reply), secret...))
			l.WriteTo(append(reply[:4], sum[:]...), from)
		}
	}()
	return Radius{Address: l.LocalAddr().String(), Secret: "shared"}
}

func play(s Radius) *drill.Play {
	return &drill.Play{Stage: drill.Stage{Components: []drill.Component{s.Component()}, Patience: time.Second}, Canary: &drill.Canary{Name: "canary", Password: "secret"}}
}

func find(t *testing.T, tries []drill.Try, name string) drill.Try {
	t.Helper()
	for _, try := range tries {
		if try.Name == name {
			return try
		}
	}
	t.Fatalf("%q was not tried: %+v", name, tries)
	return drill.Try{}
}

// A server that answers a client whose secret it does not know is caught, though its
// answer cannot be verified; and so is one that asks for no Message-Authenticator.
func TestAnswersToStrangersAreCaught(t *testing.T) {
	s := answering(t, "shared")
	p := play(s)
	tries, err := p.Move(t.Context(), drill.MadeUp, p.Canary)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a client with another secret is answered", "a request without Message-Authenticator is answered"} {
		if try := find(t, tries, name); !try.Open || try.Error != "" {
			t.Errorf("%+v", try)
		}
	}
	if try := find(t, tries, "the password alone"); try.Open || try.Error != "" {
		t.Errorf("a rejection is a rejection: %+v", try)
	}
}

// A wrong secret of the drill's own, or an attacker's address that is not this machine's,
// is an error and no closed door.
func TestErrorsAreNotShut(t *testing.T) {
	p := play(answering(t, "another"))
	if try := find(t, p.Guess(t.Context(), "canary", "secret"), "RADIUS with the password"); !strings.Contains(try.Error, "shared secret differs") {
		t.Errorf("under a wrong secret: %+v", try)
	}
	p = play(answering(t, "shared"))
	p.From = netip.MustParseAddr("192.0.2.1")
	for _, try := range p.Guess(t.Context(), "canary", "secret") {
		if try.Error == "" || try.Open {
			t.Errorf("from an address that is not ours: %+v", try)
		}
	}
	p.Down = true
	for _, try := range p.Guess(context.Background(), "canary", "secret") {
		if try.Error != "" || try.Detail == "" {
			t.Errorf("while Countersign is stopped: %+v", try)
		}
	}
}

// A shipped secret that the server does not have is refuted by an answer under its own.
func TestShippedSecretsAreRefuted(t *testing.T) {
	for secret, open := range map[string]bool{"shared": false, "testing123": true} {
		p := play(answering(t, secret))
		tries, err := p.Move(t.Context(), drill.ShippedSecrets, p.Canary)
		if try := find(t, tries, "RADIUS with the shared secret testing123"); err != nil || try.Open != open || try.Error != "" {
			t.Errorf("%s: %+v %v", secret, try, err)
		}
	}
}

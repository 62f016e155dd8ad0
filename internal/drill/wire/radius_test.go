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
func answering(t *testing.T, secret string) Radius { return always(t, secret, accessReject) }

// always is a RADIUS server that has one answer to everything.
func always(t *testing.T, secret string, code byte) Radius {
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
			reply := append([]byte{code, b[1], 0, 20}, b[4:20]...)
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
// answer cannot be verified; and so is one that asks for no Message-Authenticator, or takes
// a wrong one.
func TestAnswersToStrangersAreCaught(t *testing.T) {
	s := answering(t, "shared")
	p := play(s)
	for _, try := range (forger{s}).strangers(t.Context(), p, p.Canary) {
		if !try.Open || try.Error != "" {
			t.Errorf("%+v", try)
		}
	}
	if try := find(t, (forger{s}).typed(t.Context(), p, p.Canary), "RADIUS, the password alone"); try.Open || try.Error != "" {
		t.Errorf("a rejection is a rejection: %+v", try)
	}
}

// An answer that is owed and does not come is an error and no closed door; one that is not
// owed is silence.
func TestSilenceIsNotShut(t *testing.T) {
	s := Radius{Address: "127.0.0.1:9", Secret: "shared"} // where nothing listens
	p := play(s)
	for _, try := range p.Guess(t.Context(), "canary", "secret") {
		if try.Open || !strings.Contains(try.Error, "no answer") {
			t.Errorf("%+v", try)
		}
	}
	for _, try := range (forger{s}).strangers(t.Context(), p, p.Canary) {
		if try.Open || try.Error != "" {
			t.Errorf("%+v", try)
		}
	}
}

// Each mode has its own lines, and where the equipment checks the password, whoever has that
// alone has nothing to send.
func TestLinesOfEachMode(t *testing.T) {
	for _, x := range []struct {
		s    Radius
		want []string
	}{
		{Radius{}, []string{"secret", "123456"}},
		{Radius{Mode: Challenge}, []string{"secret", "123456"}},
		{Radius{Mode: Appended}, []string{"secret123456"}},
		{Radius{Mode: Appended, Separator: ","}, []string{"secret,123456"}},
		{Radius{Mode: CodeOnly}, []string{"123456"}},
		{Radius{Mode: Wait}, []string{"secret"}},
	} {
		if got := x.s.lines("secret", "123456"); !slices.Equal(got, x.want) {
			t.Errorf("%s: %q", x.s.Mode, got)
		}
	}
	if c := (Radius{Mode: CodeOnly}).Component(); len(c.Doors) != 0 || c.Enter == nil {
		t.Error("code-only has a door for passwords, or none for owners")
	}
	if got := (Radius{CodeDigits: 8}).guessed(2); len(got) != 8 {
		t.Error(got)
	}
}

// A wrong secret of the drill's own, or an attacker's address that is not this machine's,
// is an error and no closed door.
func TestErrorsAreNotShut(t *testing.T) {
	p := play(answering(t, "another"))
	if try := find(t, p.Guess(t.Context(), "canary", "secret"), "RADIUS, the password"); !strings.Contains(try.Error, "shared secret differs") {
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
		tries := p.Move(t.Context(), drill.ShippedSecrets, p.Canary)
		if try := find(t, tries, "RADIUS with the shared secret testing123"); try.Open != open || try.Error != "" {
			t.Errorf("%s: %+v", secret, try)
		}
	}
}

// What cannot be attacked is found before the attack, and how to mend it.
func TestCheck(t *testing.T) {
	if err := answering(t, "shared").check(t.Context()); err != nil {
		t.Error(err)
	}
	other := answering(t, "another")
	other.Application = "vpn"
	if err := other.check(t.Context()); err == nil || !strings.Contains(err.Error(), "RADIUS for vpn") || !strings.Contains(err.Error(), "secret differs") {
		t.Error(err)
	}
	if err := (Radius{Address: "127.0.0.1:9", Secret: "shared"}).check(t.Context()); err == nil || !strings.Contains(err.Error(), "make this machine's address a client") {
		t.Error(err)
	}
}

// What a slow machine may look at besides is what the pauses between wrong codes allow.
func TestMore(t *testing.T) {
	for taken, want := range map[time.Duration]int{0: 0, 29 * time.Second: 0, 30 * time.Second: 1, 89 * time.Second: 1, 90 * time.Second: 2, 210 * time.Second: 3} {
		if got := more(taken); got != want {
			t.Errorf("%s: %d", taken, got)
		}
	}
}

// patient is a bed whose clock can be moved, and nothing else.
type patient struct{ drill.Bed }

func (patient) Later(time.Duration) {}

// Where a wrong code is accepted there is nothing left to guess: the attack ends, and got through.
func TestGuessingEndsWithWhatIsAccepted(t *testing.T) {
	s := always(t, "shared", accessAccept)
	p := play(s)
	p.Bed = patient{}
	p.Canary.Seed([]byte("12345678901234567890"))
	try := (&guesser{s: guesses{s}, p: p, of: p.Canary}).patiently(t.Context())
	if !try.Open || !strings.Contains(try.Name, "after 1 wrong codes") {
		t.Errorf("a server that accepts every code: %+v", try)
	}
}

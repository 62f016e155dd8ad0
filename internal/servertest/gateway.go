package servertest

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"os/exec"
	"time"

	"countersign/internal/protocol/radius/packet"
	"countersign/internal/testbed"
)

// Gateway is equipment that asks by RADIUS over UDP, in this process and without
// a word of our server's code but the packet's format.
type Gateway struct {
	Address, Secret string
	Asked           func() // is told of each request that was sent
}

// Ask sends one Access-Request and waits for its answer, or until ctx ends: then
// nobody knows what became of it. A gateway never sends it again here.
func (g Gateway) Ask(ctx context.Context, name, typed string, state []byte) (code packet.Code, next []byte, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", g.Address)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	secret := packet.NewSecret([]byte(g.Secret))
	var authenticator [16]byte
	rand.Read(authenticator[:])
	d := packet.Start(nil, packet.AccessRequest, authenticator[0])
	d.Add(packet.UserName, []byte(name))
	d.Hide(secret, []byte(typed), authenticator)
	if state != nil {
		d.Add(packet.State, state)
	}
	octets, err := d.Request(secret, authenticator)
	if err != nil {
		return 0, nil, err
	}
	if _, err := conn.Write(octets); err != nil {
		return 0, nil, err
	}
	if g.Asked != nil {
		g.Asked()
	}
	answer := make([]byte, packet.MaxLength)
	// Silence is an answer: equipment gives up on it and asks again. It is what a
	// request comes to that waits too long for its hash.
	if err := conn.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
		return 0, nil, err
	}
	n, err := conn.Read(answer)
	if err != nil {
		return 0, nil, err
	}
	p, err := packet.Parse(answer[:n])
	if err != nil {
		return 0, nil, err
	}
	if !testbed.AnswersRADIUS(p.Bytes(), g.Secret, authenticator) {
		return 0, nil, errors.New("an answer that is not the server's")
	}
	next, _ = p.Get(packet.State)
	return p.Code(), next, nil
}

// Outcome is what a client knows of one sign-in.
type Outcome int

const (
	Refused Outcome = iota
	Accepted
	Unknown // no answer came
)

// SignIn types the password, and at the challenge the code that press gives; it
// returns the code, empty when it came to none.
func (g Gateway) SignIn(ctx context.Context, name string, press func() string) (code string, o Outcome) {
	c, state, err := g.Ask(ctx, name, Passphrase, nil)
	if err != nil || c != packet.AccessChallenge {
		return "", Refused
	}
	code = press()
	return code, g.Answer(ctx, name, code, state)
}

// Answer types a code at a challenge.
func (g Gateway) Answer(ctx context.Context, name, code string, state []byte) Outcome {
	switch c, _, err := g.Ask(ctx, name, code, state); {
	case err != nil:
		return Unknown
	case c == packet.AccessAccept:
		return Accepted
	}
	return Refused
}

func AsCountersign(args []string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append([]string{AsProgram + "=1", "PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}, env...)
	return cmd
}

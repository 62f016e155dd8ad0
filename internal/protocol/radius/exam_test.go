package radius_test

import (
	"testing"
	"time"

	"countersign/internal/protocol/radius/packet"
	"countersign/internal/protocol/wireexam"
	"countersign/internal/signin"
	"countersign/internal/testbed"
)

// wire is the exam's view of RADIUS.
type wire struct{ *rig }

func (w wire) First(name, typed string) []byte { return newRequest(name, typed).octets() }

func (w wire) Next(challenge []byte, name, typed string) []byte {
	p, err := packet.Parse(challenge)
	if err != nil {
		panic(err)
	}
	state, _ := p.Get(packet.State)
	return newRequest(name, typed).with(packet.State, string(state)).octets()
}

func (w wire) Read(request, reply []byte) (signin.State, bool) {
	p, err := packet.Parse(reply)
	if err != nil || p.Identifier() != request[1] || !testbed.AnswersRADIUS(p.Bytes(), key, [16]byte(request[4:20])) {
		return signin.Denied, false
	}
	switch p.Code() {
	case packet.AccessAccept:
		return signin.Granted, true
	case packet.AccessChallenge:
		return signin.Ask, true
	}
	return signin.Denied, true
}

func (w wire) Dial(t *testing.T) wireexam.Line { return line{dial(t, w.address)} }

type line struct{ nas }

func (l line) Send(message []byte) error {
	_, err := l.Write(message)
	return err
}

func (l line) Receive(patience time.Duration) ([]byte, error) {
	buf := make([]byte, packet.MaxLength)
	_ = l.SetReadDeadline(time.Now().Add(patience))
	n, err := l.Read(buf)
	return buf[:n], err
}

func TestWireExam(t *testing.T) {
	wireexam.Run(t, wireexam.Exam{
		Granted: granted(), Repeats: true, Sealed: true,
		Start: func(t *testing.T, engine *wireexam.Engine, waits bool) (wireexam.Wire, func()) {
			mode := "challenge"
			if waits {
				mode = "wait"
			}
			r := start(t, engine, settings(`"mode":"`+mode+`","timeout":2`))
			return wire{r}, r.stop
		},
	})
}

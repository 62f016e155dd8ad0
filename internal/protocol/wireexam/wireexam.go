// Package wireexam is the exam of duplicates, replays, timeouts and noise that
// every wire protocol sits.
//
// It owns the questions and an engine that counts, stalls and breaks on demand.
// It knows no protocol: each hands in a [Wire] that renders and reads its own
// messages. Only tests import it. Its one invariant: whatever a wire does to a
// request, the engine decides it as often as it was really asked.
package wireexam

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/signin"
)

// Wire is a protocol's client side, in octets.
type Wire interface {
	// First renders a first request: who they say they are and what they typed.
	// No two are alike.
	First(name, typed string) []byte
	// Next renders the answer to a challenge.
	Next(challenge []byte, name, typed string) []byte
	// Read says what a reply means, and false when it does not answer this
	// request or does not verify.
	Read(request, reply []byte) (signin.State, bool)
	// Dial opens a line from an address of its own, closed when the test ends.
	Dial(t *testing.T) Line
}

// Line carries messages both ways.
type Line interface {
	Send(message []byte) error
	// Receive waits for one message, for this long at most.
	Receive(patience time.Duration) ([]byte, error)
}

// Exam is what a protocol brings.
type Exam struct {
	// Start serves on this engine until stop is called, and no later than the
	// test's end. It asks in turn, or, when so told, waits for what happens
	// elsewhere: for two seconds at most.
	Start func(t *testing.T, engine *Engine, waits bool) (wire Wire, stop func())
	// Granted is a Step of State Granted. Only signin can make one, so it is the
	// protocol's tests that know how to get one.
	Granted signin.Step
	// Repeats says that the same octets on the same line are the same request,
	// as datagrams are; else they are another request.
	Repeats bool
	// Sealed says that a request carries a proof of its own integrity, so that
	// any changed octet must be refused.
	Sealed bool
}

// patience is how long a reply may take before the exam is failed. It is never
// waited for when all is well.
const patience = 20 * time.Second

// Run sits the exam.
func Run(t *testing.T, e Exam) {
	t.Run("an honest sign-in", e.honest)
	t.Run("a challenge and its answer", e.challenge)
	t.Run("a repeated request gets the same reply", e.repeated)
	t.Run("a request repeated while it is decided", e.repeatedInFlight)
	t.Run("a request replayed from elsewhere is another request", e.replayed)
	t.Run("a breakdown grants nothing", e.breakdown)
	t.Run("a panic grants nothing and ends nothing", e.panics)
	t.Run("approved while waiting", e.approved)
	t.Run("waiting ends without a grant", e.waitingEnds)
	t.Run("64 at once", e.manyAtOnce)
	t.Run("noise", e.noise)
	t.Run("stopped in flight", e.stopped)
}

// sitting is one question of the exam being answered.
type sitting struct {
	*testing.T
	Wire
	engine *Engine
	stop   func()
}

func (e Exam) sit(t *testing.T, waits bool) *sitting {
	t.Helper()
	s := &sitting{T: t, engine: &Engine{granted: e.Granted}}
	s.Wire, s.stop = e.Start(t, s.engine, waits)
	return s
}

// await returns the reply to this request, whatever else comes first.
func (s *sitting) await(l Line, request []byte) (signin.State, []byte) {
	s.Helper()
	for {
		reply, err := l.Receive(patience)
		if err != nil {
			s.Fatalf("no reply: %v", err)
		}
		if state, ok := s.Read(request, reply); ok {
			return state, reply
		}
	}
}

func (s *sitting) send(l Line, message []byte) {
	s.Helper()
	if err := l.Send(message); err != nil {
		s.Fatalf("send: %v", err)
	}
}

func (s *sitting) want(l Line, request []byte, want signin.State) []byte {
	s.Helper()
	s.send(l, request)
	got, reply := s.await(l, request)
	if got != want {
		s.Fatalf("reply is %v, want %v", got, want)
	}
	return reply
}

func (e Exam) honest(t *testing.T) {
	s := e.sit(t, false)
	l := s.Dial(t)
	s.engine.plan(Grant)
	s.want(l, s.First("ada", "right"), signin.Granted)
	s.engine.plan(Deny)
	s.want(l, s.First("ada", "wrong"), signin.Denied)
	if got := s.engine.names(); fmt.Sprint(got) != "[ada ada]" {
		t.Errorf("the engine was asked about %q", got)
	}
}

func (e Exam) challenge(t *testing.T) {
	s := e.sit(t, false)
	l := s.Dial(t)
	s.engine.plan(Challenge, Grant)
	challenge := s.want(l, s.First("ada", "password"), signin.Ask)
	answer := s.Next(challenge, "ada", "492039")
	s.want(l, answer, signin.Granted)
	if got := s.engine.answers(); len(got) != 1 || got[0].ticket != ticket || got[0].text != "492039" {
		t.Errorf("the engine was answered %+v", got)
	}
	if e.Repeats {
		s.want(l, answer, signin.Granted)
		if n := len(s.engine.answers()); n != 1 {
			t.Errorf("a repeated answer was handed on: %d answers", n)
		}
	}
}

func (e Exam) repeated(t *testing.T) {
	if !e.Repeats {
		return
	}
	s := e.sit(t, false)
	l := s.Dial(t)
	s.engine.plan(Grant, Deny, Challenge, Deny)
	for _, want := range []signin.State{signin.Granted, signin.Denied, signin.Ask} {
		request := s.First("ada", "typed")
		before := s.want(l, request, want)
		for range 3 {
			if again := s.want(l, request, want); !bytes.Equal(before, again) {
				t.Errorf("the reply changed from %x to %x", before, again)
			}
		}
	}
	if n := s.engine.decisions(); n != 3 {
		t.Errorf("%d decisions for 3 requests", n)
	}
}

func (e Exam) repeatedInFlight(t *testing.T) {
	if !e.Repeats {
		return
	}
	s := e.sit(t, false)
	l := s.Dial(t)
	s.engine.plan(Grant, Deny, Deny)
	entered, release := s.engine.stall()
	request := s.First("ada", "typed")
	for range 8 {
		s.send(l, request)
	}
	<-entered
	for range 8 {
		s.send(l, request)
	}
	release()
	if got, _ := s.await(l, request); got != signin.Granted {
		t.Errorf("reply is %v", got)
	}
	s.want(l, request, signin.Granted)
	if n := s.engine.decisions(); n != 1 {
		t.Errorf("%d decisions for one request", n)
	}
}

func (e Exam) replayed(t *testing.T) {
	s := e.sit(t, false)
	s.engine.plan(Grant, Deny)
	request := s.First("ada", "once")
	s.want(s.Dial(t), request, signin.Granted)
	// Whoever recorded it has no claim to the reply that was remembered.
	s.want(s.Dial(t), request, signin.Denied)
	if n := s.engine.decisions(); n != 2 {
		t.Errorf("%d decisions for two requests", n)
	}
}

// never fails when anything but the awaited reply grants.
func (s *sitting) never(l Line, requests [][]byte, until []byte) {
	s.Helper()
	for {
		reply, err := l.Receive(patience)
		if err != nil {
			s.Fatalf("no reply: %v", err)
		}
		for _, r := range requests {
			if state, ok := s.Read(r, reply); ok && state != signin.Denied {
				s.Errorf("a reply of %v to what must not have one", state)
			}
		}
		if _, ok := s.Read(until, reply); ok {
			return
		}
	}
}

func (e Exam) breakdown(t *testing.T) {
	s := e.sit(t, false)
	l := s.Dial(t)
	broken := s.First("ada", "right")
	s.engine.plan(Break)
	s.send(l, broken)
	s.engine.settled(1)
	s.engine.plan(Grant)
	probe := s.First("bob", "right")
	if e.Repeats {
		s.send(l, broken) // what was silent once stays so
		s.send(l, probe)
		s.never(l, [][]byte{broken}, probe)
		return
	}
	if reply, err := l.Receive(patience); err == nil { // else the line is gone
		if state, ok := s.Read(broken, reply); ok && state != signin.Denied {
			t.Errorf("a breakdown became %v", state)
		}
	}
	s.want(s.Dial(t), probe, signin.Granted)
}

func (e Exam) panics(t *testing.T) {
	s := e.sit(t, false)
	l := s.Dial(t)
	s.engine.plan(Panic)
	s.send(l, s.First("ada", "right"))
	s.engine.settled(1)
	s.engine.plan(Grant)
	s.want(s.Dial(t), s.First("bob", "right"), signin.Granted)
}

func (e Exam) approved(t *testing.T) {
	s := e.sit(t, true)
	l := s.Dial(t)
	s.engine.plan(Hold)
	request := s.First("waiter", "password")
	s.send(l, request)
	s.engine.looked(1)
	s.send(l, request)
	s.engine.approve()
	if got, _ := s.await(l, request); got != signin.Granted {
		t.Errorf("reply is %v", got)
	}
	if n := s.engine.decisions(); e.Repeats && n != 1 {
		t.Errorf("%d decisions for one request: a second push", n)
	}
}

func (e Exam) waitingEnds(t *testing.T) {
	s := e.sit(t, true)
	l := s.Dial(t)
	s.engine.plan(Hold)
	request := s.First("waiter", "password")
	s.want(l, request, signin.Denied)
	s.engine.approve() // too late
	if e.Repeats {
		s.want(l, request, signin.Denied)
	}
}

func (e Exam) manyAtOnce(t *testing.T) {
	s := e.sit(t, false)
	const many = 64
	s.engine.plan(Grant)
	var all sync.WaitGroup
	for i := range many {
		l := s.Dial(t)
		request := s.First(fmt.Sprint("person", i), "right")
		all.Go(func() {
			if err := l.Send(request); err != nil {
				t.Error(err)
				return
			}
			reply, err := l.Receive(patience)
			if err != nil {
				t.Error(err)
				return
			}
			if state, ok := s.Read(request, reply); !ok || state != signin.Granted {
				t.Errorf("reply is %v, %v", state, ok)
			}
		})
	}
	all.Wait()
	if n := s.engine.decisions(); n != many {
		t.Errorf("%d decisions for %d requests", n, many)
	}
}

func (e Exam) noise(t *testing.T) {
	s := e.sit(t, false)
	random := rand.New(rand.NewPCG(5, 6))
	s.engine.plan(Deny)
	l := s.Dial(t)
	for range 3000 {
		request := s.First("ada", "typed")
		for range 1 + random.IntN(4) {
			request[random.IntN(len(request))] ^= byte(1 + random.IntN(255))
		}
		if random.IntN(4) == 0 {
			request = request[:random.IntN(len(request))]
		}
		if !e.Repeats {
			l = s.Dial(t)
		}
		_ = l.Send(request) // a server may hang up on noise
	}
	s.engine.plan(Grant)
	s.want(s.Dial(t), s.First("bob", "right"), signin.Granted)
	if n := s.engine.decisions(); e.Sealed && n != 1 {
		t.Errorf("%d decisions on noise", n-1)
	}
}

func (e Exam) stopped(t *testing.T) {
	s := e.sit(t, false)
	l := s.Dial(t)
	s.engine.plan(Grant)
	entered, release := s.engine.stall()
	request := s.First("ada", "right")
	s.send(l, request)
	<-entered
	gone := make(chan struct{})
	go func() { s.stop(); close(gone) }()
	release()
	if got, _ := s.await(l, request); got != signin.Granted {
		t.Errorf("reply is %v", got)
	}
	<-gone
}

// ticket is what the exam's engine hands out; it must come back as it is.
const ticket = "c2l4dGVlbi1vY3RldHMtb25l.1"

func promptFor(kind prompt.Kind) []prompt.Prompt {
	return []prompt.Prompt{{Authenticator: "totp", Kind: kind, Label: "Code from your authenticator app", Digits: 6}}
}

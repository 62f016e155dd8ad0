package wireexam

import (
	"context"
	"errors"
	"sync"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/signin"
)

// Act is what the exam's engine does with one request.
type Act int

const (
	// Deny is the zero Act.
	Deny Act = iota
	Grant
	// Challenge asks for a code.
	Challenge
	// Hold waits until approved.
	Hold
	// Break is an error.
	Break
	// Panic is a bug.
	Panic
)

// Engine decides as the exam plans. It is safe for concurrent use.
type Engine struct {
	granted signin.Step

	mu       sync.Mutex
	changed  *sync.Cond
	acts     []Act
	begun    []signin.Request
	answered []answer
	looks    int
	ended    int
	approval bool
	entered  chan struct{}
	released chan struct{}
}

type answer struct{ ticket, text string }

// plan says what to do next: the acts in turn, the last one again and again.
func (e *Engine) plan(acts ...Act) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.acts = acts
}

// stall holds the next request up until release is called; entered is closed
// when it is there.
func (e *Engine) stall() (entered <-chan struct{}, release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.entered, e.released = make(chan struct{}), make(chan struct{})
	released := e.released
	return e.entered, func() { close(released) }
}

func (e *Engine) approve() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.approval = true
}

func (e *Engine) names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, r := range e.begun {
		out = append(out, r.Name)
	}
	return out
}

func (e *Engine) answers() []answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]answer(nil), e.answered...)
}

func (e *Engine) decisions() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.begun)
}

// settled waits until this many calls have returned.
func (e *Engine) settled(n int) { e.until(func() bool { return e.ended >= n }) }

// looked waits until somebody looked this often.
func (e *Engine) looked(n int) { e.until(func() bool { return e.looks >= n }) }

func (e *Engine) until(reached func() bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for !reached() {
		e.cond().Wait()
	}
}

func (e *Engine) cond() *sync.Cond {
	if e.changed == nil {
		e.changed = sync.NewCond(&e.mu)
	}
	return e.changed
}

// Begin is signin's.
func (e *Engine) Begin(ctx context.Context, r signin.Request) (signin.Step, error) {
	e.mu.Lock()
	e.begun = append(e.begun, r)
	act, entered, released := e.next(), e.entered, e.released
	e.entered = nil
	e.mu.Unlock()
	defer e.end()
	if entered != nil {
		close(entered)
		<-released
	}
	return e.step(act)
}

// Answer is signin's.
func (e *Engine) Answer(ctx context.Context, ticket string, reply signin.Reply) (signin.Step, error) {
	e.mu.Lock()
	e.answered = append(e.answered, answer{ticket, reply.Answer.Text})
	act := e.next()
	e.mu.Unlock()
	defer e.end()
	return e.step(act)
}

// Names is signin's: whoever comes back is the same.
func (e *Engine) Names(context.Context, string, string) error { return nil }

// Poll is signin's.
func (e *Engine) Poll(ctx context.Context, ticket string) (signin.Step, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looks++
	e.cond().Broadcast()
	if e.approval {
		return e.granted, nil
	}
	return waiting(), nil
}

func (e *Engine) next() Act {
	if len(e.acts) == 0 {
		return Deny
	}
	act := e.acts[0]
	if len(e.acts) > 1 {
		e.acts = e.acts[1:]
	}
	return act
}

func (e *Engine) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended++
	e.cond().Broadcast()
}

func (e *Engine) step(act Act) (signin.Step, error) {
	switch act {
	case Grant:
		return e.granted, nil
	case Challenge:
		return signin.Step{State: signin.Ask, Prompts: promptFor(prompt.Code), Ticket: ticket, Deadline: time.Now().Add(time.Minute)}, nil
	case Hold:
		return waiting(), nil
	case Break:
		// A step that comes with an error means nothing, whatever it says.
		return e.granted, errors.New("wireexam: a breakdown")
	case Panic:
		panic("wireexam: a bug")
	}
	return signin.Step{State: signin.Denied, Public: "That did not work.", Reason: "wrong"}, nil
}

func waiting() signin.Step {
	return signin.Step{State: signin.Wait, Prompts: promptFor(prompt.OutOfBand), Ticket: ticket, Deadline: time.Now().Add(time.Minute)}
}

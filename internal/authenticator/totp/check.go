package totp

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/typed"
	"countersign/internal/prompt"
)

// Reasons of a refusal, as the audit log words them.
const (
	reasonMalformed = "malformed"
	reasonWrong     = "wrong"
	reasonReplayed  = "replayed"
	reasonStale     = "stale" // a right code of another time; the Detail says which
)

// staleSteps is how far around the present a refused code is looked for, only to
// tell the log how wrong a device's clock is.
const staleSteps = 20

// Check compares the typed code with the codes of all the credentials. Two codes
// in a row, with or without a space between them, are one better answer.
//
// After [Options.NextCode] failures one code alone is Partial, and only the code
// of the very next step completes it; then the steps on both sides of the
// device's clock are looked at, and the clock is learned anew.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	digits, ok := typed.Digits(answer.Text)
	if !ok {
		return authenticator.Wrong(reasonMalformed), nil
	}
	if len(credentials) == 0 {
		a.decoy.match(a.options, digits, 0, now)
		return authenticator.Wrong(reasonWrong), nil
	}
	best := finding{reason: reasonWrong}
	for _, c := range credentials {
		s, err := decodeState(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		f := s.match(a.options, digits, c.Failures, now)
		f.credential = c.ID
		if f.rank() > best.rank() {
			best = f
		}
	}
	return best.result()
}

// finding is what one key makes of an answer.
type finding struct {
	credential assurance.CredentialID
	step       int64 // positive when accepted
	partial    bool
	next       state
	reason     string // when not accepted
	detail     string
}

// rank orders what several keys make of one answer: a yes, then half of one,
// then the refusal that explains most.
func (f finding) rank() int {
	switch {
	case f.step > 0 && !f.partial:
		return 4
	case f.step > 0:
		return 3
	case f.reason == reasonReplayed:
		return 2
	case f.reason == reasonStale:
		return 1
	}
	return 0
}

func (f finding) result() (authenticator.Result, error) {
	if f.step <= 0 {
		return authenticator.Result{Reason: f.reason, Detail: f.detail}, nil
	}
	next, err := f.next.encode()
	if err != nil {
		return authenticator.Result{}, err
	}
	r := authenticator.Result{Credential: f.credential, Next: next, Once: once(f.step), Detail: f.detail}
	if f.partial {
		r.Partial, r.Reason = true, "second-code-wanted"
	} else {
		r.OK, r.Traits = true, assurance.Held
	}
	return r, nil
}

func once(step int64) string { return "t" + strconv.FormatInt(step, 10) }

// match judges an answer by one key. Where two steps of the window have the same
// code, the later one counts, so that the same digits are not right twice.
func (s state) match(o Options, digits string, failures int, now time.Time) finding {
	answer, ok := otp.Cut(digits, s.Key.Digits)
	if !ok {
		return finding{reason: reasonWrong}
	}
	demanded, present := failures >= o.NextCode, s.step(now)
	low, high := s.window(o.Window, present, demanded)
	_, last := s.Key.Find(answer, uint64(low), int(high-low+1))
	if last < 0 {
		return s.lookAround(answer, present)
	}
	at, two := low+int64(last), answer.Second != ""
	f := finding{step: at, next: s}
	f.next.Last, f.next.Half = at, 0
	switch {
	case at <= s.Last, two && at-1 <= s.Last && at-1 != s.Half:
		return finding{reason: reasonReplayed}
	case two, demanded && s.Half > 0 && at == s.Half+1:
		f.next.Drift = s.learn(at - present)
	case demanded:
		f.partial, f.next.Half = true, at
	case s.Drift == -1 && at >= present:
		f.next.Drift = 0 // a slow clock does not show the present code
	}
	if f.next.Drift != s.Drift {
		f.detail = fmt.Sprintf("the device's clock is now taken to be %+d steps off", f.next.Drift)
	}
	return f
}

// window returns the first and the last step that are accepted. A device that is
// one step slow is still believed when its clock was put right: the present step
// is within one of where its clock was.
func (s state) window(w Window, present int64, demanded bool) (low, high int64) {
	low, high = present+s.Drift, present+s.Drift
	if w == Previous || w == Either || demanded {
		low--
	}
	if w == Either || demanded {
		high++
	}
	if s.Drift == -1 {
		high = max(high, present)
	}
	return low, high
}

// lookAround explains a refusal to the log.
func (s state) lookAround(answer otp.Answer, present int64) finding {
	_, at := s.Key.Find(answer, uint64(present-staleSteps), 2*staleSteps+1)
	if at < 0 {
		return finding{reason: reasonWrong}
	}
	return finding{reason: reasonStale, detail: fmt.Sprintf("the code of %+d steps of %d seconds", at-staleSteps, s.Period)}
}

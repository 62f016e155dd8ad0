package totp

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/prompt"
)

// reasonStale is a right code of another time; the Detail says which.
const reasonStale = "stale"

// staleSteps is how far around the present a refused code is looked for, only to
// tell the log how wrong a device's clock is.
const staleSteps = 20

// Check compares the typed code with the codes of all the credentials. Two codes
// in a row, with or without a space between them, are one better answer: for it the
// steps on both sides of the device's clock are looked at, and the clock is learned
// anew, so that a device that is one step fast is believed from then on.
//
// After [Options.NextCode] failures one code alone is Partial, and only the code
// of the very next step completes it, with the same two sides.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	match := func(s state, digits string, failures int, explain bool) finding {
		o := a.options
		o.silent = !explain
		return s.match(o, digits, failures, now)
	}
	return otp.Judge[state]{Decode: decodeState, Match: match, Decoy: a.decoy, PIN: state.pin, Digits: state.digits, Passed: state.passed, Keys: a.options.PINs}.Check(credentials, answer)
}

func (s state) pin() *pin.Kept { return s.PIN }

func (s state) digits() int { return s.Key.Digits }

// passed is past the step that was found. Nothing is learned of the clock.
func (s state) passed(f finding) state {
	s.Last, s.Half = f.Next.Last, 0
	return s
}

// finding is what one key makes of an answer.
type finding = otp.Finding[state]

func refused(reason, detail string) finding { return otp.Refused[state](reason, detail) }

func once(step int64) string { return "t" + strconv.FormatInt(step, 10) }

// match judges an answer by one key. Where two steps of the window have the same
// code, the later one counts, so that the same digits are not right twice.
func (s state) match(o Options, digits string, failures int, now time.Time) finding {
	answer, ok := otp.Cut(digits, s.Key.Digits)
	if !ok {
		return refused(otp.Wrong, "")
	}
	demanded, present := failures >= o.NextCode, s.step(now)
	low, high := s.window(o.Window, present, demanded || answer.Second != "")
	_, last := s.Key.Find(answer, uint64(low), int(high-low+1))
	if last < 0 {
		if o.silent {
			return refused(otp.Wrong, "")
		}
		return s.lookAround(answer, present)
	}
	at, two := low+int64(last), answer.Second != ""
	f := finding{Accepted: true, Once: once(at), Next: s}
	f.Next.Last, f.Next.Half = at, 0
	switch {
	case at <= s.Last, two && at-1 <= s.Last && at-1 != s.Half:
		return refused(otp.Replayed, "")
	case two, demanded && s.Half > 0 && at == s.Half+1:
		f.Next.Drift = s.learn(at - present)
	case demanded:
		f.Partial, f.Next.Half = true, at
	case s.Drift == -1 && at >= present:
		f.Next.Drift = 0 // a slow clock does not show the present code
	}
	if f.Next.Drift != s.Drift {
		f.Detail = fmt.Sprintf("the device's clock is now taken to be %+d steps off", f.Next.Drift)
	}
	return f
}

// window returns the first and the last step that are accepted. A device that is
// one step slow is still believed when its clock was put right: the present step
// is within one of where its clock was.
func (s state) window(w Window, present int64, two bool) (low, high int64) {
	low, high = present+s.Drift, present+s.Drift
	if w == Previous || w == Either || two {
		low--
	}
	if w == Either || two {
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
		return refused(otp.Wrong, "")
	}
	return refused(reasonStale, fmt.Sprintf("the code of %+d steps of %d seconds", at-staleSteps, s.Period))
}

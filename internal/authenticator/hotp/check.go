package hotp

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
	reasonAhead     = "ahead" // a right code beyond the window; the Detail says how far
)

// Check compares the typed code with the codes of all the credentials. Two codes
// in a row, with or without a space between them, are one better answer, and the
// way back for a device that ran ahead of the window (RFC 4226 section 7.4).
//
// After [Options.NextCode] failures one code alone is Partial, and only the very
// next code of the device completes it. The counter does not move before that:
// whoever guesses a code far ahead must not be able to lock the owner out.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	digits, ok := typed.Digits(answer.Text)
	if !ok {
		return authenticator.Wrong(reasonMalformed), nil
	}
	if len(credentials) == 0 {
		a.decoy.match(a.options, digits, 0)
		return authenticator.Wrong(reasonWrong), nil
	}
	best := refused(reasonWrong, "")
	for _, c := range credentials {
		s, err := decodeState(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		f := s.match(a.options, digits, c.Failures)
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
	accepted   bool // wholly or as the first of two
	partial    bool
	counter    uint64 // when accepted
	next       state
	reason     string // when not accepted
	detail     string
}

func refused(reason, detail string) finding { return finding{reason: reason, detail: detail} }

// rank orders what several keys make of one answer: a yes, then half of one,
// then the refusal that explains most.
func (f finding) rank() int {
	switch {
	case f.accepted && !f.partial:
		return 4
	case f.accepted:
		return 3
	case f.reason == reasonReplayed:
		return 2
	case f.reason == reasonAhead:
		return 1
	}
	return 0
}

func (f finding) result() (authenticator.Result, error) {
	if !f.accepted {
		return authenticator.Result{Reason: f.reason, Detail: f.detail}, nil
	}
	next, err := f.next.encode()
	if err != nil {
		return authenticator.Result{}, err
	}
	r := authenticator.Result{Credential: f.credential, Next: next, Once: once(f.counter), Detail: f.detail}
	if f.partial {
		r.Partial, r.Reason = true, "second-code-wanted"
	} else {
		r.OK, r.Traits = true, assurance.Held
	}
	return r, nil
}

func once(counter uint64) string { return "c" + strconv.FormatUint(counter, 10) }

// match judges an answer by one key. Where two counters of a window have the same
// code, the later one counts, so that the same digits are not right twice.
func (s state) match(o Options, digits string, failures int) finding {
	answer, ok := otp.Cut(digits, s.Key.Digits)
	switch {
	case !ok:
		return refused(reasonWrong, "")
	case answer.Second != "":
		return s.two(o, answer)
	case failures >= o.NextCode:
		return s.oneOfTwo(o, answer)
	}
	at, ok := s.find(answer, s.Next, o.Window)
	switch {
	case !ok:
		return s.lookAround(o, answer)
	case at+1 == s.Wanted: // it was taken as the first of two
		return refused(reasonReplayed, "")
	}
	return s.accept(at)
}

// two judges two codes in a row. Neither may have been accepted before: a used
// one beside a guess would only be a guess.
func (s state) two(o Options, answer otp.Answer) finding {
	if at, ok := s.find(answer, s.Next+1, o.Resync); ok {
		return s.accept(at)
	}
	return s.lookAround(o, otp.Answer{First: answer.Second})
}

// oneOfTwo judges one code while two are demanded.
func (s state) oneOfTwo(o Options, answer otp.Answer) finding {
	if s.Wanted > 0 {
		if at, ok := s.find(answer, s.Wanted, 1); ok {
			return s.accept(at)
		}
	}
	at, ok := s.find(answer, s.Next, o.Resync)
	switch {
	case !ok:
		return s.lookAround(o, answer)
	case at+1 == s.Wanted:
		return refused(reasonReplayed, "")
	}
	f := finding{accepted: true, partial: true, counter: at, next: s}
	f.next.Wanted = at + 1
	return f
}

// find returns the last counter of n, from one on, at which the answer is right.
func (s state) find(answer otp.Answer, from uint64, n int) (uint64, bool) {
	_, last := s.Key.Find(answer, from, n)
	return from + uint64(max(last, 0)), last >= 0
}

// accept moves the counter past what was accepted.
func (s state) accept(at uint64) finding {
	f := finding{accepted: true, counter: at, next: s}
	f.next.Next, f.next.Wanted = at+1, 0
	if skipped := at - s.Next; skipped > 0 {
		f.detail = fmt.Sprintf("the device was %d codes ahead", skipped)
	}
	return f
}

// lookAround explains a refusal to the log: a code of the recent past, or one
// that is too far ahead.
func (s state) lookAround(o Options, answer otp.Answer) finding {
	back := min(s.Next, uint64(o.Resync))
	if at, ok := s.find(answer, s.Next-back, int(back)); ok {
		return refused(reasonReplayed, fmt.Sprintf("the code %d before the next one", s.Next-at))
	}
	if at, ok := s.find(answer, s.Next, o.Resync); ok {
		return refused(reasonAhead, fmt.Sprintf("the code %d after the next one", at-s.Next))
	}
	return refused(reasonWrong, "")
}

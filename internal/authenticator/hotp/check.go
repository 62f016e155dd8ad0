package hotp

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

// reasonAhead is a right code beyond the window; the Detail says how far.
const reasonAhead = "ahead"

// Check compares the typed code with the codes of all the credentials. Two codes
// in a row, with or without a space between them, are one better answer, and the
// way back for a device that ran ahead of the window (RFC 4226 section 7.4).
//
// After [Options.NextCode] failures one code alone is Partial, and only the very
// next code of the device completes it. The counter does not move before that:
// whoever guesses a code far ahead must not be able to lock the owner out.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	match := func(s state, digits string, failures int, explain bool) finding {
		o := a.options
		o.silent = !explain
		return s.match(o, digits, failures)
	}
	return otp.Judge[state]{Decode: decodeState, Match: match, Decoy: a.decoy, PIN: state.pin, Digits: state.digits, Passed: state.passed, Keys: a.options.PINs}.Check(credentials, answer)
}

func (s state) pin() *pin.Kept { return s.PIN }

func (s state) digits() int { return s.Key.Digits }

// passed is past the code that was found, also where it was the first of two and
// nothing would have moved: it was right and somebody may have seen it. That a
// guesser can move the counter so is no new way to lock the owner out: it takes a
// right code, and ten wrong ones disable the token anyway.
func (s state) passed(f finding) state {
	s.Next, s.Wanted = max(f.Next.Next, f.Next.Wanted), 0
	return s
}

// finding is what one key makes of an answer.
type finding = otp.Finding[state]

func refused(reason, detail string) finding { return otp.Refused[state](reason, detail) }

func once(counter uint64) string { return "c" + strconv.FormatUint(counter, 10) }

// match judges an answer by one key. Where two counters of a window have the same
// code, the later one counts, so that the same digits are not right twice.
func (s state) match(o Options, digits string, failures int) finding {
	answer, ok := otp.Cut(digits, s.Key.Digits)
	switch {
	case !ok:
		return refused(otp.Wrong, "")
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
		return refused(otp.Replayed, "")
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
		return refused(otp.Replayed, "")
	}
	f := finding{Accepted: true, Partial: true, Once: once(at), Next: s}
	f.Next.Wanted = at + 1
	return f
}

// find returns the last counter of n, from one on, at which the answer is right.
func (s state) find(answer otp.Answer, from uint64, n int) (uint64, bool) {
	_, last := s.Key.Find(answer, from, n)
	return from + uint64(max(last, 0)), last >= 0
}

// accept moves the counter past what was accepted.
func (s state) accept(at uint64) finding {
	f := finding{Accepted: true, Once: once(at), Next: s}
	f.Next.Next, f.Next.Wanted = at+1, 0
	if skipped := at - s.Next; skipped > 0 {
		f.Detail = fmt.Sprintf("the device was %d codes ahead", skipped)
	}
	return f
}

// lookAround explains a refusal to the log: a code of the recent past, or one
// that is too far ahead.
func (s state) lookAround(o Options, answer otp.Answer) finding {
	if o.silent {
		return refused(otp.Wrong, "")
	}
	back := min(s.Next, uint64(o.Resync))
	if at, ok := s.find(answer, s.Next-back, int(back)); ok {
		return refused(otp.Replayed, fmt.Sprintf("the code %d before the next one", s.Next-at))
	}
	if at, ok := s.find(answer, s.Next, o.Resync); ok {
		return refused(reasonAhead, fmt.Sprintf("the code %d after the next one", at-s.Next))
	}
	return refused(otp.Wrong, "")
}

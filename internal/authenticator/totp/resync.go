package totp

import (
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/typed"
)

// maxDrift is how far a device's clock may be off, in steps: ten minutes of a
// 30-second token. A pair of codes of six digits within that is guessed once in
// twenty-five thousand million tries.
const maxDrift = 20

// learn is what two codes in a row teach of the clock. By itself it moves one
// step either way at most. Where Resync put it further, the device is known to
// have a poor clock, and it is followed.
func (s state) learn(off int64) int64 {
	if s.Drift >= -1 && s.Drift <= 1 {
		return min(max(off, -1), 1)
	}
	return min(max(off, -maxDrift), maxDrift)
}

// Resync puts a device's clock where two codes in a row say that it is, up to 20
// steps off. Both codes must be later than any that was accepted, and after it
// neither is ever accepted again. now is when the codes were read off the device.
// A wrong pair is a Result that is not OK.
func (*Authenticator) Resync(stored []byte, text string, now time.Time) (authenticator.Result, error) {
	s, err := decodeState(stored)
	if err != nil {
		return authenticator.Result{}, err
	}
	digits, _ := typed.Digits(text)
	answer, ok := otp.Cut(digits, s.Key.Digits)
	if !ok || answer.Second == "" {
		return authenticator.Wrong(otp.Malformed), nil
	}
	present := s.step(now)
	_, last := s.Key.Find(answer, uint64(present-maxDrift), 2*maxDrift+1)
	if last < 0 {
		return authenticator.Wrong(otp.Wrong), nil
	}
	at := present - maxDrift + int64(last)
	if at-1 <= s.Last {
		return authenticator.Wrong(otp.Replayed), nil
	}
	f := finding{Accepted: true, Once: once(at), Next: s}
	f.Next.Last, f.Next.Half, f.Next.Drift = at, 0, at-present
	return f.Result(0)
}

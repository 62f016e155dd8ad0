package ocra

import (
	"strings"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/typed"
)

// Resync puts the counter past two responses in a row, up to 1000 ahead, or the
// clock where they say that it is, up to 20 steps off. text is a question of one's
// own making and its response, and another question with its response: two
// different ones, so that nobody who wrote down the answer to one is ready for it.
// Where the suite hashes a PIN and none is set, the PIN that was typed into the
// token follows. A wrong answer is a Result that is not OK.
func (*Authenticator) Resync(stored []byte, text string, now time.Time) (authenticator.Result, error) {
	s, err := decodeState(stored)
	if err != nil {
		return authenticator.Result{}, err
	}
	parts, ok := s.resyncParts(text)
	if !ok {
		return authenticator.Wrong(otp.Malformed), nil
	}
	if len(parts) == 5 {
		s.PINHash = s.hash(parts[4])
	}
	at, ok := s.findPair(parts, now)
	if !ok {
		return authenticator.Wrong(otp.Wrong), nil
	}
	f := finding{Accepted: true, Once: s.once(parts[2], at), Next: s}
	if len(parts) == 5 {
		f.Next.PINHash = nil // it is not kept for whoever gets the token
	}
	f.Next.move(at)
	return f.Result(0)
}

func (s state) resyncParts(text string) ([]string, bool) {
	parts, want := strings.Fields(text), 4
	if s.suite.PIN != "" && s.PINHash == nil {
		want = 5
	}
	if len(parts) != want || parts[0] == parts[2] {
		return nil, false
	}
	for i, p := range parts {
		digits, ok := typed.Digits(p)
		if !ok || i < 4 && i%2 == 0 && (len(digits) < 4 || len(digits) > s.suite.Length) {
			return nil, false
		}
		parts[i] = digits
	}
	return parts, true
}

// findPair returns where the second response is right and the first one is right
// just before it: the counter before, and the same time step or the one before.
func (s state) findPair(parts []string, now time.Time) (place, bool) {
	present, counters := s.step(now), 1
	switch {
	case s.suite.Counter && s.suite.Step > 0:
		counters = window
	case s.suite.Counter:
		counters = maxAhead
	}
	for c := range uint64(counters) {
		before, after := s, s
		before.Next, after.Next = s.Next+c, s.Next+c+1
		first, ok := before.find(parts[0], parts[1], span{counters: 1, present: present, reach: maxDrift})
		if !ok {
			continue
		}
		for later := range int64(2) {
			if at, ok := after.find(parts[2], parts[3], span{counters: 1, present: present, center: first.drift + later}); ok {
				return at, true
			}
		}
	}
	return place{}, false
}

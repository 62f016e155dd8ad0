package totp

import "time"

// AfterRollback refuses every step that a device could have shown and had accepted by
// now: two ahead, for a device that is one step fast within a window that looks
// one step further. So the next code is good 90 seconds later at most.
func (a *Authenticator) AfterRollback(kept []byte, now time.Time) (next []byte, usable bool, err error) {
	s, err := decodeState(kept)
	if err != nil {
		return nil, false, err
	}
	s.Last, s.Half = max(s.Last, s.step(now)+2), 0
	next, err = s.Encode()
	return next, true, err
}

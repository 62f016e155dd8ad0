package hotp

import (
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/typed"
	"time"
)

// Resync puts the counter past two codes in a row, which may lie up to 1000
// codes ahead: a token that was pressed in a drawer for years. Neither code may
// have been accepted before, and neither, nor any before them, is accepted again.
// A wrong pair is a Result that is not OK.
func (*Authenticator) Resync(stored []byte, text string, _ time.Time) (authenticator.Result, error) {
	s, err := decodeState(stored)
	if err != nil {
		return authenticator.Result{}, err
	}
	digits, _ := typed.Digits(text)
	answer, ok := otp.Cut(digits, s.Key.Digits)
	if !ok || answer.Second == "" {
		return authenticator.Wrong(otp.Malformed), nil
	}
	return s.two(Options{Resync: maxResync}, answer).Result(0)
}

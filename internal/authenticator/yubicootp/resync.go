package yubicootp

import (
	"strings"
	"time"

	"countersign/internal/authenticator"
)

// Resync takes two one-time passwords of one key, one after the other, and says
// what is kept from then on: whoever hands the key over has it, and it is this one.
func (Authenticator) Resync(stored []byte, typed string, _ time.Time) (authenticator.Result, error) {
	s, err := decode(stored)
	if err != nil {
		return authenticator.Result{}, err
	}
	words := strings.Fields(typed)
	if len(words) != 2 {
		return authenticator.Wrong("malformed"), nil
	}
	var r authenticator.Result
	for _, word := range words {
		p, ok := parse(word)
		if !ok || p.public != s.Public {
			return authenticator.Wrong("wrong"), nil
		}
		if r, err = s.accept(0, p); err != nil || !r.OK {
			return r, err
		}
		if s, err = decode(r.Next); err != nil {
			return authenticator.Result{}, err
		}
	}
	return r, nil
}

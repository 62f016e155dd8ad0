package authenticatortest

import (
	"testing"

	"countersign/internal/authenticator/slowhash"
)

// Hashing returns how tests hash what is typed: with the cheapest parameters that
// a server accepts, and with -short with ones that cost next to nothing.
func Hashing() slowhash.Params {
	if testing.Short() {
		return slowhash.Params{Memory: 8, Passes: 1, Threads: 1}
	}
	return slowhash.Params{Memory: 7 << 10, Passes: 5, Threads: 1}
}

// Hashed returns an authenticator that was made with [Hashing]. With -short its
// New refuses the parameters as too weak and returns it all the same.
func Hashed[A any](tb testing.TB, a A, err error) A {
	tb.Helper()
	if (err != nil) != testing.Short() {
		tb.Fatalf("with -short (%t) the parameters are refused: %v", testing.Short(), err)
	}
	return a
}

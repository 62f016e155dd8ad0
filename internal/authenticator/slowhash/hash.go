// Package slowhash hashes what people know or keep written down, slowly, and no
// more of it at once than the machine can bear.
//
// It owns argon2id's parameters and their bounds, the PHC string, and the gate
// that hashing waits at. It does not know passwords from recovery codes. Its one
// invariant: no parameters that come out of a row or a file make it use more
// than 256 MiB or 16 passes.
package slowhash

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	// SumSize and SaltSize are in bytes (RFC 9106 section 4 has both at 16 or more).
	SumSize  = 32
	SaltSize = 16

	maxMemory  = 256 << 10 // KiB
	maxPasses  = 16
	maxThreads = 8
)

// Params are the costs of argon2id (RFC 9106 section 3.1).
type Params struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// Default is OWASP's first choice for a machine that must also do other things:
// 19 MiB, two passes, one thread.
func Default() Params { return Params{Memory: 19 << 10, Passes: 2, Threads: 1} }

// Check refuses parameters below the equally strong minima of OWASP's password
// storage cheat sheet (19 MiB and 2 passes, 46 and 1, 12 and 3, 9 and 4, 7 and
// 5), and above what one sign-in may cost.
func (p Params) Check() error {
	if err := p.bounded(); err != nil {
		return err
	}
	for _, least := range []Params{{46 << 10, 1, 1}, {19 << 10, 2, 1}, {12 << 10, 3, 1}, {9 << 10, 4, 1}, {7 << 10, 5, 1}} {
		if p.Memory >= least.Memory && p.Passes >= least.Passes {
			return nil
		}
	}
	return fmt.Errorf("%d KiB of memory with %d passes is too weak; use at least 19456 KiB with 2", p.Memory, p.Passes)
}

// bounded is what a stored hash may ask for: also what is weak by now.
func (p Params) bounded() error {
	switch {
	case p.Threads < 1 || p.Threads > maxThreads:
		return fmt.Errorf("threads must be 1 to %d, not %d", maxThreads, p.Threads)
	case p.Passes < 1 || p.Passes > maxPasses:
		return fmt.Errorf("passes must be 1 to %d, not %d", maxPasses, p.Passes)
	case p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory:
		return fmt.Errorf("memory must be at least 8 KiB for each thread and at most %d KiB, not %d", maxMemory, p.Memory)
	}
	return nil
}

// Cheaper reports whether guessing against p costs less than against o: the
// memory that one guess fills, over all its passes.
func (p Params) Cheaper(o Params) bool {
	return uint64(p.Memory)*uint64(p.Passes) < uint64(o.Memory)*uint64(o.Passes)
}

// Sum is the hash itself: 32 bytes, tens of milliseconds.
func (p Params) Sum(secret, salt []byte) []byte {
	return argon2.IDKey(secret, salt, p.Passes, p.Memory, p.Threads, SumSize)
}

// NewSalt returns 16 random bytes.
func NewSalt() []byte {
	salt := make([]byte, SaltSize)
	rand.Read(salt)
	return salt
}

// Hash is a sum with all that it takes to compute it again.
type Hash struct {
	Params
	Salt   []byte
	Result []byte
}

// Equal compares a sum with the kept one in constant time.
func (h Hash) Equal(sum []byte) bool { return subtle.ConstantTimeCompare(h.Result, sum) == 1 }

// String writes the PHC string:
// $argon2id$v=19$m=19456,t=2,p=1$salt$sum.
func (h Hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Passes, h.Threads,
		base64.RawStdEncoding.EncodeToString(h.Salt), base64.RawStdEncoding.EncodeToString(h.Result))
}

var errPHC = errors.New("slowhash: not an argon2id PHC string")

// Parse reads what String writes, and only that: one spelling for each hash.
// https://github.com/P-H-C/phc-string-format. The error never quotes the string.
func Parse(s string) (Hash, error) {
	parts := strings.Split(s, "$")
	if len(s) > 256 || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return Hash{}, errPHC
	}
	h, err := parseParams(parts[3])
	if err != nil {
		return Hash{}, err
	}
	h.Salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	if err != nil || len(h.Salt) < 8 || len(h.Salt) > 64 {
		return Hash{}, errPHC
	}
	h.Result, err = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || len(h.Result) != SumSize || h.String() != s {
		return Hash{}, errPHC
	}
	return h, nil
}

func parseParams(s string) (Hash, error) {
	var values [3]uint64
	parts := strings.Split(s, ",")
	if len(parts) != len(values) {
		return Hash{}, errPHC
	}
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(parts[i], name)
		v, err := strconv.ParseUint(digits, 10, 31)
		if !ok || err != nil {
			return Hash{}, errPHC
		}
		values[i] = v
	}
	if values[2] > maxThreads {
		return Hash{}, fmt.Errorf("slowhash: threads must be 1 to %d", maxThreads)
	}
	p := Params{Memory: uint32(values[0]), Passes: uint32(values[1]), Threads: uint8(values[2])}
	if err := p.bounded(); err != nil {
		return Hash{}, fmt.Errorf("slowhash: %w", err)
	}
	return Hash{Params: p}, nil
}

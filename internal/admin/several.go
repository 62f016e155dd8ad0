package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/text"
)

// MostSeveral is how many accounts one command may name.
const MostSeveral = 500

// shownSeveral is how much of an approval's text names take, in bytes.
const shownSeveral = 1000

// Several names accounts for an approval: how many they are, and each of them where they
// fit. Otherwise the first ones, and a digest over all of them, in their order.
func Several(names []string) string {
	out := fmt.Sprintf("%d accounts:", len(names))
	for i, name := range names {
		one := " " + text.Name(name)
		if len(out)+len(one) > shownSeveral {
			sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
			return fmt.Sprintf("%s and %d more, SHA-256 over the names %s", out, len(names)-i, hex.EncodeToString(sum[:]))
		}
		out += one
	}
	return out
}

// CheckSeveral says what is wrong with a list of accounts.
func CheckSeveral(names []string) error {
	if len(names) > MostSeveral {
		return failure.New(failure.Invalid, "Name %d accounts at most; do it in parts.", MostSeveral)
	}
	sorted := slices.Sorted(slices.Values(names))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return failure.New(failure.Invalid, "%s is named twice.", text.Name(sorted[i]))
		}
	}
	return nil
}

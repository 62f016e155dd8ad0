package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
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

// OfAll names an account by its kind, or several.
func (t *AuditText) OfAll(name string, also []string) string {
	if len(also) == 0 {
		return t.Of(name)
	}
	return Several(append([]string{name}, also...))
}

// AboutOne says of which of several accounts an error is; others is how many they are beside it.
func AboutOne(name string, others int, err error) error {
	class := failure.ClassOf(err)
	if err == nil || others == 0 || class == failure.Internal || class == failure.Unavailable {
		return err
	}
	return &failure.Error{Class: class, Reason: failure.ReasonOf(err), Field: "also", Public: text.Name(name) + ": " + failure.Public(err)}
}

// FindSeveral finds accounts by their names, each once.
func FindSeveral(ctx context.Context, r store.Reader, people *directory.Accounts, names []string) ([]directory.Account, error) {
	if len(names) > MostSeveral {
		return nil, failure.New(failure.Invalid, "Name %d accounts at most; do it in parts.", MostSeveral)
	}
	out := make([]directory.Account, 0, len(names))
	seen := make(map[assurance.AccountID]bool, len(names))
	for _, name := range names {
		d, err := people.Find(ctx, r, name)
		if err != nil {
			return nil, AboutOne(name, len(names)-1, err)
		}
		if seen[d.ID] {
			return nil, failure.New(failure.Invalid, "%s is named twice.", text.Name(d.Name))
		}
		seen[d.ID] = true
		out = append(out, d)
	}
	return out, nil
}

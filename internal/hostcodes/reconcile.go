package hostcodes

import (
	"context"
	"crypto/subtle"
	"errors"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// Finding is what a host's file says of one list.
type Finding struct {
	List
	// Used is the number of the code that was accepted last since the last time, from
	// 1; 0 for none.
	Used int
	// Wrong says why the line is not believed: "other-list" for another secret,
	// "went-back" for a file that was put back, "forged" for a code that the list does
	// not have there, "unknown" for an account without a list. Empty when it is.
	Wrong string
}

// ReconcileTx takes over what was used on a host, inside a change that records it:
// a line of the file for each of its accounts.
func (k *Lists) ReconcileTx(ctx context.Context, tx *store.Tx, host, file string) ([]Finding, error) {
	lines, err := readFile(file)
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		return nil, failure.At("file", failure.New(failure.Invalid, "The file has no account in it."))
	}
	var out []Finding
	for _, u := range lines {
		l, sealed, err := k.scan(ctx, tx.QueryRow(ctx, `select `+columns+` from offline_list where host = $1 and login = $2`, host, u.login))
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, errTampered) { // what nobody believes is none
			out = append(out, Finding{List: List{Host: host, Login: u.login}, Wrong: "unknown"})
			continue
		}
		if err != nil {
			return nil, err
		}
		f := l.judge(u)
		if f.Used > 0 {
			f.Next, f.At = u.counter+1, u.at
			f.version++
			if err := k.writeTx(ctx, tx, f.List, sealed); err != nil {
				return nil, err
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// judge sets a line against the list that it should be of.
func (l List) judge(u used) Finding {
	f := Finding{List: l}
	switch {
	case subtle.ConstantTimeCompare(u.secret, l.key.Secret) != 1:
		f.Wrong = "other-list"
	case u.counter+1 < l.Next:
		f.Wrong = "went-back"
	case u.counter < 0:
	case u.counter >= l.Codes || subtle.ConstantTimeCompare([]byte(u.code), []byte(l.key.Code(uint64(u.counter)))) != 1:
		f.Wrong = "forged"
	case u.counter+1 > l.Next:
		f.Used = u.counter + 1
	}
	return f
}

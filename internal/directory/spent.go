package directory

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Once is what is accepted once, for ever: a key of a credential. An empty one is none, so
// that there is nothing to take.
type Once struct {
	Credential assurance.CredentialID
	Key        string
	// Alone says that the answer leaves the credential's state as it is, so that nothing
	// but this stands against the same answer again.
	Alone bool
}

// aloneFor is how long the log remembers what stands alone: longer than any question is
// good to answer.
const aloneFor = time.Hour

// Spend takes a once-key: false means that somebody was there before. It counts with the
// change it is part of. Whoever removes the row gains nothing by it: where the credential's
// own state does not refuse the answer the second time, the log does.
func (cs *Credentials) Spend(ctx context.Context, tx *store.Tx, o Once, now time.Time) (bool, error) {
	if o.Key == "" {
		return true, nil
	}
	n, err := tx.Expect(ctx, 1, `insert into spent (credential, once, at) values ($1,$2,$3) on conflict do nothing`, int64(o.Credential), o.Key, store.Unix(now))
	if err != nil || n == 0 || !o.Alone {
		return n == 1, err
	}
	if cs.db.Over("spent", o.name()) {
		cs.report("spent", o.Key+"/"+strconv.FormatInt(int64(o.Credential), 10), store.Missing, 0)
		return false, nil
	}
	tx.End("spent", o.name(), tx.Now().Add(aloneFor))
	return true, nil
}

// name stands for it in the log.
func (o Once) name() string {
	h := sha256.Sum256(strconv.AppendInt([]byte(o.Key+"/"), int64(o.Credential), 10))
	return base64.RawURLEncoding.EncodeToString(h[:12])
}

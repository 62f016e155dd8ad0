package signingkey

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// Keys roll over by themselves. An administrator can do the same three steps by hand and at
// once: where a key may be known to somebody else, nobody waits for days.

// Of returns the keys of an algorithm that are published, the one that starts last at the end;
// none where none was needed yet. An algorithm that is none is NotFound.
func (k *Keys) Of(ctx context.Context, algorithm string) ([]Key, error) {
	if !slices.Contains(Algorithms(), algorithm) {
		return nil, failure.New(failure.NotFound, "Nothing is signed by the algorithm %q.", algorithm)
	}
	all, err := k.all(ctx)
	if err != nil {
		return nil, err
	}
	now := k.now()
	return slices.DeleteFunc(slices.Clone(all), func(key Key) bool { return key.Algorithm != algorithm || over(all, key, now) }), nil
}

// State is what a key of [Keys.Of] is for at a moment: "announced", "signs" or "former".
func State(of []Key, key Key, now time.Time) string {
	signs, _ := signer(of, key.Algorithm, now)
	switch {
	case key.Starts.After(now):
		return "announced"
	case key.ID == signs.ID:
		return "signs"
	}
	return "former"
}

// Public is a key's public half (RFC 5280 SubjectPublicKeyInfo, DER).
func (k Key) Public() ([]byte, error) { return x509.MarshalPKIXPublicKey(k.Private.Public()) }

// Make makes a key for [Keys.AnnounceTx], before the change, so that no change waits for it.
func (k *Keys) Make(ctx context.Context, algorithm string) (Fresh, error) {
	if _, err := k.Signer(ctx, algorithm); err != nil { // there is one that signs
		return Fresh{}, err
	}
	return generated(algorithm)
}

// AnnounceTx keeps a fresh key as the next one of its algorithm, inside another room's change,
// which records it. It signs after [Announced], or when [Keys.SwitchTx] says so. Where one is
// announced already it is a Conflict.
func (k *Keys) AnnounceTx(ctx context.Context, tx *store.Tx, fresh Fresh) error {
	key := fresh.key
	key.Created = tx.Now().Truncate(time.Microsecond)
	key.Starts = key.Created.Add(Announced)
	three, err := k.sorted(ctx, tx, key.Algorithm)
	if err != nil {
		return err
	}
	if len(three.announced) > 0 {
		return failure.New(failure.Conflict, "A next key is announced already: let it sign, or remove it first.")
	}
	return k.insert(ctx, tx, key, fresh.der)
}

// SwitchTx has the announced key sign from now on; the one that signed before stays published
// for [Kept].
func (k *Keys) SwitchTx(ctx context.Context, tx *store.Tx, algorithm string) error {
	three, err := k.sorted(ctx, tx, algorithm)
	if err != nil {
		return err
	}
	if len(three.announced) == 0 {
		return failure.New(failure.Conflict, "No next key is announced: announce one first, and give applications time to learn of it.")
	}
	// A new row, so that the one that says "later" is over: whoever puts it back is found.
	key := three.announced[len(three.announced)-1]
	der, err := x509.MarshalPKCS8PrivateKey(key.Private)
	if err != nil {
		return err
	}
	if err := k.remove(ctx, tx, key); err != nil {
		return err
	}
	key.Starts = tx.Now().Truncate(time.Microsecond)
	return k.insert(ctx, tx, key, der)
}

// RetireTx removes the former keys of an algorithm, so that nothing which they signed is good any
// more; where there is none, the one that is announced. The key that signs is never removed.
func (k *Keys) RetireTx(ctx context.Context, tx *store.Tx, algorithm string) error {
	three, err := k.sorted(ctx, tx, algorithm)
	if err != nil {
		return err
	}
	gone := three.former
	if len(gone) == 0 {
		gone = three.announced
	}
	if len(gone) == 0 {
		return failure.New(failure.Conflict, "There is one key, and it signs: announce another one before it goes.")
	}
	for _, key := range gone {
		if err := k.remove(ctx, tx, key); err != nil {
			return err
		}
	}
	return nil
}

// sorted are the keys of an algorithm by what they are for, read inside a change.
type sorted struct{ former, announced []Key }

func (k *Keys) sorted(ctx context.Context, tx *store.Tx, algorithm string) (out sorted, err error) {
	all, err := k.read(ctx, tx)
	if err != nil {
		return out, err
	}
	for _, key := range all {
		if key.Algorithm != algorithm {
			continue
		}
		switch State(all, key, tx.Now()) {
		case "former":
			out.former = append(out.former, key)
		case "announced":
			out.announced = append(out.announced, key)
		}
	}
	return out, nil
}

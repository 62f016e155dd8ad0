package certkey

import (
	"context"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// A roll-over has three steps, so that nobody meets a signature by a key that they do not
// know: a next key is announced, it takes over when others had time to learn of it, and the
// former one is removed when nothing that it signed is still on its way.

// Fresh is a key that was made and is not kept yet.
type Fresh struct {
	purpose string
	key     *stored
}

// Make makes a key, which takes a second, so that no change waits for it.
func (k *Keys) Make(ctx context.Context, purpose string) (Fresh, error) {
	p, err := k.purpose(purpose)
	if err != nil {
		return Fresh{}, err
	}
	if _, err := k.Of(ctx, purpose); err != nil { // there is one that signs
		return Fresh{}, err
	}
	key, err := k.make(p)
	return Fresh{purpose, key}, err
}

// AnnounceTx keeps a fresh key as the next one of its purpose, inside another room's change,
// which records it. Where one is announced already it is a Conflict.
func (k *Keys) AnnounceTx(ctx context.Context, tx *store.Tx, fresh Fresh) error {
	return k.change(ctx, tx, fresh.purpose, func(_ Purpose, c *content) error {
		if c.Next != nil {
			return failure.New(failure.Conflict, "A next key is announced already: let it sign, or remove it first.")
		}
		c.Next = fresh.key
		return nil
	})
}

// SwitchTx has the next key sign; the one that signed before stays announced.
func (k *Keys) SwitchTx(ctx context.Context, tx *store.Tx, purpose string) error {
	return k.change(ctx, tx, purpose, func(_ Purpose, c *content) error {
		if c.Next == nil {
			return failure.New(failure.Conflict, "No next key is announced: announce one first, and give applications time to learn of it.")
		}
		c.Now, c.Next, c.Former = c.Next, nil, c.Now
		return nil
	})
}

// RetireTx removes the former key; where there is none, the one that is announced.
func (k *Keys) RetireTx(ctx context.Context, tx *store.Tx, purpose string) error {
	return k.change(ctx, tx, purpose, func(_ Purpose, c *content) error {
		switch {
		case c.Former != nil:
			c.Former = nil
		case c.Next != nil:
			c.Next = nil
		default:
			return failure.New(failure.Conflict, "There is one key, and it signs: announce another one before it goes.")
		}
		return nil
	})
}

func (k *Keys) change(ctx context.Context, tx *store.Tx, purpose string, do func(Purpose, *content) error) error {
	p, err := k.purpose(purpose)
	if err != nil {
		return err
	}
	_, c, err := k.read(ctx, tx, p)
	if err != nil {
		return err
	}
	if err := do(p, &c); err != nil {
		return err
	}
	number := store.NumberOf(p.Name)
	version := max(1, k.db.Newest(table, number)) + 1
	c.Changed = store.Unix(tx.Now())
	sealed, err := k.seal(p, version, c)
	if err != nil {
		return err
	}
	tx.Anchor(table, number, version)
	_, err = tx.Expect(ctx, 1, `update cert_key set payload = $2, version = $3 where purpose = $1 and version < $3`, p.Name, sealed, version)
	return err
}

package metadata

import (
	"context"
	"errors"
	"slices"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// looks is how often it is asked whether something is due.
const looks = 2 * time.Second

// atOnce is how many are read at a time.
const atOnce = 4

// Run reads what is due until ctx ends. Sources are all that there are now.
func (k *Kept) Run(ctx context.Context, sources func(context.Context) ([]Source, error)) {
	k.working.Go(func() {
		tick := time.NewTicker(looks)
		defer tick.Stop()
		for {
			if err := k.readDue(ctx, sources); err != nil && ctx.Err() == nil {
				k.log.Warn("metadata of SAML parties is not read", "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// Wait waits until what was begun has ended.
func (k *Kept) Wait() { k.working.Wait() }

func (k *Kept) readDue(ctx context.Context, sources func(context.Context) ([]Source, error)) error {
	all, err := sources(ctx)
	if err != nil {
		return err
	}
	if err := k.forget(ctx, all); err != nil {
		return err
	}
	places := make(chan struct{}, atOnce)
	for _, s := range all {
		due, err := k.isDue(ctx, s)
		if err != nil {
			return err
		}
		if !due {
			continue
		}
		places <- struct{}{}
		k.working.Go(func() {
			defer func() { <-places }()
			if _, err := k.Refresh(ctx, s); err != nil && ctx.Err() == nil {
				k.log.Warn("the metadata of a SAML party is not read", "party", s.Party, "error", failure.Public(err))
			}
		})
	}
	for range atOnce { // until all have ended
		places <- struct{}{}
	}
	return nil
}

func (k *Kept) isDue(ctx context.Context, s Source) (bool, error) {
	k.mu.Lock()
	t := k.trouble[s.Party]
	k.mu.Unlock()
	if t.source == s.digest() && k.now().Before(t.again) {
		return false, nil
	}
	d, err := k.read(ctx, k.db, s.Party)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, errAltered):
		return true, nil
	case err != nil:
		return false, err
	}
	return d.Source != s.digest() || !k.now().Before(d.due()) || d.Over(k.now()), nil
}

// forget removes what was read of parties whose metadata is not fetched any more.
func (k *Kept) forget(ctx context.Context, all []Source) error {
	rows, err := k.db.Query(ctx, `select party from saml_metadata`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var gone []string
	for rows.Next() {
		var party string
		if err := rows.Scan(&party); err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(s Source) bool { return s.Party == party }) {
			gone = append(gone, party)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(gone) == 0 {
		return err
	}
	return k.db.Housekeep(ctx, "metadata.forget", func(tx *store.Tx) error {
		for _, party := range gone {
			if _, err := tx.Exec(ctx, `delete from saml_metadata where party = $1`, party); err != nil {
				return err
			}
		}
		return nil
	})
}

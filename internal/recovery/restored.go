package recovery

import (
	"context"

	"countersign/internal/keyring"
	"countersign/internal/store"
)

// DropAllTx stops every case that is under way, inside a change that records it, and
// returns how many there were: its pass may have been taken since the copy was made.
func DropAllTx(ctx context.Context, tx *store.Tx, keys *keyring.Keyring) (int64, error) {
	if _, err := tx.Exec(ctx, `delete from recovery_request`); err != nil {
		return 0, err
	}
	all, macs, err := underWay(ctx, tx)
	if err != nil {
		return 0, err
	}
	for i, c := range all {
		if c.version == 0 { // a copy of a release before, whose cases are not bound yet
			if _, err := tx.Exec(ctx, `delete from recovery where id = $1`, c.ID); err != nil {
				return 0, err
			}
			continue
		}
		if !keys.VerifyMAC(keyring.Recovery, c.fields(), macs[i]) {
			continue // nobody believes it, and it stays for whoever asks what happened
		}
		c.version++
		c.state = stateStopped
		if _, err := tx.Exec(ctx, `update recovery set state = $2, version = $3, mac = $4 where id = $1`, c.ID, c.state, c.version, keys.MAC(keyring.Recovery, c.fields())); err != nil {
			return 0, err
		}
		c.anchor(tx)
	}
	return int64(len(all)), nil
}

// underWay reads the cases of which something could still come.
func underWay(ctx context.Context, tx *store.Tx) (all []Case, macs [][]byte, err error) {
	rows, err := tx.Query(ctx, `select `+caseColumns+` from recovery where state <> 'stopped' and ends > $1 order by id`, store.Unix(tx.Now()))
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		c, mac, err := scanCase(rows)
		if err != nil {
			return nil, nil, err
		}
		all, macs = append(all, c), append(macs, mac)
	}
	return all, macs, rows.Err()
}

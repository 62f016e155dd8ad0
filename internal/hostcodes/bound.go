package hostcodes

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"countersign/internal/audit"
	"countersign/internal/authenticator/otp"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

const (
	rowKind = "offline_list"
	columns = `id, host, login, secret, codes, next, at, issued, version, mac`

	// again reads the version of a list that may have been changed meanwhile.
	again = `select version from offline_list where id = $1`
)

// numbers are those of lists.
var numbers = store.Numbers{Table: rowKind, Highest: "offline_lists"}

var errTampered = errors.New("hostcodes: a row failed its integrity check (MAC)")

// errOvertaken is a list that was changed, or removed, between reading it and looking at what
// is newest. Nobody did anything: whoever reads again has what it is now. A transaction that
// comes upon it is run again by the store.
var errOvertaken = fmt.Errorf("hostcodes: a list was changed while it was read: %w", errTampered)

// mostReads bounds how often somebody reads again who comes upon errOvertaken. Nobody changes
// lists so often.
const mostReads = 5

func (l List) aad() keyring.AAD {
	return keyring.AAD{Table: "offline_list", Column: "secret", Row: l.ID, Key: l.Host + "/" + l.Login}
}

func (l List) fields(sealed []byte) *keyring.Fields {
	return l.fieldsOfBefore(sealed).Int(l.version)
}

// fieldsOfBefore are what the MAC of a list was made of before it had a version.
func (l List) fieldsOfBefore(sealed []byte) *keyring.Fields {
	return keyring.NewFields().Int(l.ID).String(l.Host).String(l.Login).Int(int64(l.Codes)).Int(int64(l.Next)).
		Int(store.Unix(l.At)).Int(store.Unix(l.Issued)).Bytes(sealed)
}

func scanList(row interface{ Scan(...any) error }) (l List, sealed, mac []byte, err error) {
	var codes, next, at, issued int64
	err = row.Scan(&l.ID, &l.Host, &l.Login, &sealed, &codes, &next, &at, &issued, &l.version, &mac)
	l.Codes, l.Next, l.At, l.Issued = int(codes), int(next), store.Time(at), store.Time(issued)
	return l, sealed, mac, err
}

// scan reads a list. One that is not as it was left is errTampered, and so is one that was
// changed while it was read, as errOvertaken.
func (k *Lists) scan(ctx context.Context, row interface{ Scan(...any) error }) (List, []byte, error) {
	l, sealed, mac, err := scanList(row)
	if err != nil {
		return List{}, nil, err
	}
	if !k.keys.VerifyMAC(keyring.HostCodes, l.fields(sealed), mac) {
		return l, nil, k.tampered(l, store.Altered)
	}
	if k.db.View().Older(ctx, rowKind, l.ID, l.version, again) {
		return l, nil, k.older(ctx, l)
	}
	secret, err := k.keys.Open(keyring.HostCodes, l.aad(), sealed)
	if err != nil {
		return l, nil, k.tampered(l, store.Altered)
	}
	l.key = hotp(secret)
	return l, sealed, nil
}

func hotp(secret []byte) otp.Key { return otp.Key{Algorithm: otp.SHA1, Digits: Digits, Secret: secret} }

func (k *Lists) tampered(l List, wrong string) error {
	k.db.Report(store.Finding{Table: "offline_list", Row: strconv.FormatInt(l.ID, 10), Wrong: wrong})
	return errTampered
}

// older reports a list that was put back, unless it was removed after it was read.
func (k *Lists) older(ctx context.Context, l List) error {
	switch {
	case !k.db.View().Stands(ctx, rowKind, l.ID, again):
		k.db.View().Doubt(rowKind, l.ID)
		return errOvertaken
	case k.db.Newest(rowKind, l.ID) == store.Gone:
		return k.tampered(l, store.Returned)
	}
	return k.tampered(l, store.Older)
}

// writeTx writes what may change of a list.
func (k *Lists) writeTx(ctx context.Context, tx *store.Tx, l List, sealed []byte) error {
	_, err := tx.Exec(ctx, `update offline_list set secret = $1, next = $2, at = $3, version = $4, mac = $5 where id = $6`,
		sealed, l.Next, store.Unix(l.At), l.version, k.keys.MAC(keyring.HostCodes, l.fields(sealed)), l.ID)
	l.anchor(tx)
	return err
}

func (l List) anchor(tx *store.Tx) {
	numbers.Anchor(tx, l.ID, l.version)
}

// removeTx deletes the list of a local account, if it has one. A number that was never
// ours is not remembered as one of ours.
func (k *Lists) removeTx(ctx context.Context, tx *store.Tx, host, login string) (there bool, err error) {
	l, _, err := k.scan(ctx, tx.QueryRow(ctx, `select `+columns+` from offline_list where host = $1 and login = $2`, host, login))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil && !errors.Is(err, errTampered):
		return false, err
	}
	if _, err := tx.Exec(ctx, `delete from offline_list where host = $1 and login = $2`, host, login); err != nil {
		return false, err
	}
	if err == nil || k.db.Newest(rowKind, l.ID) != 0 {
		tx.Anchor(rowKind, l.ID, store.Gone)
	}
	return true, nil
}

// Inspect reads every list and reports those that are not as they were left, and those that
// are missing.
func (k *Lists) Inspect(ctx context.Context) error {
	all, err := k.All(ctx)
	if err != nil {
		return err
	}
	there := make(map[int64]bool, len(all))
	for _, l := range all {
		there[l.ID] = true
	}
	return numbers.ReportMissing(ctx, k.db.View(), 0, numbers.Given(k.db.View()), there, again)
}

// Bind gives the lists of a release before a MAC of all that they are. Those that did not
// bear their MAC of then get none.
func (k *Lists) Bind(ctx context.Context) error {
	return k.db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		all, sealed, err := k.unbound(ctx, tx)
		if err != nil {
			return err
		}
		for i, l := range all {
			l.version = 1
			if err := k.writeTx(ctx, tx, l, sealed[i]); err != nil {
				return err
			}
		}
		return tx.RecordBound(rowKind, len(all))
	})
}

// unbound reads the lists that bear the MAC of a release before.
func (k *Lists) unbound(ctx context.Context, tx *store.Tx) (all []List, secrets [][]byte, err error) {
	rows, err := tx.Query(ctx, `select `+columns+` from offline_list where version = 0 and id <= $1 order by id`, store.MostBound)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		l, sealed, mac, err := scanList(rows)
		if err != nil {
			return nil, nil, err
		}
		if k.keys.VerifyMAC(keyring.HostCodes, l.fieldsOfBefore(sealed), mac) {
			all, secrets = append(all, l), append(secrets, sealed)
		}
	}
	return all, secrets, rows.Err()
}

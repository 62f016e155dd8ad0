package directory

import (
	"context"
	"errors"
	"strconv"
	"unicode/utf8"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Kinds of subjects that a client has identifiers for.
const (
	ExternalUser  = "user"
	ExternalGroup = "group"
	// ExternalLinked is an account that stands for somebody whom an application names: its
	// client is the number of the application, and linked decides by it.
	ExternalLinked = "linked"
)

// maxExternal is the longest identifier of a client, in code points.
const maxExternal = 128

// External names what a client, a service account, has an identifier for.
type External struct {
	Client  assurance.AccountID // for ExternalLinked the number of an application
	Kind    string              // ExternalUser, ExternalGroup or ExternalLinked
	Subject int64               // the number of the account or of the group
}

func (x External) fields(id int64, value string, version int64) *keyring.Fields {
	return keyring.NewFields().String("external").Int(id).Int(int64(x.Client)).String(x.Kind).Int(x.Subject).String(value).Int(version)
}

// Externals keeps by which identifier a provisioning client knows an account or a group
// (RFC 7643, section 3.1, externalId). Each client has identifiers of its own and sees no
// other's. By those of provisioning clients nothing is decided but where an application's settings
// say so; those of applications are links, which countersign/internal/linked keeps.
type Externals struct{ kept }

// NewExternals makes Externals.
func NewExternals(p Parts) *Externals { return &Externals{keptBy(p)} }

// CheckExternal says what is wrong with an identifier; the empty one is none, and right.
func CheckExternal(value string) error {
	if utf8.RuneCountInString(value) > maxExternal || !text.Clean(value) {
		return failure.New(failure.Invalid, "An external identifier has %d characters at most, all of them visible.", maxExternal)
	}
	return nil
}

const externalColumns = `x.id, x.subject, x.value, x.version, x.mac`

// row reads one row of a client. One that is not believed is ErrTampered, one that was removed
// since it was read is unknown.
func (e *Externals) row(ctx context.Context, row scanner, x External) (id int64, subject int64, value string, version int64, err error) {
	var mac []byte
	if err := row.Scan(&id, &subject, &value, &version, &mac); err != nil {
		return 0, 0, "", 0, err
	}
	x.Subject = subject
	if !e.keys.VerifyMAC(keyring.Account, x.fields(id, value, version), mac) {
		return id, subject, "", version, e.tampered("external_id", id, 0)
	}
	return id, subject, value, version, e.newest(ctx, "external_id", id, version, 0)
}

// Of returns the identifier and how often it was changed; empty and 0 for none. A row that is
// not believed is [ErrTampered].
func (e *Externals) Of(ctx context.Context, r store.Reader, x External) (value string, version int64, err error) {
	_, _, value, version, err = e.row(ctx, r.QueryRow(ctx, `select `+externalColumns+` from external_id x where x.client = $1 and x.kind = $2 and x.subject = $3`, int64(x.Client), x.Kind, x.Subject), x)
	if errors.Is(err, store.ErrNotFound) || err == unknown {
		return "", 0, nil
	}
	return value, version, err
}

// Find returns the numbers of what a client knows by an identifier, at most limit of them.
func (e *Externals) Find(ctx context.Context, r store.Reader, client assurance.AccountID, kind, value string, limit int) ([]int64, error) {
	rows, err := r.Query(ctx, `select `+externalColumns+` from external_id x where x.client = $1 and x.kind = $2 and x.value = $3 order by x.subject limit $4`, int64(client), kind, value, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		_, subject, _, _, err := e.row(ctx, rows, External{Client: client, Kind: kind})
		switch {
		case err == unknown:
			continue
		case err != nil:
			return nil, err
		}
		out = append(out, subject)
	}
	return out, rows.Err()
}

// Set has a client know something by an identifier; the empty one takes it away. It reports
// whether that is a change.
func (e *Externals) Set(ctx context.Context, tx *store.Tx, x External, value string) (bool, error) {
	if err := CheckExternal(value); err != nil {
		return false, failure.At("external", err)
	}
	id, _, old, version, err := e.row(ctx, tx.QueryRow(ctx, `select `+externalColumns+` from external_id x where x.client = $1 and x.kind = $2 and x.subject = $3`, int64(x.Client), x.Kind, x.Subject), x)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return value != "", e.insert(ctx, tx, x, value)
	case err != nil && !errors.Is(err, ErrTampered): // which is written anew
		return false, err
	case err == nil && old == value:
		return false, nil
	case value == "":
		return true, e.removeRow(ctx, tx, id)
	}
	version = max(version, e.db.Newest("external_id", id)) + 1
	tx.Anchor("external_id", id, version)
	_, err = tx.Exec(ctx, `update external_id set value = $2, version = $3, mac = $4 where id = $1`, id, value, version, e.keys.MAC(keyring.Account, x.fields(id, value, version)))
	return true, err
}

// Touch notes that what a client sees of an account was changed, though its own row was not.
func (e *Externals) Touch(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	p := people{e.kept}
	a, err := p.get(ctx, tx, account)
	if err != nil {
		return err
	}
	a.touch(tx)
	tx.Announce(Topic(account))
	return p.save(ctx, tx, &a)
}

func (e *Externals) insert(ctx context.Context, tx *store.Tx, x External, value string) error {
	if value == "" {
		return nil
	}
	var id int64
	err := tx.QueryRow(ctx, `insert into external_id (client, kind, subject, value, version, mac) values ($1,$2,$3,$4,1,$5) returning id`, int64(x.Client), x.Kind, x.Subject, value, []byte{}).Scan(&id)
	if err != nil {
		return err
	}
	tx.Anchor("external_id", id, 1)
	_, err = tx.Exec(ctx, `update external_id set mac = $2 where id = $1`, id, e.keys.MAC(keyring.Account, x.fields(id, value, 1)))
	return err
}

func (k kept) removeRow(ctx context.Context, tx *store.Tx, id int64) error {
	tx.Anchor("external_id", id, store.Gone)
	_, err := tx.Exec(ctx, `delete from external_id where id = $1`, id)
	return err
}

// forgetExternals deletes what every client calls something that is removed.
func (k kept) forgetExternals(ctx context.Context, tx *store.Tx, kind string, subject int64) error {
	rows, err := tx.Query(ctx, `select id from external_id where kind = $1 and subject = $2`, kind, subject)
	if err != nil {
		return err
	}
	defer rows.Close()
	var all []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		all = append(all, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, id := range all {
		if err := k.removeRow(ctx, tx, id); err != nil {
			return err
		}
	}
	return nil
}

// inspectExternals reads every identifier, reports those that are not as they were left, and
// asks for those that are missing.
func (i *Inspection) inspectExternals(ctx context.Context) error {
	last := int64(0)
	return i.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		ids, err := i.externalPage(ctx, last)
		if err != nil {
			return false, err
		}
		above, full := last, len(ids) == inspectPage
		if full {
			last = ids[len(ids)-1]
		} else {
			ids = append(ids, last+inspectPage)
		}
		return full, i.gaps(ctx, "external_id", above, ids)
	})
}

func (i *Inspection) externalPage(ctx context.Context, after int64) ([]int64, error) {
	rows, err := i.db.Query(ctx, `select x.client, x.kind, `+externalColumns+` from external_id x where x.id > $1 order by x.id limit $2`, after, inspectPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var x External
		var id, client, version int64
		var value string
		var mac []byte
		if err := rows.Scan(&client, &x.Kind, &id, &x.Subject, &value, &version, &mac); err != nil {
			return nil, err
		}
		x.Client = assurance.AccountID(client)
		if !i.keys.VerifyMAC(keyring.Account, x.fields(id, value, version), mac) {
			i.report("external_id", strconv.FormatInt(id, 10), store.Altered, 0)
		} else if err := i.newest(ctx, "external_id", id, version, 0); ours(err) != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

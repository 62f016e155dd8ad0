package application

import (
	"context"
	"strconv"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

const columns = `id, name, title, kind, tier, protocol, vouches, settings, created, changed, version, mac`

// again reads the version of an application that may have been changed meanwhile.
const again = `select version from application where id = $1`

func (a Application) aad() keyring.AAD {
	return keyring.AAD{Table: "application", Column: "settings", Row: a.ID}
}

func (a Application) fields(sealed []byte) *keyring.Fields {
	return keyring.NewFields().Int(a.ID).Int(a.count).String(a.Name).String(a.Title).String(a.Kind).String(a.Tier).String(a.Protocol).String(a.Vouches).
		Int(store.Unix(a.Created)).Int(store.Unix(a.Changed)).Bytes(sealed)
}

// scan reads a row and says what is wrong with it. Of one that is not as it was left
// nothing but its number and name is to be used.
func (c *Catalogue) scan(ctx context.Context, row interface{ Scan(...any) error }) (a Application, wrong string, err error) {
	var sealed, mac []byte
	var created, changed int64
	if err := row.Scan(&a.ID, &a.Name, &a.Title, &a.Kind, &a.Tier, &a.Protocol, &a.Vouches, &sealed, &created, &changed, &a.count, &mac); err != nil {
		return a, "", err
	}
	a.Created, a.Changed, a.Version = store.Time(created), store.Time(changed), versionOf(mac)
	if !c.keys.VerifyMAC("application", a.fields(sealed), mac) {
		return a, store.Altered, nil
	}
	if a.Settings, err = c.keys.Open("application", a.aad(), sealed); err != nil {
		return a, store.Altered, nil
	}
	if c.db.View().Older(ctx, Topic, a.ID, a.count, again) {
		return a, c.older(a), nil
	}
	return a, "", nil
}

// older is the word for a row that was put back.
func (c *Catalogue) older(a Application) string {
	if c.db.Newest(Topic, a.ID) == store.Gone {
		return store.Returned
	}
	return store.Older
}

func (c *Catalogue) named(ctx context.Context, r store.Reader, name string) (Application, string, error) {
	return c.scan(ctx, r.QueryRow(ctx, `select `+columns+` from application where name = $1`, name))
}

// report has the log say what is wrong with a row, unless it is one that was removed
// or changed after it was read: then it is false.
func (c *Catalogue) report(ctx context.Context, a Application, wrong string) bool {
	wrongly := wrong == store.Altered || c.db.View().Stands(ctx, Topic, a.ID, again)
	if wrongly {
		c.db.Report(store.Finding{Table: "application", Row: strconv.FormatInt(a.ID, 10), Wrong: wrong})
	}
	return wrongly
}

// numbers are those of applications.
var numbers = store.Numbers{Table: Topic, Highest: "applications"}

// insert makes a row, and gives it a number that none had before.
func (c *Catalogue) insert(ctx context.Context, tx *store.Tx, a Application) (Application, error) {
	a.Created, a.count = a.Changed, 1
	err := tx.QueryRow(ctx, `insert into application (name, kind, protocol, settings, created, changed, mac) values ($1,$2,$3,$4,$5,$5,$6) returning id`,
		a.Name, a.Kind, a.Protocol, []byte{}, store.Unix(a.Created), []byte{}).Scan(&a.ID)
	if err != nil {
		return a, err
	}
	return a, numbers.Fresh(c.db.View(), a.ID)
}

// removeTx deletes a row. A number that was never ours is not remembered as one of ours.
func (c *Catalogue) removeTx(ctx context.Context, tx *store.Tx, a Application, wrong string) error {
	_, err := tx.Exec(ctx, `delete from application where name = $1`, a.Name)
	if wrong == "" || c.db.Newest(Topic, a.ID) != 0 {
		tx.Anchor(Topic, a.ID, store.Gone)
	}
	return err
}

// Inspect reads all applications and reports those that failed their integrity check or
// are missing.
func (c *Catalogue) Inspect(ctx context.Context) error {
	v, err := c.read(ctx, c.db)
	if err != nil {
		return err
	}
	there := make(map[int64]bool, len(v.all))
	for _, a := range v.all {
		there[a.ID] = true
	}
	return numbers.ReportMissing(ctx, c.db.View(), 0, numbers.Given(c.db.View()), there, again)
}

// Bind gives the applications of an earlier release a MAC of all their columns. It must be
// called before [Open]. Those whose earlier MAC is invalid get none.
func Bind(ctx context.Context, db *store.DB, keys *keyring.Keyring) error {
	return db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `select `+columns+` from application where version = 0 and id <= $1 order by id`, store.MostBound)
		if err != nil {
			return err
		}
		all, err := unbound(rows, keys)
		if err != nil {
			return err
		}
		for _, a := range all {
			a.count = 1
			if _, err := tx.Exec(ctx, `update application set version = $2, mac = $3 where id = $1`, a.ID, a.count, keys.MAC("application", a.fields(a.Settings))); err != nil {
				return err
			}
			numbers.Anchor(tx, a.ID, a.count)
		}
		return tx.RecordBound("application", len(all))
	})
}

// unbound reads the rows that bear the MAC of a release before. Settings are sealed.
func unbound(rows *store.Rows, keys *keyring.Keyring) (out []Application, err error) {
	defer rows.Close()
	for rows.Next() {
		var a Application
		var sealed, mac []byte
		var created, changed int64
		if err := rows.Scan(&a.ID, &a.Name, &a.Title, &a.Kind, &a.Tier, &a.Protocol, &a.Vouches, &sealed, &created, &changed, &a.count, &mac); err != nil {
			return nil, err
		}
		a.Created, a.Changed, a.Settings = store.Time(created), store.Time(changed), sealed
		f := keyring.NewFields().Int(a.ID).String(a.Name).String(a.Kind).String(a.Tier).String(a.Protocol).String(a.Vouches).Bytes(sealed)
		if keys.VerifyMAC("application", f, mac) {
			out = append(out, a)
		}
	}
	return out, rows.Err()
}

package signal

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"sync/atomic"

	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

const (
	table = "signal_party"
	topic = "signal"
	// mostParties bounds the streams, and the sources.
	mostParties = 50
)

// The kinds of parties.
const (
	streamKind = "stream"
	sourceKind = "source"
)

var numbers = store.Numbers{Table: table, Highest: "signal_parties"}

const (
	columns = `id, kind, name, payload, version`
	again   = `select version from signal_party where id = $1`
)

// party is a row; the payload is JSON, as it was sealed.
type party struct {
	id         int64
	kind, name string
	version    int64
	payload    []byte
}

func (p party) aad() keyring.AAD {
	return keyring.AAD{Table: table, Column: "payload", Row: p.id, Key: p.kind + "/" + p.name + "/" + strconv.FormatInt(p.version, 10)}
}

// parties keeps the rows. It is safe for concurrent use.
type parties struct {
	db    *store.DB
	keys  *keyring.Keyring
	gen   atomic.Uint64
	cache atomic.Pointer[cached]
}

type cached struct {
	gen uint64
	all []party
}

func newParties(db *store.DB, keys *keyring.Keyring) *parties {
	ps := &parties{db: db, keys: keys}
	db.Feed().Subscribe(func(about string) {
		if about == topic || about == store.Missed {
			ps.gen.Add(1)
		}
	})
	return ps
}

// all returns the rows, not older than the last change of which this server was told.
func (ps *parties) all(ctx context.Context) ([]party, error) {
	gen := ps.gen.Load()
	if c := ps.cache.Load(); c != nil && c.gen == gen && ps.db.Feed().Fresh() {
		return c.all, nil
	}
	all, err := ps.read(ctx, ps.db)
	if err != nil {
		return nil, err
	}
	ps.cache.Store(&cached{gen, all})
	return all, nil
}

// mostReads bounds how often the rows are read again because one was changed meanwhile.
const mostReads = 20

// read reads the rows that are as they were left. Others are reported, and are nobody's. Where a row
// was changed while it was read, all are read again, so that nobody finds it missing for a moment.
func (ps *parties) read(ctx context.Context, r store.Reader) ([]party, error) {
	for range mostReads - 1 {
		all, overtaken, err := ps.readOnce(ctx, r)
		if err != nil || !overtaken {
			return all, err
		}
	}
	all, _, err := ps.readOnce(ctx, r)
	return all, err
}

func (ps *parties) readOnce(ctx context.Context, r store.Reader) (kept []party, overtaken bool, err error) {
	rows, err := r.Query(ctx, `select `+columns+` from signal_party order by kind, name`)
	if err != nil {
		return nil, false, err
	}
	var all []party
	for rows.Next() {
		var p party
		if err := rows.Scan(&p.id, &p.kind, &p.name, &p.payload, &p.version); err != nil {
			return nil, false, errors.Join(err, rows.Close())
		}
		all = append(all, p)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, false, err
	}
	for _, p := range all {
		plain, err := ps.keys.Open(keyring.Signal, p.aad(), p.payload)
		switch {
		case err != nil:
			ps.report(p, store.Altered)
		case ps.db.View().Older(ctx, table, p.id, p.version, again):
			overtaken = overtaken || ps.db.View().Overtaken(table, p.id)
			ps.report(p, store.Older)
		default:
			p.payload = plain
			kept = append(kept, p)
		}
	}
	return kept, overtaken, nil
}

func (ps *parties) report(p party, wrong string) {
	ps.db.Report(store.Finding{Table: table, Row: strconv.FormatInt(p.id, 10), Wrong: wrong})
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// insert makes a row, and gives it a number that none had before.
func (ps *parties) insert(ctx context.Context, tx *store.Tx, kind, name string, content any) (party, error) {
	p := party{kind: kind, name: name, version: 1}
	if !nameForm.MatchString(name) {
		return p, failure.At("name", failure.New(failure.Invalid, "Name it with 1 to 63 of a-z, 0-9, dot and hyphen."))
	}
	all, err := ps.read(ctx, tx)
	if err != nil {
		return p, err
	}
	if n := len(slices.DeleteFunc(all, func(o party) bool { return o.kind != kind })); n >= mostParties {
		return p, failure.New(failure.Conflict, "There are %d already, which is as many as there can be; remove one first.", n)
	}
	if slices.ContainsFunc(all, func(o party) bool { return o.kind == kind && o.name == name }) {
		return p, failure.At("name", failure.New(failure.Conflict, "There is a %s named %s already.", kind, name))
	}
	if err := tx.QueryRow(ctx, `insert into signal_party (kind, name, payload, version) values ($1,$2,$3,$4) returning id`, kind, name, []byte{}, 0).Scan(&p.id); err != nil {
		return p, err
	}
	if err := numbers.Fresh(ps.db.View(), p.id); err != nil {
		return p, err
	}
	numbers.Anchor(tx, p.id, p.version)
	return p, ps.write(ctx, tx, p, content)
}

// update writes a row anew.
func (ps *parties) update(ctx context.Context, tx *store.Tx, p party, content any) error {
	p.version = max(p.version, ps.db.Newest(table, p.id)) + 1
	tx.Anchor(table, p.id, p.version)
	return ps.write(ctx, tx, p, content)
}

func (ps *parties) write(ctx context.Context, tx *store.Tx, p party, content any) error {
	plain, err := json.Marshal(content)
	if err != nil {
		return err
	}
	tx.Announce(topic)
	_, err = tx.Exec(ctx, `update signal_party set payload = $2, version = $3 where id = $1`, p.id, ps.keys.Seal(keyring.Signal, p.aad(), plain), p.version)
	return err
}

func (ps *parties) remove(ctx context.Context, tx *store.Tx, p party) error {
	tx.Anchor(table, p.id, store.Gone)
	tx.Announce(topic)
	_, err := tx.Exec(ctx, `delete from signal_party where id = $1`, p.id)
	return err
}

// find returns one row inside a change.
func (ps *parties) find(ctx context.Context, tx *store.Tx, kind, name string) (party, error) {
	all, err := ps.read(ctx, tx)
	if err != nil {
		return party{}, err
	}
	i := slices.IndexFunc(all, func(p party) bool { return p.kind == kind && p.name == name })
	if i < 0 {
		return party{}, failure.At("name", failure.New(failure.NotFound, "There is no %s named %q.", kind, name))
	}
	return all[i], nil
}

// inspect reports rows that are not as they were left, and those that are gone.
func (ps *parties) inspect(ctx context.Context) error {
	all, err := ps.read(ctx, ps.db)
	if err != nil {
		return err
	}
	there := map[int64]bool{}
	for _, p := range all {
		there[p.id] = true
	}
	return numbers.ReportMissing(ctx, ps.db.View(), 0, numbers.Given(ps.db.View()), there, again)
}

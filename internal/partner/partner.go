// Package partner is other organisations whose people administer something for us.
//
// It owns the tables partner and delegation: who our partners are, and what was delegated to which of
// their people, by which two of ours, and until when. It decides about nobody: the engine asks it what
// was delegated (signin.Mandates), and judges time and scope itself. Its neighbours are admin/partner,
// whose commands change it, and the server's housekeeping, which tells of what is over. Its one
// invariant: nothing is in force that not two people of ours approved, and a row that is not as it was
// left is no delegation.
package partner

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/text"
)

// How long a delegation may last, unless its partner has another limit, and at most.
const (
	LongestDefault = 30 * 24 * time.Hour
	LongestMost    = 90 * 24 * time.Hour
)

// Settings are those of a partner.
type Settings struct {
	// Title is what people call it.
	Title string `json:"title"`
	// Upstream is the identity provider by which its people come, or empty where they sign in here alone.
	Upstream string `json:"upstream,omitempty"`
	// Longest is how long a delegation to one of its people may last; LongestDefault unless it is set,
	// LongestMost at most.
	Longest time.Duration `json:"longest,omitempty"`
	// Contact is whom to call there.
	Contact string `json:"contact,omitempty"`
}

// Limit is how long a delegation may last.
func (s Settings) Limit() time.Duration {
	if s.Longest == 0 {
		return LongestDefault
	}
	return s.Longest
}

// Check says what is wrong with the settings.
func (s Settings) Check() error {
	switch {
	case strings.TrimSpace(s.Title) == "" || len(s.Title) > 100 || !text.Clean(s.Title):
		return failure.At("title", failure.New(failure.Invalid, "Say what people call the partner: one line, 100 characters at most."))
	case len(s.Contact) > 200 || !text.Clean(s.Contact):
		return failure.At("contact", failure.New(failure.Invalid, "The contact is one line, 200 characters at most."))
	case s.Longest != 0 && (s.Longest < time.Hour || s.Longest > LongestMost):
		return failure.At("longest", failure.New(failure.Invalid, "A delegation may last an hour at least and 90 days at most."))
	}
	return nil
}

// Partner is one, as kept.
type Partner struct {
	ID   int64  `json:"number"`
	Name string `json:"name"`
	Settings
	Version int64 `json:"version"`
}

// errNone is returned for a partner that there is not.
var errNone = failure.New(failure.NotFound, "There is no partner of this name.")

var (
	partnerNumbers    = store.Numbers{Table: "partner", Highest: "partners"}
	delegationNumbers = store.Numbers{Table: "delegation", Highest: "delegations"}
)

const (
	partnerColumns = `id, name, payload, version`
	partnerAgain   = `select version from partner where id = $1`
)

// Kept is what is kept of partners. It is safe for concurrent use.
type Kept struct {
	db   *store.DB
	keys *keyring.Keyring
}

// NewKept makes it.
func NewKept(db *store.DB, keys *keyring.Keyring) *Kept { return &Kept{db, keys} }

func place(table string, id, version int64, key string) keyring.AAD {
	return keyring.AAD{Table: table, Column: "payload", Row: id, Key: key + "\x00" + strconv.FormatInt(version, 10)}
}

// Partners lists the partners by name. One whose row is not as it was left is none.
func (k *Kept) Partners(ctx context.Context, r store.Reader) ([]Partner, error) {
	rows, err := r.Query(ctx, `select `+partnerColumns+` from partner order by name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Partner
	for rows.Next() {
		p, believed, err := k.scanPartner(ctx, rows)
		if err != nil {
			return nil, err
		}
		if believed {
			out = append(out, p)
		}
	}
	return out, rows.Err()
}

// Partner returns the partner of a name.
func (k *Kept) Partner(ctx context.Context, r store.Reader, name string) (Partner, error) {
	p, believed, err := k.scanPartner(ctx, r.QueryRow(ctx, `select `+partnerColumns+` from partner where name = $1`, name))
	if errors.Is(err, store.ErrNotFound) || err == nil && !believed {
		return Partner{}, errNone
	}
	return p, err
}

type scanner interface{ Scan(...any) error }

func (k *Kept) scanPartner(ctx context.Context, row scanner) (p Partner, believed bool, err error) {
	var sealed []byte
	var id, version int64
	var name string
	if err := row.Scan(&id, &name, &sealed, &version); err != nil {
		return p, false, err
	}
	plain, err := k.keys.Open(keyring.Partner, place("partner", id, version, name), sealed)
	if err != nil || json.Unmarshal(plain, &p) != nil {
		k.db.Report(store.Finding{Table: "partner", Row: strconv.FormatInt(id, 10), Wrong: store.Altered})
		return Partner{ID: id, Name: name}, false, nil
	}
	p.ID, p.Name, p.Version = id, name, version
	return p, k.newest(ctx, "partner", id, version, partnerAgain), nil
}

// newest reports whether a row is the newest of its number, and tells where it is not.
func (k *Kept) newest(ctx context.Context, table string, id, version int64, again string) bool {
	if !k.db.View().Older(ctx, table, id, version, again) {
		return true
	}
	wrong := store.Older
	if k.db.Newest(table, id) == store.Gone {
		wrong = store.Returned
	}
	if k.db.View().Stands(ctx, table, id, again) {
		k.db.Report(store.Finding{Table: table, Row: strconv.FormatInt(id, 10), Wrong: wrong})
	}
	return false
}

// setTx adds a partner, or changes the settings of the one that was read in the same change.
func (k *Kept) setTx(ctx context.Context, tx *store.Tx, p Partner) (Partner, error) {
	if p.ID == 0 {
		err := tx.QueryRow(ctx, `insert into partner (name, payload, version) values ($1,$2,$3) returning id`, p.Name, []byte{}, 0).Scan(&p.ID)
		if errors.Is(err, store.ErrConflict) {
			return p, failure.At("name", failure.New(failure.Conflict, "There is a partner %q already.", p.Name))
		}
		if err != nil {
			return p, err
		}
		if err := partnerNumbers.Fresh(k.db.View(), p.ID); err != nil {
			return p, err
		}
		p.Version = 0
	}
	was := p.Version
	p.Version++
	plain, err := json.Marshal(p)
	if err != nil {
		return p, err
	}
	n, err := tx.Exec(ctx, `update partner set payload = $1, version = $2 where id = $3 and version = $4`,
		k.keys.Seal(keyring.Partner, place("partner", p.ID, p.Version, p.Name), plain), p.Version, p.ID, was)
	if err == nil && n != 1 {
		err = failure.New(failure.Conflict, "The partner was changed meanwhile; look at it as it is now, and try again.")
	}
	partnerNumbers.Anchor(tx, p.ID, p.Version)
	return p, err
}

func (k *Kept) removeTx(ctx context.Context, tx *store.Tx, p Partner) error {
	_, err := tx.Exec(ctx, `delete from partner where id = $1`, p.ID)
	tx.Anchor("partner", p.ID, store.Gone)
	return err
}

// Inspect reports rows that are altered, older or missing.
func (k *Kept) Inspect(ctx context.Context) error {
	return errors.Join(
		k.inspect(ctx, partnerNumbers, `select `+partnerColumns+` from partner order by id`, partnerAgain, func(row scanner) (int64, error) {
			p, _, err := k.scanPartner(ctx, row)
			return p.ID, err
		}),
		k.inspect(ctx, delegationNumbers, `select `+delegationColumns+` from delegation order by id`, delegationAgain, func(row scanner) (int64, error) {
			d, _, err := k.scan(ctx, row)
			return d.Number, err
		}))
}

func (k *Kept) inspect(ctx context.Context, numbers store.Numbers, all, again string, scan func(scanner) (int64, error)) error {
	rows, err := k.db.Query(ctx, all)
	if err != nil {
		return err
	}
	defer rows.Close()
	there := map[int64]bool{}
	for rows.Next() {
		id, err := scan(rows)
		if err != nil {
			return err
		}
		there[id] = true
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return numbers.ReportMissing(ctx, k.db.View(), 0, numbers.Given(k.db.View()), there, again)
}

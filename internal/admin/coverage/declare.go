package coverage

import (
	"context"
	"errors"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/attack"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// longestDeclaration is how far ahead a declaration may end: whoever said that
// something is not here is asked again each year.
const longestDeclaration = 366 * 24 * time.Hour

// Declare says that there is nothing here for a row to be about.
type Declare struct {
	Row    string `json:"row" arg:"" help:"The row, such as T1669."`
	Reason string `json:"reason" required:"" help:"Why there is nothing here for it to be about."`
	Until  string `json:"until" required:"" help:"The day on which the declaration ends, such as 2027-06-30; a year ahead at most." said:"When the declaration ends: after a length of time such as 180d, or on a day such as 2027-06-30; a year ahead at most."`
}

// Declared is a declaration that stands.
type Declared struct {
	Row     string    `json:"row"`
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	Expires time.Time `json:"expires"`

	created int64 // microseconds, later than any before
}

func (c *Declare) Action() string { return "coverage.declare" }

// Object is what is declared, word for word.
func (c *Declare) Object() string {
	return admin.WithReason("row "+text.Name(c.Row)+" is not here until "+text.Name(c.Until), c.Reason)
}

func (c *Declare) Do(ctx context.Context, a *keepDesk, g signin.Grant) (any, error) {
	d := Declared{Row: c.Row, Reason: strings.TrimSpace(c.Reason), By: g.Name()}
	if _, ok := attack.ByID(c.Row); !ok {
		return nil, failure.New(failure.Invalid, "M1032 has no row %q.", c.Row)
	}
	if d.Reason == "" || len(d.Reason) > 500 {
		return nil, failure.New(failure.Invalid, "Give a reason of 1 to 500 characters.")
	}
	until, err := time.Parse(time.DateOnly, c.Until)
	if now := a.now(); err != nil || !until.After(now) || until.Sub(now) > longestDeclaration {
		return nil, failure.New(failure.Invalid, "Write the day on which it ends as in %s: after today, and a year ahead at most.", now.AddDate(0, 6, 0).Format(time.DateOnly))
	}
	d.Expires = until
	err = a.Change(ctx, g, "coverage.declared", map[string]string{"row": d.Row, "reason": d.Reason, "until": c.Until}, nil, func(tx *store.Tx) error {
		return a.kept.declareTx(ctx, tx, d)
	})
	return d, err
}

// declareTx keeps a declaration, in the place of one that the row had.
func (a *Kept) declareTx(ctx context.Context, tx *store.Tx, d Declared) error {
	d.created = a.nextMoment(tx, declarationKind, d.Row)
	tx.Anchor(declarationKind, store.NumberOf(d.Row), d.created<<1)
	_, err := tx.Exec(ctx, `insert into declaration (technique, reason, author, created, expires, mac) values ($1,$2,$3,$4,$5,$6)
		on conflict (technique) do update set reason = excluded.reason, author = excluded.author, created = excluded.created, expires = excluded.expires, mac = excluded.mac`,
		d.Row, d.Reason, d.By, d.created, store.Unix(d.Expires), a.keys.MAC(keyring.Declaration, d.fields()))
	return err
}

// Withdraw takes a declaration back.
type Withdraw struct {
	Row string `json:"row" arg:"" help:"The row, such as T1669."`
}

func (c *Withdraw) Action() string { return "coverage.withdraw" }

// Object names the declaration.
func (c *Withdraw) Object() string {
	return "the declaration that row " + text.Name(c.Row) + " is not here"
}

func (c *Withdraw) Do(ctx context.Context, a *keepDesk, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, "coverage.withdrawn", map[string]string{"row": c.Row}, nil, func(tx *store.Tx) error {
		return a.kept.withdrawTx(ctx, tx, c.Row)
	})
	return map[string]string{"withdrawn": c.Row}, err
}

func (a *Kept) withdrawTx(ctx context.Context, tx *store.Tx, row string) error {
	n, err := tx.Exec(ctx, `delete from declaration where technique = $1`, row)
	if err == nil && n == 0 {
		return failure.New(failure.NotFound, "Row %q is not declared.", row)
	}
	tx.Anchor(declarationKind, store.NumberOf(row), a.nextMoment(tx, declarationKind, row)<<1|1)
	return err
}

// declarations are those that are believed, in force or not. One
// whose row fails its integrity check (MAC) counts for nothing.
func (a *Kept) declarations(ctx context.Context, r store.Reader) ([]attack.Declaration, error) {
	rows, err := r.Query(ctx, `select `+declarationColumns+` from declaration order by technique`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []attack.Declaration
	for rows.Next() {
		d, err := a.scanDeclaration(ctx, rows)
		if errors.Is(err, directory.ErrTampered) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, attack.Declaration{Row: d.Row, Reason: d.Reason, By: d.By, Expires: d.Expires})
	}
	return out, rows.Err()
}

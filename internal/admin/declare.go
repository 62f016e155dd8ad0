package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

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

// CoverageDeclare says that there is nothing here for a row to be about.
type CoverageDeclare struct {
	Row    string `json:"row" arg:"" help:"The row, such as T1669."`
	Reason string `json:"reason" required:"" help:"Why there is nothing here for it to be about."`
	Until  string `json:"until" required:"" help:"The day on which the declaration ends, such as 2027-06-30; a year ahead at most."`
}

// Declared is a declaration that stands.
type Declared struct {
	Row     string    `json:"row"`
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	Expires time.Time `json:"expires"`

	created int64 // microseconds, later than any before
}

func (c *CoverageDeclare) Action() string { return "coverage.declare" }

// Object is what is declared, word for word.
func (c *CoverageDeclare) Object() string {
	return WithReason("row "+text.Name(c.Row)+" is not here until "+text.Name(c.Until), c.Reason)
}

func (c *CoverageDeclare) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
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
		return a.declareIn(ctx, tx, d)
	})
	return d, err
}

// declareIn keeps a declaration, in the place of one that the row had.
func (a *Admin) declareIn(ctx context.Context, tx *store.Tx, d Declared) error {
	d.created = a.nextMoment(tx, declarationKind, d.Row)
	tx.Anchor(declarationKind, store.NumberOf(d.Row), d.created<<1)
	_, err := tx.Exec(ctx, `insert into declaration (technique, reason, author, created, expires, mac) values ($1,$2,$3,$4,$5,$6)
		on conflict (technique) do update set reason = excluded.reason, author = excluded.author, created = excluded.created, expires = excluded.expires, mac = excluded.mac`,
		d.Row, d.Reason, d.By, d.created, store.Unix(d.Expires), a.keys.MAC(keyring.Declaration, d.fields()))
	return err
}

// CoverageWithdraw takes a declaration back.
type CoverageWithdraw struct {
	Row string `json:"row" arg:"" help:"The row, such as T1669."`
}

func (c *CoverageWithdraw) Action() string { return "coverage.withdraw" }

// Object names the declaration.
func (c *CoverageWithdraw) Object() string {
	return "the declaration that row " + text.Name(c.Row) + " is not here"
}

func (c *CoverageWithdraw) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, "coverage.withdrawn", map[string]string{"row": c.Row}, nil, func(tx *store.Tx) error {
		return a.withdrawIn(ctx, tx, c.Row)
	})
	return map[string]string{"withdrawn": c.Row}, err
}

func (a *Admin) withdrawIn(ctx context.Context, tx *store.Tx, row string) error {
	n, err := tx.Exec(ctx, `delete from declaration where technique = $1`, row)
	if err == nil && n == 0 {
		return failure.New(failure.NotFound, "Row %q is not declared.", row)
	}
	tx.Anchor(declarationKind, store.NumberOf(row), a.nextMoment(tx, declarationKind, row)<<1|1)
	return err
}

// declarations are those that are believed, in force or not. One that was
// written behind our back counts for nothing.
func (a *Admin) declarations(ctx context.Context, r store.Reader) ([]attack.Declaration, error) {
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

// DrillRecord hands in what a drill met. The report is signed with this
// installation's own key, so that only what ran beside it can have written it.
type DrillRecord struct {
	Report string `json:"report" arg:"" type:"text-file" name:"file" help:"The signed report; - reads standard input."`
}

// Recorded is what drill.record answers.
type Recorded struct {
	Number  int64     `json:"number"`
	Drilled time.Time `json:"drilled"`
	Passed  int       `json:"passed"`
	Failed  int       `json:"failed"`
}

func (c *DrillRecord) Action() string { return "drill.record" }

// Object names the report by its digest.
func (c *DrillRecord) Object() string { return "drill report " + c.digest()[:32] }

func (c *DrillRecord) digest() string {
	sum := sha256.Sum256([]byte(c.Report))
	return hex.EncodeToString(sum[:])
}

func (c *DrillRecord) Do(ctx context.Context, a *Admin, g signin.Grant) (any, error) {
	report, err := attack.OpenDrillReport(c.Report, a.keys.AuditKeys().Verifier)
	if err != nil {
		return nil, failure.New(failure.Invalid, "%s.", upper(err))
	}
	if report.Ended.After(a.now().Add(time.Minute)) {
		return nil, failure.New(failure.Invalid, "The report is dated %s, which is not yet.", report.Ended.UTC().Format(time.DateTime))
	}
	out := Recorded{Drilled: report.Ended}
	for _, d := range report.Results {
		if d.Passed() {
			out.Passed++
		} else {
			out.Failed++
		}
	}
	detail := map[string]string{"digest": c.digest(), "passed": strconv.Itoa(out.Passed), "failed": strconv.Itoa(out.Failed)}
	err = a.Change(ctx, g, "drill.recorded", detail, nil, func(tx *store.Tx) error {
		var err error
		out.Number, err = a.keepReport(ctx, tx, handed{digest: c.digest(), body: c.Report, author: g.Name(), recorded: store.Unix(tx.Now())})
		if errors.Is(err, store.ErrConflict) {
			return failure.New(failure.Conflict, "That report was handed in already.")
		}
		for i := 0; i < len(report.Results) && err == nil; i++ {
			err = a.keepResult(ctx, tx, report.Results[i], out.Number)
		}
		return err
	})
	return out, err
}

func upper(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// keepResult keeps a result unless a newer one is there. Of two of one moment the
// failed one stays.
func (a *Admin) keepResult(ctx context.Context, tx *store.Tx, d attack.DrillResult, report int64) error {
	k := kept{Drill: attack.Drill{Row: d.Row, Application: d.Application, Passed: d.Passed(), Time: d.Time.Truncate(time.Microsecond), Detail: d.Detail}, report: report}
	old, err := a.scanResult(ctx, tx.QueryRow(ctx, `select `+resultColumns+` from drill_result where technique = $1 and application = $2`, d.Row, d.Application))
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, directory.ErrTampered):
		if a.db.Newest(resultKind, k.number()) >= k.version() {
			return nil // the newer one is not there any more as it was kept
		}
	case err != nil:
		return err
	case old.version() >= k.version() && (old.Time.After(k.Time) || !old.Passed):
		return nil
	}
	tx.Anchor(resultKind, k.number(), k.version())
	_, err = tx.Exec(ctx, `insert into drill_result (technique, application, at, passed, detail, report, mac) values ($1,$2,$3,$4,$5,$6,$7)
		on conflict (technique, application) do update set at = excluded.at, passed = excluded.passed, detail = excluded.detail, report = excluded.report, mac = excluded.mac`,
		k.Row, k.Application, store.Unix(k.Time), store.Bit(k.Passed), k.Detail, k.report, a.keys.MAC(keyring.Drill, k.fields()))
	return err
}

// SignDrill signs a report with this installation's key, beside which the drill
// ran. It is for what runs on the machine itself: no command reaches it.
func SignDrill(keys *keyring.Keyring, r attack.DrillReport) (string, error) {
	return r.Sign(keys.AuditKeys().Signer)
}

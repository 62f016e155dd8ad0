package coverage

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"countersign/internal/application"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Kept is what coverage is computed from and kept in tables: declarations, and what drills
// met.
type Kept struct {
	db           *store.DB
	keys         *keyring.Keyring
	applications *application.Catalogue
}

// NewKept makes a Kept. Results are looked for of every application.
func NewKept(db *store.DB, keys *keyring.Keyring, applications *application.Catalogue) *Kept {
	return &Kept{db, keys, applications}
}

// The kinds under which the log says what must be there of coverage. A declaration is at
// twice the moment at which it was made, and one more when it was withdrawn; a result at
// twice the moment of the drill, and one more where it failed, which counts at one moment.
const (
	declarationKind = "declaration"
	resultKind      = "drill_result"
)

// reports are the numbers of reports.
var reports = store.Numbers{Table: "drill_report", Highest: "drill_reports"}

const (
	declarationColumns = `technique, reason, author, created, expires, mac`
	resultColumns      = `technique, application, at, passed, detail, report, mac`
	reportColumns      = `id, digest, body, author, recorded, mac`
)

// nextMoment is the moment of a change, and later than that of any before.
func (a *Kept) nextMoment(tx *store.Tx, kind, name string) int64 {
	return max(store.Unix(tx.Now()), a.db.Newest(kind, store.NumberOf(name))>>1+1)
}

// tampered reports a row and says that it is not believed.
func (a *Kept) tampered(table, row, wrong string) error {
	a.db.Report(store.Finding{Table: table, Row: row, Wrong: wrong})
	return directory.ErrTampered
}

// older reports whether a row that was read at a version is not to be believed: it was put
// back, or removed since it was read. What is remembered may be newer than what was read, so
// where the row was changed within minutes it is read once more: one that is not older then
// was right when it was read, and a transaction that may see what was before runs again.
func (a *Kept) older(ctx context.Context, kind, name string, version int64, again func(context.Context) (int64, error)) (bool, error) {
	number := store.NumberOf(name)
	newest := a.db.Newest(kind, number) // once: it may be changed again while it is read again
	if version >= newest {
		return false, nil
	}
	if a.db.View().Overtaken(kind, number) {
		now, err := again(ctx)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return true, nil
		case err != nil:
			return true, err
		case now >= newest:
			a.db.View().Doubt(kind, number)
			return false, nil
		}
	}
	wrong := store.Older
	if newest&1 == 1 && kind == declarationKind {
		wrong = store.Returned
	}
	a.tampered(kind, name, wrong)
	return true, nil
}

func (d Declared) fields() *keyring.Fields {
	return d.fieldsOfBefore().Int(d.created)
}

// fieldsOfBefore are what the MAC of a declaration was made of when its moment decided
// nothing.
func (d Declared) fieldsOfBefore() *keyring.Fields {
	return keyring.NewFields().String(d.Row).String(d.Reason).String(d.By).Int(store.Unix(d.Expires))
}

func readDeclaration(row interface{ Scan(...any) error }) (d Declared, mac []byte, err error) {
	var expires int64
	err = row.Scan(&d.Row, &d.Reason, &d.By, &d.created, &expires, &mac)
	d.Expires = store.Time(expires)
	return d, mac, err
}

// scanDeclaration reads a declaration. One that is not as it was made is
// [directory.ErrTampered].
func (a *Kept) scanDeclaration(ctx context.Context, row interface{ Scan(...any) error }) (Declared, error) {
	d, mac, err := readDeclaration(row)
	if err != nil {
		return d, err
	}
	if !a.keys.VerifyMAC(keyring.Declaration, d.fields(), mac) {
		return d, a.tampered("declaration", d.Row, store.Altered)
	}
	older, err := a.older(ctx, declarationKind, d.Row, d.created<<1, func(ctx context.Context) (at int64, err error) {
		err = a.db.QueryRow(ctx, `select created from declaration where technique = $1`, d.Row).Scan(&at)
		return at << 1, err
	})
	if older && err == nil {
		err = directory.ErrTampered
	}
	return d, err
}

// kept is a result as kept.
type kept struct {
	attack.Drill
	report int64
}

func (k kept) fields() *keyring.Fields {
	return keyring.NewFields().String(k.Row).String(k.Application).Int(store.Unix(k.Time)).Int(store.Bit(k.Passed)).String(k.Detail).Int(k.report)
}

func (k kept) name() string { return resultName(k.Row, k.Application) }

func resultName(row, application string) string { return row + " " + application }

func (k kept) number() int64 { return store.NumberOf(k.name()) }

func (k kept) version() int64 { return resultVersion(store.Unix(k.Time), k.Passed) }

func resultVersion(at int64, passed bool) int64 { return at<<1 | store.Bit(!passed) }

// scanResult reads a result. One that is not as it was kept is [directory.ErrTampered].
func (a *Kept) scanResult(ctx context.Context, row interface{ Scan(...any) error }) (kept, error) {
	var k kept
	var at, passed int64
	var mac []byte
	if err := row.Scan(&k.Row, &k.Application, &at, &passed, &k.Detail, &k.report, &mac); err != nil {
		return k, err
	}
	k.Time, k.Passed = store.Time(at), passed == 1
	if !a.keys.VerifyMAC(keyring.Drill, k.fields(), mac) || passed>>1 != 0 {
		return k, a.tampered("drill_result", k.name(), store.Altered)
	}
	older, err := a.older(ctx, resultKind, k.name(), k.version(), func(ctx context.Context) (int64, error) {
		err := a.db.QueryRow(ctx, `select at, passed from drill_result where technique = $1 and application = $2`, k.Row, k.Application).Scan(&at, &passed)
		return resultVersion(at, passed == 1), err
	})
	if older && err == nil {
		err = directory.ErrTampered
	}
	return k, err
}

// drillResults are the newest results. One that is missing, or not as it was kept, counts as
// failed: it may have been.
func (a *Kept) drillResults(ctx context.Context, r store.Reader) ([]attack.Drill, error) {
	all, missing, err := a.believed(ctx, r, "")
	if err != nil {
		return nil, err
	}
	var out []attack.Drill
	behind := map[int64]RunReport{}
	for _, k := range all {
		report, err := a.behind(ctx, r, k, behind)
		if err != nil {
			return nil, err
		}
		out = append(out, k.found(report))
	}
	out = append(out, missing...)
	slices.SortFunc(out, func(a, b attack.Drill) int { return a.Time.Compare(b.Time) })
	return out, nil
}

// believed reads the results of a row, or of all where row is empty. Missing are those that
// should be there, or are not as they were kept.
func (a *Kept) believed(ctx context.Context, r store.Reader, row string) (all []kept, missing []attack.Drill, err error) {
	wanted, err := a.wantedResults(ctx) // before they are read, so that each is there
	if err != nil {
		return nil, nil, err
	}
	rows, err := r.Query(ctx, `select `+resultColumns+` from drill_result where technique = $1 or $1 = '' order by technique, application`, row)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		k, err := a.scanResult(ctx, rows)
		if errors.Is(err, directory.ErrTampered) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		delete(wanted, k.name())
		all = append(all, k)
	}
	for _, d := range wanted {
		if row == "" || d.Row == row {
			missing = append(missing, d)
		}
	}
	return all, missing, rows.Err()
}

// behind returns the report of a result, of those that were read or from the table. It is
// empty where there is none.
func (a *Kept) behind(ctx context.Context, r store.Reader, k kept, read map[int64]RunReport) (RunReport, error) {
	if report, ok := read[k.report]; ok {
		return report, nil
	}
	report, err := a.run(ctx, r, k.report)
	if err != nil && failure.ClassOf(err) != failure.NotFound {
		return report, err
	}
	read[k.report] = report
	return report, nil
}

// found is a result with what its report says of it: the doors, and the application as it
// was found. A report that is not as it was handed in says nothing.
func (k kept) found(report RunReport) attack.Drill {
	k.Found = report.found(k.Application)
	for _, d := range report.Results {
		if d.Row == k.Row && d.Application == k.Application {
			k.Doors = d.Doors()
		}
	}
	return k.Drill
}

// wantedResults are the results that must be there, each as though it had failed.
func (a *Kept) wantedResults(ctx context.Context) (map[string]attack.Drill, error) {
	all, err := a.applications.All(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{"", signin.Self}
	for _, app := range all {
		names = append(names, app.Name)
	}
	out := map[string]attack.Drill{}
	for _, row := range attack.Rows() {
		for _, name := range names {
			k := resultName(row.ID, name)
			if at := a.db.Newest(resultKind, store.NumberOf(k)); at != 0 {
				out[k] = attack.Drill{Row: row.ID, Application: name, Time: store.Time(at >> 1), Detail: "the row of the result failed its integrity check (MAC), or is missing"}
			}
		}
	}
	return out, nil
}

// handed is a report as it was handed in.
type handed struct {
	id           int64
	digest, body string
	author       string
	recorded     int64
}

func (h handed) fields() *keyring.Fields {
	return keyring.NewFields().String("drill_report").Int(h.id).String(h.digest).String(h.body).String(h.author).Int(h.recorded)
}

// keepReport keeps a report, and returns its number.
func (a *Kept) keepReport(ctx context.Context, tx *store.Tx, h handed) (int64, error) {
	err := tx.QueryRow(ctx, `insert into drill_report (digest, body, author, recorded) values ($1,$2,$3,$4) returning id`, h.digest, h.body, h.author, h.recorded).Scan(&h.id)
	if err != nil {
		return 0, err
	}
	if err := reports.Fresh(a.db.View(), h.id); err != nil {
		return 0, err
	}
	reports.Anchor(tx, h.id, 1)
	_, err = tx.Exec(ctx, `update drill_report set mac = $2 where id = $1`, h.id, a.keys.MAC(keyring.Drill, h.fields()))
	return h.id, err
}

// Inspect reads the rows of coverage and reports those that are not as they were left, or
// missing.
func (a *Kept) Inspect(ctx context.Context) error {
	return errors.Join(a.inspectDeclarations(ctx), a.inspectResults(ctx), a.inspectReports(ctx))
}

func (a *Kept) inspectDeclarations(ctx context.Context) error {
	if _, err := a.declarations(ctx, a.db); err != nil { // reports what it passes over
		return err
	}
	for _, row := range attack.Rows() {
		number := store.NumberOf(row.ID)
		if a.db.Newest(declarationKind, number)&1 == 1 {
			continue // withdrawn
		}
		lost, err := a.db.View().Lost(ctx, declarationKind, number, func(ctx context.Context) (bool, error) {
			return a.some(ctx, `select count(*) from declaration where technique = $1`, row.ID)
		})
		if err != nil {
			return err
		}
		if lost && a.db.Newest(declarationKind, number)&1 == 0 {
			a.tampered("declaration", row.ID, store.Missing)
		}
	}
	return nil
}

func (a *Kept) some(ctx context.Context, query string, args ...any) (bool, error) {
	var n int64
	err := a.db.QueryRow(ctx, query, args...).Scan(&n)
	return n > 0, err
}

func (a *Kept) inspectResults(ctx context.Context) error {
	if _, err := a.drillResults(ctx, a.db); err != nil { // reports what it passes over
		return err
	}
	wanted, err := a.wantedResults(ctx)
	if err != nil {
		return err
	}
	for name, d := range wanted {
		there, err := a.some(ctx, `select count(*) from drill_result where technique = $1 and application = $2`, d.Row, d.Application)
		if err != nil {
			return err
		}
		if !there { // none is ever removed
			a.tampered("drill_result", name, store.Missing)
		}
	}
	return nil
}

// inspectPage is how many rows a sweep reads at once.
const inspectPage = 100

func (a *Kept) inspectReports(ctx context.Context) error {
	newest := reports.Given(a.db.View()) // before they are read, so that each is there
	there, after := map[int64]bool{}, int64(0)
	err := a.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		n, err := a.inspectReportsAfter(ctx, &after, there)
		return n == inspectPage, err
	})
	if err != nil {
		return err
	}
	return reports.ReportMissing(ctx, a.db.View(), 0, newest, there, `select id from drill_report where id = $1`)
}

func (a *Kept) inspectReportsAfter(ctx context.Context, after *int64, there map[int64]bool) (n int, err error) {
	rows, err := a.db.Query(ctx, `select `+reportColumns+` from drill_report where id > $1 order by id limit $2`, *after, inspectPage)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		h, mac, err := readReport(rows)
		if err != nil {
			return n, err
		}
		*after, there[h.id] = h.id, true
		if !a.keys.VerifyMAC(keyring.Drill, h.fields(), mac) {
			a.tampered("drill_report", strconv.FormatInt(h.id, 10), store.Altered)
		}
	}
	return n, rows.Err()
}

func readReport(row interface{ Scan(...any) error }) (h handed, mac []byte, err error) {
	err = row.Scan(&h.id, &h.digest, &h.body, &h.author, &h.recorded, &mac)
	return h, mac, err
}

// Bind gives the rows of coverage of a release before a MAC of all that they are. Those
// that did not bear their MAC of then, and reports that are not signed, get none.
func (a *Kept) Bind(ctx context.Context) error {
	return a.db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		for table, bind := range map[string]func(context.Context, *store.Tx) (int, error){"declaration": a.bindDeclarations, "drill_result": a.bindResults, "drill_report": a.bindReports} {
			n, err := bind(ctx, tx)
			if err != nil {
				return err
			}
			if err := tx.RecordBound(table, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *Kept) bindDeclarations(ctx context.Context, tx *store.Tx) (int, error) {
	rows, err := tx.Query(ctx, `select `+declarationColumns+` from declaration order by technique`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var all []Declared
	for rows.Next() {
		d, mac, err := readDeclaration(rows)
		if err != nil {
			return 0, err
		}
		if a.keys.VerifyMAC(keyring.Declaration, d.fieldsOfBefore(), mac) {
			all = append(all, d)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, d := range all {
		if _, err := tx.Exec(ctx, `update declaration set mac = $2 where technique = $1`, d.Row, a.keys.MAC(keyring.Declaration, d.fields())); err != nil {
			return 0, err
		}
		tx.Anchor(declarationKind, store.NumberOf(d.Row), d.created<<1)
	}
	return len(all), nil
}

func (a *Kept) bindResults(ctx context.Context, tx *store.Tx) (n int, err error) {
	rows, err := tx.Query(ctx, `select `+resultColumns+` from drill_result order by technique, application`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		k, err := a.scanResult(ctx, rows)
		if errors.Is(err, directory.ErrTampered) {
			continue
		}
		if err != nil {
			return n, err
		}
		n++
		tx.Anchor(resultKind, k.number(), k.version())
	}
	return n, rows.Err()
}

func (a *Kept) bindReports(ctx context.Context, tx *store.Tx) (int, error) {
	rows, err := tx.Query(ctx, `select `+reportColumns+` from drill_report where mac is null and id <= $1 order by id`, store.MostBound)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var all []handed
	for rows.Next() {
		h, _, err := readReport(rows)
		if err != nil {
			return 0, err
		}
		if _, err := attack.OpenDrillReport(h.body, a.keys.AuditKeys().Verifier); err == nil && h.digest == (&DrillRecord{Report: h.body}).digest() {
			all = append(all, h)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, h := range all {
		if _, err := tx.Exec(ctx, `update drill_report set mac = $2 where id = $1`, h.id, a.keys.MAC(keyring.Drill, h.fields())); err != nil {
			return 0, err
		}
		reports.Anchor(tx, h.id, 1)
	}
	return len(all), nil
}

package coverage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/attack"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
	"countersign/internal/store"
)

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

// Said is the text without the digest.
func (c *DrillRecord) Said() string { return "the signed report of a drill" }

// Tell says how long the report is. What it says is believed by its signature alone.
func (c *DrillRecord) Tell(_ context.Context, _ *keepDesk, s *admin.Sheet) error {
	s.Says("report", fmt.Sprintf("%d bytes, signed by whoever ran it", len(c.Report)))
	return nil
}

func (c *DrillRecord) digest() string {
	sum := sha256.Sum256([]byte(c.Report))
	return hex.EncodeToString(sum[:])
}

func (c *DrillRecord) Do(ctx context.Context, a *keepDesk, g signin.Grant) (any, error) {
	report, err := attack.OpenDrillReport(c.Report, a.kept.keys.AuditKeys().Verifier)
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
		out.Number, err = a.kept.keepReport(ctx, tx, handed{digest: c.digest(), body: c.Report, author: g.Name(), recorded: store.Unix(tx.Now())})
		if errors.Is(err, store.ErrConflict) {
			return failure.New(failure.Conflict, "That report was handed in already.")
		}
		for i := 0; i < len(report.Results) && err == nil; i++ {
			err = a.kept.keepResult(ctx, tx, report.Results[i], out.Number)
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
func (a *Kept) keepResult(ctx context.Context, tx *store.Tx, d attack.DrillResult, report int64) error {
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

// mostSent is how long a command that hands in a report may be: what the API takes, and a
// little less.
const mostSent = 250 << 10

// SignDrill signs a report with this installation's key, beside which the drill
// ran, shortened until it can be handed in. It is for what runs on the machine itself: no
// command reaches it.
func SignDrill(keys *keyring.Keyring, r attack.DrillReport) (string, error) {
	for _, most := range []int{100, 30, 10, 3, 1, 0} {
		signed, err := r.Shortened(most).Sign(keys.AuditKeys().Signer)
		if err != nil {
			return "", err
		}
		if sent, err := json.Marshal(DrillRecord{Report: signed}); err != nil || len(sent) <= mostSent {
			return signed, err
		}
	}
	return "", errors.New("the report is longer than the server takes; drill some of the rows at a time with --row")
}

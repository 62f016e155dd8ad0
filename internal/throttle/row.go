package throttle

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"countersign/internal/keyring"
	"countersign/internal/store"
)

// guessColumns are what a guessRow is read from.
const guessColumns = `subject, owner, count, since, retry, mac`

// guessRow is a row of the table guess as it is stored. Its MAC is of all that it says, so
// that nobody else lowers a count, ends a window or gives a row to another subject.
type guessRow struct {
	subject                    string
	owner, count, since, retry int64
	mac                        []byte
}

func (r *guessRow) fields() *keyring.Fields {
	return keyring.NewFields().String("guess").String(r.subject).Int(r.owner).Int(r.count).Int(r.since).Int(r.retry)
}

// bound reports whether a row is as we wrote it.
func (l *ledger) bound(r *guessRow) bool { return l.keys.VerifyMAC(keyring.Guess, r.fields(), r.mac) }

func (r *guessRow) scan(rows interface{ Scan(...any) error }) error {
	return rows.Scan(&r.subject, &r.owner, &r.count, &r.since, &r.retry, &r.mac)
}

// altered reports a row that somebody else wrote. Whose it is, it does not say truly.
func (l *ledger) altered(r *guessRow) {
	l.view.Report(store.Finding{Table: "guess", Row: r.subject, Wrong: store.Altered})
}

// stored reads a row, and reports whether there is one.
func stored(ctx context.Context, r store.Reader, subject string) (row guessRow, there bool, err error) {
	err = row.scan(r.QueryRow(ctx, `select `+guessColumns+` from guess where subject = $1`, subject))
	if errors.Is(err, store.ErrNotFound) {
		return row, false, nil
	}
	return row, err == nil, err
}

// row is how a subject is stored.
func (s *subject) row() guessRow {
	return guessRow{subject: s.key, owner: int64(s.owner), count: int64(s.count), since: store.Unix(s.since), retry: store.Unix(s.retry)}
}

// upserts are the statements for one row, two, and so on.
var upserts = func() (out [9]string) {
	for n := 1; n < len(out); n++ {
		out[n] = upsert(n)
	}
	return out
}()

func upsert(n int) string {
	rows := make([]string, n)
	for i := range rows {
		var arg [6]string
		for j := range arg {
			arg[j] = "$" + strconv.Itoa(6*i+j+1)
		}
		rows[i] = "(" + strings.Join(arg[:], ",") + ")"
	}
	return `insert into guess (` + guessColumns + `) values ` + strings.Join(rows, ",") + `
		on conflict (subject) do update set owner = excluded.owner, count = excluded.count, since = excluded.since, retry = excluded.retry, mac = excluded.mac`
}

// write keeps rows of different subjects, in one statement for every eight.
func (l *ledger) write(ctx context.Context, tx *store.Tx, rows []guessRow) error {
	for len(rows) > 0 {
		n := min(len(rows), len(upserts)-1)
		args := make([]any, 0, 6*n)
		for _, r := range rows[:n] {
			args = append(args, r.subject, r.owner, r.count, r.since, r.retry, l.keys.MAC(keyring.Guess, r.fields()))
		}
		if _, err := tx.Expect(ctx, int64(n), upserts[n], args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

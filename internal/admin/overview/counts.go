package overview

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Counts keeps how many entries of each sort there were on each day, and which entries are
// alarms, so that an overview costs the same however long the log is. It goes along the log
// by its numbers, each entry once, and keeps how far it came in the same transaction as the
// counts: several servers count nothing twice.
//
// The tables are statistics. Whoever can write to the database can have charts show what they
// like; the log itself is what is verified, and each alarm is read from there.
type Counts struct {
	db  *store.DB
	now func() time.Time
	mu  sync.Mutex // one walk at a time in this server
}

// NewCounts makes Counts. A day is one in the zone of the clock.
func NewCounts(db *store.DB, now func() time.Time) *Counts { return &Counts{db: db, now: now} }

const (
	// shownDays is how many days are shown, and keptDays how many are kept.
	shownDays, keptDays = 14, 400
	// countPage is how many entries are read at once. A page is one transaction.
	countPage = 2000
	// mostReasons bounds how many sorts of a day are kept; all further are one.
	mostReasons = 100
	// longestWord bounds a word of the log that is counted by.
	longestWord = 48
	// noDay is the day of the row that says how far was counted.
	noDay = -1
)

// Day is what there was on one day.
type Day struct {
	// Day is a day in the zone of the installation, as in 2026-12-01.
	Day string `json:"day"`
	// LetIn are the sign-ins that were granted, and Refused what was refused, by reason.
	LetIn   int64            `json:"let_in"`
	Refused map[string]int64 `json:"refused,omitempty"`
	// Shown are the kinds of authenticators with which people were let in.
	Shown map[string]int64 `json:"shown,omitempty"`
}

// CatchUp counts what is new, a number of pages at the most, and reports whether all is
// counted. The first time it begins with the entries of the days that are shown.
func (c *Counts) CatchUp(ctx context.Context, pages int) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range pages {
		at, err := c.reached(ctx)
		if err != nil {
			return false, err
		}
		got, last, err := c.page(ctx, at)
		if err != nil {
			return false, err
		}
		if got.to == 0 && !at.beyond {
			return true, nil
		}
		got.to = max(got.to, at.next)
		if err := c.keep(ctx, at, got); err != nil || last {
			return err == nil, err
		}
	}
	return false, nil
}

// page counts the entries from a place on, and reports whether no page follows it.
func (c *Counts) page(ctx context.Context, at place) (counted, bool, error) {
	f := store.Filter{From: at.next, Limit: countPage}
	if !at.begun {
		f.Since = c.now().AddDate(0, 0, -shownDays)
	}
	entries, err := c.db.AuditLog().Entries(ctx, f)
	return c.tally(entries), len(entries) < countPage, err
}

// looked is what there was, as it is shown.
type looked struct {
	days  []Day
	rings []int64 // the numbers of the newest alarms, the newest first
	all   bool    // nothing of the log is left out
}

// look reads what was counted and adds what is new, a number of pages at the most. It keeps
// nothing: a page that is looked at changes no row.
func (c *Counts) look(ctx context.Context, pages int) (looked, error) {
	for {
		at, err := c.reached(ctx)
		if err != nil {
			return looked{}, err
		}
		more, all, err := c.ahead(ctx, at, pages)
		if err != nil {
			return looked{}, err
		}
		out := looked{all: all}
		if out.days, err = c.shown(ctx, more); err != nil {
			return looked{}, err
		}
		kept, err := c.raised(ctx, mostRaised)
		if err != nil {
			return looked{}, err
		}
		slices.Reverse(more.rings)
		out.rings = append(more.rings, kept...)
		if after, err := c.reached(ctx); err != nil || after == at { // or something is there twice, or missing
			return out, err
		}
	}
}

// ahead counts what is new from a place on, and reports whether that is all.
func (c *Counts) ahead(ctx context.Context, at place, pages int) (counted, bool, error) {
	out := counted{days: map[sort]int64{}}
	for range pages {
		got, last, err := c.page(ctx, at)
		if err != nil {
			return out, false, err
		}
		for s, n := range got.days {
			out.days[s] += n
		}
		out.rings = append(out.rings, got.rings...)
		if got.to == 0 || last {
			return out, true, nil
		}
		at = place{next: got.to, begun: true}
	}
	return out, false, nil
}

// place is how far was counted.
type place struct {
	next  int64 // the number of the first entry that was not counted
	begun bool  // any was
	// beyond says that what was counted is further than the log is: an older log was put back.
	beyond bool
}

func (c *Counts) reached(ctx context.Context) (place, error) {
	var next, end int64
	err := c.db.QueryRow(ctx, `select n from counted where day = $1 and what = 'next'`, noDay).Scan(&next)
	if errors.Is(err, store.ErrNotFound) {
		return place{}, nil
	}
	if err != nil {
		return place{}, err
	}
	err = c.db.QueryRow(ctx, `select coalesce(max(seq), -1) + 1 from audit_entry`).Scan(&end)
	return place{next: min(next, end), begun: true, beyond: next > end}, err
}

// counted are the counts of a page.
type counted struct {
	to    int64 // the number after the last entry; 0 is none
	days  map[sort]int64
	rings []int64 // the numbers of alarms
}

// sort is a sort of entry on a day.
type sort struct {
	day  int64
	what string
}

// tally counts entries that have their number.
func (c *Counts) tally(entries []audit.Entry) counted {
	out := counted{days: map[sort]int64{}}
	for _, e := range entries {
		if e.Seq < 0 {
			continue // it comes again with its number
		}
		out.to = e.Seq + 1
		if strings.HasPrefix(e.Event, "alarm.") {
			out.rings = append(out.rings, e.Seq)
		}
		day := dayOf(e.At.In(c.now().Location()))
		for _, what := range sorts(e) {
			out.days[sort{day, what}] += times(e)
		}
	}
	return out
}

// dayOf numbers the day of a time in its zone.
func dayOf(t time.Time) int64 {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 3600)
}

// times is how many events an entry stands for: wrong answers of strangers are summed up.
func times(e audit.Entry) int64 {
	n, err := strconv.ParseInt(e.Detail["count"], 10, 32)
	if err != nil || e.Detail["last"] == "" {
		return 1
	}
	return max(n, 1)
}

const letIn, refused, shown = "let in", "refused ", "shown "

// sorts are what an entry counts as: a sign-in that was let in and what was shown for it, or
// a refusal by its reason. Being asked for a fresh proof is none.
func sorts(e audit.Entry) []string {
	switch {
	case e.Event == "signin.granted" && (e.Action == "" || e.Action == signin.SignIn):
		out := []string{letIn}
		for _, kind := range strings.Split(e.Detail["shown"], ", ") {
			if what := shown + word(kind); kind != "" && !slices.Contains(out, what) {
				out = append(out, what)
			}
		}
		return out
	case e.Outcome == audit.Refused && e.Reason != "step-up" && slices.Contains([]string{"signin.refused", "answer.refused", "action.refused", "command.refused"}, e.Event):
		return []string{refused + word(e.Reason)}
	}
	return nil
}

// word is a word of the log that can be counted by.
func word(s string) string {
	if len(s) > longestWord || strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return "other"
	}
	return s
}

var errCountedElsewhere = errors.New("another server counted meanwhile")

// keep adds the counts of a page, if nobody has counted it meanwhile.
func (c *Counts) keep(ctx context.Context, from place, got counted) error {
	err := c.db.Housekeep(ctx, "log.count", func(tx *store.Tx) error {
		n, err := c.move(ctx, tx, from, got.to)
		if err != nil {
			return err
		}
		if n != 1 {
			return errCountedElsewhere
		}
		for s, n := range got.days {
			if _, err := tx.Exec(ctx, `insert into counted (day, what, n) values ($1,$2,$3) on conflict (day, what) do update set n = counted.n + excluded.n`, s.day, s.what, n); err != nil {
				return err
			}
		}
		for _, seq := range got.rings {
			if _, err := tx.Exec(ctx, `insert into raised (seq) values ($1) on conflict do nothing`, seq); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `delete from counted where day >= 0 and day < $1`, dayOf(c.now())-keptDays)
		return err
	})
	if errors.Is(err, errCountedElsewhere) {
		return nil
	}
	return err
}

// move says how far was counted, from where this server saw it.
func (c *Counts) move(ctx context.Context, tx *store.Tx, from place, to int64) (int64, error) {
	switch {
	case !from.begun:
		return tx.Exec(ctx, `insert into counted (day, what, n) values ($1, 'next', $2) on conflict do nothing`, noDay, to)
	case from.beyond:
		return tx.Exec(ctx, `update counted set n = $2 where day = $1 and what = 'next' and n > (select coalesce(max(seq), -1) + 1 from audit_entry)`, noDay, to)
	}
	return tx.Exec(ctx, `update counted set n = $2 where day = $1 and what = 'next' and n = $3`, noDay, to, from.next)
}

// shown are the newest days with what was counted and what more there is, the oldest first,
// those without anything among them.
func (c *Counts) shown(ctx context.Context, more counted) ([]Day, error) {
	today := c.now()
	first := dayOf(today) - shownDays + 1
	out := make([]Day, shownDays)
	for i := range out {
		out[i] = Day{Day: today.AddDate(0, 0, i-shownDays+1).Format(time.DateOnly), Refused: map[string]int64{}, Shown: map[string]int64{}}
	}
	rows, err := c.db.Query(ctx, `select day, what, n from counted where day >= $1 and day < $2 order by day, n desc, what`, first, first+shownDays)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var day, n int64
		var what string
		if err := rows.Scan(&day, &what, &n); err != nil {
			return nil, err
		}
		out[day-first].add(what, n)
	}
	for s, n := range more.days {
		if s.day >= first && s.day < first+shownDays {
			out[s.day-first].add(s.what, n)
		}
	}
	return out, rows.Err()
}

// add adds a count to a day.
func (d *Day) add(what string, n int64) {
	if what == letIn {
		d.LetIn += n
		return
	}
	into, name := d.Refused, strings.TrimPrefix(what, refused)
	if kind, ok := strings.CutPrefix(what, shown); ok {
		into, name = d.Shown, kind
	}
	if _, known := into[name]; !known && len(into) >= mostReasons {
		name = "other"
	}
	into[name] += n
}

// alarms are those with these numbers of the days that are shown, each read from the log.
func (c *Counts) alarms(ctx context.Context, numbers []int64, most int) ([]audit.Entry, error) {
	var out []audit.Entry
	since := c.now().AddDate(0, 0, -shownDays)
	for _, seq := range numbers[:min(most, len(numbers))] {
		entries, err := c.db.AuditLog().Entries(ctx, store.Filter{From: seq, Before: seq + 1, Limit: 1})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if unreadable := !strings.HasPrefix(e.Event, "alarm."); unreadable && e.Event != "audit.unreadable" || !e.At.IsZero() && e.At.Before(since) {
				continue // a row that somebody wrote, or an old one
			}
			out = append(out, e)
		}
	}
	return out, nil
}

const (
	// latelyMost is how far back refusals are looked for, in entries, and mostLately how many.
	latelyMost, mostLately = 2000, 30
)

// refusedLately is what was refused among the newest entries, the newest first.
func (c *Counts) refusedLately(ctx context.Context) ([]audit.Entry, error) {
	var end int64
	if err := c.db.QueryRow(ctx, `select coalesce(max(seq), -1) + 1 from audit_entry`).Scan(&end); err != nil {
		return nil, err
	}
	return c.db.AuditLog().Entries(ctx, store.Filter{From: max(0, end-latelyMost), Outcome: audit.Refused, Limit: mostLately, Newest: true})
}

func (c *Counts) raised(ctx context.Context, most int) ([]int64, error) {
	rows, err := c.db.Query(ctx, `select seq from raised where seq < $1 order by seq desc limit $2`, int64(math.MaxInt64), most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, err
		}
		out = append(out, seq)
	}
	return out, rows.Err()
}

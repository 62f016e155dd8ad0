package metrics

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
)

// Log counts the entries of the audit log by event, outcome and protocol, those of
// other servers too. Every decision is in the log, so no other code has to count.
// The counts begin when the process starts.
type Log struct {
	log       *store.AuditLog
	protocols []string

	mu     sync.Mutex
	next   int64 // the first entry that was not counted
	begun  bool
	counts map[[3]string]float64
}

// NewLog returns a Log that has counted nothing. Protocols are the values that the
// protocol label may have; all others are "other".
func NewLog(log *store.AuditLog, protocols []string) *Log {
	return &Log{log: log, protocols: protocols}
}

const (
	// mostSeries limits the number of series; further ones are counted as "other".
	mostSeries = 400
	pageSize   = 10_000
	mostPages  = 100
)

// Gather counts the new entries and returns all counts.
func (l *Log) Gather(ctx context.Context) ([]Sample, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[[3]string]float64{}
	}
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	for range mostPages {
		entries, err := l.log.Entries(ctx, store.Filter{From: l.next, Limit: pageSize})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			l.count(e)
		}
		if len(entries) < pageSize {
			break
		}
	}
	var out []Sample
	for k, v := range l.counts {
		out = append(out, Sample{Name: "countersign_audit_entries_total", Help: "Entries of the audit log since this server started, of all servers.", Kind: Counter,
			Labels: []string{"event", k[0], "outcome", k[1], "protocol", k[2]}, Value: v})
	}
	slices.SortFunc(out, func(a, b Sample) int { return slices.Compare(a.Labels, b.Labels) })
	return out, nil
}

// begin starts counting at the end of the log.
func (l *Log) begin(ctx context.Context) error {
	if l.begun {
		return nil
	}
	newest, err := l.log.Entries(ctx, store.Filter{Newest: true, Limit: 1})
	if err != nil {
		return err
	}
	if len(newest) > 0 {
		l.next = max(newest[0].Seq, 0)
	}
	l.begun = true
	return nil
}

func (l *Log) count(e audit.Entry) {
	if e.Seq < 0 {
		return // not yet numbered: it comes again
	}
	l.next = e.Seq + 1
	k := [3]string{e.Event, e.Outcome, e.Protocol}
	if !slices.Contains(l.protocols, k[2]) {
		k[2] = "other"
	}
	if strings.TrimLeft(k[0], "abcdefghijklmnopqrstuvwxyz.-") != "" {
		k[0] = "other"
	}
	if _, known := l.counts[k]; !known && len(l.counts) >= mostSeries {
		k = [3]string{"other", "other", "other"}
	}
	l.counts[k]++
}

// Store gathers the metrics of the database: queues, and the work of the writer.
func Store(rows store.View, condition *store.Condition, alarms *store.Alarms) Source {
	return func(ctx context.Context) ([]Sample, error) {
		s := condition.Stats()
		out := []Sample{
			{Name: "countersign_store_batches_total", Help: "Transactions tried.", Kind: Counter, Value: float64(s.Batches)},
			{Name: "countersign_store_requests_total", Help: "Changes and chores that they carried.", Kind: Counter, Value: float64(s.Requests)},
			{Name: "countersign_store_retries_total", Help: "Transactions run again.", Kind: Counter, Value: float64(s.Retries)},
			{Name: "countersign_store_wait_seconds_total", Help: "Time that requests waited for their turn, all together.", Kind: Counter, Value: s.Waited.Seconds()},
			{Name: "countersign_store_busy_seconds_total", Help: "Time that transactions took.", Kind: Counter, Value: s.Busy.Seconds()},
			{Name: "countersign_store_healthy", Help: "1 when the database takes reads and the last write worked.", Kind: Gauge, Value: truth(condition.Health(ctx) == nil)},
			{Name: "countersign_feed_fresh", Help: "1 when this server hears of revocations; at 0 it remembers nothing.", Kind: Gauge, Value: truth(rows.FeedFresh())},
		}
		unseen, err := alarms.Unseen(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out,
			Sample{Name: "countersign_database_alarms", Help: "Rows that were changed in the database from outside, which no administrator has seen.", Kind: Gauge, Value: float64(len(unseen))},
			Sample{Name: "countersign_database_halted", Help: "1 when the audit log failed its integrity check: all changes are refused until countersign audit accept.", Kind: Gauge, Value: truth(condition.Halted() != nil)})
		clock, err := condition.Clock(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, Sample{Name: "countersign_clock_behind_seconds", Help: "How far this server's clock is behind the database's, or else the log's newest entry; negative is ahead.", Kind: Gauge, Value: clock.Behind().Seconds()})
		for _, q := range []struct{ name, help, query string }{
			{"countersign_attempts", "Sign-ins under way.", `select count(*) from attempt where expires > $1 and step > 0`},
			{"countersign_sessions", "Sessions that stand.", `select count(*) from session where ended = 0 and expires > $1`},
			{"countersign_notices_waiting", "Notices that wait to be sent.", `select count(*) from notice where state = 'waiting' and created <= $1`},
			{"countersign_notices_failed", "Notices that could not be sent and are given up.", `select count(*) from notice where state = 'failed' and created <= $1`},
		} {
			var n int64
			if err := rows.QueryRow(ctx, q.query, store.Unix(time.Now())).Scan(&n); err != nil {
				return nil, err
			}
			out = append(out, Sample{Name: q.name, Help: q.help, Kind: Gauge, Value: float64(n)})
		}
		return out, nil
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

package store

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	feedPoll  = 200 * time.Millisecond // how often the table is read
	feedStale = time.Second            // after so long without an answer, cached data is not to be trusted
	feedKeep  = 10 * time.Minute       // how long announcements stay in the table
	feedGap   = time.Minute            // how long a missing number may still appear; no transaction lasts longer
	feedAway  = feedKeep / 2           // after so long without an answer, announcements may have been removed
	feedPage  = 1000
	feedFar   = 100_000 // how far back missing numbers are looked for; more than are assigned between two reads
)

// Feed tells the caches of this server what changed, here or on another server. It is safe
// for concurrent use.
type Feed struct {
	log     *slog.Logger
	rows    *reads
	changes *changes // to remove old announcements
	life    *life

	mu     sync.Mutex
	subs   []func(string)
	alone  bool                // no other server announces: SQLite
	last   int64               // the highest number seen
	gaps   map[int64]time.Time // lower numbers not seen yet, and since when
	looked atomic.Int64        // when the table was last read to its end, in nanoseconds since start
	lost   atomic.Bool         // the last read failed
	start  time.Time
	swept  time.Time
	heard  time.Time // like looked, by the wall clock
	moves  moves
}

// Missed is the topic that a server announces to itself after it was away for so long
// that it may have missed announcements: all cached data is stale.
const Missed = "missed"

// Feed returns the feed of changes.
func (db *DB) Feed() *Feed { return db.feed }

// Subscribe calls hear with every topic that any server announces: before [DB.Change]
// returns for changes of this server, within a second for others. hear must be quick
// and must not write. A topic may come more than once. While [Feed.Fresh] is false,
// announcements may be late and the caller must not trust cached data.
func (f *Feed) Subscribe(hear func(topic string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, hear)
}

// Fresh reports whether cached data may be trusted: within the last second this
// server confirmed that it received every announcement. With SQLite only this server
// announces, so it is true unless the database is closed or broken.
func (f *Feed) Fresh() bool {
	if f.life.over() {
		return false
	}
	if f.alone {
		return !f.lost.Load()
	}
	return time.Since(f.start)-time.Duration(f.looked.Load()) < feedStale
}

// begin starts after the newest announcement, as nothing is cached yet.
func (f *Feed) begin(ctx context.Context) error {
	f.start, f.swept, f.gaps, f.moves.seed = time.Now(), time.Now(), make(map[int64]time.Time), maphash.MakeSeed()
	if err := f.rows.QueryRow(ctx, "select coalesce(max(id), 0) from feed").Scan(&f.last); err != nil {
		return err
	}
	// A number below the newest may belong to a transaction that is not committed yet.
	for gap := max(1, f.last-feedPage); gap <= f.last; gap++ {
		f.gaps[gap] = f.start
	}
	f.heard = f.start.Round(0)
	f.life.background(f.follow)
	return nil
}

// follow reads announcements until the database is closed.
func (f *Feed) follow() {
	ticker := time.NewTicker(feedPoll)
	defer ticker.Stop()
	for {
		select {
		case <-f.life.stop:
			return
		case <-ticker.C:
		}
		f.followed()
	}
}

// followed reads once.
func (f *Feed) followed() {
	began, wall := time.Since(f.start), time.Now().Round(0)
	err := f.look()
	f.lost.Store(err != nil)
	if err != nil {
		f.log.Warn("the feed of changes cannot be read", "error", err)
		return
	}
	// The monotonic clock of a machine does not count the time that it was suspended.
	if away := max(began-time.Duration(f.looked.Load()), wall.Sub(f.heard)); away > feedAway {
		f.log.Info("this server was suspended or cut off; its caches are dropped", "away", away)
		f.deliver([]string{Missed})
	}
	f.heard = wall
	f.looked.Store(int64(began))
	f.sweep()
}

// look reads missed and new announcements and delivers them.
func (f *Feed) look() error {
	ctx, cancel := context.WithTimeout(context.Background(), feedStale)
	defer cancel()
	if missed := f.missed(); len(missed) > 0 && !f.alone {
		if _, err := f.hear(ctx, "select id, topic from feed where id = any($1)", missed); err != nil {
			return err
		}
	}
	for {
		f.mu.Lock()
		from := f.last
		f.mu.Unlock()
		n, err := f.hear(ctx, "select id, topic from feed where id > $1 order by id limit $2", from, feedPage)
		if err != nil || n < feedPage {
			return err
		}
	}
}

// hear reads announcements, delivers the new ones, and returns how many it read.
func (f *Feed) hear(ctx context.Context, query string, args ...any) (n int, err error) {
	rows, err := f.rows.Query(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var topics []string
	for ; rows.Next(); n++ {
		var id int64
		var topic string
		if err = rows.Scan(&id, &topic); err != nil {
			break
		}
		if f.saw(id) {
			topics = append(topics, topic)
		}
	}
	// saw has noted these as seen, so they are delivered even after an error.
	f.deliver(topics)
	return n, errors.Join(err, rows.Err())
}

// missed returns the numbers that are still missing. After feedGap it drops them: their
// transactions were rolled back.
func (f *Feed) missed() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := make([]int64, 0, len(f.gaps))
	for id, since := range f.gaps {
		if time.Since(since) > feedGap {
			delete(f.gaps, id)
			continue
		}
		ids = append(ids, id)
	}
	return ids
}

// saw notes a number, and reports whether it is new. Numbers are assigned before
// transactions commit, so a lower one may appear later.
func (f *Feed) saw(id int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id <= f.last {
		_, missed := f.gaps[id]
		delete(f.gaps, id)
		return missed
	}
	for gap := max(f.last+1, id-feedFar); gap < id; gap++ {
		f.gaps[gap] = time.Now()
	}
	f.last = id
	return true
}

func (f *Feed) deliver(topics []string) {
	if len(topics) == 0 {
		return
	}
	f.mu.Lock()
	subs := slices.Clone(f.subs)
	f.mu.Unlock()
	for _, topic := range topics {
		for _, sub := range subs {
			sub(topic)
		}
		f.moves.move(topic)
	}
}

// news are the topics that one transaction announced, each once, and their numbers.
type news struct {
	topics []string
	ids    []int64
}

// announced delivers what this server announced itself.
func (f *Feed) announced(n news) {
	for _, id := range n.ids {
		f.saw(id)
	}
	f.deliver(n.topics)
}

// newsOf are topics without their numbers, each once.
func newsOf(topics []string) news {
	slices.Sort(topics)
	return news{topics: slices.Compact(topics)}
}

// announcing inserts a topic and returns its number.
func announcing(topic string, now time.Time) Statement {
	return Statement{"insert into feed (topic, at) values ($1, $2) returning id", []any{topic, Unix(now)}}
}

// numbered takes the numbers from what announcing returned, in the order of the topics.
func (n *news) numbered(results []Result) error {
	for _, r := range results {
		if err := n.number(&resultRows{Result: r}); err != nil {
			return err
		}
	}
	return nil
}

func (n *news) number(rows cursor) error {
	defer rows.Close()
	if !rows.Next() {
		return errors.Join(errors.New("store: an announcement without a number"), rows.Err())
	}
	var id int64
	err := rows.Scan(&id)
	n.ids = append(n.ids, id)
	return err
}

// writeNews inserts each topic once.
func writeNews(ctx context.Context, run runner, topics []string, now time.Time) (news, error) {
	n := newsOf(topics)
	for _, topic := range n.topics {
		s := announcing(topic, now)
		rows, err := run.QueryContext(ctx, s.Query, s.Args...)
		if err == nil {
			err = n.number(rows)
		}
		if err != nil {
			return news{}, err
		}
	}
	return n, nil
}

// sweep removes announcements that every server has read long ago.
func (f *Feed) sweep() {
	if time.Since(f.swept) < feedKeep/10 {
		return
	}
	f.swept = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := f.changes.housekeep(ctx, "sweeping the feed", func(tx *Tx) error {
		_, err := tx.Exec(ctx, "delete from feed where at < $1", Unix(tx.Now().Add(-feedKeep)))
		return err
	})
	if err != nil {
		f.log.Warn("old announcements cannot be removed", "error", err)
	}
}

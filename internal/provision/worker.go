package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

const (
	// pollEvery is how often the log and the queue are looked at, and atOnce how many requests one
	// application gets at a time.
	pollEvery = time.Second
	atOnce    = 4
	// batch is how many entries are taken from the queue at a time.
	batch = 64
	// lookEvery is how often everybody is looked at for an application, whatever the log says:
	// accounts end by the clock, and policy can depend on it.
	lookEvery = time.Hour
	// firstPause and longestPause are how long something that failed is left alone.
	firstPause, longestPause = 5 * time.Second, 6 * time.Hour
	// tellEvery is how often the log is told that an application fails.
	tellEvery = time.Hour
)

// Worker does what is due in the applications. One of all servers works at a time.
type Worker struct {
	db       *store.DB
	targets  *Targets
	queue    *Queue
	people   *people
	follower *follower
	now      func() time.Time
	log      *slog.Logger
	done     sync.WaitGroup

	mu    sync.Mutex
	lines map[string]*line // by application
}

// line is what this server knows of one application.
type line struct {
	version int64
	client  *client
	problem string
	since   time.Time
	until   time.Time // when it is tried again
	pause   time.Duration
	told    time.Time
	owed    bool // the log was not told yet that it works again
	held    bool // the log was told that something is held
}

func newWorker(p Parts, t *Targets, q *Queue, of *people) *Worker {
	return &Worker{db: p.DB, targets: t, queue: q, people: of, follower: newFollower(p, q, t, of), now: p.Now, log: p.Log, lines: map[string]*line{}}
}

// Run works until ctx ends.
func (w *Worker) Run(ctx context.Context) {
	w.done.Go(func() {
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for {
			if err := w.Step(ctx); err != nil && ctx.Err() == nil {
				w.log.Warn("applications are not provisioned", "error", err)
			}
			select {
			case <-ctx.Done():
				free, end := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
				defer end()
				if err := w.follower.free(free); err != nil {
					w.log.Debug("the lease of provisioning ends by itself", "error", err)
				}
				return
			case <-tick.C:
			}
		}
	})
}

// Wait waits for the end of Run.
func (w *Worker) Wait() { w.done.Wait() }

// Step reads what is new in the log, and does what is due. It is what Run does each second.
func (w *Worker) Step(ctx context.Context) error {
	all, err := w.targets.All(ctx, w.db)
	if err != nil || len(all) == 0 {
		return err
	}
	for more := true; more; {
		if more, err = w.follower.step(ctx, all); err != nil {
			return err
		}
	}
	if _, ok, err := w.follower.hold(ctx); err != nil || !ok {
		return err
	}
	var each sync.WaitGroup
	errs := make([]error, len(all))
	for i, t := range all {
		each.Go(func() { errs[i] = w.serve(ctx, t) })
	}
	each.Wait()
	return errors.Join(append(errs, w.queue.sweep(ctx))...)
}

// line returns what is known of a target, with a client of its settings as they are.
func (w *Worker) line(t Target) (*line, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lines[t.Application]
	if l == nil || l.version != t.version {
		c, err := newClient(t.Settings)
		if err != nil {
			return nil, err
		}
		if l != nil {
			l.client.close()
		}
		l = &line{version: t.version, client: c}
		w.lines[t.Application] = l
	}
	return l, nil
}

// serve does what is due for one target.
func (w *Worker) serve(ctx context.Context, t Target) error {
	app, there, err := w.people.application(ctx, t)
	if err != nil || !there {
		return err
	}
	l, err := w.line(t)
	if err != nil {
		return err
	}
	w.mu.Lock()
	rests := w.now().Before(l.until)
	w.mu.Unlock()
	if rests {
		return nil
	}
	mayUse, err := w.people.mayUse(ctx, app)
	if err != nil {
		return err
	}
	if since := w.now().Sub(t.looked); since < 0 || since >= lookEvery {
		if err := w.look(ctx, t, mayUse); err != nil {
			return err
		}
	}
	return w.drain(ctx, &job{Worker: w, target: t, line: l, mayUse: mayUse})
}

// look marks everybody of whom something is to be done, as far as we know.
func (w *Worker) look(ctx context.Context, t Target, mayUse func(directory.Account) bool) error {
	began := w.now()
	var due []int64
	flush := func() error {
		some := due
		due = nil
		return w.db.Housekeep(ctx, "provision.mark", func(tx *store.Tx) error {
			for _, id := range some {
				if err := w.queue.markTx(ctx, tx, t.Application, KindUser, id); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := w.people.each(ctx, func(a directory.Account) error {
		stale, err := w.stale(ctx, t, a, mayUse)
		if err != nil || !stale {
			return err
		}
		if due = append(due, int64(a.ID)); len(due) < pageRows {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	if err := w.lookAtGroups(ctx, t); err != nil {
		return err
	}
	return w.targets.lookedAt(ctx, t, began)
}

// lookAtGroups marks the groups of the settings, and those that are there and in the settings no
// more.
func (w *Worker) lookAtGroups(ctx context.Context, t Target) error {
	var ids []int64
	for _, name := range t.Groups {
		g, err := w.people.groups.Find(ctx, w.people.view, name)
		if failure.ClassOf(err) == failure.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		ids = append(ids, g.ID)
	}
	return w.db.Housekeep(ctx, "provision.mark", func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `update scim_entry set due = $2, tries = 0 where application = $1 and kind = 'group'`, t.Application, max(1, store.Unix(tx.Now()))); err != nil {
			return err
		}
		for _, id := range ids {
			if err := w.queue.markTx(ctx, tx, t.Application, KindGroup, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// stale reports whether something is to be done about somebody, as far as we know.
func (w *Worker) stale(ctx context.Context, t Target, a directory.Account, mayUse func(directory.Account) bool) (bool, error) {
	e, err := w.queue.get(ctx, t.Application, KindUser, int64(a.ID))
	if errors.Is(err, store.ErrNotFound) {
		return w.people.wishOf(a, mayUse) == present, nil
	}
	if err != nil {
		return false, err
	}
	if e.State == StateHeld { // and so is to be ended, unless that is over
		want := w.people.wishOf(a, mayUse)
		return e.due == 0 && (want == present || want == asleep), nil
	}
	waits := e.due > 0 && store.Time(e.due).Before(w.now().Add(2*longestPause))
	return !waits && w.outdated(t, e, a, w.people.wishOf(a, mayUse)), nil
}

// outdated reports whether what was sent of somebody is not what is to be there.
func (w *Worker) outdated(t Target, e Entry, a directory.Account, want wish) bool {
	switch want {
	case present, asleep:
		sent, err := digestOf(userOf(a, want == present))
		return err != nil || e.Remote == "" && want == present || e.Remote != "" && e.Sent != sent
	case barred, away:
		return e.Remote != "" && (t.Leavers == Delete || want == away || e.Active)
	case absent:
	}
	return false
}

// job is the work for one target now.
type job struct {
	*Worker
	target Target
	line   *line
	mayUse func(directory.Account) bool
	ending sync.Mutex // one is ended at a time, so that the share counts
}

// drain does what is due until nothing is, or the application takes nothing.
func (w *Worker) drain(ctx context.Context, j *job) error {
	for ctx.Err() == nil {
		due, err := w.queue.due(ctx, j.target.Application, batch)
		if err != nil || len(due) == 0 {
			return err
		}
		stopped, err := j.all(ctx, due)
		if err != nil || stopped {
			return err
		}
		if _, ok, err := w.follower.hold(ctx); err != nil || !ok {
			return err
		}
	}
	return nil
}

// all does some entries, a few at once: people before groups. Stopped says that the application
// takes nothing now.
func (j *job) all(ctx context.Context, due []Entry) (stopped bool, err error) {
	for _, kind := range []string{KindUser, KindGroup} {
		var mu sync.Mutex
		var each sync.WaitGroup
		places := make(chan struct{}, atOnce)
		for _, e := range due {
			mu.Lock()
			over := stopped || err != nil
			mu.Unlock()
			if e.Kind != kind || over {
				continue
			}
			places <- struct{}{}
			each.Go(func() {
				defer func() { <-places }()
				s, failed := j.one(ctx, e)
				mu.Lock()
				defer mu.Unlock()
				stopped, err = stopped || s, errors.Join(err, failed)
			})
		}
		each.Wait()
		if stopped || err != nil {
			break
		}
	}
	return stopped, err
}

// one does one entry, and keeps what came of it.
func (j *job) one(ctx context.Context, e Entry) (stopped bool, err error) {
	if e.Kind == KindGroup {
		err = j.group(ctx, e)
	} else {
		err = j.user(ctx, e)
	}
	answer, is := errors.AsType[*answerError](err)
	switch {
	case err == nil:
		return false, j.works(ctx)
	case !is || ctx.Err() != nil:
		return false, err
	case answer.whole():
		return true, j.fails(ctx, answer)
	}
	e.tries++
	e.State, e.Problem = StateFailing, answer.Error()
	return false, j.queue.later(ctx, e, j.now().Add(pauseOf(e.tries, answer.after)))
}

// pauseOf is how long something is left alone after so many tries.
func pauseOf(tries int64, asked time.Duration) time.Duration {
	d := firstPause
	for range min(tries, 20) - 1 {
		d = min(2*d, longestPause)
	}
	return max(d, asked)
}

// works takes down that the application took something.
func (j *job) works(ctx context.Context) error {
	j.mu.Lock()
	owed := j.line.owed
	j.line.problem, j.line.pause, j.line.until, j.line.owed = "", 0, time.Time{}, false
	j.mu.Unlock()
	if !owed {
		return nil
	}
	return j.record(ctx, entryOf(worksEvent, audit.OK, j.target.Application, map[string]string{}))
}

// fails takes down that the application takes nothing now.
func (j *job) fails(ctx context.Context, e *answerError) error {
	now := j.now()
	j.mu.Lock()
	l := j.line
	if l.problem == "" {
		l.since = now
	}
	l.problem = e.Error()
	l.pause = max(min(max(2*l.pause, firstPause), longestPause/12), e.after)
	l.until = now.Add(l.pause)
	tell := now.Sub(l.told) >= tellEvery
	if tell {
		l.told, l.owed = now, true
	}
	j.mu.Unlock()
	j.log.Warn("an application takes nothing by SCIM", "application", j.target.Application, "again in", l.pause, "problem", e.Error())
	if !tell {
		return nil
	}
	return j.record(ctx, entryOf(failingEvent, audit.Failed, j.target.Application, map[string]string{"answer": e.Error()}))
}

func (j *job) record(ctx context.Context, e audit.Entry) error {
	return j.db.Change(ctx, audit.System(actor), func(tx *store.Tx) error { return tx.Record(e) })
}

// Says is why an application takes nothing from this server, since when, and when it is tried
// again; empty while it works.
func (w *Worker) Says(app string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lines[app]
	if l == nil || l.problem == "" {
		return ""
	}
	return fmt.Sprintf("Since %s the application takes nothing; it is tried again at %s. %s", l.since.UTC().Format("15:04 UTC on 2 January"), l.until.UTC().Format("15:04:05 UTC"), l.problem)
}

// Wake has an application tried at once.
func (w *Worker) Wake(app string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.lines[app]; l != nil {
		l.until, l.pause, l.held = time.Time{}, 0, false
	}
}

// Inspect reports rows that are not as they were left, or are missing.
func (w *Worker) Inspect(ctx context.Context) error {
	return errors.Join(w.targets.Inspect(ctx), w.queue.Inspect(ctx), w.follower.inspect(ctx))
}

// kept keeps what was done in an application, with its entry in the log.
func (j *job) kept(ctx context.Context, e Entry, did, name string) error {
	e.tries, e.Problem = 0, ""
	return j.db.Change(ctx, audit.System(actor), func(tx *store.Tx) error {
		if err := j.queue.write(ctx, tx, e, 0); err != nil {
			return err
		}
		en := entryOf(did, audit.OK, j.target.Application, map[string]string{"id": e.Remote})
		if e.Kind == KindUser {
			en.Account, en.AccountName = e.Subject, name
		} else {
			en.Detail["group"] = name
		}
		if len(e.Remote) > 100 {
			en.Detail["id"] = strconv.Itoa(len(e.Remote)) + " characters"
		}
		return tx.Record(en)
	})
}

// settled keeps that nothing was to be done.
func (j *job) settled(ctx context.Context, e Entry) error {
	e.tries, e.Problem = 0, ""
	return j.queue.later(ctx, e, time.Time{})
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// dispatch gives everybody who comes a lane, and with the first of them a share of
// who waits by then: they are committed in one transaction. So what a transaction
// costs whatever it holds, its begin, its entries and its commit, is paid once for
// several requests when there are many, and nobody waits for company when there
// are few.
func (p *postgres) dispatch() {
	defer close(p.stopped)
	defer p.carriers.Wait()
	for {
		var batch []*request
		select {
		case r := <-p.queue:
			batch = append(batch, r)
		case <-p.quit:
			if batch = p.collect(nil, 1); len(batch) == 0 {
				return
			}
		}
		_ = p.lanes.enter(context.Background()) // fails only when its context ends
		batch = p.collect(nil, p.lanes.share(p.waiting()), batch...)
		c := &carrier{p, p.commits.taken(batch, time.Now())}
		p.carriers.Go(c.commit)
	}
}

// carrier brings one batch to its end.
type carrier struct {
	*postgres
	batch []*request // those that are not answered yet
}

// commit runs the batch in the lane that it was given, leaves that and answers
// everybody. After a collision it runs again, and where one of them spoiled it for
// all, each by itself.
func (c *carrier) commit() {
	ended := false
	defer func() {
		if !ended { // a function ended this goroutine, in a lane: nobody but its caller shall suffer
			c.lanes.leave(false)
			c.settle(errExited)
		}
	}()
	err := c.repeat(c.batch)
	if errors.Is(err, errOwn) && len(c.batch) > 1 {
		err = c.apart()
	}
	c.settle(err)
	ended = true
}

// apart runs each of the batch by itself. It stops where the database fails: that
// is everybody's answer then.
func (c *carrier) apart() error {
	for len(c.batch) > 0 {
		_ = c.lanes.enter(context.Background())
		err := c.repeat(c.batch[:1])
		if errors.Is(err, ErrUnavailable) {
			return err
		}
		c.batch[0].settle(err)
		c.batch = c.batch[1:]
	}
	return nil
}

// repeat runs requests, in a lane that was entered, until they collide with
// nobody, and leaves it.
func (c *carrier) repeat(batch []*request) error {
	for try := 1; ; try++ {
		err := c.try(batch)
		c.lanes.leave(errors.Is(err, errRetry))
		switch {
		case !errors.Is(err, errRetry):
			return err
		case try == maxTries:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		c.commits.counts.retries.Add(1)
		time.Sleep(rand.N(time.Millisecond << min(try, 5)))
		_ = c.lanes.enter(context.Background())
	}
}

// settle answers all that are left.
func (c *carrier) settle(err error) {
	for _, r := range c.batch {
		r.settle(err)
	}
	c.batch = c.batch[:0]
}

// errOwn marks a transaction that a request's own function ended; the request
// knows how.
var errOwn = errors.New("store: a function ended its transaction")

// try runs requests in one transaction, one after the other.
func (p *postgres) try(batch []*request) error {
	if len(batch) == 0 {
		return nil
	}
	start := time.Now()
	touched, err := p.once(batch)
	p.commits.counts.batch(len(batch), time.Since(start))
	switch {
	case err == nil:
		p.commits.health.wrote(nil, touched)
	case errors.Is(err, ErrUnavailable):
		p.commits.health.wrote(err, false)
	}
	return err
}

// once runs one try. An error means that it was rolled back, or that its answer
// was lost.
func (p *postgres) once(batch []*request) (touched bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), txTimeout)
	defer cancel()
	conn, err := p.pool.Conn(ctx)
	if err != nil {
		return false, late(ctx, err)
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return false, late(ctx, err)
	}
	defer tx.Rollback()
	run := runner(tx)
	if len(batch) > 1 {
		run = steady{tx, ctx}
	}
	var entries []recorded
	var topics []string
	for _, r := range batch {
		if err := p.one(ctx, run, r); err != nil {
			return false, err
		}
		entries, topics = append(entries, r.tx.entries...), append(topics, r.tx.topics...)
		touched = touched || r.tx.touched > 0
	}
	n, err := p.seal(ctx, tx, entries, topics)
	if err != nil {
		return false, late(ctx, err)
	}
	for _, r := range batch {
		p.commits.learn(r)
	}
	p.commits.feed.announced(n)
	return touched, nil
}

// one runs one request's function. What it ended with stays in the request; the
// error is why the transaction cannot go on.
func (p *postgres) one(ctx context.Context, run runner, r *request) error {
	r.err, r.answer, r.panicked = nil, nil, nil // of an earlier try
	doubts := p.doubts.count.Load()
	p.commits.call(r, run)
	if p.doubts.count.Load() != doubts && ctx.Err() == nil {
		r.err, r.panicked = nil, nil
		return errRetry // its view may be of before what this server knows
	}
	err := r.err
	switch {
	case err == nil && r.panicked == nil:
		return nil
	case err == nil:
		return errOwn
	case ctx.Err() != nil:
		r.err = late(ctx, err)
		return r.err
	case errors.Is(err, errRetry):
		r.err = nil
		return err
	case errors.Is(err, ErrUnavailable):
		return err
	}
	return errOwn
}

// seal adds the entries and announcements, and commits.
func (p *postgres) seal(ctx context.Context, tx *sql.Tx, entries []recorded, topics []string) (news, error) {
	if err := p.seq.deposit(ctx, tx, entries); err != nil {
		return news{}, err
	}
	n, err := writeNews(ctx, tx, topics, p.commits.now())
	if err != nil {
		return news{}, err
	}
	p.deposits.leave(entries)
	if err := tx.Commit(); err != nil {
		err = classify(err)
		p.deposits.withdraw(entries, !errors.Is(err, errRetry))
		if !errors.Is(err, errRetry) {
			err = lost(err)
		}
		return news{}, err
	}
	return n, nil
}

// late classifies an error, which is the database's own fault if it took longer
// than a transaction may.
func late(whole context.Context, err error) error {
	if whole.Err() != nil {
		return fmt.Errorf("%w: the transaction took longer than %v: %w", ErrUnavailable, txTimeout, err)
	}
	return classify(err)
}

// steady is a transaction that several share: it ignores the contexts of
// statements, because one that is torn off in its middle would take the connection
// with it and have all the others run again.
type steady struct {
	tx  *sql.Tx
	ctx context.Context
}

func (s steady) ExecContext(_ context.Context, query string, args ...any) (sql.Result, error) {
	return s.tx.ExecContext(s.ctx, query, args...)
}

func (s steady) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.tx.QueryContext(s.ctx, query, args...)
}

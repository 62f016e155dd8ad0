package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// dispatch gives each request a lane, together with a share of the requests that wait by
// then, and these are committed in one transaction. So with many requests the fixed costs
// of a transaction are paid once for several, and with few no request waits for others.
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

// carrier runs one batch to its end.
type carrier struct {
	*postgres
	batch []*request // the requests that are not answered yet
}

// commit runs the batch in its lane, leaves the lane and answers all requests. After a
// collision it runs the batch again, and if one request spoiled the transaction, each one
// separately.
func (c *carrier) commit() {
	ended := false
	defer func() {
		if !ended { // a function ended this goroutine in a lane: only its caller is affected
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

// apart runs each request of the batch separately. It stops if the database fails; that
// error is then the answer to all that are left.
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

// repeat runs requests in a lane that was entered until they do not collide, and leaves it.
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

// errOwn marks a transaction that a request's own function ended; the request holds the
// error.
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

// one runs the function of one request. Its result stays in the request; the returned error
// is why the transaction cannot continue.
func (p *postgres) one(ctx context.Context, run runner, r *request) error {
	r.err, r.answer, r.panicked = nil, nil, nil // of an earlier try
	doubts := p.doubts.count.Load()
	p.commits.call(r, run)
	if p.doubts.count.Load() != doubts && ctx.Err() == nil {
		r.err, r.panicked = nil, nil
		return errRetry // its snapshot may be older than what this server knows
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

// late classifies an error. If the transaction took longer than it may, the database was
// not available.
func late(whole context.Context, err error) error {
	if whole.Err() != nil {
		return fmt.Errorf("%w: the transaction took longer than %v: %w", ErrUnavailable, txTimeout, err)
	}
	return classify(err)
}

// steady is a transaction that several requests share. It ignores the contexts of
// statements: a cancelled statement would close the connection, and all other requests would
// have to run again.
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

package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"
)

// dispatch gives each request a lane, together with the requests that wait by then, and these
// are committed in one transaction. So with many requests the fixed costs of a transaction are
// paid once for several, and with few no request waits for others.
func (p *postgres) dispatch() {
	defer close(p.stopped)
	defer p.carriers.Wait()
	defer p.lanes.close()
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
		counted := p.boarding.enter()
		_ = p.lanes.enter(context.Background()) // fails only when its context ends
		runtime.Gosched()                       // whoever was just answered may come again
		batch = p.collect(nil, maxBatch, batch...)
		c := &carrier{postgres: p, batch: p.commits.taken(batch, time.Now()), counted: counted}
		p.carriers.Go(c.commit)
	}
}

// run runs a request that finds everything idle in the goroutine of its caller: to hand it to
// another and back takes longer than all that is computed for it.
func (p *postgres) run(ctx context.Context, job work) error {
	if ctx.Err() != nil || !p.lanes.idle(func() { p.carriers.Add(1) }) {
		return p.line.run(ctx, job)
	}
	defer p.carriers.Done()
	r := newRequest(job)
	(&carrier{postgres: p, batch: []*request{r}}).commit()
	return r.outcome()
}

// carrier runs one batch to its end.
type carrier struct {
	*postgres
	batch []*request // the requests that are not answered yet
	// patient waits for each statement, because one did not do what was expected.
	patient bool
	counted boarded
}

// commit runs the batch in its lane, leaves the lane and answers all requests. After a
// collision it runs the batch again, and if one request spoiled the transaction, each one
// separately.
func (c *carrier) commit() {
	ended := false
	defer c.counted.leaves()
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
		c.counted.leaves() // another try is not waited for
		switch {
		case errors.Is(err, errUnlike) && !c.patient:
			c.patient = true
			_ = c.lanes.enter(context.Background())
			continue
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
func (c *carrier) try(batch []*request) error {
	p := c.postgres
	if len(batch) == 0 {
		return nil
	}
	start := time.Now()
	touched, err := c.once(batch)
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
func (c *carrier) once(batch []*request) (touched bool, err error) {
	p := c.postgres
	ctx, cancel := context.WithTimeout(context.Background(), txTimeout)
	defer cancel()
	conn, err := p.pool.Conn(ctx)
	if err != nil {
		return false, late(ctx, err)
	}
	defer conn.Close()
	t := newTogether(ctx, conn, &p.commits.known, len(batch) > 1, c.patient)
	t.counted = c.counted
	ended := false
	defer func() {
		if !ended {
			t.rollback()
		}
	}()
	if err := t.readAhead(batch); err != nil {
		return false, late(ctx, err)
	}
	var entries []recorded
	var topics []string
	var done []*request
	for _, r := range batch {
		if err := p.one(t, r); err != nil {
			return false, err
		}
		if r.err != nil {
			continue
		}
		t.wrote.leave(&r.tx)
		entries, topics, done = append(entries, r.tx.entries...), append(topics, r.tx.topics...), append(done, r)
		touched = touched || r.tx.touched > 0
	}
	if len(done) == 0 {
		return false, nil
	}
	n, err := p.seal(t, entries, topics)
	if err != nil {
		return false, late(ctx, err)
	}
	ended = true
	for _, r := range done {
		p.commits.learn(r)
	}
	p.commits.feed.announced(n)
	return touched, nil
}

// one runs the function of one request. Its result stays in the request; the returned error
// is why the transaction cannot continue.
func (p *postgres) one(t *together, r *request) error {
	from := t.progress()
	err := p.calls(t, r)
	if errors.Is(err, errAgain) && t.undo(from) {
		r.ahead = nil
		err = p.calls(t, r)
	}
	if errors.Is(err, errAgain) {
		r.err = nil
		return errRetry
	}
	if err == errOwn && r.panicked == nil && t.undo(from) {
		return nil // it wrote nothing, and the others go on
	}
	return err
}

// calls calls the function of a request.
func (p *postgres) calls(t *together, r *request) error {
	r.err, r.answer, r.panicked = nil, nil, nil // of an earlier try
	doubts := p.doubts.count.Load()
	p.commits.call(r, t)
	if p.doubts.count.Load() != doubts && t.ctx.Err() == nil {
		r.err, r.panicked = nil, nil
		return errRetry // its snapshot may be older than what this server knows
	}
	err := r.err
	switch {
	case err == nil && r.panicked == nil:
		return nil
	case err == nil:
		return errOwn
	case t.ctx.Err() != nil:
		r.err = late(t.ctx, err)
		return r.err
	case errors.Is(err, errRetry), errors.Is(err, errUnlike), errors.Is(err, errAgain):
		r.err = nil
		return err
	case errors.Is(err, ErrUnavailable):
		return err
	}
	return errOwn
}

// seal adds the entries and announcements to what was written, and commits.
func (p *postgres) seal(t *together, entries []recorded, topics []string) (news, error) {
	last := make([]Statement, 0, 8)
	if len(entries) > 0 {
		last = append(last, p.seq.depositing(entries))
	}
	n := newsOf(topics)
	for _, topic := range n.topics {
		last = append(last, announcing(topic, p.commits.now()))
	}
	p.deposits.leave(entries)
	t.counted.commits()
	results, err := t.exchange(t.ctx, append(last, Statement{Query: "commit"})...)
	if err == nil {
		err = n.numbered(results[len(results)-1-len(n.topics) : len(results)-1])
	}
	if err == nil {
		return n, nil
	}
	err = classify(err)
	undone := errors.Is(err, errRetry) || errors.Is(err, errUnlike)
	p.deposits.withdraw(entries, !undone)
	if !undone {
		err = lost(err)
	}
	return news{}, err
}

// late classifies an error. If the transaction took longer than it may, the database was
// not available.
func late(whole context.Context, err error) error {
	if whole.Err() != nil {
		return fmt.Errorf("%w: the transaction took longer than %v: %w", ErrUnavailable, txTimeout, err)
	}
	return classify(err)
}

package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"countersign/internal/directory"
)

// inspector is a room that looks at all of its rows: whether somebody else changed one,
// put one back or removed one. What it finds is an alarm in the log. It rests in between
// where there is much.
type inspector interface {
	Inspect(ctx context.Context) error
}

// inspectEvery is the pause between two rounds: in a database that is not very large, a row
// that was changed from outside is found within a minute, even if nobody uses it.
const inspectEvery = 10 * time.Second

// Inspect looks at every room's rows once. What breaks in one room keeps no other from it.
func (in *Installation) Inspect(ctx context.Context) error {
	var all []error
	began := time.Now()
	for _, room := range in.rooms {
		all = append(all, room.Inspect(ctx))
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	in.DB.Alarms().Swept(began)
	return nil
}

// keepLooking inspects until ctx ends.
func (in *Installation) keepLooking(ctx context.Context, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(inspectEvery):
		}
		if err := in.Inspect(ctx); err != nil && ctx.Err() == nil {
			log.Warn("the rows cannot be looked at", "error", err)
		}
	}
}

// binder gives the rows of a room, which come from an earlier release, the MAC that they
// had not.
type binder func(ctx context.Context) error

// binding binds the rows of an earlier release, at the first start of this one. People
// wait for it, because a row that is not bound is not believed.
type binding struct {
	rows  *directory.Binding
	log   *slog.Logger
	done  bool // at an earlier start
	began time.Time
}

func unbound(ctx context.Context, rows *directory.Binding, log *slog.Logger) (*binding, error) {
	done, err := rows.Bound(ctx)
	return &binding{rows: rows, log: log, done: done, began: time.Now()}, err
}

func (b *binding) bind(ctx context.Context, rooms ...binder) error {
	if b.done {
		return nil
	}
	for _, bind := range rooms {
		if err := bind(ctx); err != nil {
			return err
		}
	}
	return nil
}

// end writes down for good that every row is bound.
func (b *binding) end(ctx context.Context) error {
	if b.done {
		return nil
	}
	if err := b.rows.NoteBound(ctx); err != nil {
		return err
	}
	if took := time.Since(b.began); took > time.Second {
		b.log.Info("the rows of the release before were bound, once", "took", took)
	}
	return nil
}

package main

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

// inspectEvery is how long nothing is looked at between two rounds: what is changed behind
// our back and used by nobody is found within a minute, where there is not very much.
const inspectEvery = 10 * time.Second

// inspect looks at every room's rows once. What breaks in one room keeps no other from it.
func (in *installation) inspect(ctx context.Context) error {
	var all []error
	for _, room := range in.rooms {
		all = append(all, room.Inspect(ctx))
	}
	return errors.Join(all...)
}

// keepLooking inspects until ctx ends.
func (in *installation) keepLooking(ctx context.Context, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(inspectEvery):
		}
		if err := in.inspect(ctx); err != nil && ctx.Err() == nil {
			log.Warn("the rows cannot be looked at", "error", err)
		}
	}
}

// binder is a room with rows of an earlier release, which had no MAC of all that decides.
type binder func(ctx context.Context) error

// bindOnce binds the rows of an earlier release, at the first start of this one. People
// wait for it, because a row that is not bound is not believed.
func bindOnce(ctx context.Context, people *directory.Directory, log *slog.Logger, rooms ...binder) error {
	done, err := people.Bound(ctx)
	if done || err != nil {
		return err
	}
	began := time.Now()
	for _, bind := range rooms {
		if err := bind(ctx); err != nil {
			return err
		}
	}
	if err := people.NoteBound(ctx); err != nil {
		return err
	}
	if took := time.Since(began); took > time.Second {
		log.Info("the rows of the release before were bound, once", "took", took)
	}
	return nil
}

package store

import (
	"context"
)

// Stands is [View.Older] for whoever reports it: it is false as well where the row was
// removed since it was read.
func (v View) Stands(ctx context.Context, kind string, number int64, again string) bool {
	newest := v.memory.newest(kind, number) // first: it may be changed once more meanwhile
	var now int64
	err := v.rows.QueryRow(ctx, again, number).Scan(&now)
	return err == nil && now < newest
}

// Lost reports whether a known row is missing although no change removed it. There must
// report whether the committed row exists. It is for sweeps: a change that removed the row
// may be committed and not be known here yet, so if the row does not exist Lost waits,
// for some seconds at most, until this server has read the log up to now.
func (v View) Lost(ctx context.Context, kind string, number int64, there func(context.Context) (bool, error)) (bool, error) {
	known := func() bool {
		newest := v.memory.newest(kind, number)
		return newest != 0 && newest != Gone
	}
	if !known() {
		return false, nil
	}
	if is, err := there(ctx); err != nil || is {
		return false, err
	}
	if err := v.Hear(ctx); err != nil || !known() {
		return false, err
	}
	is, err := there(ctx)
	return err == nil && !is, err
}

// Twice collects rows that were missing in two consecutive rounds of a sweep: by then this
// server knows of those that another server ended. It is not safe for concurrent use.
type Twice[V any] struct{ before map[string]V }

// Missed takes in what a round missed, and returns what the round before missed as well.
func (t *Twice[V]) Missed(now map[string]V) map[string]V {
	twice := map[string]V{}
	for key, v := range now {
		if _, was := t.before[key]; was {
			twice[key] = v
		}
	}
	t.before = now
	return twice
}

package signal

import (
	"context"
	"encoding/json"
	"slices"

	"countersign/internal/admin"
	"countersign/internal/directory"
	"countersign/internal/failure"
	signals "countersign/internal/signal"
	"countersign/internal/store"
)

// StreamsWithin makes, changes and removes streams inside the change of a command that does this
// and more, with every check of their own commands. It writes no entry: that is the caller's. The
// state of a stream, and whom it tells of by name, stay.
type StreamsWithin struct {
	people  *directory.Accounts
	streams *signals.Streams
}

// SourcesWithin is the same for sources. A new one that pushes gets a secret that nobody has seen:
// source.renew gives one that is shown.
type SourcesWithin struct{ desk *sourceDesk }

// NewStreamsWithin makes one.
func NewStreamsWithin(p Parts) *StreamsWithin { return &StreamsWithin{p.Accounts, p.Streams} }

// NewSourcesWithin makes one.
func NewSourcesWithin(p Parts) *SourcesWithin {
	return &SourcesWithin{&sourceDesk{db: p.DB, people: p.Accounts, sources: p.Sources}}
}

func (w *StreamsWithin) described(ctx context.Context, r store.Reader, one signals.Stream) (admin.Described, error) {
	owner, err := nameOf(ctx, r, w.people, one.Receiver)
	if err != nil {
		return admin.Described{}, err
	}
	settings := settingsShown(one)
	settings.Authorization = one.Authorization
	raw, err := json.Marshal(settings)
	return admin.Described{Name: one.Name, Owner: owner, Settings: raw}, err
}

// Kept are those that are there, with their secrets.
func (w *StreamsWithin) Kept(ctx context.Context, r store.Reader) ([]admin.Described, error) {
	all, err := w.streams.AllIn(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []admin.Described
	for _, one := range all {
		d, err := w.described(ctx, r, one)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// over is the stream as it is to be, and whether it is there.
func (w *StreamsWithin) over(ctx context.Context, r store.Reader, d admin.Described) (signals.Stream, bool, error) {
	all, err := w.streams.AllIn(ctx, r)
	if err != nil {
		return signals.Stream{}, false, err
	}
	one := signals.Stream{Name: d.Name}
	i := slices.IndexFunc(all, func(o signals.Stream) bool { return o.Name == d.Name })
	if i >= 0 {
		one = all[i]
	}
	receiver, err := found(ctx, r, w.people, "receiver", d.Owner)
	if err != nil {
		return one, i >= 0, err
	}
	if i >= 0 && receiver != one.Receiver {
		return one, true, failure.At("receiver", failure.New(failure.Invalid, "The receiver of the stream %s cannot be changed; make another stream.", one.Name))
	}
	one.Receiver = receiver
	if one.StreamSettings, err = settingsOf(d.Settings, one.StreamSettings); err != nil {
		return one, i >= 0, err
	}
	return one, i >= 0, w.streams.Check(one.StreamSettings)
}

// Over is what is to be kept of what is described, checked.
func (w *StreamsWithin) Over(ctx context.Context, r store.Reader, d admin.Described) (admin.Described, error) {
	one, _, err := w.over(ctx, r, d)
	if err != nil {
		return d, err
	}
	return w.described(ctx, r, one)
}

// Keep keeps what is described.
func (w *StreamsWithin) Keep(ctx context.Context, tx *store.Tx, d admin.Described) (admin.Kept, error) {
	one, there, err := w.over(ctx, tx, d)
	if err != nil {
		return admin.Kept{}, err
	}
	detail := map[string]string{"name": d.Name}
	if !there {
		_, err := w.streams.Create(ctx, tx, one)
		return admin.Kept{Event: "stream.created", Detail: detail}, err
	}
	detail["stream"] = one.ID
	return admin.Kept{Event: "stream.updated", Detail: detail}, w.streams.Update(ctx, tx, one)
}

// Drop removes a stream, and what waits on it.
func (w *StreamsWithin) Drop(ctx context.Context, tx *store.Tx, name string) (admin.Kept, error) {
	one, err := w.streams.Find(ctx, tx, name)
	if err == nil {
		err = w.streams.Remove(ctx, tx, one)
	}
	return admin.Kept{Event: "stream.removed", Detail: map[string]string{"name": name}}, err
}

func (w *SourcesWithin) described(ctx context.Context, r store.Reader, one signals.Source) (admin.Described, error) {
	externals, err := nameOf(ctx, r, w.desk.people, one.Externals)
	if err != nil {
		return admin.Described{}, err
	}
	settings := sourceShown(one, externals)
	settings.Authorization = one.Authorization
	raw, err := json.Marshal(settings)
	return admin.Described{Name: one.Name, Settings: raw}, err
}

// Kept are those that are there, with their secrets.
func (w *SourcesWithin) Kept(ctx context.Context, r store.Reader) ([]admin.Described, error) {
	all, err := w.desk.sources.AllIn(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []admin.Described
	for _, one := range all {
		d, err := w.described(ctx, r, one)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// over is the source as it is to be, and whether it is there.
func (w *SourcesWithin) over(ctx context.Context, r store.Reader, d admin.Described) (signals.Source, bool, error) {
	all, err := w.desk.sources.AllIn(ctx, r)
	if err != nil {
		return signals.Source{}, false, err
	}
	one := signals.Source{Name: d.Name}
	i := slices.IndexFunc(all, func(o signals.Source) bool { return o.Name == d.Name })
	if i >= 0 {
		one = all[i]
	}
	if one.SourceSettings, err = w.desk.settingsOf(ctx, r, d.Settings, one.SourceSettings); err != nil {
		return one, i >= 0, err
	}
	return one, i >= 0, w.desk.sources.Check(one.SourceSettings)
}

// Over is what is to be kept of what is described, checked.
func (w *SourcesWithin) Over(ctx context.Context, r store.Reader, d admin.Described) (admin.Described, error) {
	one, _, err := w.over(ctx, r, d)
	if err != nil {
		return d, err
	}
	return w.described(ctx, r, one)
}

// Keep keeps what is described.
func (w *SourcesWithin) Keep(ctx context.Context, tx *store.Tx, d admin.Described) (admin.Kept, error) {
	one, there, err := w.over(ctx, tx, d)
	if err != nil {
		return admin.Kept{}, err
	}
	detail := map[string]string{"name": d.Name}
	if !there {
		_, err := w.desk.sources.Create(ctx, tx, one)
		return admin.Kept{Event: "source.created", Detail: detail}, err
	}
	return admin.Kept{Event: "source.updated", Detail: detail}, w.desk.sources.Update(ctx, tx, one)
}

// Drop removes a source; nothing that it says is heard any more.
func (w *SourcesWithin) Drop(ctx context.Context, tx *store.Tx, name string) (admin.Kept, error) {
	one, err := w.desk.sources.Find(ctx, tx, name)
	if err == nil {
		err = w.desk.sources.Remove(ctx, tx, one)
	}
	return admin.Kept{Event: "source.removed", Detail: map[string]string{"name": name}}, err
}

package saml

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/metadata"
	"countersign/internal/protocol"
)

// parties finds applications by their entity IDs.
type parties struct {
	applications protocol.Applications
	metadata     *metadata.Kept
	now          func() time.Time
	cache        atomic.Pointer[known]
}

// known are the parties as they were read last. An entity that two applications name is
// neither's: which of them would be meant is not ours to guess.
type known struct {
	changed  uint64
	made     time.Time
	byEntity map[string]*party
	byName   map[string]*party
}

// keep is how long they are used without asking the catalogue, which reads the store whenever
// this server cannot confirm that it hears of changes.
const keep = time.Second

func (p *parties) current(ctx context.Context) (*known, error) {
	changed, now := p.applications.Changed(), p.now()
	if k := p.cache.Load(); k != nil && k.changed == changed && now.Sub(k.made).Abs() < keep {
		return k, nil
	}
	all, err := p.applications.ByProtocol(ctx, Protocol)
	if err != nil {
		return nil, err
	}
	k := &known{changed: changed, made: now, byEntity: map[string]*party{}, byName: map[string]*party{}}
	for _, a := range all {
		one, err := p.read(ctx, a)
		if err != nil {
			return nil, err
		}
		if one.settings.Entity == "" {
			continue // settings that cannot be read let nobody in
		}
		one.app, one.title = a.Name, a.Title
		k.byName[a.Name] = &one
		if _, twice := k.byEntity[one.settings.Entity]; twice {
			k.byEntity[one.settings.Entity] = nil
			continue
		}
		k.byEntity[one.settings.Entity] = &one
	}
	p.cache.Store(k)
	return k, nil
}

// read reads an application, with what its metadata says where that is read from an address. The zero
// party is one whose settings cannot be read.
func (p *parties) read(ctx context.Context, a application.Application) (party, error) {
	one, err := read(a.Settings)
	if err != nil {
		return party{}, nil //nolint:nilerr // whoever saves it is told
	}
	from, is := one.settings.fetched(a.Name)
	if !is {
		return one, nil
	}
	fetched, err := p.metadata.Of(ctx, from)
	switch {
	case failure.ClassOf(err) == failure.Unavailable:
		return one, nil
	case err != nil:
		return party{}, err
	}
	if whole, err := readBeside(a.Settings, fetched.Covered); err == nil {
		return whole, nil
	}
	return one, nil // what is read of it cannot be used, and is the same as nothing
}

var errUnread = failure.Refuse("metadata-unread", "The metadata of this application could not be read from its address, or has expired. Whoever administers it finds the reason by Test it now.")

// of is the party of an entity ID; nil where there is none.
func (p *parties) of(ctx context.Context, entity string) (*party, error) {
	k, err := p.current(ctx)
	if err != nil {
		return nil, err
	}
	one := k.byEntity[entity]
	if one != nil && one.unread {
		return nil, errUnread
	}
	return one, nil
}

// named is the party of an application's name; nil where there is none, or its metadata is not known.
func (p *parties) named(ctx context.Context, app string) (*party, error) {
	k, err := p.current(ctx)
	if err != nil {
		return nil, err
	}
	one := k.byName[app]
	if one == nil || k.byEntity[one.settings.Entity] != one {
		return nil, nil
	}
	if one.unread {
		return nil, nil
	}
	return one, nil
}

// Clash says what two applications both claim: an entity ID. Neither has it then.
func Clash(a, b json.RawMessage) (what string, shut bool, err error) {
	ours, err := read(a)
	if err != nil {
		return "", false, err
	}
	theirs, err := read(b)
	if err != nil || ours.settings.Entity != theirs.settings.Entity {
		return "", false, nil //nolint:nilerr // settings that cannot be read answer nobody
	}
	return "the entity ID " + ours.settings.Entity, true, nil
}

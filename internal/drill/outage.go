package drill

import (
	"context"
	"fmt"
	"time"
)

// outage is an intruder with the right password who cannot answer the second
// factor, and makes it go away instead (CISA AA22-074A). Each trick is tried at
// every door.
func outage(ctx context.Context, s *scene) ([]Door, error) {
	if s.unguarded {
		// What the tricks are for is an agent that opens when its verifier is away.
		// Ours have no such setting: the control is one that has, and the doors
		// without their guard.
		return append(s.passwordDoors(ctx, s.canary.name, s.canary.password), s.failOpen(ctx)), nil
	}
	if s.down {
		return s.passwordDoors(ctx, s.canary.name, s.canary.password), nil
	}
	doors, err := s.dormant(ctx)
	if err != nil {
		return doors, err
	}
	for _, trick := range Tricks {
		undo, err := s.bed.Trick(ctx, trick)
		if err != nil {
			return doors, fmt.Errorf("%s: %w", trick, err)
		}
		s.down = true
		tried := s.passwordDoors(ctx, s.canary.name, s.canary.password)
		if s.Page != "" {
			tried = append(tried, Door{"the page with a session from before", s.canary.kept.reads(ctx, s.Page), ""})
		}
		s.down = false
		undo()
		doors = append(doors, under(trick, tried)...)
	}
	return doors, nil
}

func under(trick string, doors []Door) []Door {
	for i := range doors {
		doors[i].Name = trick + ": " + doors[i].Name
	}
	return doors
}

// asleep is longer than an account may go unused by default.
const asleep = 31 * 24 * time.Hour

// dormant comes back to an account that nobody has used for a month, with all
// that is right, and enrolls a device of the intruder's own. The incident began
// so.
func (s *scene) dormant(ctx context.Context) ([]Door, error) {
	forgotten, err := s.enroll(ctx)
	if err != nil {
		return nil, err
	}
	s.bed.Later(asleep)
	defer s.bed.Later(-asleep)
	doors := s.passwordDoors(ctx, forgotten.name, forgotten.password)
	b := s.browse(true)
	err = b.typed(ctx, forgotten.name, forgotten.password, forgotten.code())
	doors = append(doors,
		Door{"the portal with password and code", err == nil && b.inside(ctx), ""},
		Door{"a new device with password and code", s.plants(ctx, b), ""},
		Door{"a new device with the session from before", s.plants(ctx, forgotten.kept), ""})
	if s.Radius != "" {
		r, err := s.radius(ctx, ask{name: forgotten.name, password: forgotten.password + forgotten.code()})
		doors = append(doors, Door{"RADIUS with password and code", err == nil && r.code == accessAccept, ""})
	}
	return under("dormant", doors), nil
}

// failOpen is a reference agent, which lets people in when its verifier does not
// answer: there the tricks work.
func (s *scene) failOpen(ctx context.Context) Door {
	away := *s
	away.Radius = "127.0.0.1:9" // where nothing listens
	r, err := away.radius(ctx, ask{name: s.canary.name, password: s.canary.password})
	return Door{"a reference agent that opens when its verifier is away", err != nil || r.code == 0, errText(err)}
}

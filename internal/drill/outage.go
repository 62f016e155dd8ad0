package drill

import (
	"context"
	"fmt"
)

// outage is an intruder with the right password who cannot answer the second
// factor, and makes it go away instead (CISA AA22-074A). Each trick is tried at
// every door.
func outage(ctx context.Context, s *scene) ([]Door, error) {
	if s.unguarded {
		// An agent that opens when its verifier is away is what the trick is for.
		// Ours have no such setting, so the control is the door without its guard.
		return s.passwordDoors(ctx, s.canary.name, s.canary.password), nil
	}
	if s.down {
		return s.passwordDoors(ctx, s.canary.name, s.canary.password), nil
	}
	var doors []Door
	for _, trick := range Tricks {
		undo, err := s.bed.Trick(ctx, trick)
		if err != nil {
			return doors, fmt.Errorf("%s: %w", trick, err)
		}
		s.down = true
		for _, d := range s.passwordDoors(ctx, s.canary.name, s.canary.password) {
			d.Name = trick + ": " + d.Name
			doors = append(doors, d)
		}
		if s.Page != "" {
			doors = append(doors, Door{trick + ": the page with a session from before", s.canary.kept.reads(ctx, s.Page), ""})
		}
		s.down = false
		undo()
	}
	return doors, nil
}

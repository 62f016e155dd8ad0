package admin

import (
	"fmt"

	"countersign/internal/attack"
	"countersign/internal/prompt"
)

// Openings is what an application's settings leave open, as its protocol reads
// them. It holds no secret.
type Openings struct {
	// Medium is what can be played there, where the settings say.
	Medium prompt.Medium
	// Actions are those that requests to it can be besides signing in.
	Actions []string
	// Groups are those that the settings name.
	Groups []string
	// Web says that requests carry a method and a path.
	Web bool
	// Exceptions are what was loosened, with their ends.
	Exceptions []attack.Exception
	// Doors are ways in that do not pass Countersign, and Caveats weaknesses that
	// leave the second factor in place.
	Doors, Caveats []string
}

func plural(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

package web

import (
	"context"
	"fmt"

	"countersign/internal/drill"
)

// mostAlarms is how many alarms of one kind about one account an attack may raise: people who
// get hundreds read none.
const mostAlarms = 3

// alarmed is open where an attack on an account raised no alarm, or too many.
func alarmed(ctx context.Context, p *drill.Play, event string, c *drill.Canary) drill.Try {
	found, err := p.Logged(ctx, map[string]any{"event": event, "account": c.Name})
	return counted(p, event+" about the attacked account", len(found), mostAlarms, err)
}

// counted is open where something that should be there is not, or is too often.
func counted(p *drill.Play, what string, n, most int, err error) drill.Try {
	t := p.Tried(fmt.Sprintf("there is no %s, or more than %d", what, most), n < 1 || n > most, err)
	t.Answer = fmt.Sprintf("%d in the log", n)
	return t
}

package web

import (
	"context"
	"fmt"
	"strconv"

	"countersign/internal/drill"
)

// logged is what is read here of an entry of the audit log.
type logged struct {
	Event   string            `json:"event"`
	Reason  string            `json:"reason"`
	Account string            `json:"account_name"`
	Source  string            `json:"source"`
	Detail  map[string]string `json:"detail"`
}

// times is how many refusals an entry tells of: one that sums up says it.
func (e logged) times() int {
	if n, err := strconv.Atoi(e.Detail["count"]); err == nil {
		return n
	}
	return 1
}

// entriesOf searches the log; the newest 500 entries are enough for what one account or one
// address of a test bed leaves.
func entriesOf(ctx context.Context, p *drill.Play, search map[string]any) ([]logged, error) {
	var page struct {
		Entries []logged `json:"entries"`
	}
	search["limit"] = 500
	err := p.Admin.Do(ctx, "audit.search", search, &page)
	return page.Entries, err
}

// mostAlarms is how many alarms of one kind about one account an attack may raise: people who
// get hundreds read none.
const mostAlarms = 3

// alarmed is open where an attack on an account raised no alarm, or too many.
func alarmed(ctx context.Context, p *drill.Play, event string, c *drill.Canary) drill.Try {
	found, err := entriesOf(ctx, p, map[string]any{"event": event, "account": c.Name})
	return counted(p, event+" about the attacked account", len(found), mostAlarms, err)
}

// counted is open where something that should be there is not, or is too often.
func counted(p *drill.Play, what string, n, most int, err error) drill.Try {
	t := p.Tried(fmt.Sprintf("there is no %s, or more than %d", what, most), n < 1 || n > most, err)
	t.Detail = fmt.Sprintf("%d in the log", n)
	return t
}

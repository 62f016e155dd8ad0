package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// entry is what a drill reads of the log.
type entry struct {
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason"`
	Attempt string    `json:"attempt"`
}

// mark returns when the newest entry was written. Numbers would not do: where
// several servers write, an entry is numbered a moment later.
func (p *Play) mark(ctx context.Context) (time.Time, error) {
	page, err := p.search(ctx, map[string]any{"limit": 1})
	if err != nil || len(page) == 0 {
		return time.Time{}, err
	}
	return page[0].Time, nil
}

func (p *Play) search(ctx context.Context, in map[string]any) ([]entry, error) {
	var page struct {
		Entries []entry `json:"entries"`
	}
	err := p.Admin.Do(ctx, "audit.search", in, &page)
	return page.Entries, err
}

// audited looks for what the log says of the attack since a mark.
func (p *Play) audited(ctx context.Context, since time.Time, of row) Proof {
	if len(of.events) == 0 {
		found, err := p.search(ctx, map[string]any{"outcome": "refused", "limit": 100})
		return told(found, since, "", err)
	}
	var all []string
	for i, event := range slices.Concat(of.events, of.after) {
		what := map[string]any{"event": event, "limit": 100}
		if i < len(of.events) {
			what["account"] = p.Canary.Name
		}
		found, err := p.search(ctx, what)
		proof := told(found, since, event, err)
		if proof.State != Passed {
			return proof
		}
		all = append(all, proof.Detail)
	}
	return Proof{Passed, strings.Join(all, "; ")}
}

func told(found []entry, since time.Time, event string, err error) Proof {
	if err != nil {
		return Proof{Failed, err.Error()}
	}
	n := 0
	reasons := map[string]bool{}
	for _, e := range found {
		if e.Time.After(since) {
			n++
			reasons[e.Reason] = true
		}
	}
	if n == 0 {
		return Proof{Failed, "the log does not tell of it: no entry " + event}
	}
	var words []string
	for r := range reasons {
		words = append(words, r)
	}
	slices.Sort(words)
	if event != "" {
		event = " " + event
	}
	return Proof{Passed, fmt.Sprintf("%d entries%s: %s", n, event, strings.Join(words, ", "))}
}

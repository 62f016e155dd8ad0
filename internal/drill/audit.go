package drill

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// entry is what a drill reads of the log.
type entry struct {
	Time    time.Time         `json:"time"`
	Reason  string            `json:"reason"`
	Account string            `json:"account_name"`
	Source  string            `json:"source"`
	Detail  map[string]string `json:"detail"`
}

// mark returns when the newest entry was written. Numbers would not do: where
// several servers write, an entry is numbered a moment later.
func (p *Play) mark(ctx context.Context) (time.Time, error) {
	page, _, err := p.search(ctx, map[string]any{"limit": 1})
	if err != nil || len(page) == 0 {
		return time.Time{}, err
	}
	return page[0].Time, nil
}

// search returns one page, and the number before which the next one is; zero for none.
func (p *Play) search(ctx context.Context, in map[string]any) ([]entry, int64, error) {
	var page struct {
		Entries []entry `json:"entries"`
		Next    int64   `json:"next"`
	}
	err := p.Admin.Do(ctx, "audit.search", in, &page)
	return page.Entries, page.Next, err
}

// pages is how many pages of 500 entries are read at most. What is behind more than that is
// not found, and the attack counts as not audited.
const pages = 20

// since returns the entries after a mark that a search finds.
func (p *Play) since(ctx context.Context, mark time.Time, in map[string]any) ([]entry, error) {
	var all []entry
	in["limit"] = 500
	if !mark.IsZero() {
		in["since"] = mark.UTC().Format(time.RFC3339) // a moment earlier: it knows whole seconds
	}
	for range pages {
		page, next, err := p.search(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(page, func(e entry) bool { return !e.Time.After(mark) })...)
		if next == 0 {
			return all, nil
		}
		in["before"] = next
	}
	return all, nil
}

// audited looks for what the log says of the attack since a mark.
func (p *Play) audited(ctx context.Context, mark time.Time, of row) Proof {
	mine, err := p.sources(ctx)
	if err != nil {
		return Proof{Failed, err.Error()}
	}
	events := slices.Concat(of.events, of.after)
	if len(events) == 0 {
		events = []string{""}
	}
	var all []string
	for _, event := range events {
		what := map[string]any{"event": event}
		if event == "" {
			what = map[string]any{"outcome": "refused"}
		}
		found, err := p.since(ctx, mark, what)
		found = slices.DeleteFunc(found, func(e entry) bool { return !p.about(e, mine) })
		proof := told(found, event, err)
		if proof.State != Passed {
			return proof
		}
		all = append(all, proof.Detail)
	}
	return Proof{Passed, strings.Join(all, "; ")}
}

// about reports whether an entry tells of this attack. Nobody else knows the name of a
// canary. A name that was guessed is anybody's, so that what is said of it counts only from
// where this attack came.
func (p *Play) about(e entry, mine []netip.Addr) bool {
	if slices.Contains(p.canaries, e.Account) || slices.Contains(p.canaries, e.Detail["login"]) {
		return true
	}
	from, err := netip.ParseAddr(e.Source)
	return err == nil && slices.Contains(p.guessed, e.Account) && slices.Contains(mine, from.Unmap())
}

// sources are the addresses that the attack came from: the attacker's, and where the log
// saw the canary. It asks only if names were guessed that are no canary's.
func (p *Play) sources(ctx context.Context) ([]netip.Addr, error) {
	if len(p.guessed) == 0 {
		return nil, nil
	}
	var mine []netip.Addr
	if p.From.IsValid() {
		mine = append(mine, p.From.Unmap())
	}
	seen, _, err := p.search(ctx, map[string]any{"account": p.Canary.Name, "limit": 100})
	for _, e := range seen {
		if from, err := netip.ParseAddr(e.Source); err == nil && e.Account == p.Canary.Name {
			mine = append(mine, from.Unmap())
		}
	}
	return mine, err
}

func told(found []entry, event string, err error) Proof {
	if err != nil {
		return Proof{Failed, err.Error()}
	}
	if len(found) == 0 {
		return Proof{Failed, "the log does not tell of it: no entry " + event}
	}
	var words []string
	for _, e := range found {
		words = append(words, e.Reason)
	}
	slices.Sort(words)
	if event != "" {
		event = " " + event
	}
	return Proof{Passed, fmt.Sprintf("%d entries%s: %s", len(found), event, strings.Join(slices.Compact(words), ", "))}
}

package drill

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Entry is what a drill reads of an entry of the audit log.
type Entry struct {
	Number      int64             `json:"seq"`
	Time        time.Time         `json:"time"`
	Event       string            `json:"event"`
	Reason      string            `json:"reason"`
	Account     string            `json:"account_name"`
	Application string            `json:"application"`
	Source      string            `json:"source"`
	Detail      map[string]string `json:"detail"`
}

// mostSummed is how many an entry stands for at most: more were never tried.
const mostSummed = 1000

// Times is how many refusals the entry tells of: one that sums up says it.
func (e Entry) Times() int {
	if n, err := strconv.Atoi(e.Detail["count"]); err == nil {
		return min(max(n, 0), mostSummed)
	}
	return 1
}

// onePage is how many entries are read at once.
const onePage = 500

// Logged returns the newest entries that a search of the log finds, 500 at most: more than
// one account or one address leaves in a drill.
func (p *Play) Logged(ctx context.Context, search map[string]any) ([]Entry, error) {
	search["limit"] = onePage
	found, _, err := p.search(ctx, search)
	return found, err
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
func (p *Play) search(ctx context.Context, in map[string]any) ([]Entry, int64, error) {
	var page struct {
		Entries []Entry `json:"entries"`
		Next    int64   `json:"next"`
	}
	err := p.Admin.Do(ctx, "audit.search", in, &page)
	return page.Entries, page.Next, err
}

// pages is how many pages of 500 entries are read at most. What is behind more than that is
// not found, and the attack counts as not audited.
const pages = 20

// since returns the entries after a mark that a search finds.
func (p *Play) since(ctx context.Context, mark time.Time, in map[string]any) ([]Entry, error) {
	var all []Entry
	in["limit"] = onePage
	if !mark.IsZero() {
		in["since"] = mark.UTC().Format(time.RFC3339) // a moment earlier: it knows whole seconds
	}
	for range pages {
		page, next, err := p.search(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(page, func(e Entry) bool { return !e.Time.After(mark) })...)
		if next == 0 {
			return all, nil
		}
		in["before"] = next
	}
	return all, nil
}

// trail is what the log says of an attack: for each event that a row demands, the entries
// about it.
type trail struct {
	// events must be about the application, after about any.
	events, after []string
	found         map[string][]Entry
	err           error
}

// entries looks for what the log says of the attack since a mark.
func (p *Play) entries(ctx context.Context, mark time.Time, of row) trail {
	t := trail{events: of.events, after: of.after, found: map[string][]Entry{}}
	if len(t.events) == 0 {
		t.events = []string{""}
	}
	mine, err := p.sources(ctx)
	if err != nil {
		return trail{err: err}
	}
	for _, event := range slices.Concat(t.events, t.after) {
		what := map[string]any{"event": event}
		if event == "" {
			what = map[string]any{"outcome": "refused"}
		}
		found, err := p.since(ctx, mark, what)
		if err != nil {
			return trail{err: err}
		}
		t.found[event] = slices.DeleteFunc(found, func(e Entry) bool { return !p.about(e, mine) })
	}
	return t
}

// at is the proof for one application. It returns the numbers of the entries.
func (t trail) at(application string) (Proof, []int64) {
	if t.err != nil {
		return Proof{Failed, t.err.Error()}, nil
	}
	var words []string
	var numbers []int64
	for i, event := range slices.Concat(t.events, t.after) {
		var reasons []string
		for _, e := range t.found[event] {
			if e.Application == application || i >= len(t.events) {
				reasons, numbers = append(reasons, e.Reason), append(numbers, e.Number)
			}
		}
		if len(reasons) == 0 {
			return Proof{Failed, strings.TrimSpace("the log does not tell of it: no entry "+event) + at(application)}, nil
		}
		words = append(words, count(reasons, event))
	}
	slices.Sort(numbers)
	return Proof{Passed, strings.Join(words, "; ")}, slices.Compact(numbers)
}

func at(application string) string {
	if application == "" {
		return ""
	}
	return " at " + application
}

// count says how many entries there are of an event, and why they were written.
func count(reasons []string, event string) string {
	n := len(reasons)
	slices.Sort(reasons)
	if event != "" {
		event = " " + event
	}
	return fmt.Sprintf("%d entries%s: %s", n, event, strings.Join(slices.Compact(reasons), ", "))
}

// about reports whether an entry tells of this attack. Nobody else knows the name of a
// canary. A name that was guessed is anybody's, so that what is said of it counts only from
// where this attack came.
func (p *Play) about(e Entry, mine []netip.Addr) bool {
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

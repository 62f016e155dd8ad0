package throttle

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/store"
)

// What budgets cannot show, tallies do: over how many names wrong answers are
// spread (a spray tries one password on each, so that no name wears out), and
// for how many people the password was right and the rest never came (a stuffing
// run tries pairs that leaked elsewhere). A name counts once in an hour. Tallies
// are rows in the store like budgets and are charged in the transaction of what
// they count, so that however many servers there are, each alarm is raised once.

// tallied is how long a name that counted does not count again, and after which
// a tally starts anew.
const tallied = time.Hour

// steps are where a tally raises its alarm.
type steps struct{ source, installation []int }

var (
	spraySteps    = steps{[]int{20, 100, 1000, 10_000}, []int{1000, 10_000, 100_000}}
	stuffingSteps = steps{[]int{5, 20, 100, 1000}, []int{20, 100, 1000, 10_000}}
)

// Detect raises an alarm at each power of ten of wrong answers: from one
// source, and in the whole installation, which a spray cannot avoid.
func (b *Budget) Detect(tx *store.Tx, from Sighting) {
	for _, s := range b.subjects {
		if s.window == 0 || !s.passed(alarming[:]) || strings.HasPrefix(s.key, "name/") {
			continue
		}
		name, _, _ := strings.Cut(s.key, "/")
		en := from.Entry
		en.Event, en.Reason, en.Actor = "alarm.guessing", name, strangers(en.Protocol)
		en.Detail = map[string]string{"subject": s.key, "wrong-answers": strconv.Itoa(s.count), "window": s.window.String()}
		tx.Record(en)
	}
}

var alarming = [...]int{20, 100, 1000, 10_000, 100_000}

// FirstOfName reports whether a wrong answer that was charged is the first for its name
// within the hour.
func (b *Budget) FirstOfName() bool {
	return slices.ContainsFunc(b.subjects, func(s subject) bool {
		return s.window == tallied && s.count == 1 && (strings.HasPrefix(s.key, "account/") || strings.HasPrefix(s.key, "name/"))
	})
}

// Sprayed is told of a wrong answer that is the first for its name.
func (t *Throttle) Sprayed(ctx context.Context, tx *store.Tx, from Sighting) error {
	return t.budgets.tally(ctx, tx, from, "spray", spraySteps)
}

// Stuffed is told that an account's password was right and the rest never came.
func (t *Throttle) Stuffed(ctx context.Context, tx *store.Tx, from Sighting, account assurance.AccountID) error {
	if account == 0 {
		return nil
	}
	person := []subject{{key: "missing/" + accountKey(account), window: tallied}}
	if err := t.budgets.count(ctx, tx, person); err != nil || person[0].count != 1 {
		return err
	}
	return t.budgets.tally(ctx, tx, from, "stuffing", stuffingSteps)
}

// strangers are who guesses, by a protocol. Whose name was guessed last did nothing.
func strangers(protocol string) audit.Actor {
	return audit.Actor{Name: "strangers", Via: cmp.Or(protocol, "countersign")}
}

// tally counts one more name against the source and the installation, and raises
// the alarm at each step.
func (g *budgets) tally(ctx context.Context, tx *store.Tx, from Sighting, what string, s steps) error {
	counted := []subject{{key: what + "/" + installation, window: tallied, reason: installation}}
	limits := [][]int{s.installation}
	if from.Source.IsValid() {
		counted = append(counted, subject{key: what + "/" + sourceKey(from.Source), window: tallied, reason: "source"})
		limits = append(limits, s.source)
	}
	if err := g.count(ctx, tx, counted); err != nil {
		return err
	}
	for i, c := range counted {
		if !c.passed(limits[i]) {
			continue
		}
		en := from.Entry
		en.Event, en.Reason, en.Actor = "alarm."+what, c.reason, strangers(en.Protocol)
		en.Detail = map[string]string{"subject": strings.TrimPrefix(c.key, what+"/"), "names": strconv.Itoa(c.count), "window": c.window.String()}
		if err := tx.Record(en); err != nil {
			return err
		}
	}
	return nil
}

// count charges subjects that limit nobody.
func (g *budgets) count(ctx context.Context, tx *store.Tx, subjects []subject) error {
	if err := g.loadSubjects(ctx, tx, subjects); err != nil {
		return err
	}
	for i := range subjects {
		if s := &subjects[i]; g.now().Sub(s.since) >= s.window {
			s.count, s.since = 0, time.Time{}
		}
	}
	return g.hold(ctx, tx, &Budget{subjects: subjects}, 0)
}

package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/internal/admin/survey"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// diffDesk is where documents are compared.
type diffDesk struct {
	documents
	survey    *survey.Survey
	reach     signin.Reach
	protocols protocol.List
	now       func() time.Time
}

// Diff compares a document, or a saved version, with the policy in force.
type Diff struct {
	Body    string `json:"body,omitempty" arg:"" optional:"" type:"text-file" name:"file" help:"The document; - reads standard input."`
	Version int64  `json:"version,omitempty" help:"A saved version instead."`
}

// Difference is what policy.diff answers.
type Difference struct {
	// Answer is the whole of it in one sentence.
	Answer string `json:"answer"`
	// Exact says that every request was looked at. Otherwise Unsure are the rules
	// that could not be analysed, and there may be more differences than these.
	Exact  bool     `json:"exact"`
	Unsure []string `json:"unsure,omitempty"`
	// Unmeetable says whom the document demands something of that nobody can show there.
	Unmeetable []string `json:"unmeetable,omitempty"`
	// Changes are the differences, those that let in or ask less first.
	Changes []Effect `json:"changes"`
}

// Effect is one difference for one class of accounts at one application.
type Effect struct {
	// Effect is "lets in", "asks less", "asks otherwise", "asks more" or "keeps out".
	Effect string `json:"effect"`
	// Accounts says for whom, and Count how many they are.
	Accounts    string   `json:"accounts"`
	Count       int      `json:"count"`
	Application string   `json:"application"`
	Actions     []string `json:"actions"`
	Before      string   `json:"before"`
	After       string   `json:"after"`
	// Witness is a request that shows it.
	Witness string `json:"witness"`
	// Rules are the new document's that decide there.
	Rules []string `json:"rules,omitempty"`
}

func (c *Diff) Action() string { return "policy.diff" }

// Object is empty: nothing is changed.
func (c *Diff) Object() string { return "" }

func (c *Diff) Do(ctx context.Context, a *diffDesk, _ signin.Grant) (any, error) {
	if c.Body == "" && c.Version == 0 {
		return nil, failure.New(failure.Invalid, "Give a document, or a version, to compare with the policy in force.")
	}
	before, err := a.rules.Current(ctx)
	if err != nil {
		return nil, err
	}
	after, _, err := a.document(ctx, c.Body, c.Version)
	if err != nil {
		return nil, err
	}
	classes, _, err := a.survey.Classes(ctx, before, after)
	if err != nil {
		return nil, err
	}
	places, err := a.survey.Places(ctx)
	if err != nil {
		return nil, err
	}
	d := differ{survey: a.survey, before: before, after: after, budget: policy.Budget{Left: mostCompared}, out: Difference{Exact: true, Changes: []Effect{}}}
	for _, cl := range classes {
		for _, p := range places {
			if err := d.at(ctx, cl, p); err != nil {
				return nil, err
			}
		}
	}
	out := d.finish()
	out.Unmeetable = Unmeetable(after, Reached{Reach: a.reach, Places: places, Protocols: a.protocols, Now: a.now()})
	return out, nil
}

// mostCompared is how much one comparison looks at: some ten seconds of one processor.
const mostCompared = 40_000_000

// mostEffects is how many differences are told.
const mostEffects = 2000

// differ gathers differences. One that several actions share is told once.
type differ struct {
	survey        *survey.Survey
	before, after *policy.Policy
	budget        policy.Budget
	out           Difference
	seen          map[string]int
}

func (d *differ) at(ctx context.Context, c *survey.Class, p survey.Place) error {
	d.seen = map[string]int{}
	for _, action := range p.Actions {
		for _, channel := range p.Channels {
			asked, v := d.survey.Asks(c, p, action, channel)
			if v.Refuses != "" {
				continue // refused before and after, whatever policy says
			}
			got, err := policy.CompareWithin(ctx, d.before, d.after, asked, &d.budget)
			if errors.Is(err, policy.ErrTooMuch) {
				return failure.At("body", failure.New(failure.Invalid, "The two documents tell more requests apart than are compared at once. Compare with fewer rules changed that name addresses, paths or times, or ask \"policy explain\" about the requests that matter."))
			}
			if err != nil {
				return failure.Wrap(failure.Unavailable, err, "The comparison was ended before it was done.")
			}
			d.out.Exact = d.out.Exact && got.Exact
			for _, r := range got.Blurred {
				if !slices.Contains(d.out.Unsure, r) {
					d.out.Unsure = append(d.out.Unsure, r)
				}
			}
			for _, change := range got.Changes {
				d.add(c, p, action, change, v)
			}
		}
	}
	return nil
}

func (d *differ) add(c *survey.Class, p survey.Place, action string, change policy.Change, v signin.View) {
	change.Before.Requirement, change.After.Requirement = survey.WithEngineRequirement(change.Before.Requirement, v), survey.WithEngineRequirement(change.After.Requirement, v)
	effect := effectOf(change)
	if effect == "" {
		return // what the engine demands besides makes them one
	}
	before, after := change.Before.String(), change.After.String()
	key := effect + "\x00" + before + "\x00" + after
	if i, ok := d.seen[key]; ok {
		if !slices.Contains(d.out.Changes[i].Actions, action) {
			d.out.Changes[i].Actions = append(d.out.Changes[i].Actions, action)
		}
		return
	}
	if len(d.out.Changes) == mostEffects {
		d.out.Exact = false
		return
	}
	e := Effect{Effect: effect, Accounts: c.Who(), Count: c.Count, Application: p.Name, Actions: []string{action}, Before: before, After: after, Witness: bothWitness(change.Facts, d.before, d.after)}
	for _, r := range change.After.Reasons {
		if r.Rule != "" {
			e.Rules = append(e.Rules, r.Rule)
		}
	}
	d.seen[key] = len(d.out.Changes)
	d.out.Changes = append(d.out.Changes, e)
}

// bothWitness says of a request what either document reads.
func bothWitness(f policy.Facts, before, after *policy.Policy) string {
	b, a := survey.Witness(f, before), survey.Witness(f, after)
	if len(b) > len(a) {
		return b
	}
	return a
}

// effects from the most to the least dangerous.
var effects = []string{"lets in", "asks less", "asks otherwise", "asks more", "keeps out"}

func effectOf(c policy.Change) string {
	harder, easier := c.After.AtLeast(c.Before), c.Before.AtLeast(c.After)
	switch {
	case harder && easier:
		return ""
	case c.Opens():
		return "lets in"
	case c.Closes():
		return "keeps out"
	case easier:
		return "asks less"
	case harder:
		return "asks more"
	}
	return "asks otherwise"
}

func (d *differ) finish() Difference {
	slices.SortStableFunc(d.out.Changes, func(a, b Effect) int {
		return slices.Index(effects, a.Effect) - slices.Index(effects, b.Effect)
	})
	slices.Sort(d.out.Unsure)
	var parts []string
	for _, e := range effects {
		n := 0
		for _, c := range d.out.Changes {
			if c.Effect == e {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, e+" ("+plural(n)+")")
		}
	}
	switch {
	case len(parts) > 0:
		d.out.Answer = "It " + strings.Join(parts, ", ") + "."
	default:
		d.out.Answer = "Nobody is asked for anything else."
	}
	if !d.out.Exact {
		d.out.Answer += " There may be more: not every rule can be analysed, or there are more than are told."
	}
	return d.out
}

func plural(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

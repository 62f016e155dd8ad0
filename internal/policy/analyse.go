package policy

import (
	"context"
	"hash/maphash"
	"slices"
	"time"
)

// analysis is one class under one policy: which rules depend on what is free,
// and the cells that they divide it into.
type analysis struct {
	policy *Policy
	class  Class
	rules  []analysed
	// zones are the clocks of all documents that are compared.
	zones []*time.Location
	// open are the free atoms whose cases can be listed.
	open []*atom
	// dimensions are the free facts that matter, each with its cells.
	dimensions []dimension
	// coarse gives up telling cells apart: every free atom is a blur then.
	coarse bool
	seen   map[string]bool // which rules matched, in cells decided already
}

// analysed is a rule and what is known of it for the whole class.
type analysed struct {
	*rule
	always bool
	// blurry rules have atoms whose cells cannot be listed.
	blurry    bool
	uncertain bool // in some cell
}

// dimension is one free fact, as the values that stand for its cells.
type dimension []func(*Facts)

// analyse finds the cells of one document.
func (p *Policy) analyse(c Class) *analysis {
	a := p.opened(c)
	a.dimensions, a.coarse, _ = divide(context.Background(), c, nil, a) // without a budget there is no error
	return a
}

// opened leaves out the rules that no request of the class can match, and finds
// what the others read of what is free.
func (p *Policy) opened(c Class) *analysis {
	a := &analysis{policy: p, class: c, seen: map[string]bool{}}
	for _, r := range p.rules {
		t := yes
		if r.shape != nil {
			t = r.shape.settle(&c.Facts, p.zone, a.free)
		}
		if t == no {
			continue
		}
		one := analysed{rule: r, always: t == yes}
		if t == unknown {
			r.shape.atoms(func(at *atom) {
				switch {
				case !a.free(at):
				case at.blurs():
					one.blurry = true
				default:
					a.open = append(a.open, at)
				}
			})
		}
		a.rules = append(a.rules, one)
	}
	return a
}

// free reports whether the atom's fact is free in the class.
func (a *analysis) free(at *atom) bool { return a.class.Free&freedom[at.fact] != 0 }

var freedom = [factCount]Free{
	requestSource: FreeSource, sessionBound: FreeSource, nowHour: FreeTime, nowWeekday: FreeTime, nowTime: FreeTime,
	requestProtocol: FreeProtocol, requestAction: FreeAction, requestReads: FreeAction, requestMethod: FreeRequest, requestPath: FreeRequest,
}

// blurs reports whether the cases of an atom cannot be listed. Whatever is
// asked of an action or a protocol can: there are finitely many.
func (at *atom) blurs() bool {
	return (at.fact == requestPath || at.fact == requestMethod) && (at.op == part || at.op == match)
}

// unclear is what remains unknown of an atom within a cell.
func (a *analysis) unclear(at *atom) bool { return a.free(at) && (a.coarse || at.blurs()) }

// each calls f with one request of every cell.
func (a *analysis) each(f func(*Facts)) {
	each(context.Background(), a.class.Facts, a.dimensions, f) //nolint:errcheck // nobody ends it
}

// each ends early when its context does.
func each(ctx context.Context, base Facts, dimensions []dimension, f func(*Facts)) error {
	at := make([]int, len(dimensions))
	for n := 0; ; n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		facts := base
		for i, d := range dimensions {
			d[at[i]](&facts)
		}
		f(&facts)
		i := 0
		for ; i < len(at); i++ {
			if at[i]++; at[i] < len(dimensions[i]) {
				break
			}
			at[i] = 0
		}
		if i == len(at) {
			return nil
		}
	}
}

// decide returns the weakest Decisions that a request of this cell may get, or
// none when another cell had the same. Rules that remain uncertain are taken not
// to apply; where no other rule demands anything, one of them does, since
// without any the request is denied.
func (a *analysis) decide(f *Facts) []Decision {
	var b builder
	var maybe []*rule
	matched := make([]byte, 0, 64)
	v := &view{facts: f, policy: a.policy}
	for i := range a.rules {
		r := &a.rules[i]
		mark := byte('.')
		switch t, err := a.asks(r, v); {
		case err != nil:
			b.fail(r.rule)
			mark = '!'
		case t == yes:
			b.add(r.rule)
			mark = '+'
		case t == unknown:
			r.uncertain = true
			maybe = append(maybe, r.rule)
			mark = '?'
		}
		matched = append(matched, mark)
	}
	if a.seen[string(matched)] {
		return nil
	}
	a.seen[string(matched)] = true
	if b.demands {
		return []Decision{b.decision()}
	}
	return b.withOneOf(maybe)
}

func (a *analysis) asks(r *analysed, v *view) (truth, error) {
	if r.always {
		return yes, nil
	}
	if r.blurry || a.coarse {
		return r.shape.settle(v.facts, a.policy.zone, a.unclear), nil
	}
	hit, err := r.matches(v)
	return truthOf(hit), err
}

// withOneOf returns the Decisions with each of the rules that demand something,
// or without any when none does.
func (b *builder) withOneOf(rules []*rule) []Decision {
	var out []Decision
	for _, r := range rules {
		if r.demands {
			one := builder{d: b.d}
			one.d.Reasons = append([]Reason(nil), b.d.Reasons...)
			one.add(r)
			out = append(out, one.decision())
		}
	}
	if len(out) == 0 {
		return []Decision{b.decision()}
	}
	return out
}

// blurred names the rules that were uncertain somewhere.
func (a *analysis) blurred() []string {
	var names []string
	for _, r := range a.rules {
		if r.uncertain {
			names = append(names, r.name)
		}
	}
	return names
}

// divide finds the cells that these analyses of one class make together. Should
// there be too many, coarse says that none are told apart.
// What it would cost is taken from the budget before it is done.
func divide(ctx context.Context, c Class, b *Budget, parts ...*analysis) (dimensions []dimension, coarse bool, err error) {
	for _, a := range parts {
		for _, one := range parts {
			if !slices.ContainsFunc(a.zones, func(z *time.Location) bool { return z.String() == one.policy.zone.String() }) {
				a.zones = append(a.zones, one.policy.zone)
			}
		}
	}
	total := 1
	for _, facts := range [][]fact{{requestSource}, {sessionBound}, {nowHour, nowWeekday, nowTime}, {requestProtocol}, {requestAction, requestReads}, {requestMethod}, {requestPath}} {
		if err := b.spend(costOf(facts, parts)); err != nil {
			return nil, true, err
		}
		d := cells(ctx, c, facts, parts)
		if ctx.Err() != nil {
			return nil, true, ctx.Err()
		}
		if len(d) == 0 {
			continue
		}
		dimensions = append(dimensions, d)
		if total *= len(d); total > maxCells {
			return nil, true, nil
		}
	}
	return dimensions, false, nil
}

// costOf is how many atoms it takes to find the cells of one dimension.
func costOf(facts []fact, parts []*analysis) int {
	var all []*atom
	for _, a := range parts {
		all = append(all, ofFacts(a.open, facts)...)
	}
	n := 0
	for _, a := range parts {
		n += a.many(all, facts[0])
	}
	return n * len(all)
}

func ofFacts(atoms []*atom, facts []fact) []*atom {
	var out []*atom
	for _, at := range atoms {
		for _, f := range facts {
			if at.fact == f {
				out = append(out, at)
			}
		}
	}
	return out
}

// cells returns one setter for each way in which the atoms that read these free
// facts, which are one dimension, can come out together. Documents have clocks
// of their own: where one's hour changes another's need not, so the candidates
// of each are taken, and told apart by all.
func cells(ctx context.Context, c Class, facts []fact, parts []*analysis) dimension {
	var all []*atom
	own := make([][]*atom, len(parts))
	for i, a := range parts {
		own[i] = ofFacts(a.open, facts)
		all = append(all, own[i]...)
	}
	switch {
	case len(parts) == 0:
		return nil
	case len(all) == 0:
		return parts[0].unread(facts[0])
	}
	var d dimension
	seen, seed := map[uint64]bool{}, maphash.MakeSeed()
	var truths []byte
	for _, a := range parts {
		for n, set := range a.candidates(all, facts[0]) {
			if n%256 == 0 && ctx.Err() != nil {
				return nil
			}
			f := c.Facts
			set(&f)
			truths = truths[:0]
			for i, b := range parts {
				for _, at := range own[i] {
					truths = append(truths, bit(at.holds(&f, b.policy.zone)))
				}
			}
			if k := maphash.Bytes(seed, truths); !seen[k] {
				seen[k] = true
				d = append(d, set)
			}
		}
	}
	return d
}

package attack

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// surroundings adds what is true of an application besides its policy: doors
// that do not pass Countersign, people who are let in weaker than it seems.
func (in *Input) surroundings(a Application, s *RowState) {
	if a.Unruled {
		s.Gaps = append(s.Gaps, Gap{Kind: NoPolicy, Application: a.Name, Protocol: a.Protocol,
			Sentence: fmt.Sprintf("No rule of the policy is about %s, so nobody gets in, and nothing says what it should demand.", a.Name)})
	}
	for _, d := range a.OpenDoors {
		s.Gaps = append(s.Gaps, Gap{Kind: OpenDoor, Application: a.Name, Protocol: a.Protocol,
			Sentence: fmt.Sprintf("%s has a door that does not pass Countersign: %s.", a.Name, d)})
	}
	for _, p := range in.People {
		if len(p.Applications) > 0 && !slices.Contains(p.Applications, a.Name) {
			continue
		}
		g := Gap{Kind: WeakAccount, Account: p.Name, Sentence: fmt.Sprintf("%s %s.", p.Name, p.Lacks)}
		if !slices.Contains(s.Gaps, g) {
			s.Gaps = append(s.Gaps, g)
		}
	}
	for _, c := range a.Caveats {
		s.Notes = append(s.Notes, fmt.Sprintf("%s: %s.", a.Name, c))
	}
}

// shutDoors tells where policy lets nobody in. An attack fails there, and so does
// everybody honest: a row that is about nothing else is not covered by that. Beside
// others it is told.
func (in *Input) shutDoors(r Row, tied []Application, s *RowState) {
	var gaps []Gap
	alone := true
	for _, a := range tied {
		shut := in.shut(r, a)
		alone = alone && len(shut) == r.ties(a)
		if a.Unruled {
			continue // it is told already
		}
		for _, sentence := range shut {
			gaps = append(gaps, Gap{Kind: NobodyLetIn, Application: a.Name, Protocol: a.Protocol, Sentence: sentence})
		}
	}
	if alone {
		s.Gaps = append(s.Gaps, gaps...)
		return
	}
	for _, g := range gaps {
		s.Notes = append(s.Notes, g.Sentence)
	}
}

// ties counts the ties that are about an application.
func (r Row) ties(a Application) (n int) {
	for _, t := range r.Ties {
		if t.touches(a) {
			n++
		}
	}
	return n
}

// shut has a sentence for every tie of the row at an application of which every
// class is denied what the tie is about.
func (in *Input) shut(r Row, a Application) []string {
	var out []string
	for _, t := range r.Ties {
		if !t.touches(a) {
			continue
		}
		reasons, all := in.denials(t, a)
		if !all {
			continue
		}
		who, because := "Nobody is let in", ""
		if len(t.Actions) > 0 {
			who += " for " + t.deed()
		}
		if len(reasons) > 0 {
			because = " (deny: " + strings.Join(reasons, ", ") + ")"
		}
		out = append(out, fmt.Sprintf("%s at %s%s, so that it shows nothing about this row.", who, a.Name, because))
	}
	return out
}

// denials says why classes are denied what a tie is about, and whether all are.
// Where nobody is concerned, nobody is denied.
func (in *Input) denials(t Tie, a Application) (reasons []string, all bool) {
	concerned := 0
	for _, c := range in.byApplication[a.Name] {
		if !c.concerns(t) {
			continue
		}
		if concerned++; c.Strength != Denied {
			return nil, false
		}
		if c.Denial != "" && !slices.Contains(reasons, c.Denial) {
			reasons = append(reasons, c.Denial)
		}
	}
	slices.Sort(reasons)
	return reasons, concerned > 0
}

// exceptionGaps are the exceptions in force at any of these applications.
func (in *Input) exceptionGaps(tied []Application) []Gap {
	var gaps []Gap
	for _, e := range in.Exceptions {
		if e.Over(in.Now) || !slices.ContainsFunc(tied, e.touches) {
			continue
		}
		gaps = append(gaps, Gap{Kind: Loosened, Application: e.Application, Protocol: e.Protocol, Exception: e.What, Sentence: e.sentence()})
	}
	return gaps
}

func (e Exception) sentence() string {
	s := "An exception is in force: " + e.What
	if e.Expires.IsZero() {
		s += ", without an end"
	} else {
		s += ", until " + day(e.Expires)
	}
	if e.FailOpen {
		s += "; it opens when Countersign cannot be asked"
	}
	return s + "."
}

// proof is what the drills say of one row.
type proof struct {
	proven        bool
	passed, until time.Time
	gaps          []Gap
	notes         []string
}

// proof asks for a passed drill of every application that the row is about, none older
// than [Fresh], at every door of it, and that nothing it depends on was changed since.
func (in *Input) proof(r Row, tied []Application) proof {
	p := proof{proven: true}
	whole, failed := in.latest(r.ID, "")
	failed = failed && !whole.Passed
	for _, a := range tied {
		d, ok := in.latest(r.ID, a.Name)
		if failed && (!ok || whole.Time.After(d.Time)) {
			d, ok = whole, true
		}
		in.judge(&p, r, a, d, ok)
	}
	if !p.proven {
		p.until = time.Time{}
	}
	return p
}

// doubt notes, once, why the row is not proven.
func (p *proof) doubt(format string, args ...any) {
	p.proven = false
	if s := fmt.Sprintf(format, args...); !slices.Contains(p.notes, s) {
		p.notes = append(p.notes, s)
	}
}

func (in *Input) judge(p *proof, r Row, a Application, d Drill, ok bool) {
	where := "the installation"
	if d.Application != "" {
		where = d.Application
	}
	switch {
	case !ok && r.Drill == "":
		p.doubt("There is no drill for this row yet.")
	case !ok:
		p.doubt("No drill has attacked %s yet; run countersign drill.", a.Name)
	case !d.Passed:
		p.proven = false
		g := Gap{Kind: DrillFailed, Application: d.Application, Sentence: fmt.Sprintf("The drill of %s failed on %s%s.", where, day(d.Time), detail(d))}
		if !slices.Contains(p.gaps, g) {
			p.gaps = append(p.gaps, g)
		}
	case d.Time.After(in.Now.Add(time.Minute)):
		p.doubt("The drill of %s is dated %s, which is not yet; it does not count.", where, day(d.Time))
	case in.Now.Sub(d.Time) > Fresh:
		p.see(d.Time)
		p.doubt("The drill of %s last passed on %s, more than %d days ago.", where, day(d.Time), int(Fresh.Hours()/24))
	default:
		if until := d.Time.Add(Fresh); p.until.IsZero() || until.Before(p.until) {
			p.until = until
		}
		p.see(d.Time)
		p.overtaken(a, d)
		p.beyond(a, d)
	}
}

// overtaken notes what was changed since a drill that passed.
func (p *proof) overtaken(a Application, d Drill) {
	for _, what := range slices.Sorted(maps.Keys(a.Depends)) {
		if d.Found.Depends[what] != a.Depends[what] {
			p.doubt("The drill of %s passed on %s, and the %s changed since; drill it again.", a.Name, day(d.Time), what)
		}
	}
}

// beyond notes the doors that a drill that passed did not attack.
func (p *proof) beyond(a Application, d Drill) {
	why := map[string]string{}
	for _, l := range d.Found.Left {
		why[l.Door] = l.Why
	}
	doors := slices.Clone(a.Doors)
	for _, l := range d.Found.Left {
		if !slices.Contains(doors, l.Door) {
			doors = append(doors, l.Door)
		}
	}
	for _, door := range doors {
		switch {
		case why[door] != "":
			p.doubt("The drill of %s on %s did not attack %s: %s.", a.Name, day(d.Time), door, why[door])
		case !slices.Contains(d.Doors, door):
			p.doubt("The drill of %s on %s did not attack %s.", a.Name, day(d.Time), door)
		}
	}
}

// see notes that a drill passed.
func (p *proof) see(t time.Time) {
	if t.After(p.passed) {
		p.passed = t
	}
}

// latest returns the newest result of a row at one application.
func (in *Input) latest(row, application string) (Drill, bool) {
	var best Drill
	found := false
	for _, d := range in.Drills {
		// Of two at one moment the failed one counts.
		if d.Row == row && d.Application == application && (!found || d.Time.After(best.Time) || d.Time.Equal(best.Time) && !d.Passed) {
			best, found = d, true
		}
	}
	return best, found
}

func detail(d Drill) string {
	if d.Detail == "" {
		return ""
	}
	return ": " + d.Detail
}

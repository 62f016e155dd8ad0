package attack

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State says how far a row is covered.
type State string

// The states, from worst to best. NotHere stands aside.
const (
	// Open: nothing here is behind Countersign for this row, or policy demands
	// too little everywhere, or nothing of the row's duty exists in this program.
	Open State = "open"
	// Partial: it holds for some, and the gaps say for whom it does not.
	Partial State = "partial"
	// Enforced: policy demands it of every account at every door that is known.
	Enforced State = "enforced"
	// Proven: enforced, and a drill of the last 30 days attacked it in vain.
	Proven State = "proven"
	// NotHere: declared, with a reason and an end.
	NotHere State = "not-here"
)

// States lists the states as a legend shows them, the best first.
func States() []State { return []State{Proven, Enforced, Partial, Open, NotHere} }

// RowState is one row and how far it is covered.
type RowState struct {
	Row   Row
	State State
	// Applications are the names of those that the row is about, sorted.
	Applications []string
	// Gaps are why it is not enforced; empty for enforced, proven and not here.
	Gaps []Gap
	// Notes are what a reader should know besides.
	Notes []string
	// Drilled is when a drill last passed; zero for never.
	Drilled time.Time
	// Until is when a proven or not-here row ceases to be that by itself.
	Until time.Time
}

// Gap is one thing that leaves a row open or partial.
type Gap struct {
	Kind GapKind `json:"kind"`
	// Which of these it is about is set.
	Application string `json:"application,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	Account     string `json:"account,omitempty"`
	Exception   string `json:"exception,omitempty"`
	// Sentence names it for people.
	Sentence string `json:"sentence"`
}

// GapKind sorts gaps.
type GapKind string

// The kinds of gaps.
const (
	NothingGuarded GapKind = "nothing-guarded"
	TooWeak        GapKind = "too-weak"
	NotAnalysed    GapKind = "not-analysed"
	OpenDoor       GapKind = "open-door"
	WeakAccount    GapKind = "weak-account"
	Loosened       GapKind = "exception"
	DrillFailed    GapKind = "drill-failed"
	Undeclared     GapKind = "declaration"
	NoPolicy       GapKind = "no-policy"
	NothingBuilt   GapKind = "nothing-built"
	NobodyLetIn    GapKind = "nobody-let-in"
	OpenKey        GapKind = "automation-key"
)

// Coverage computes the state of every row, by ID.
func Coverage(in Input) []RowState {
	in.byApplication = map[string][]Class{}
	for _, c := range in.Classes {
		in.byApplication[c.Application] = append(in.byApplication[c.Application], c)
	}
	out := make([]RowState, len(rows))
	for i, r := range Rows() {
		out[i] = in.cover(r)
	}
	return out
}

func (in *Input) cover(r Row) RowState {
	s := RowState{Row: r}
	var tied []Application
	for _, a := range in.Applications {
		if r.Touches(a) {
			tied = append(tied, a)
			s.Applications = append(s.Applications, a.Name)
		}
	}
	slices.Sort(s.Applications)
	if in.declared(r, tied, &s) {
		return s
	}
	if len(tied) == 0 {
		s.State = Open
		advice := "Add it, or declare the row not here with a reason and an end."
		if r.Missing != "" {
			advice = r.Missing + ": the row would stay open with it. Where there is none, declare the row not here with a reason and an end."
		}
		s.Gaps = append(s.Gaps, Gap{Kind: NothingGuarded, Sentence: fmt.Sprintf("Nothing of the kind (%s) is behind Countersign. %s", kinds(r), advice)})
		return s
	}
	proof := in.proof(r, tied)
	unbuilt := r.Missing != "" && !proof.proven
	if unbuilt { // first, so that one line about the row says it
		s.Gaps = append(s.Gaps, Gap{Kind: NothingBuilt, Sentence: r.Missing + "."})
	}
	weak := 0
	for _, a := range tied {
		s.Gaps = append(s.Gaps, in.keyGaps(r, a)...)
		gaps := in.demandGaps(r, a)
		if len(gaps) > 0 {
			weak++
		}
		s.Gaps = append(s.Gaps, gaps...)
		in.surroundings(a, &s)
	}
	in.shutDoors(r, tied, &s)
	s.Gaps = append(s.Gaps, in.exceptionGaps(tied)...)
	s.Gaps = append(s.Gaps, proof.gaps...)
	if r.Dormancy {
		for _, p := range in.Dormant {
			s.Notes = append(s.Notes, fmt.Sprintf("%s %s.", p.Name, p.Lacks))
		}
	}
	s.Notes = append(s.Notes, proof.notes...)
	s.Drilled = proof.passed
	switch {
	case unbuilt, weak == len(tied):
		s.State = Open
	case len(s.Gaps) > 0:
		s.State = Partial
	case proof.proven:
		s.State, s.Until = Proven, proof.until
	default:
		s.State = Enforced
	}
	return s
}

// kinds lists what a row is about.
func kinds(r Row) string {
	var all []string
	for _, t := range r.Ties {
		for _, k := range t.Kinds {
			if k == "*" {
				k = "any application"
			}
			if !slices.Contains(all, k) {
				all = append(all, k)
			}
		}
	}
	return strings.Join(all, ", ")
}

// declared settles a declaration: it stands if it is in force, says why, and
// nothing here contradicts it.
func (in *Input) declared(r Row, tied []Application, s *RowState) bool {
	stands := false
	for _, d := range in.NotHere {
		if d.Row != r.ID {
			continue
		}
		switch {
		case strings.TrimSpace(d.Reason) == "" || d.Expires.IsZero():
			s.Notes = append(s.Notes, "A declaration that this is not here lacks a reason or an end, and does not count.")
		case !in.Now.Before(d.Expires):
			s.Notes = append(s.Notes, fmt.Sprintf("The declaration that this is not here ended on %s.", day(d.Expires)))
		case len(tied) > 0 && !r.Unseen:
			s.Gaps = append(s.Gaps, Gap{Kind: Undeclared, Application: tied[0].Name, Sentence: fmt.Sprintf(
				"It was declared not here, but %s is of this kind. Withdraw the declaration.", tied[0].Name)})
		default:
			stands = true
			s.State, s.Until = NotHere, d.Expires
			s.Notes = append(s.Notes, fmt.Sprintf("Declared not here%s until %s: %s", by(d.By), day(d.Expires), d.Reason))
		}
	}
	return stands
}

// demandGaps are where policy asks for too little at one application.
func (in *Input) demandGaps(r Row, a Application) []Gap {
	var gaps []Gap
	for _, t := range r.Ties {
		if !t.touches(a) {
			continue
		}
		said := false
		for _, c := range in.byApplication[a.Name] {
			if !c.concerns(t) {
				continue
			}
			said = true
			if g, bad := c.falls(t, a); bad {
				gaps = append(gaps, g)
			}
		}
		if !said {
			gaps = append(gaps, Gap{Kind: NotAnalysed, Application: a.Name, Protocol: a.Protocol,
				Sentence: fmt.Sprintf("Nothing says what %s demands for %s%s.", a.Name, t.deed(), of(t.Privileged))})
		}
	}
	return gaps
}

// concerns reports whether what the tie demands is demanded of this class.
func (c Class) concerns(t Tie) bool {
	return (t.about(c.Action) || c.Entrance && len(t.Actions) == 0) && (c.Privileged || !t.Privileged)
}

// falls reports whether the class gets away with less than the tie demands.
func (c Class) falls(t Tie, a Application) (Gap, bool) {
	if c.Strength == Denied {
		return Gap{}, false
	}
	// A pass needs no limit of its own: it is good once, and dies within 8 hours.
	stale := t.Within > 0 && c.Strength != Vouched && !c.Reads && (c.Within == 0 || c.Within > time.Duration(t.Within))
	if c.Strength >= t.Demand && !stale {
		return Gap{}, false
	}
	want := t.Demand.String()
	if t.Within > 0 {
		want += " within " + t.Within.String()
	}
	s := fmt.Sprintf("%s: %s gets away with %s for %s", a.Name, who(c), cmp.Or(c.Weakest, c.Strength.String()), c.Action)
	if c.Strength >= t.Demand {
		s += ", some of it " + aged(c.Within)
	}
	if c.Witness != "" {
		s += " (" + c.Witness + ")"
	}
	if !c.Exact {
		s += ", as far as the rules can be analysed"
	}
	return Gap{Kind: TooWeak, Application: a.Name, Protocol: a.Protocol, Account: c.Accounts, Sentence: s + "; the row wants " + want + "."}, true
}

// aged says how old evidence may be.
func aged(within time.Duration) string {
	if within == 0 {
		return "from any time in the session"
	}
	return "up to " + Duration(within).String() + " old"
}

func who(c Class) string {
	if c.Count > 1 {
		return fmt.Sprintf("%s (%d)", c.Accounts, c.Count)
	}
	return c.Accounts
}

func of(privileged bool) string {
	if privileged {
		return " of privileged accounts"
	}
	return ""
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

// day writes a date as people and sorting like it.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

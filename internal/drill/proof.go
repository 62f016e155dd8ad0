package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is the outcome of a proof.
type State string

const (
	// NotTried is the zero State.
	NotTried State = ""
	Passed   State = "passed"
	Failed   State = "failed"
)

// Proof is one of the five proofs of a row.
type Proof struct {
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// Result is the result of one row at one application.
type Result struct {
	Row  string `json:"row"`
	Name string `json:"name"`
	// Application is empty where the row was not drilled, or nothing was tried.
	Application string `json:"application,omitempty"`
	// Skipped is why the row was not drilled, or empty.
	Skipped string    `json:"skipped,omitempty"`
	Time    time.Time `json:"time"`
	// Control: without the guard the attack succeeds. Blocked: with it, it fails
	// at the protected component. Audited: the audit log records it. Honest: the
	// owner of the account can sign in afterwards. Closed: the attack also fails
	// while Countersign is unreachable.
	Control Proof `json:"control"`
	Blocked Proof `json:"blocked"`
	Audited Proof `json:"audited"`
	Honest  Proof `json:"honest"`
	Closed  Proof `json:"closed"`
	Tries   []Try `json:"tries,omitempty"`
	// Entries are the numbers of the entries of the audit log that tell of it.
	Entries []int64 `json:"entries,omitempty"`
	// Log is what the components' own logs have of it, where they can be read.
	Log []string `json:"log,omitempty"`
}

// Proofs returns the five proofs with their names, in the order of the report.
func (r Result) Proofs() []struct {
	Name string
	Proof
} {
	return []struct {
		Name string
		Proof
	}{{"control", r.Control}, {"blocked", r.Blocked}, {"audited", r.Audited}, {"honest", r.Honest}, {"fail-closed", r.Closed}}
}

// Passed reports whether the row passed: blocked, audited, honest, and no other proof
// failed.
func (r Result) Passed() bool {
	if r.Skipped != "" || r.Blocked.State != Passed || r.Audited.State != Passed || r.Honest.State != Passed {
		return false
	}
	return r.Control.State != Failed && r.Closed.State != Failed
}

// prove shows the five proofs of one row, at each application that was attacked.
func (p Plan) prove(ctx context.Context, of row, blank Result) []Result {
	arms := p.Bed != nil && !p.Brief
	var control arm
	if arms && !of.byMutants {
		control = p.control(ctx, of)
	}
	s, err := newPlay(ctx, p.Stage, p.Admin)
	if err != nil {
		return p.everywhere(blank, "the canary could not be set up: "+err.Error())
	}
	defer s.close(ctx)
	s.Bed = p.Bed
	since, err := s.mark(ctx)
	if err != nil {
		return p.everywhere(blank, "the log cannot be read: "+err.Error())
	}
	s.lines(ctx) // those of before
	attack := played(of.play(ctx, s))
	lines := s.lines(ctx)
	audit := s.entries(ctx, since, of)
	honest := s.honest(ctx, attack.applications(p.Stage))
	var closed arm
	if arms {
		closed = p.closed(ctx, of, s)
	}
	var results []Result
	for _, app := range attack.applications(p.Stage) {
		r := blank
		at := attack.at(app)
		r.Application, r.Tries, r.Log = app, at.tries, lines[app]
		r.Blocked, r.Honest = at.blocked(), honest[app]
		r.Audited, r.Entries = audit.at(app)
		if arms {
			r.Control, r.Closed = control.at(app).control(), closed.at(app).closed()
		}
		if of.byMutants {
			r.Control = Proof{Detail: "shown by the table of mutants"}
		}
		results = append(results, r)
	}
	return results
}

// everywhere is a failure that no application is to blame for.
func (p Plan) everywhere(blank Result, why string) []Result {
	var results []Result
	for _, app := range p.Stage.applications() {
		r := blank
		r.Application, r.Blocked = app, Proof{Failed, why}
		results = append(results, r)
	}
	return results
}

// arm is what came of an attack with the guard, without it, or with Countersign stopped.
// An error is one that no component is to blame for.
type arm struct {
	tries []Try
	err   error
}

func played(tries []Try, err error) arm { return arm{tries, err} }

// at is what came of it at one application.
func (a arm) at(application string) arm {
	var here []Try
	for _, t := range a.tries {
		if t.Application == application {
			here = append(here, t)
		}
	}
	return arm{here, a.err}
}

// applications are those that were attacked; all of the stage where the attack broke off,
// and one without a name where nothing was tried at all.
func (a arm) applications(s Stage) []string {
	if a.err != nil {
		return s.applications()
	}
	var all []string
	for _, t := range a.tries {
		if !slices.Contains(all, t.Application) {
			all = append(all, t.Application)
		}
	}
	if len(all) == 0 {
		return []string{""}
	}
	return all
}

// applications are those that the stage's components belong to, in its order.
func (s Stage) applications() []string {
	var all []string
	for _, c := range s.Components {
		if !slices.Contains(all, c.Application) {
			all = append(all, c.Application)
		}
	}
	return all
}

func (a arm) blocked() Proof {
	if open := opened(a.tries); len(open) > 0 {
		return Proof{Failed, "got through: " + strings.Join(open, "; ")}
	}
	if a.err != nil {
		return Proof{Failed, "the attack could not be played: " + a.err.Error()}
	}
	if p := untried(a.tries); p.Detail != "" {
		return p
	}
	return Proof{Passed, fmt.Sprintf("%d ways tried, none opened", len(a.tries))}
}

// untried is the proof of tries that show nothing: an error is an error, and where nothing
// was tried nothing was shown. It is zero for tries that do show something.
func untried(tries []Try) Proof {
	var broken []string
	for _, t := range tries {
		if t.Error != "" {
			broken = append(broken, t.Name+": "+t.Error)
		}
	}
	switch {
	case len(broken) > 0:
		return Proof{Failed, "could not be tried: " + strings.Join(broken, "; ")}
	case len(tries) == 0:
		return Proof{NotTried, "no door was tried"}
	}
	return Proof{}
}

func opened(tries []Try) []string {
	var out []string
	for _, t := range tries {
		if t.Open {
			out = append(out, t.Name)
		}
	}
	return out
}

// control plays the attack where the guard is out.
func (p Plan) control(ctx context.Context, of row) arm {
	stage, admin := p.Bed.Unguarded()
	s, err := newPlay(ctx, stage, admin)
	if err != nil {
		return arm{err: err}
	}
	defer s.close(ctx)
	s.Bed, s.Unguarded = p.Bed, true
	return played(of.play(ctx, s))
}

// control is the proof of an attack without the guard. One that does not get through
// there shows nothing here.
func (a arm) control() Proof {
	if open := opened(a.tries); len(open) > 0 {
		return Proof{Passed, "without the guard it gets through: " + strings.Join(open, "; ")}
	}
	if a.err != nil {
		return Proof{Failed, "the attack could not be played: " + a.err.Error()}
	}
	if p := untried(a.tries); p.Detail != "" {
		return p
	}
	return Proof{Failed, "even without the guard it does not get through, so its failure shows nothing"}
}

// closed plays the attack with Countersign stopped.
func (p Plan) closed(ctx context.Context, of row, s *Play) arm {
	undo, err := p.Bed.Trick(ctx, "stopped")
	if err != nil {
		return arm{err: err}
	}
	defer undo()
	s.Down = true
	defer func() { s.Down = false }()
	return played(of.play(ctx, s))
}

func (a arm) closed() Proof {
	if open := opened(a.tries); len(open) > 0 {
		return Proof{Failed, "with Countersign stopped it gets through: " + strings.Join(open, "; ")}
	}
	if a.err != nil {
		return Proof{Failed, "with Countersign stopped the attack could not be played: " + a.err.Error()}
	}
	if p := untried(a.tries); p.Detail != "" {
		return p
	}
	return Proof{Passed, fmt.Sprintf("with Countersign stopped none of %d ways opened", len(a.tries))}
}

// honest has the canary's owner enter every component of the applications that were attacked,
// and says for each how that went.
func (p *Play) honest(ctx context.Context, attacked []string) map[string]Proof {
	out := map[string]Proof{}
	for _, app := range attacked {
		out[app] = Proof{Detail: "no component says how its owner enters"}
	}
	for _, c := range p.Components {
		if c.Enter == nil || !slices.Contains(attacked, c.Application) || out[c.Application].State == Failed {
			continue
		}
		proof := Proof{Passed, "got in to " + c.Name}
		if before := out[c.Application]; before.State == Passed {
			proof.Detail = before.Detail + ", " + c.Name
		}
		if err := c.Enter(ctx, p, p.Canary); err != nil {
			proof = Proof{Failed, c.Name + ": " + err.Error()}
		}
		out[c.Application] = proof
	}
	return out
}

// mostLines is how many lines of a component's own log are kept.
const mostLines = 40

// lines are the new ones in the components' own logs, by application. A log that cannot be
// read is a line that says so.
func (p *Play) lines(ctx context.Context) map[string][]string {
	out := map[string][]string{}
	for _, c := range p.Components {
		if c.Log == nil {
			continue
		}
		lines, err := c.Log(ctx)
		if err != nil {
			lines = append(lines, "the log cannot be read: "+err.Error())
		}
		all := append(out[c.Application], lines...)
		out[c.Application] = all[max(0, len(all)-mostLines):]
	}
	return out
}

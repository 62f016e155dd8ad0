package drill

import (
	"context"
	"fmt"
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

// Result is the result of one row.
type Result struct {
	Row  string `json:"row"`
	Name string `json:"name"`
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
	Doors   []Try `json:"doors,omitempty"`
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

// prove shows the five proofs of one row.
func (p Plan) prove(ctx context.Context, of row, r *Result) {
	if p.Bed != nil {
		r.Control = p.control(ctx, of)
	}
	s, err := newPlay(ctx, p.Stage, p.Admin)
	if err != nil {
		r.Blocked = Proof{Failed, "the canary could not be set up: " + err.Error()}
		return
	}
	defer s.close(ctx)
	s.Bed = p.Bed
	since, err := s.mark(ctx)
	if err != nil {
		r.Audited = Proof{Failed, err.Error()}
	}
	r.Doors, err = of.play(ctx, s)
	r.Blocked = blocked(r.Doors, err)
	if r.Audited.State == NotTried {
		r.Audited = s.audited(ctx, since, of)
	}
	r.Honest = s.honest(ctx)
	if p.Bed != nil {
		r.Closed = p.closed(ctx, of, s)
	}
}

func blocked(doors []Try, err error) Proof {
	if err != nil {
		return Proof{Failed, "the attack could not be played: " + err.Error()}
	}
	if open := opened(doors); len(open) > 0 {
		return Proof{Failed, "got through: " + strings.Join(open, "; ")}
	}
	if p := untried(doors); p.Detail != "" {
		return p
	}
	return Proof{Passed, fmt.Sprintf("%d doors tried, none opened", len(doors))}
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

func opened(doors []Try) []string {
	var out []string
	for _, d := range doors {
		if d.Open {
			out = append(out, d.Name)
		}
	}
	return out
}

// control plays the attack where the guard is out. One that does not get through
// there shows nothing here.
func (p Plan) control(ctx context.Context, of row) Proof {
	stage, admin := p.Bed.Unguarded()
	s, err := newPlay(ctx, stage, admin)
	if err != nil {
		return Proof{Failed, "the canary could not be set up: " + err.Error()}
	}
	defer s.close(ctx)
	s.Bed, s.Unguarded = p.Bed, true
	doors, err := of.play(ctx, s)
	if err != nil {
		return Proof{Failed, "the attack could not be played: " + err.Error()}
	}
	if open := opened(doors); len(open) > 0 {
		return Proof{Passed, "without the guard it gets through: " + strings.Join(open, "; ")}
	}
	if p := untried(doors); p.Detail != "" {
		return p
	}
	return Proof{Failed, "even without the guard it does not get through, so its failure shows nothing"}
}

// closed plays the attack with Countersign stopped.
func (p Plan) closed(ctx context.Context, of row, s *Play) Proof {
	undo, err := p.Bed.Trick(ctx, "stopped")
	if err != nil {
		return Proof{Failed, err.Error()}
	}
	defer undo()
	s.Down = true
	defer func() { s.Down = false }()
	doors, err := of.play(ctx, s)
	if open := opened(doors); len(open) > 0 {
		return Proof{Failed, "with Countersign stopped it gets through: " + strings.Join(open, "; ")}
	}
	if err != nil {
		return Proof{Failed, "with Countersign stopped the attack could not be played: " + err.Error()}
	}
	if p := untried(doors); p.Detail != "" {
		return p
	}
	return Proof{Passed, fmt.Sprintf("with Countersign stopped none of %d doors opened", len(doors))}
}

// honest has the canary's owner enter every component.
func (p *Play) honest(ctx context.Context) Proof {
	var ways []string
	for _, c := range p.Components {
		if c.Enter == nil {
			continue
		}
		if err := c.Enter(ctx, p, p.Canary); err != nil {
			return Proof{Failed, err.Error()}
		}
		ways = append(ways, c.Name)
	}
	if len(ways) == 0 {
		return Proof{Detail: "no component says how its owner enters"}
	}
	return Proof{Passed, "got in to " + strings.Join(ways, ", ")}
}

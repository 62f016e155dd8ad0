// Package drill attacks a running Countersign, row by row of M1032, and shows
// what was refused.
//
// It contains the attacks, their canary accounts, and the report. It uses only what an
// attacker can reach, with its own code: the pages, the admin API, RADIUS, and the
// protected page. The rows are those of the package attack. Invariant: a proof that was
// not tried never counts as passed, and a drill whose attack does not succeed without
// the guard has failed.
package drill

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"countersign/internal/attack"
)

// Stage is the target of the attacks: one Countersign and what it protects. Empty
// fields are not attacked.
type Stage struct {
	// Server is Countersign's public URL.
	Server string
	// Page is the address of a page behind forward-auth.
	Page string
	// Radius is HOST:PORT, Secret the shared secret of its client.
	Radius string
	Secret string
	// Console is the log-in of a host, which also works without the network.
	Console Console
	// From is the address that attackers come from, where this machine has
	// several; honest people come from the usual one.
	From netip.Addr
	// Patience is the time without an answer that counts as silence; three seconds
	// if it is zero. Honest users wait longer.
	Patience time.Duration
}

// Administrator runs admin commands on a stage, and decodes their results.
type Administrator interface {
	Do(ctx context.Context, action string, in, out any) error
}

// Bed is what only a test bed can do with a stage.
type Bed interface {
	// Unguarded returns the same stage without the guard, where one factor of any
	// age is enough, and its administrator.
	Unguarded() (Stage, Administrator)
	// Trick tampers with the guard, and returns a function that undoes it.
	Trick(ctx context.Context, name string) (undo func(), err error)
	// Later moves the clock of the guarded stage and of the unguarded one.
	Later(d time.Duration)
}

// The tricks of a bed: what intruders do to a second factor that they cannot answer
// (CISA AA22-074A), and failures. Dropped packets and a frozen server are both
// silence.
var Tricks = []string{"hosts-entry", "silent", "wrong-certificate", "clock-a-year-on", "disk-full", "read-only",
	"stopped", "database-gone", "database-frozen"}

// Plan is one run.
type Plan struct {
	Stage Stage
	Admin Administrator
	// Bed is nil on a deployment.
	Bed Bed
	// Rows are the rows to drill; none means all.
	Rows []string
	// Tell is called with each row when it is done, or nil.
	Tell func(Result)
	Now  func() time.Time
}

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

// Door is an entrance that an attack tried.
type Door struct {
	Name string `json:"name"`
	// Open is set if the attacker got through.
	Open   bool   `json:"open"`
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
	Control Proof  `json:"control"`
	Blocked Proof  `json:"blocked"`
	Audited Proof  `json:"audited"`
	Honest  Proof  `json:"honest"`
	Closed  Proof  `json:"closed"`
	Doors   []Door `json:"doors,omitempty"`
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

// drill is one row's attack.
type drill struct {
	row string
	// needs says what of a stage it cannot do without: "page", "radius", "console",
	// "bed".
	needs []string
	// attack tries every door and says which opened. An error is a drill that
	// could not be played.
	attack func(ctx context.Context, s *scene) ([]Door, error)
	// events are what the log must tell of the attacked account; refused is
	// enough when there are none.
	events []string
	// after are what it must tell besides, of whoever looked into it afterwards.
	after []string
}

// all are the drills there are.
func all() []drill {
	return []drill{
		{row: "T1040", attack: sniff},
		{row: "T1078", attack: knownPassword, events: []string{"alarm.factor-missing"}},
		{row: "T1078.001", attack: defaults},
		{row: "T1078.003", attack: localAccount, needs: []string{"console", "bed"}, events: []string{"signin.refused"}, after: []string{"offline.used", "alarm.offline"}},
		{row: "T1098", attack: staleAdministration, needs: []string{"bed"}, events: []string{"action.refused"}},
		{row: "T1098.005", attack: registerDevice},
		{row: "T1110", attack: bruteForce, events: []string{"signin.refused"}},
		{row: "T1110.001", attack: guessPassword, events: []string{"signin.refused"}},
		{row: "T1110.002", attack: knownPassword, events: []string{"alarm.factor-missing"}},
		{row: "T1110.003", attack: spray},
		{row: "T1110.004", attack: stuff, events: []string{"alarm.factor-missing"}},
		{row: "T1133", attack: remoteService, needs: []string{"radius"}, events: []string{"signin.refused"}},
		{row: "T1136", attack: createAccount, events: []string{"action.refused"}},
		{row: "T1213", attack: readPages, needs: []string{"page"}, events: []string{"answer.refused"}},
		{row: "T1539", attack: lookAlike, needs: []string{"page"}},
		{row: "T1556.006", attack: outage, needs: []string{"bed"}},
		{row: "T1621", attack: bombard, needs: []string{"radius", "bed"}, events: []string{"approval.wrong-number"}},
	}
}

// Run runs the plan. It returns an error only if the run could not begin; everything
// else is in the results, one for each requested row.
func Run(ctx context.Context, p Plan) ([]Result, error) {
	for _, id := range p.Rows {
		if _, known := attack.ByID(id); !known {
			return nil, fmt.Errorf("%s is not a row of M1032", id)
		}
	}
	if p.Stage.Patience == 0 {
		p.Stage.Patience = 3 * time.Second
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	var results []Result
	drills := all()
	for _, row := range attack.Rows() {
		if len(p.Rows) > 0 && !slices.Contains(p.Rows, row.ID) {
			continue
		}
		r := Result{Row: row.ID, Name: row.Name, Time: p.Now().UTC().Truncate(time.Second), Skipped: "there is no drill for this row yet"}
		if i := slices.IndexFunc(drills, func(d drill) bool { return d.row == row.ID }); i >= 0 {
			if r.Skipped = p.lacks(drills[i]); r.Skipped == "" {
				p.play(ctx, drills[i], &r)
			}
		}
		results = append(results, r)
		if p.Tell != nil {
			p.Tell(r)
		}
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
	}
	return results, nil
}

func (p Plan) lacks(d drill) string {
	for _, need := range d.needs {
		switch {
		case need == "page" && p.Stage.Page == "":
			return "no protected page was named"
		case need == "radius" && p.Stage.Radius == "":
			return "no RADIUS server was named"
		case need == "console" && p.Stage.Console == nil && p.Bed != nil:
			return "the test bed has no host"
		case need == "bed" && p.Bed == nil:
			return "it can only be played in the test bed"
		}
	}
	return ""
}

// play shows the five proofs of one row.
func (p Plan) play(ctx context.Context, d drill, r *Result) {
	if p.Bed != nil {
		r.Control = p.control(ctx, d)
	}
	s, err := newScene(ctx, p.Stage, p.Admin)
	if err != nil {
		r.Blocked = Proof{Failed, "the canary could not be set up: " + err.Error()}
		return
	}
	defer s.close(ctx)
	s.bed = p.Bed
	since, err := s.mark(ctx)
	if err != nil {
		r.Audited = Proof{Failed, err.Error()}
	}
	r.Doors, err = d.attack(ctx, s)
	r.Blocked = blocked(r.Doors, err)
	if r.Audited.State == NotTried {
		r.Audited = s.audited(ctx, since, d)
	}
	r.Honest = s.honest(ctx)
	if p.Bed != nil {
		r.Closed = p.closed(ctx, d, s)
	}
}

func blocked(doors []Door, err error) Proof {
	if err != nil {
		return Proof{Failed, "the attack could not be played: " + err.Error()}
	}
	if open := opened(doors); len(open) > 0 {
		return Proof{Failed, "got through: " + strings.Join(open, "; ")}
	}
	return Proof{Passed, fmt.Sprintf("%d doors tried, none opened", len(doors))}
}

func opened(doors []Door) []string {
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
func (p Plan) control(ctx context.Context, d drill) Proof {
	stage, admin := p.Bed.Unguarded()
	s, err := newScene(ctx, stage, admin)
	if err != nil {
		return Proof{Failed, "the canary could not be set up: " + err.Error()}
	}
	defer s.close(ctx)
	s.bed, s.unguarded = p.Bed, true
	doors, err := d.attack(ctx, s)
	if err != nil {
		return Proof{Failed, "the attack could not be played: " + err.Error()}
	}
	if open := opened(doors); len(open) > 0 {
		return Proof{Passed, "without the guard it gets through: " + strings.Join(open, "; ")}
	}
	return Proof{Failed, "even without the guard it does not get through, so its failure shows nothing"}
}

// closed plays the attack with Countersign stopped.
func (p Plan) closed(ctx context.Context, d drill, s *scene) Proof {
	undo, err := p.Bed.Trick(ctx, "stopped")
	if err != nil {
		return Proof{Failed, err.Error()}
	}
	defer undo()
	s.down = true
	defer func() { s.down = false }()
	doors, err := d.attack(ctx, s)
	if open := opened(doors); len(open) > 0 {
		return Proof{Failed, "with Countersign stopped it gets through: " + strings.Join(open, "; ")}
	}
	if err != nil {
		return Proof{Passed, "with Countersign stopped there is nothing to attack: " + err.Error()}
	}
	return Proof{Passed, fmt.Sprintf("with Countersign stopped none of %d doors opened", len(doors))}
}

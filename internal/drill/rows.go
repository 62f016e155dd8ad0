package drill

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// row is the attack of one row of M1032.
type row struct {
	id string
	// needs are what it cannot be played without.
	needs []Kind
	// attack is played step by step.
	attack []step
	// down is played while Countersign is stopped, where the attack itself makes no sense
	// then; nil for the same.
	down []step
	// byMutants says that no setting of the test bed takes a guard of the row out alone: the
	// same attack gets through where the table of mutants takes it out of the program.
	byMutants bool
	// events are what the log must tell of the attacked account at every application
	// that was attacked; refused is enough when there are none.
	events []string
	// after are what it must tell besides of that account, wherever it happened.
	after []string
}

// step is a part of a row's attack. An error is one that could not be played.
type step func(ctx context.Context, p *Play) ([]Try, error)

// bed stands among the needs of rows that only a test bed can play.
const bed Kind = "test bed"

// remote stands among the needs of rows about equipment and programs that people sign in to
// from afar: any will do.
const remote Kind = "remote"

// code stands among the needs of the row about code: whatever people reach that by.
const code Kind = "code"

// absent says of a need why a row is not drilled.
var absent = map[Kind]string{
	bed:      "it can only be played in the test bed",
	Page:     "no protected page was named",
	Radius:   "no RADIUS server was named",
	remote:   "no application of RADIUS or of Yubico's protocol was named",
	Console:  "the test bed has no host",
	Mail:     "no application has doors of mail in its settings",
	Upstream: "the test bed has no identity provider of another organisation",
	code:     "no application of the kind code can be attacked; name a repository with --page https://git.example.org/tools.git",
}

// rows are the drills there are.
func rows() []row {
	known := []step{password}
	return []row{
		{id: "T1040", attack: []step{overhear}, byMutants: true},
		{id: "T1078", attack: []step{password, move(StolenKey), move(ShowCards)}, after: []string{"alarm.factor-missing"}},
		{id: "T1078.001", attack: []step{shipped, move(ShippedSecrets)}, byMutants: true},
		{id: "T1078.003", attack: []step{move(LocalAccount)}, needs: []Kind{bed, Console}, events: []string{"signin.refused"}, after: []string{"offline.used", "alarm.offline"}},
		{id: "T1098", attack: []step{move(StaleSession)}, needs: []Kind{bed}, events: []string{"action.refused"}},
		{id: "T1098.002", attack: []step{move(Delegate)}, needs: []Kind{Mail}, after: []string{"owner.told"}},
		{id: "T1098.005", attack: []step{move(RegisterDevice)}},
		{id: "T1110", attack: []step{password, move(RaceCodes)}, byMutants: true, after: []string{"signin.refused"}},
		{id: "T1110.001", attack: []step{move(GuessPasswords), password, move(GuessCodes)}, after: []string{"signin.refused"}},
		{id: "T1110.002", attack: known, after: []string{"alarm.factor-missing"}},
		{id: "T1110.003", attack: []step{move(Spray), password}},
		{id: "T1110.004", attack: []step{move(Stuff), password, move(ChangePassword)}, after: []string{"alarm.factor-missing"}},
		{id: "T1114", attack: []step{move(ReadMail)}, needs: []Kind{Mail}},
		{id: "T1114.002", attack: []step{move(ReadMail)}, needs: []Kind{Mail}},
		{id: "T1133", attack: []step{move(MadeUp)}, needs: []Kind{remote}, events: []string{"signin.refused"}},
		{id: "T1136", attack: []step{move(CreateAccount)}, events: []string{"action.refused"}},
		{id: "T1213", attack: []step{move(ReadPages)}, needs: []Kind{Page}, events: []string{"answer.refused"}},
		{id: "T1213.003", attack: []step{move(CloneCode)}, needs: []Kind{code}},
		{id: "T1539", attack: []step{move(LookAlike), move(StolenCookie)}, byMutants: true, needs: []Kind{Page}, after: []string{"session.bound", "alarm.session-copied"}},
		{id: "T1556.006", attack: []step{move(Arrive), dormant, outage}, byMutants: true, needs: []Kind{bed}, down: known},
		{id: "T1556.007", attack: []step{move(ForgeIdentity)}, byMutants: true, needs: []Kind{bed, Upstream}, events: []string{"answer.refused"}},
		{id: "T1621", attack: []step{move(Bombard)}, byMutants: true, needs: []Kind{Radius, bed}, down: known, after: []string{"approval.wrong-number", "alarm.not-me"}},
	}
}

// Drilled returns the rows that have a drill, in the order of ATT&CK.
func Drilled() []string {
	var all []string
	for _, r := range rows() {
		all = append(all, r.id)
	}
	return all
}

// lacks says why the row cannot be played, or nothing.
func (r row) lacks(p Plan) string {
	for _, need := range r.needs {
		there := slices.ContainsFunc(p.Stage.Components, func(c Component) bool {
			return c.Kind == need || need == code && c.Moves[CloneCode] != nil || need == remote && (c.Kind == Radius || c.Kind == Validation)
		})
		if need == bed {
			there = p.Bed != nil
		}
		if !there {
			return absent[need]
		}
	}
	return ""
}

// play plays the attack of the arm that the play is.
func (r row) play(ctx context.Context, p *Play) ([]Try, error) {
	steps := r.attack
	if p.Down && r.down != nil {
		steps = r.down
	}
	var tries []Try
	for _, s := range steps {
		made, err := s(ctx, p)
		tries = append(tries, made...)
		if err != nil {
			return tries, err
		}
	}
	return tries, nil
}

// move plays a move on the canary.
func move(m Move) step {
	return func(ctx context.Context, p *Play) ([]Try, error) { return p.Move(ctx, m, p.Canary), nil }
}

// password is an attacker who has the right password, by cracking or by buying it, and
// nothing else.
func password(ctx context.Context, p *Play) ([]Try, error) {
	return p.Guess(ctx, p.Canary.Name, p.Canary.Password), nil
}

// shipped tries names and passwords that products ship with.
func shipped(ctx context.Context, p *Play) ([]Try, error) {
	var tries []Try
	pairs := [][2]string{{"admin", "admin"}, {"administrator", "password"}, {"countersign", "countersign"}}
	if !p.Unguarded { // whose log nobody asks
		// By the canary's name every log shows who tried; the others are anybody's.
		pairs = append(pairs, [2]string{p.Canary.Name, "changeme"})
	}
	for _, pair := range pairs {
		for _, t := range p.Guess(ctx, pair[0], pair[1]) {
			t.Name = pair[0] + " at " + t.Name
			tries = append(tries, t)
		}
	}
	return tries, nil
}

// overhear listens to somebody whom nobody attacked yet. While Countersign is stopped
// nobody can be enrolled, and there is nothing to be heard.
func overhear(ctx context.Context, p *Play) ([]Try, error) {
	victim := p.Canary
	if !p.Down {
		var err error
		if victim, err = p.Enroll(ctx); err != nil {
			return nil, err
		}
	}
	return p.Move(ctx, Replay, victim), nil
}

// asleep is longer than an account may go unused by default.
const asleep = 31 * 24 * time.Hour

// dormant comes back to an account that nobody has used for a month, with all
// that is right, and enrolls a device of the intruder's own. The incident began
// so.
func dormant(ctx context.Context, p *Play) ([]Try, error) {
	forgotten, err := p.Enroll(ctx)
	if err != nil {
		return nil, err
	}
	p.Bed.Later(asleep)
	defer p.Bed.Later(-asleep)
	tries := p.Guess(ctx, forgotten.Name, forgotten.Password)
	return under("dormant", append(tries, p.Move(ctx, ComeBack, forgotten)...)), nil
}

// outage is an intruder with the right password who cannot answer the second
// factor, and makes it go away instead (CISA AA22-074A). Each trick is tried at
// every door.
func outage(ctx context.Context, p *Play) ([]Try, error) {
	var tries []Try
	for _, trick := range Tricks {
		undo, err := p.Bed.Trick(ctx, trick)
		if err != nil {
			return tries, fmt.Errorf("%s: %w", trick, err)
		}
		p.Down = true
		tried, _ := password(ctx, p)
		tried = append(tried, p.Move(ctx, KeptSession, p.Canary)...)
		p.Down = false
		undo()
		tries = append(tries, under(trick, tried)...)
	}
	return tries, nil
}

func under(trick string, tries []Try) []Try {
	for i := range tries {
		tries[i].Name = trick + ": " + tries[i].Name
	}
	return tries
}

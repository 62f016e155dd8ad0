package attack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// DrillReport is what one run of drills met, to be signed and handed in.
type DrillReport struct {
	// Began and Ended are when, by the clock of the machine that drilled.
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// By says what drilled: a program and its version.
	By string `json:"by"`
	// Applications are those that were attacked, as they were when it began.
	Applications []Attacked    `json:"applications,omitempty"`
	Results      []DrillResult `json:"results"`
}

// Attacked is an application as a drill found it.
type Attacked struct {
	Name string `json:"name"`
	// Left are the doors that could not be attacked from there.
	Left []Left `json:"left,omitempty"`
	// Depends is what the outcome depends on, and which version of it was in force:
	// "policy", "settings" and so on. A proof ends with any of them.
	Depends map[string]string `json:"depends,omitempty"`
}

// Left is a door that was not attacked, and why.
type Left struct {
	Door string `json:"door"`
	Why  string `json:"why"`
}

// DrillTry is one thing that was tried at a door of an application.
type DrillTry struct {
	Door   string `json:"door"`
	Sent   string `json:"sent"`
	Answer string `json:"answer,omitempty"`
	Open   bool   `json:"open,omitempty"`
	// Error is why it could not be tried.
	Error string `json:"error,omitempty"`
}

// DrillResult is one attack at one application.
type DrillResult struct {
	Row string `json:"row"`
	// Application is empty for what befell all of them, as reports of before had it.
	Application string    `json:"application,omitempty"`
	Time        time.Time `json:"time"`
	// Blocked: the attack failed at the component's own wire. Audited: the log
	// says so. Honest: the honest person got in, in the same run.
	Blocked Proof `json:"blocked"`
	Audited Proof `json:"audited"`
	Honest  Proof `json:"honest"`
	// Control: without the guard the attack succeeds. Closed: with Countersign
	// stopped it fails. Neither can be had everywhere on a running deployment.
	Control Proof  `json:"control"`
	Closed  Proof  `json:"closed"`
	Detail  string `json:"detail,omitempty"`
	// Tries are what was tried, Entries the numbers of the entries of the audit log that
	// tell of it, and Log what the component's own log has of it.
	Tries   []DrillTry `json:"tries,omitempty"`
	Entries []int64    `json:"entries,omitempty"`
	Log     []string   `json:"log,omitempty"`
}

// Doors are those at which something was tried.
func (d DrillResult) Doors() []string {
	var all []string
	for _, t := range d.Tries {
		if !slices.Contains(all, t.Door) {
			all = append(all, t.Door)
		}
	}
	return all
}

// Found returns an application as the drill found it.
func (r DrillReport) Found(application string) Attacked {
	for _, a := range r.Applications {
		if a.Name == application {
			return a
		}
	}
	return Attacked{Name: application}
}

// Proof is one thing that a drill shows.
type Proof string

// The proofs' values.
const (
	Held   Proof = "held"
	Failed Proof = "failed"
	NotRun Proof = "not-run"
)

// Passed says that the attack failed, that it is on record and that the honest
// person got in, and that nothing that was tried failed. It is computed from the
// proofs, and nobody can claim it.
func (d DrillResult) Passed() bool {
	return d.Blocked == Held && d.Audited == Held && d.Honest == Held && d.Control != Failed && d.Closed != Failed
}

const (
	// drillHead keeps a drill's report apart from everything else that the same
	// key signs, as the first line of the text.
	drillHead    = "countersign drill report v1"
	maxDrill     = 1 << 20
	maxResults   = 2000
	maxTries     = 20000
	maxLines     = 200
	maxEntries   = 5000
	maxSentence  = 2000
	maxDrillTime = 7 * 24 * time.Hour
)

// Shortened returns the report with so many tries at each door of a result at most, so many
// numbers of entries and so many lines of a log: the first of each. With none, a door at
// which nothing got through is only named, and a result that passed has no words. No door is
// lost, and no proof.
func (r DrillReport) Shortened(most int) DrillReport {
	r.Results = slices.Clone(r.Results)
	for i, d := range r.Results {
		at := map[string]int{}
		d.Tries = slices.DeleteFunc(slices.Clone(d.Tries), func(t DrillTry) bool { at[t.Door]++; return at[t.Door] > max(most, 1) })
		d.Entries, d.Log = d.Entries[:min(len(d.Entries), most)], d.Log[:min(len(d.Log), most)]
		if most == 0 {
			d.wordless()
		}
		r.Results[i] = d
	}
	return r
}

// wordless takes away what nobody needs who was not harmed.
func (d *DrillResult) wordless() {
	for i, t := range d.Tries {
		if !t.Open && t.Error == "" {
			d.Tries[i] = DrillTry{Door: t.Door}
		}
	}
	if d.Passed() {
		d.Detail = ""
	}
}

// Sign returns the report as a signed note (https://c2sp.org/signed-note).
func (r DrillReport) Sign(s note.Signer) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	signed, err := note.Sign(&note.Note{Text: drillHead + "\n" + string(b) + "\n"}, s)
	return string(signed), err
}

// ErrUnsigned is a report without the signature that it needs.
var ErrUnsigned = errors.New("the report is not signed by this installation, or was changed since")

// OpenDrillReport returns a report whose signature verifies. Anything else is an
// error: what it says was not even looked at.
func OpenDrillReport(signed string, v note.Verifier) (DrillReport, error) {
	var r DrillReport
	if len(signed) > maxDrill {
		return r, errors.New("the report is longer than 1 MiB")
	}
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return r, ErrUnsigned
	}
	body, ok := strings.CutPrefix(n.Text, drillHead+"\n")
	if !ok {
		return r, errors.New("it is signed, and is no report of a drill")
	}
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return DrillReport{}, fmt.Errorf("the report cannot be read: %w", err)
	}
	return r, r.check()
}

// check refuses a report that could say more than it knows.
func (r DrillReport) check() error {
	switch {
	case r.Began.IsZero() || r.Ended.Before(r.Began) || r.Ended.Sub(r.Began) > maxDrillTime:
		return errors.New("the report does not say when it began and ended, within a week")
	case len(r.Results) == 0 || len(r.Results) > maxResults:
		return fmt.Errorf("the report has %d results; it needs 1 to %d", len(r.Results), maxResults)
	}
	for _, d := range r.Results {
		if err := d.check(r); err != nil {
			return err
		}
	}
	return nil
}

func (d DrillResult) check(r DrillReport) error {
	if _, ok := ByID(d.Row); !ok {
		return fmt.Errorf("M1032 has no row %q", d.Row)
	}
	if d.Time.Before(r.Began) || d.Time.After(r.Ended) {
		return fmt.Errorf("the result of %s is from outside of the run", d.Row)
	}
	if d.long() {
		return fmt.Errorf("the result of %s is too long", d.Row)
	}
	for _, p := range []Proof{d.Blocked, d.Audited, d.Honest, d.Control, d.Closed} {
		if p != Held && p != Failed && p != NotRun {
			return fmt.Errorf("the result of %s has a proof %q; it is held, failed or not-run", d.Row, p)
		}
	}
	return nil
}

// long reports whether the result says more than a report has room for.
func (d DrillResult) long() bool {
	if len(d.Detail) > maxSentence || len(d.Application) > 63 || len(d.Tries) > maxTries || len(d.Entries) > maxEntries || len(d.Log) > maxLines {
		return true
	}
	for _, t := range d.Tries {
		if len(t.Door)+len(t.Sent)+len(t.Answer)+len(t.Error) > maxSentence {
			return true
		}
	}
	return slices.ContainsFunc(d.Log, func(line string) bool { return len(line) > maxSentence })
}

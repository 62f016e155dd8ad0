package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Kind says what was done to the log.
type Kind string

// The kinds of faults. Only with the MAC key can the first four be told apart
// and pinned to an entry; without it, they are Altered and lie somewhere between
// two checkpoints, except where the numbers themselves have a gap.
const (
	Changed    Kind = "changed"    // the entry says something else than when it was written
	Removed    Kind = "removed"    // the entry is missing, and later ones are there
	Inserted   Kind = "inserted"   // the entry was never written by us, or is a copy
	Reordered  Kind = "reordered"  // the entry stands behind a later one
	Renumbered Kind = "renumbered" // the entry stands in its place under another number
	CutOff     Kind = "cut off"    // the log ends before it
	Altered    Kind = "altered"    // one of the above, somewhere in the range
	Forged     Kind = "forged"     // a checkpoint that our key did not sign, or of another log
	Misfiled   Kind = "misfiled"   // the columns beside the entry say another moment or account
	Treeless   Kind = "treeless"   // the tree that the log goes on from is gone, or not ours
)

// Fault is one thing that is wrong with the log. From and To are the first and
// the last entry that it concerns, by the numbers they were written under; for
// Inserted, by the number it is now found under. Both are -1 for Forged and Treeless.
type Fault struct {
	Kind     Kind
	From, To int64
	Note     string // more in words, or empty
}

// String says it in a sentence.
func (f Fault) String() string {
	s := f.sentence()
	if f.Note != "" {
		s += " (" + f.Note + ")"
	}
	return s
}

func (f Fault) sentence() string {
	which := fmt.Sprintf("entries %d to %d", f.From, f.To)
	was := "were"
	if f.From == f.To {
		which, was = fmt.Sprintf("entry %d", f.From), "was"
	}
	switch f.Kind {
	case Forged:
		return "a checkpoint was forged"
	case Treeless:
		return "the tree that the log goes on from was removed or changed"
	case Altered:
		return fmt.Sprintf("between entries %d and %d something was changed, removed, inserted or reordered", f.From, f.To)
	}
	return fmt.Sprintf("%s %s %s", which, was, f.Kind)
}

// Report is what [Verify] found.
type Report struct {
	// Entries is how many there are, and Root the hash of the tree they make.
	Entries int64
	Root    tlog.Hash
	// Checkpoints is how many checkpoints agree with the entries, and Signed how
	// many entries the largest of those covers. Later entries are vouched for
	// only by their MACs.
	Checkpoints int
	Signed      int64
	// Faults are in the order of the entries. More than MaxFaults are not kept.
	Faults []Fault
	More   bool // there were more
}

// MaxFaults bounds a report: a log with more is not one log any more.
const MaxFaults = 1000

// OK reports whether nothing is wrong.
func (r *Report) OK() bool { return len(r.Faults) == 0 }

func (r *Report) add(f Fault) {
	if len(r.Faults) >= MaxFaults {
		r.More = true
		return
	}
	if n := len(r.Faults); n > 0 { // one range for a run
		last := &r.Faults[n-1]
		if last.Kind == f.Kind && last.Note == f.Note && last.To >= 0 && last.To+1 == f.From {
			last.To = f.To
			return
		}
	}
	r.Faults = append(r.Faults, f)
}

// within reports whether a fault that is already named lies in [from, to].
func (r *Report) within(from, to int64) bool {
	for _, f := range r.Faults {
		if f.Kind != Misfiled && f.From >= 0 && f.From <= to && f.To >= from {
			return true
		}
	}
	return false
}

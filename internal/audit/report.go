package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Kind is the kind of a fault.
type Kind string

// The kinds of faults. Only with the MAC key can Verify distinguish the first four
// and name the entry; without it they are Altered and lie somewhere between two
// checkpoints, except where the numbers themselves have a gap.
const (
	Changed    Kind = "changed"    // the content differs from what was written
	Removed    Kind = "removed"    // the entry is missing, and later ones exist
	Inserted   Kind = "inserted"   // this installation never wrote the entry, or it is a copy
	Reordered  Kind = "reordered"  // the entry comes after a later one
	Renumbered Kind = "renumbered" // the entry is in its place under another number
	CutOff     Kind = "cut off"    // the log ends before it
	Altered    Kind = "altered"    // one of the above, somewhere in the range
	Forged     Kind = "forged"     // a checkpoint without a valid signature, or of another log
	Misfiled   Kind = "misfiled"   // the columns beside the entry hold another time or account
	Treeless   Kind = "treeless"   // the stored tree from which the log continues is missing, or its MAC is wrong
)

// Fault is one fault of the log. From and To are the first and the last entry that
// it concerns, by the numbers under which they were written; for Inserted, by the
// number that the entry has now. Both are -1 for Forged and Treeless.
type Fault struct {
	Kind     Kind
	From, To int64
	Note     string // an explanation, or empty
}

// String describes the fault in a sentence.
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

// Report is the result of [Verify].
type Report struct {
	// Entries is the number of entries, and Root the hash of their tree.
	Entries int64
	Root    tlog.Hash
	// Checkpoints is the number of checkpoints that agree with the entries, and
	// Signed the size of the largest of them. Only MACs protect later entries.
	Checkpoints int
	Signed      int64
	// Faults are in the order of the entries, at most MaxFaults.
	Faults []Fault
	More   bool // there were more
}

// MaxFaults is the largest number of faults in a report.
const MaxFaults = 1000

// OK reports whether there is no fault.
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

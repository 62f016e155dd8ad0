package audit

import (
	"cmp"
	"iter"
	"slices"

	"golang.org/x/mod/sumdb/note"
)

// Check is what a log is verified against. The more of it there is, the more
// precisely a fault is named; what is nil is not looked at.
type Check struct {
	// Origin and Verifier are the log's name and its public key.
	Origin   string
	Verifier note.Verifier
	// Checkpoints are signed notes: those kept beside the log, and those that
	// were sent away, which alone show that log and checkpoints were cut off
	// together.
	Checkpoints []string
	// MAC is the key of the entries' MACs. With it the very entry is named.
	MAC []byte
	// Tree is the one that the store will go on from, and Known the newest that a server
	// remembers outside of it.
	Tree, Known *Tree
}

// Verify reads a log from its first entry, in its order, and reports all that
// does not fit. It needs no database and keeps no entry in memory. The error is
// only that of reading the entries; a log that is not as it was written is a
// report with faults.
func Verify(entries iter.Seq2[Leaf, error], c Check) (Report, error) {
	v := verification{check: c}
	v.openCheckpoints()
	if c.MAC != nil {
		v.numbers.auth = NewAuthenticator(c.MAC)
	}
	v.roots()
	for leaf, err := range entries {
		if err != nil {
			return v.report, err
		}
		v.place(leaf)
		v.tree.Append(leaf.Body)
		v.roots()
	}
	v.end()
	v.report.Entries, v.report.Root = v.tree.Size(), v.tree.Root()
	slices.SortStableFunc(v.report.Faults, func(a, b Fault) int { return cmp.Compare(a.From, b.From) })
	return v.report, nil
}

type verification struct {
	check   Check
	report  Report
	ahead   []Checkpoint // not reached yet, by size
	largest int64        // the size of the largest checkpoint, or of the tree
	tree    Tree
	good    int64 // the largest size whose root is confirmed
	bad     int64 // the smallest size whose root is not, 0 if none
	numbers trueNumbers
}

func (v *verification) openCheckpoints() {
	for _, signed := range v.check.Checkpoints {
		if v.check.Verifier == nil {
			v.report.add(Fault{Kind: Forged, From: -1, To: -1, Note: "no key to check it with"})
			return
		}
		c, err := OpenCheckpoint(signed, v.check.Origin, v.check.Verifier)
		if err != nil {
			v.report.add(Fault{Kind: Forged, From: -1, To: -1, Note: err.Error()})
			continue
		}
		v.ahead = append(v.ahead, c)
		v.largest = max(v.largest, c.Size)
	}
	for _, t := range []*Tree{v.check.Tree, v.check.Known} {
		if t != nil {
			v.ahead = append(v.ahead, Checkpoint{Size: t.Size(), Root: t.Root()})
			v.largest = max(v.largest, t.Size())
		}
	}
	slices.SortStableFunc(v.ahead, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
}

// roots compares the tree with every checkpoint of its size. After the first
// that differs all later ones must, so no more are compared.
func (v *verification) roots() {
	for len(v.ahead) > 0 && v.ahead[0].Size == v.tree.Size() {
		c := v.ahead[0]
		v.ahead = v.ahead[1:]
		switch {
		case v.bad != 0:
		case c.Root != v.tree.Root():
			v.bad = max(c.Size, 1)
		default:
			v.good = c.Size
			if c.Origin != "" { // signed, not the store's own tree
				v.report.Checkpoints++
				v.report.Signed = c.Size
			}
		}
	}
}

// place finds out where the entry belongs.
func (v *verification) place(l Leaf) {
	if b := l.Columns; b != nil {
		at, account := ColumnsOf(l.Body)
		if (at.UnixMicro() != b.At || account != b.Account) && (v.numbers.auth == nil || v.numbers.auth.Check(l.Seq, l.Body, l.MAC)) {
			v.report.add(Fault{Kind: Misfiled, From: l.Seq, To: l.Seq})
		}
	}
	if v.numbers.auth != nil {
		v.numbers.place(l, &v.report)
		return
	}
	v.numbers.claim(l, &v.report)
}

// end judges what only the end can show.
func (v *verification) end() {
	next := v.numbers.end(v.largest, v.check.Tree != nil, &v.report)
	if next < v.largest {
		v.report.add(Fault{Kind: CutOff, From: next, To: v.largest - 1})
	}
	if t := v.check.Tree; t != nil && next > t.Size() {
		v.report.add(Fault{Kind: Inserted, From: t.Size(), To: next - 1, Note: "behind the end of the store's own tree"})
	}
	if v.bad != 0 && !v.report.within(v.good, v.bad-1) {
		v.report.add(Fault{Kind: Altered, From: v.good, To: v.bad - 1})
	}
}

package audit

import (
	"maps"
	"slices"
)

// trueNumbers finds the number under which each entry was written, by its MAC,
// whatever number it bears now, and names what does not follow from that.
type trueNumbers struct {
	auth    *Authenticator // nil: believe the numbers
	next    int64          // the number that the next entry should have
	missing []span         // lower numbers that did not come, in order
	strange []int64        // numbers claimed by entries with no true one, since the last with one
	shifted span           // entries that bear another number than their own
	tries   int            // MACs spent on looking around
}

// span is a range of numbers, both ends included. The zero span is entry 0, so
// shifted is told apart by moved.
type span struct {
	from, to int64
	moved    bool
}

const (
	// around is how far from its place an entry is looked for.
	around = 4096
	// maxStrange bounds how many entries with no true number are kept in mind.
	maxStrange = 1 << 16
	// maxTries bounds the whole search: a log under another key would cost
	// thousands of MACs for each entry.
	maxTries = 1 << 22
)

// place takes the next entry.
func (n *trueNumbers) place(l Leaf, r *Report) {
	seq, ok := n.find(l)
	switch {
	case !ok:
		if n.strange = append(n.strange, l.Seq); len(n.strange) == maxStrange {
			n.resolve(n.next+maxStrange, r)
		}
		return
	case seq < n.next && n.came(seq):
		r.add(Fault{Kind: Reordered, From: seq, To: seq})
		return
	case seq < n.next:
		r.add(Fault{Kind: Inserted, From: l.Seq, To: l.Seq, Note: "a copy of another entry"})
		return
	}
	n.resolve(seq, r)
	n.next = seq + 1
	if l.Seq != seq {
		if !n.shifted.moved {
			n.shifted = span{from: seq, moved: true}
		}
		n.shifted.to = seq
	}
}

// claim takes the next entry at its word, where there is no key.
func (n *trueNumbers) claim(l Leaf, r *Report) {
	switch {
	case l.Seq > n.next:
		n.missing = append(n.missing, span{from: n.next, to: l.Seq - 1})
	case l.Seq < n.next && n.came(l.Seq):
		r.add(Fault{Kind: Reordered, From: l.Seq, To: l.Seq})
		return
	case l.Seq < n.next:
		r.add(Fault{Kind: Inserted, From: l.Seq, To: l.Seq, Note: "a number twice"})
		return
	}
	n.next = l.Seq + 1
}

// find looks for the number that the entry's MAC was made with, from the likely
// to the unlikely.
func (n *trueNumbers) find(l Leaf) (int64, bool) {
	likely := []int64{n.next, l.Seq, n.next + int64(len(n.strange))}
	for _, gap := range n.missing[:min(len(n.missing), 64)] {
		likely = append(likely, gap.from)
	}
	for _, seq := range likely {
		if seq >= 0 && n.auth.Check(seq, l.Body, l.MAC) {
			return seq, true
		}
	}
	for _, center := range []int64{n.next, l.Seq} {
		for d := int64(1); d <= around && n.tries < maxTries; d++ {
			n.tries++
			if n.auth.Check(center+d, l.Body, l.MAC) {
				return center + d, true
			}
			if center-d >= 0 && n.auth.Check(center-d, l.Body, l.MAC) {
				return center - d, true
			}
		}
		if n.next == l.Seq {
			break
		}
	}
	return 0, false
}

// came takes a number from the missing ones, and reports whether it was there.
func (n *trueNumbers) came(seq int64) bool {
	for i, m := range n.missing {
		if seq < m.from || seq > m.to {
			continue
		}
		var left []span
		if m.from < seq {
			left = append(left, span{from: m.from, to: seq - 1})
		}
		if seq < m.to {
			left = append(left, span{from: seq + 1, to: m.to})
		}
		n.missing = slices.Replace(n.missing, i, i+1, left...)
		return true
	}
	return false
}

// resolve is told that the numbers from n.next up to before are past. What is
// strange and stands in the place of one of them is that one, changed; what is
// strange besides was inserted; and what is missing then may still come.
func (n *trueNumbers) resolve(before int64, r *Report) {
	changed := make(map[int64]bool, len(n.strange))
	var rest []int64
	for _, c := range n.strange {
		if c >= n.next && c < before && !changed[c] {
			changed[c] = true
		} else {
			rest = append(rest, c)
		}
	}
	free := n.next
	for _, c := range rest { // it bears no number of these; by its place it is one
		for changed[free] {
			free++
		}
		if free < before {
			changed[free] = true
		} else {
			r.add(Fault{Kind: Inserted, From: c, To: c})
		}
	}
	due := n.next
	for _, c := range slices.Sorted(maps.Keys(changed)) {
		r.add(Fault{Kind: Changed, From: c, To: c})
		n.lack(due, c)
		due = c + 1
	}
	n.lack(due, before)
	n.next, n.strange = max(n.next, before), n.strange[:0]
}

// lack notes that numbers from due up to before did not come.
func (n *trueNumbers) lack(due, before int64) {
	if due < before {
		n.missing = append(n.missing, span{from: due, to: before - 1})
	}
}

// end names what never came, and returns the number that the next entry would
// have. There should be total entries: exactly so if sure, else at least.
func (n *trueNumbers) end(total int64, sure bool, r *Report) int64 {
	before := n.next
	for _, c := range n.strange {
		if c < total || !sure {
			before = max(before, c+1)
		}
	}
	n.resolve(max(before, min(total, n.next+int64(len(n.strange)))), r)
	for _, m := range n.missing {
		r.add(Fault{Kind: Removed, From: m.from, To: m.to})
	}
	if n.shifted.moved && r.OK() { // otherwise that is what moved them
		r.add(Fault{Kind: Renumbered, From: n.shifted.from, To: n.shifted.to})
	}
	return n.next
}

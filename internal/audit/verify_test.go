package audit

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// sample is a log of n entries with a checkpoint after every tenth, and one more
// at the end that was sent away.
type sample struct {
	leaves      []Leaf
	checkpoints []string
	witness     string
	tree        *Tree
	mac         []byte
	signer      note.Signer
	verifier    note.Verifier
}

func newSample(tb testing.TB, n int) *sample {
	tb.Helper()
	s := &sample{tree: new(Tree), mac: []byte(strings.Repeat("k", 32))}
	s.signer, s.verifier = keys(tb, origin)
	for i := range n {
		s.write(tb, fmt.Sprintf("person-%d", i))
		if i%10 == 9 {
			s.checkpoints = append(s.checkpoints, s.sign(tb))
		}
	}
	s.witness = s.sign(tb)
	return s
}

func (s *sample) write(tb testing.TB, name string) {
	tb.Helper()
	e := Entry{At: time.Unix(1e9+s.tree.Size(), 0), Actor: System("test"), Event: "signin.granted", Outcome: OK, AccountName: name}
	body, err := e.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	seq := s.tree.Append(body)
	s.leaves = append(s.leaves, Leaf{Seq: seq, Body: body, MAC: NewAuthenticator(s.mac).Append(nil, seq, body)})
}

func (s *sample) sign(tb testing.TB) string {
	tb.Helper()
	signed, err := s.tree.Checkpoint(origin).Sign(s.signer)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

func (s *sample) check() Check {
	return Check{Origin: origin, Verifier: s.verifier, Checkpoints: append(slices.Clone(s.checkpoints), s.witness), MAC: s.mac}
}

func each(leaves []Leaf) iter.Seq2[Leaf, error] {
	return func(yield func(Leaf, error) bool) {
		for _, l := range leaves {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// forge is an entry that looks right and does not bear our MAC.
func forge(seq int64) Leaf {
	e := Entry{At: time.Unix(2e9, 0), Actor: System("mallory"), Event: "signin.granted", Outcome: OK}
	body, _ := e.Encode()
	return Leaf{Seq: seq, Body: body, MAC: make([]byte, 32)}
}

// renumber gives every entry the number of its place, as an intruder would.
func renumber(leaves []Leaf) []Leaf {
	out := slices.Clone(leaves)
	for i := range out {
		out[i].Seq = int64(i)
	}
	return out
}

func swap(leaves []Leaf, i, j int) []Leaf {
	out := slices.Clone(leaves)
	out[i], out[j] = out[j], out[i]
	return out
}

// Each row is one way to tamper with 45 entries, and what is found with the MAC
// key, and without.
var tamperings = []struct {
	name   string
	tamper func(s *sample) []Leaf
	named  string
	public string
}{
	{"nothing", func(s *sample) []Leaf { return s.leaves }, "", ""},
	{"a body changed", func(s *sample) []Leaf {
		l := slices.Clone(s.leaves)
		l[17].Body = []byte(strings.Replace(string(l[17].Body), "person-17", "person-71", 1))
		return l
	}, "changed 17-17", "altered 10-19"},
	{"the first changed", func(s *sample) []Leaf { l := slices.Clone(s.leaves); l[0] = forge(0); return l }, "changed 0-0", "altered 0-9"},
	{"the last changed", func(s *sample) []Leaf { l := slices.Clone(s.leaves); l[44] = forge(44); return l }, "changed 44-44", "altered 40-44"},
	{"three changed, apart", func(s *sample) []Leaf {
		l := slices.Clone(s.leaves)
		l[3], l[21], l[22] = forge(3), forge(21), forge(22)
		return l
	}, "changed 3-3, changed 21-22", "altered 0-9"},
	{"a MAC changed", func(s *sample) []Leaf { l := slices.Clone(s.leaves); l[5].MAC = make([]byte, 32); return l }, "changed 5-5", ""},
	{"removed", func(s *sample) []Leaf { return slices.Delete(slices.Clone(s.leaves), 23, 24) }, "removed 23-23", "removed 23-23"},
	{"removed, the rest renumbered", func(s *sample) []Leaf { return renumber(slices.Delete(slices.Clone(s.leaves), 23, 24)) },
		"removed 23-23", "altered 20-29, cut off 44-44"},
	{"several removed, the rest renumbered", func(s *sample) []Leaf { return renumber(slices.Delete(slices.Clone(s.leaves), 5, 15)) },
		"removed 5-14", "altered 0-9, cut off 35-44"},
	{"the first removed, the rest renumbered", func(s *sample) []Leaf { return renumber(s.leaves[1:]) }, "removed 0-0", "altered 0-9, cut off 44-44"},
	{"inserted, the rest renumbered", func(s *sample) []Leaf { return renumber(slices.Insert(slices.Clone(s.leaves), 31, forge(31))) },
		"inserted 31-31", "altered 30-39"},
	{"inserted under a number twice", func(s *sample) []Leaf { return slices.Insert(slices.Clone(s.leaves), 31, forge(30)) },
		"inserted 30-30", "inserted 30-30"},
	{"a copy inserted, the rest renumbered", func(s *sample) []Leaf { return renumber(slices.Insert(slices.Clone(s.leaves), 31, s.leaves[4])) },
		"inserted 31-31", "altered 30-39"},
	{"one removed and one inserted elsewhere", func(s *sample) []Leaf {
		return renumber(slices.Insert(slices.Delete(slices.Clone(s.leaves), 12, 13), 33, forge(0)))
	}, "removed 12-12, inserted 33-33", "altered 10-19"},
	{"reordered", func(s *sample) []Leaf { return swap(s.leaves, 25, 26) }, "reordered 25-25", "reordered 25-25"},
	{"reordered and renumbered", func(s *sample) []Leaf { return renumber(swap(s.leaves, 25, 26)) }, "reordered 25-25", "altered 20-29"},
	{"the first moved to the end", func(s *sample) []Leaf { return renumber(append(slices.Clone(s.leaves[1:]), s.leaves[0])) },
		"reordered 0-0", "altered 0-9"},
	{"only renumbered", func(s *sample) []Leaf {
		l := slices.Clone(s.leaves)
		for i := 40; i < 45; i++ {
			l[i].Seq += 7
		}
		return l
	}, "renumbered 40-44", "removed 40-46"},
	{"cut off", func(s *sample) []Leaf { return s.leaves[:38] }, "cut off 38-44", "cut off 38-44"},
	{"cut off behind a checkpoint", func(s *sample) []Leaf { return s.leaves[:40] }, "cut off 40-44", "cut off 40-44"},
	{"all cut off", func(s *sample) []Leaf { return nil }, "cut off 0-44", "cut off 0-44"},
	{"changed and cut off", func(s *sample) []Leaf { l := slices.Clone(s.leaves[:30]); l[2] = forge(2); return l },
		"changed 2-2, cut off 30-44", "altered 0-9, cut off 30-44"},
}

func TestVerifyNamesTheCulprit(t *testing.T) {
	s := newSample(t, 45)
	for _, c := range tamperings {
		t.Run(c.name, func(t *testing.T) {
			leaves := c.tamper(s)
			for _, how := range []struct {
				name, want string
				mac        []byte
			}{{"MAC key", c.named, s.mac}, {"public key", c.public, nil}} {
				check := s.check()
				check.MAC = how.mac
				r, err := Verify(each(leaves), check)
				if err != nil {
					t.Fatal(err)
				}
				if got := faults(r); got != how.want {
					t.Errorf("with the %s: %q, want %q", how.name, got, how.want)
				}
			}
		})
	}
}

func faults(r Report) string {
	var out []string
	for _, f := range r.Faults {
		out = append(out, fmt.Sprintf("%s %d-%d", f.Kind, f.From, f.To))
	}
	return strings.Join(out, ", ")
}

func TestVerifyReport(t *testing.T) {
	s := newSample(t, 45)
	s.write(t, "not signed yet")
	r, err := Verify(each(s.leaves), s.check())
	if err != nil || !r.OK() {
		t.Fatalf("%v, %v", r.Faults, err)
	}
	if r.Entries != 46 || r.Signed != 45 || r.Checkpoints != 5 || r.Root != s.tree.Root() {
		t.Errorf("%+v", r)
	}
}

// Somebody who cuts off the log and its checkpoints together is found out by a
// checkpoint that was sent away, and only so.
func TestVerifyNeedsAWitnessAgainstACleanCut(t *testing.T) {
	s := newSample(t, 45)
	check := s.check()
	check.Checkpoints = s.checkpoints[:3]
	if r, _ := Verify(each(s.leaves[:30]), check); !r.OK() {
		t.Errorf("a clean cut looks like an older log, yet: %v", r.Faults)
	}
	check.Checkpoints = append(check.Checkpoints, s.witness)
	if r, _ := Verify(each(s.leaves[:30]), check); faults(r) != "cut off 30-44" {
		t.Error(faults(r))
	}
}

func TestVerifyAgainstTheStoresTree(t *testing.T) {
	s := newSample(t, 45)
	check := s.check()
	check.Checkpoints, check.Tree = nil, s.tree
	for _, c := range []struct {
		name   string
		leaves []Leaf
		want   string
	}{
		{"whole", s.leaves, ""},
		{"cut", s.leaves[:44], "cut off 44-44"},
		{"forged at the end", append(slices.Clone(s.leaves), forge(45)), "inserted 45-45"},
		{"changed", append(slices.Clone(s.leaves[:44]), forge(44)), "changed 44-44"},
	} {
		if r, err := Verify(each(c.leaves), check); err != nil || faults(r) != c.want {
			t.Errorf("%s: %q, want %q", c.name, faults(r), c.want)
		}
	}
	check.MAC = nil
	if r, _ := Verify(each(append(slices.Clone(s.leaves), forge(45))), check); faults(r) != "inserted 45-45" {
		t.Errorf("without the MAC key: %q", faults(r))
	}
}

// Whoever has the MAC key but not the signing key is found out by the tree.
func TestVerifyWithAStolenMACKey(t *testing.T) {
	s := newSample(t, 45)
	l := slices.Clone(s.leaves)
	l[17] = forge(17)
	l[17].MAC = NewAuthenticator(s.mac).Append(nil, 17, l[17].Body)
	if r, _ := Verify(each(l), s.check()); faults(r) != "altered 10-19" {
		t.Error(faults(r))
	}
}

func TestVerifyForgedCheckpoints(t *testing.T) {
	s := newSample(t, 45)
	mallory, _ := keys(t, origin)
	forged, err := s.tree.Checkpoint(origin).Sign(mallory)
	if err != nil {
		t.Fatal(err)
	}
	var other Tree
	other.Append([]byte("another history"))
	fork, err := other.Checkpoint(origin).Sign(s.signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ add, want string }{
		"another key":              {forged, "forged -1--1"},
		"garbage":                  {"garbage", "forged -1--1"},
		"ours, of another history": {fork, "altered 0-0"},
	} {
		check := s.check()
		check.Checkpoints = append(check.Checkpoints, c.add)
		if r, _ := Verify(each(s.leaves), check); faults(r) != c.want {
			t.Errorf("%s: %q, want %q", name, faults(r), c.want)
		}
	}
	check := s.check()
	check.Verifier = nil
	if r, _ := Verify(each(s.leaves), check); r.OK() {
		t.Error("checkpoints counted without a key to check them")
	}
}

func TestVerifyUnderAnotherKey(t *testing.T) {
	s := newSample(t, 500)
	check := s.check()
	check.MAC = make([]byte, 32)
	r, err := Verify(each(s.leaves), check)
	if err != nil || faults(r) != "changed 0-499" {
		t.Errorf("%q, %v", faults(r), err)
	}
}

func TestVerifyPassesOnReadErrors(t *testing.T) {
	broken := errors.New("disk")
	_, err := Verify(func(yield func(Leaf, error) bool) { yield(Leaf{}, broken) }, Check{})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestFaultsSpeak(t *testing.T) {
	for _, c := range []struct {
		f    Fault
		want string
	}{
		{Fault{Kind: Changed, From: 7, To: 7}, "entry 7 was changed"},
		{Fault{Kind: CutOff, From: 7, To: 9}, "entries 7 to 9 were cut off"},
		{Fault{Kind: Altered, From: 0, To: 9}, "between entries 0 and 9 something was changed, removed, inserted or reordered"},
		{Fault{Kind: Forged, From: -1, To: -1, Note: "why"}, "a checkpoint was forged (why)"},
	} {
		if got := c.f.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Whatever is done to a log, verify with all keys either finds it or the log is
// what it was.
func FuzzVerify(f *testing.F) {
	s := newSample(f, 25)
	f.Add([]byte{0, 3, 1, 7, 2, 9})
	f.Add([]byte{1, 24})
	f.Add([]byte{3, 5, 2})
	f.Fuzz(func(t *testing.T, moves []byte) {
		leaves := slices.Clone(s.leaves)
		for len(moves) >= 3 && len(leaves) > 0 {
			i := int(moves[1]) % len(leaves)
			switch moves[0] % 6 {
			case 0:
				leaves = slices.Delete(leaves, i, i+1)
			case 1:
				leaves = slices.Insert(leaves, i, forge(leaves[i].Seq))
			case 2:
				leaves = swap(leaves, i, int(moves[2])%len(leaves))
			case 3:
				leaves = renumber(leaves)
			case 4:
				leaves = slices.Insert(leaves, i, leaves[int(moves[2])%len(leaves)])
			case 5:
				leaves = leaves[:i]
			}
			moves = moves[3:]
		}
		same := slices.EqualFunc(leaves, s.leaves, func(a, b Leaf) bool { return a.Seq == b.Seq && string(a.Body) == string(b.Body) })
		r, err := Verify(each(leaves), s.check())
		if err != nil || r.OK() != same {
			t.Fatalf("same %v, yet %v, %v", same, r.Faults, err)
		}
	})
}

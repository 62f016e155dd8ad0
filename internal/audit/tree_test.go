package audit

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func TestTreeVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/rfc6962.txt")
	if err != nil {
		t.Fatal(err)
	}
	var tree Tree
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		leaf, root, _ := strings.Cut(strings.TrimSpace(line), " ")
		b, err := hex.DecodeString(strings.TrimPrefix(leaf, "-"))
		if err != nil {
			t.Fatal(err)
		}
		tree.Append(b)
		if got := tree.Root(); hex.EncodeToString(got[:]) != root {
			t.Errorf("size %d: root %x, want %s", tree.Size(), got, root)
		}
	}
	if tree.Size() != 8 {
		t.Errorf("%d leaves", tree.Size())
	}
}

// The edge must give what the whole stored tree gives, at every size and across
// marshalling.
func TestTreeAgreesWithTlog(t *testing.T) {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = stored[x]
		}
		return out, nil
	})
	var tree Tree
	for n := range int64(600) {
		want, err := tlog.TreeHash(n, read)
		if err != nil {
			t.Fatal(err)
		}
		if tree.Root() != want || tree.Size() != n {
			t.Fatalf("size %d: root %v, want %v", n, tree.Root(), want)
		}
		b, err := tree.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var again Tree
		if err := again.UnmarshalBinary(b); err != nil || again.Root() != want {
			t.Fatalf("size %d: unmarshalled %v, %v", n, again.Root(), err)
		}
		tree = again
		leaf := fmt.Appendf(nil, "leaf %d", n)
		hashes, err := tlog.StoredHashes(n, leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		if got := tree.Append(leaf); got != n {
			t.Fatalf("numbered %d, want %d", got, n)
		}
	}
}

func TestTreeRefusesMisfits(t *testing.T) {
	var tree Tree
	for range 5 {
		tree.Append(nil)
	}
	good, err := tree.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"nothing": {}, "short": good[:len(good)-1], "long": append(good[:len(good):len(good)], 0),
		"other size": append([]byte{0, 0, 0, 0, 0, 0, 0, 7}, good[8:]...), "negative": append([]byte{0x80}, good[1:]...),
	} {
		if err := new(Tree).UnmarshalBinary(b); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func FuzzTree(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var tree Tree
		if tree.UnmarshalBinary(b) != nil {
			return
		}
		again, err := tree.MarshalBinary()
		if err != nil || string(again) != string(b) {
			t.Fatalf("%x became %x", b, again)
		}
		tree.Root()
		tree.Append([]byte("x"))
	})
}

func BenchmarkAppend(b *testing.B) {
	var tree Tree
	leaf := make([]byte, 350)
	b.ReportAllocs()
	for b.Loop() {
		tree.Append(leaf)
	}
}

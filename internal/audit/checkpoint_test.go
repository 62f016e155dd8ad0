package audit

import (
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

const origin = "countersign.test/log"

func keys(tb testing.TB, name string) (note.Signer, note.Verifier) {
	tb.Helper()
	s, v, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(s)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := note.NewVerifier(v)
	if err != nil {
		tb.Fatal(err)
	}
	return signer, verifier
}

func TestCheckpoint(t *testing.T) {
	signer, verifier := keys(t, origin)
	var tree Tree
	tree.Append([]byte("one"))
	c := tree.Checkpoint(origin)
	signed, err := c.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(signed, c.Text()+"\n— "+origin+" ") {
		t.Errorf("not a signed note of C2SP: %q", signed)
	}
	got, err := OpenCheckpoint(signed, origin, verifier)
	if err != nil || got != c {
		t.Errorf("opened %+v, %v", got, err)
	}
	_, stranger := keys(t, origin)
	for name, f := range map[string]func() error{
		"another key": func() error { _, err := OpenCheckpoint(signed, origin, stranger); return err },
		"another log": func() error { _, err := OpenCheckpoint(signed, "other", verifier); return err },
		"another size": func() error {
			_, err := OpenCheckpoint(strings.Replace(signed, "\n1\n", "\n2\n", 1), origin, verifier)
			return err
		},
		"no signature": func() error { _, err := OpenCheckpoint(c.Text(), origin, verifier); return err },
		"no origin":    func() error { _, err := tree.Checkpoint("").Sign(signer); return err },
		"two lines":    func() error { _, err := tree.Checkpoint("a\nb").Sign(signer); return err },
	} {
		if f() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseCheckpoint(t *testing.T) {
	root := strings.Repeat("A", 43) + "="
	for text, ok := range map[string]bool{
		"o\n0\n" + root + "\n":                       true,
		"o\n5\n" + root + "\nextension\n":            true,
		"o\n05\n" + root + "\n":                      false,
		"o\n-1\n" + root + "\n":                      false,
		"o\n+1\n" + root + "\n":                      false,
		"o\n99999999999999999999\n" + root:           false,
		"\n1\n" + root + "\n":                        false,
		"o\n1\n" + root:                              false,
		"o\n1\n" + root[:40] + "\n":                  false,
		"o\n1\n" + root[:42] + "B=\n":                false, // stray bits
		"o\n1\n" + root[:20] + "\n" + root:           false,
		"o\n1\n" + root[:43] + "\n":                  false,
		"o\n1\n" + root[:9] + "\r" + root[9:] + "\n": false,
		"o\n1\n" + strings.Repeat("A", 100):          false,
	} {
		if _, err := ParseCheckpoint(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	signer, verifier := keys(f, origin)
	var tree Tree
	signed, err := tree.Checkpoint(origin).Sign(signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add("o\n5\n" + strings.Repeat("A", 43) + "=\nextension\n")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := ParseCheckpoint(s); err == nil && !strings.HasPrefix(s, c.Text()) {
			t.Fatalf("%q was read as %q", s, c.Text())
		}
		if _, err := OpenCheckpoint(s, origin, verifier); err == nil && s != signed &&
			!strings.HasPrefix(s, tree.Checkpoint(origin).Text()+"\n") {
			t.Fatalf("%q was accepted", s)
		}
	})
}

package slowhash_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"

	"countersign/internal/authenticator/slowhash"
	"countersign/internal/failure"
)

// From the reference implementation's test.c: version 0x13, t=2, m=2^16, p=1,
// "password", "somesalt", argon2id.
// https://github.com/P-H-C/phc-winner-argon2/blob/master/src/test.c
const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestReference(t *testing.T) {
	h, err := slowhash.Parse(reference)
	if err != nil {
		t.Fatal(err)
	}
	if h.Params != (slowhash.Params{Memory: 65536, Passes: 2, Threads: 1}) || string(h.Salt) != "somesalt" {
		t.Fatalf("read as %+v", h.Params)
	}
	if sum := h.Sum([]byte("password"), h.Salt); !h.Equal(sum) {
		t.Errorf("the sum is %s", hex.EncodeToString(sum))
	}
	if h.Equal(h.Sum([]byte("differentpassword"), h.Salt)) || h.Equal(nil) {
		t.Error("another password fits")
	}
	if h.String() != reference {
		t.Errorf("written as %s", h)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		"", "$", "$$$$$", "password", reference + "$", reference + " ", " " + reference,
		strings.Replace(reference, "argon2id", "argon2i", 1),
		strings.Replace(reference, "v=19", "v=16", 1),
		strings.Replace(reference, "$v=19", "", 1),
		strings.Replace(reference, "m=65536", "m=4294967295", 1),
		strings.Replace(reference, "m=65536", "m=262145", 1),
		strings.Replace(reference, "m=65536", "m=7", 1),
		strings.Replace(reference, "m=65536", "m=065536", 1),
		strings.Replace(reference, "m=65536", "m=+65536", 1),
		strings.Replace(reference, "t=2", "t=0", 1),
		strings.Replace(reference, "t=2", "t=17", 1),
		strings.Replace(reference, "t=2", "t=4294967295", 1),
		strings.Replace(reference, "p=1", "p=0", 1),
		strings.Replace(reference, "p=1", "p=257", 1),
		strings.Replace(reference, "m=65536,t=2", "t=2,m=65536", 1),
		strings.Replace(reference, "p=1", "p=1,keyid=AAAA", 1),
		strings.Replace(reference, "c29tZXNhbHQ", "", 1),
		strings.Replace(reference, "c29tZXNhbHQ", "c29tZXNhbHR", 1), // stray bits
		strings.Replace(reference, "c29tZXNhbHQ", "c29tZXNhbHQ=", 1),
		strings.Replace(reference, "RPPc", "RP\nPc", 1),
		reference[:len(reference)-4],
	} {
		if _, err := slowhash.Parse(s); err == nil {
			t.Errorf("%q is read", s)
		} else if len(s) > 20 && strings.Contains(err.Error(), s[20:]) {
			t.Errorf("the error quotes %q", s)
		}
	}
}

func TestParamsCheck(t *testing.T) {
	for _, p := range []slowhash.Params{slowhash.Default(), {46 << 10, 1, 1}, {12 << 10, 3, 1}, {9 << 10, 4, 1}, {7 << 10, 5, 1}, {64 << 10, 3, 4}, {256 << 10, 16, 8}} {
		if err := p.Check(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for _, p := range []slowhash.Params{{}, {19 << 10, 1, 1}, {19<<10 - 1, 2, 1}, {4096, 16, 1}, {19 << 10, 2, 0}, {19 << 10, 2, 9}, {256<<10 + 1, 2, 1}, {19 << 10, 17, 1}} {
		if p.Check() == nil {
			t.Errorf("%+v passes", p)
		}
	}
	if d := slowhash.Default(); !(slowhash.Params{Memory: 9 << 10, Passes: 4, Threads: 1}).Cheaper(d) || d.Cheaper(d) {
		t.Error("cheaper is not")
	}
}

func TestGate(t *testing.T) {
	g := slowhash.NewGate(1, 2)
	leave, err := g.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	gaveUp := make([]error, 2)
	for i := range gaveUp {
		waiting.Go(func() { _, gaveUp[i] = g.Enter(ctx) })
	}
	for !g.Full() {
		runtime.Gosched()
	}
	if _, err := g.Enter(t.Context()); failure.ClassOf(err) != failure.Unavailable || failure.ReasonOf(err) != "busy" {
		t.Fatalf("a full line answers %v", err)
	}
	cancel()
	waiting.Wait()
	for _, err := range gaveUp {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
	}
	if _, err := g.Enter(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("who had given up before the door got %v", err)
	}
	leave()
	again, err := g.Enter(t.Context())
	if err != nil {
		t.Fatalf("the places of those who left are not free: %v", err)
	}
	again()
}

func FuzzParse(f *testing.F) {
	f.Add(reference)
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA")
	f.Add("$argon2id$v=19$m=1,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := slowhash.Parse(s)
		if err != nil {
			return
		}
		if h.String() != s {
			t.Fatalf("%q is written %q", s, h)
		}
		if h.Memory > 256<<10 || h.Passes > 16 || h.Threads < 1 || h.Threads > 8 || len(h.Result) != slowhash.SumSize {
			t.Fatalf("out of bounds: %+v", h.Params)
		}
	})
}

// BenchmarkSum is ours beside the bare function, to see that nothing is added.
func BenchmarkSum(b *testing.B) {
	p, secret, salt := slowhash.Default(), []byte("correct horse battery staple"), bytes.Repeat([]byte{7}, slowhash.SaltSize)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			p.Sum(secret, salt)
		}
	})
	b.Run("argon2", func(b *testing.B) {
		for b.Loop() {
			argon2.IDKey(secret, salt, p.Passes, p.Memory, p.Threads, slowhash.SumSize)
		}
	})
}

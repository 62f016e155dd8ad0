package yubicootp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/prompt"
)

// modhex writes octets as a key types them.
func modhex(b []byte) string {
	var s strings.Builder
	for _, o := range b {
		s.WriteByte(alphabet[o>>4])
		s.WriteByte(alphabet[o&15])
	}
	return s.String()
}

// onDvorak is what a key types that is plugged into a computer with a Dvorak keyboard.
func onDvorak(s string) string {
	return strings.Map(func(r rune) rune { return rune(dvorak[strings.IndexRune(alphabet, r)]) }, s)
}

// key is a YubiKey in software.
type key struct {
	public       string
	private, aes []byte
	session, use int
}

func newKey() *key {
	k := &key{private: make([]byte, 6), aes: make([]byte, 16), session: 1}
	public := make([]byte, 6)
	for _, b := range [][]byte{public, k.private, k.aes} {
		rand.Read(b)
	}
	k.public = modhex(public)
	return k
}

func (k *key) touch() string {
	var b [16]byte
	copy(b[:], k.private)
	binary.LittleEndian.PutUint16(b[6:], uint16(k.session))
	rand.Read(b[8:11])
	b[11] = byte(k.use)
	rand.Read(b[12:14])
	binary.LittleEndian.PutUint16(b[14:], ^crc(b[:14]))
	block, err := aes.NewCipher(k.aes)
	if err != nil {
		panic(err)
	}
	block.Encrypt(b[:], b[:])
	if k.use++; k.use > 255 {
		k.session, k.use = k.session+1, 0
	}
	return k.public + modhex(b[:])
}

func (k *key) enrolled(t testing.TB) authenticator.Enrolled {
	t.Helper()
	e, err := Authenticator{}.Import(authenticator.Seed{Public: k.public, Private: k.private, Secret: k.aes})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExam(t *testing.T) {
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(testing.TB) authenticator.Authenticator { return Authenticator{} },
		Enroll: func(t testing.TB, _ authenticator.Authenticator, _ authenticator.Person, _ time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			k := newKey()
			return k.enrolled(t), func(testing.TB, prompt.Prompt, time.Time) prompt.Answer {
				return prompt.Answer{Authenticator: Kind, Text: k.touch()}
			}
		},
	})
}

// The vectors say what a touch holds; what they hold is accepted once, and
// nothing that came before it.
func TestVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/libyubikey.txt")
	if err != nil {
		t.Fatal(err)
	}
	vectors := 0
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 6 || f[0] == "#" {
			continue
		}
		vectors++
		aesKey, _ := hex.DecodeString(f[0])
		private, _ := hex.DecodeString(f[2])
		e, err := Authenticator{}.Import(authenticator.Seed{Public: f[1][:len(f[1])-32], Private: private, Secret: aesKey})
		if err != nil {
			t.Fatal(err)
		}
		s, err := decode(e.State)
		typed, whole := parse(f[1])
		made, ok, failed := s.open(typed)
		if want := strings.Join(f[3:], " "); err != nil || !whole || !ok || failed != nil || fmt.Sprint(made.session, made.stamp, made.use) != want {
			t.Errorf("%s: %+v, wanted %s", f[1], made, want)
		}
		c := authenticator.Credential{ID: 1, State: e.State, Handle: e.Handle}
		for _, want := range []string{"", "replayed"} {
			r, err := Authenticator{}.Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: strings.ToUpper(f[1]) + "\n"}, time.Time{})
			if err != nil || r.OK != (want == "") || r.Reason != want {
				t.Errorf("%+v, %v", r, err)
			}
			if r.OK {
				c.State = r.Next
			}
		}
	}
	if vectors != 3 {
		t.Errorf("%d vectors", vectors)
	}
}

// A counter that goes back is refused, also within one session, and a newer one
// from somebody else's key is nobody's.
func TestCountersOnlyRise(t *testing.T) {
	k := newKey()
	k.session, k.use = 5, 7
	c := authenticator.Credential{ID: 1, State: k.enrolled(t).State}
	for _, step := range []struct {
		session, use int
		want         string
	}{{5, 7, ""}, {5, 6, "replayed"}, {4, 255, "replayed"}, {5, 7, "replayed"}, {5, 8, ""}, {6, 0, ""}, {5, 255, "replayed"}, {0x7fff, 255, ""}} {
		k.session, k.use = step.session, step.use
		r, err := Authenticator{}.Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: k.touch()}, time.Time{})
		if err != nil || r.OK != (step.want == "") || r.Reason != step.want {
			t.Errorf("%+v: %+v, %v", step, r, err)
		}
		if r.OK {
			c.State = r.Next
		}
	}
	other := *k
	other.aes = make([]byte, 16)
	if r, _ := (Authenticator{}).Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: other.touch()}, time.Time{}); r.OK || r.Reason != "wrong" {
		t.Errorf("another AES key: %+v", r)
	}
	other = *k
	other.private = make([]byte, 6)
	if r, _ := (Authenticator{}).Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: other.touch()}, time.Time{}); r.OK || r.Reason != "wrong" {
		t.Errorf("another private id: %+v", r)
	}
}

func TestImportRefuses(t *testing.T) {
	for name, seed := range map[string]authenticator.Seed{
		"no public id":      {Private: make([]byte, 6), Secret: make([]byte, 16)},
		"public id in hex":  {Public: "0123456789ab", Private: make([]byte, 6), Secret: make([]byte, 16)},
		"half an octet":     {Public: "ccc", Private: make([]byte, 6), Secret: make([]byte, 16)},
		"short private id":  {Public: "cccc", Private: make([]byte, 5), Secret: make([]byte, 16)},
		"AES-256":           {Public: "cccc", Private: make([]byte, 6), Secret: make([]byte, 32)},
		"too long an id":    {Public: strings.Repeat("c", 34), Private: make([]byte, 6), Secret: make([]byte, 16)},
		"nothing in it":     {},
		"an id of no bytes": {Public: " ", Private: make([]byte, 6), Secret: make([]byte, 16)},
	} {
		if _, err := (Authenticator{}).Import(seed); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh")
	f.Add("ccccccccccccbcdefghijklnrtuvcbdefghijklnrtuv")
	f.Add(strings.Repeat("c", 64))
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := parse(s)
		if !ok {
			return
		}
		if whole := p.public + modhex(p.sealed[:]); whole != lower(s) && onDvorak(whole) != lower(s) {
			t.Fatalf("%q was read as %q", s, whole)
		}
		if again, ok := parse(p.public + modhex(p.sealed[:])); !ok || again != p {
			t.Fatalf("%q is not read the same again", s)
		}
	})
}

// What a key types on a Dvorak keyboard is the same one-time password, and counts once.
func TestDvorak(t *testing.T) {
	k := newKey()
	e := k.enrolled(t)
	c := authenticator.Credential{ID: 1, State: e.State, Handle: e.Handle}
	typed := k.touch()
	for i, text := range []string{onDvorak(typed), strings.ToUpper(onDvorak(k.touch())), typed, onDvorak(typed), onDvorak(typed[:43]) + "a", typed[:43] + "."} {
		if handle, ok := (Authenticator{}).Discover(prompt.Answer{Text: text}); ok != (i < 4) || ok && handle != e.Handle {
			t.Errorf("%s is of %q", text, handle)
		}
		r, err := Authenticator{}.Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: text}, time.Now())
		if err != nil || r.OK != (i < 2) {
			t.Errorf("%d: %s is taken %t, %s: %v", i, text, r.OK, r.Reason, err)
		}
		if r.OK {
			c.State = r.Next
		}
	}
}

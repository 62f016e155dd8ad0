package packed

import (
	"math"
	"testing"
)

// What is read is what was written, and it is whole only when all of it was read.
func TestWhatWasWritten(t *testing.T) {
	numbers, texts := []int64{0, 1, -1, 300, math.MaxInt64, math.MinInt64}, []string{"", "a", "\x00\xff", "a longer text than fits in seven bits of a length, which is what this one is made for, and a little more than that: so"}
	var b []byte
	for _, n := range numbers {
		b = Number(b, n)
	}
	for _, s := range texts {
		b = Text(b, s)
	}
	b = Count(Flag(Flag(b, true), false), 0)
	r := Read(b)
	for _, n := range numbers {
		if got := r.Number(); got != n {
			t.Errorf("%d became %d", n, got)
		}
	}
	for _, s := range texts {
		if got := r.Text(); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	if !r.Flag() || r.Flag() || r.Whole() || r.Count() != 0 || !r.Whole() {
		t.Error("the flags, the count or the end are others")
	}
}

// What is cut off, or promises more than there is, is bad from there on.
func TestWhatIsBad(t *testing.T) {
	long := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for name, read := range map[string]func() *Reader{
		"no number":        func() *Reader { r := Read(nil); r.Number(); return r },
		"a cut number":     func() *Reader { r := Read(long[:1]); r.Number(); return r },
		"a long number":    func() *Reader { r := Read(long); r.Number(); return r },
		"no count":         func() *Reader { r := Read(nil); r.Count(); return r },
		"a long count":     func() *Reader { r := Read(long); r.Count(); return r },
		"a count too high": func() *Reader { r := Read([]byte{3, 1, 2}); r.Count(); return r },
		"a cut text":       func() *Reader { r := Read([]byte{3, 'a', 'b'}); r.Text(); return r },
		"what is left":     func() *Reader { r := Read([]byte{1, 'a', 'b'}); r.Text(); return r },
	} {
		r := read()
		if r.Whole() {
			t.Errorf("%s is whole", name)
		}
		if name != "what is left" && (r.Number() != 0 || r.Count() != 0 || r.Text() != "" || r.Flag() || r.Whole()) {
			t.Errorf("%s: something is read behind it", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(Text(Number(Count(nil, 2), 7), "a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Read(b)
		for n := r.Count(); n > 0; n-- {
			if r.Text(); r.bad {
				return
			}
			r.Number()
		}
	})
}

package throttle

import (
	"countersign/internal/store"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A server remembers so many at most, those that are charged longest ago least.
func TestWhatIsRememberedOfGuessesIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	m := newTried(func() time.Time { return now }, 3)
	if _, ok := m.of("a"); ok {
		t.Error("out of nothing")
	}
	until := store.Unix(now.Add(time.Hour))
	charge := func(subject string, stored int64) {
		m.charged(subject, run{owner: 7, since: 5, stored: stored, until: until})
	}
	is := func(subject string, want int64) {
		t.Helper()
		if r, ok := m.of(subject); r.count != want || ok != (want > 0) {
			t.Errorf("%s: %+v, %t; want %d", subject, r, ok, want)
		}
	}
	charge("a", 1)
	charge("a", 1) // for two authenticators at once
	is("a", 1)
	charge("a", 2)
	is("a", 2)
	for i := range 5 {
		charge(fmt.Sprint("b", i), 1)
	}
	is("a", 2)
	is("b0", 1)
	charge("b5", 1)
	charge("b6", 1)
	is("a", 0)
	if n := len(m.subjects()); n > 6 {
		t.Errorf("%d are remembered", n)
	}
	m.released("b6", 4) // of another count
	is("b6", 1)
	m.released("b6", 5)
	is("b6", 0)
	charge("b5", 2)
	m.released("b5", 5)
	is("b5", 1)
	charge("b5", 2) // as before it was given back
	is("b5", 2)
	charge("b5", 3)
	m.charged("b5", run{owner: 7, since: 5, stored: 4, held: 1, until: until})
	if is("b5", 4); !strings.Contains(string(m.bytes()), "b5 7 5 3 0 ") {
		t.Errorf("what may be given back is kept: %q", m.bytes())
	}
	m.decided("b5", 4)
	m.decided("b5", 5)
	m.decided("b5", 5)
	if is("b5", 4); !strings.Contains(string(m.bytes()), "b5 7 5 4 0 ") {
		t.Errorf("what stays charged is not kept: %q", m.bytes())
	}
	m.charged("b6", run{owner: 7, since: 5, stored: 1, held: 1, until: until})
	if is("b6", 1); strings.Contains(string(m.bytes()), "b6") {
		t.Errorf("what may be given back is kept: %q", m.bytes())
	}
	m.released("b6", 5)
	m.forget("b5", 4)
	is("b5", 4)
	m.forget("b5", 5)
	is("b5", 0)
	charge("c", 1)
	m.charged("d", run{since: 5, until: until})
	m.forgetOwner(7)
	is("c", 0)
	is("d", 1)
	now = now.Add(2 * time.Hour)
	if r, ok := m.of("d"); ok {
		t.Errorf("at its end: %+v", r)
	}
	if len(m.subjects()) != 0 || len(m.bytes()) != 0 {
		t.Errorf("%q", m.bytes())
	}
	if _, _, err := readRun("nonsense"); err == nil {
		t.Error("nonsense was read")
	}
}

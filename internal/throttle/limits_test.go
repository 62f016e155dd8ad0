package throttle

import (
	"strings"
	"testing"
	"time"
)

// Limits have a default, a least and a ceiling, each of them.
func TestLimitsCheck(t *testing.T) {
	l, err := Limits{}.Check()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range l.counts() {
		if *b.value != b.def {
			t.Errorf("%s is %d", b.name, *b.value)
		}
	}
	for i := range l.counts() {
		for _, wrong := range []int{-1, l.counts()[i].ceiling + 1} {
			other := l
			*other.counts()[i].value = wrong
			if _, err := other.Check(); err == nil || !strings.Contains(err.Error(), other.counts()[i].name) {
				t.Errorf("%s may be %d: %v", other.counts()[i].name, wrong, err)
			}
		}
		other := l
		*other.counts()[i].value = other.counts()[i].ceiling
		if _, err := other.Check(); err != nil {
			t.Errorf("its ceiling is refused: %v", err)
		}
	}
	for i := range l.spans() {
		other := l
		*other.spans()[i].value = other.spans()[i].ceiling + 1
		if _, err := other.Check(); err == nil {
			t.Errorf("%s passes its ceiling", other.spans()[i].name)
		}
		other = l
		*other.spans()[i].value = other.spans()[i].ceiling
		if _, err := other.Check(); err != nil {
			t.Errorf("its ceiling is refused: %v", err)
		}
	}
	for _, wrong := range []Limits{{Attempt: -1}, {Dormant: -1}} {
		if _, err := wrong.Check(); err == nil {
			t.Errorf("%+v", wrong)
		}
	}
	if l, err := (Limits{Quarantine: -time.Hour}).Check(); err != nil || l.Quarantine != 0 {
		t.Errorf("no quarantine: %v, %v", l.Quarantine, err)
	}
}

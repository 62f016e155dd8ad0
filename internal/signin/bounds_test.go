package signin

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/store"
)

// Alarms are raised at each power of ten, and not in between.
func TestAlarming(t *testing.T) {
	for n, want := range map[int]bool{0: false, 1: false, 19: false, 20: true, 21: false, 99: false, 100: true, 101: false, 1000: true, 1001: false, 10_000: true, 10_001: false, 100_000: true, 100_001: false} {
		if alarming(n) != want {
			t.Errorf("%d: %t", n, !want)
		}
	}
}

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

// What looks like one or two codes of digits.
func TestNumeric(t *testing.T) {
	for text, want := range map[string]bool{"": true, "123456": true, "123 456": true, " 123456\t": true, "12a": false, "ccccccbchvth": false} {
		if numeric(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}

// What a stranger says is cut to what it can rightly be, before anything else.
func TestBounded(t *testing.T) {
	r := newRig(t, anyFactor)
	long := strings.Repeat("x", 600)
	q := bounded(Request{Name: long, Method: long, Browser: long, Opening: []prompt.Answer{typed("odd", "1"), typed("password", "1"), typed("", "1"), typed(AnyCode, "1"), typed(Elsewhere, "")}}, r.kinds)
	if q.Name != "a name of 600 octets" || len(q.Method) != methodMost || q.Browser != "" {
		t.Errorf("%+v", q)
	}
	var kinds []string
	for _, a := range q.Opening {
		kinds = append(kinds, a.Authenticator)
	}
	if got := strings.Join(kinds, ","); got != "unknown,password,,code,approval" {
		t.Errorf("%s", got)
	}
	same := Request{Name: strings.Repeat("x", nameMost), Method: strings.Repeat("x", methodMost), Browser: strings.Repeat("x", browserMost)}
	if q := bounded(same, r.kinds); q.Name != same.Name || q.Method != same.Method || q.Browser != same.Browser || q.Opening != nil {
		t.Errorf("%+v", q)
	}
}

// The policy in force is the newest that nobody changed behind our back.
func TestRulesInForce(t *testing.T) {
	r := newRig(t, anyFactor)
	first, err := r.Rules.Latest(t.Context(), r.DB)
	if err != nil || first.Body != anyFactor {
		t.Fatalf("%+v, %v", first, err)
	}
	r.rules(twoFactors)
	second, err := r.Rules.Latest(t.Context(), r.DB)
	if err != nil || second.Body != twoFactors || second.Version <= first.Version {
		t.Fatalf("%+v, %v", second, err)
	}
	if old, err := r.Rules.Version(t.Context(), r.DB, first.Version); err != nil || old.Body != anyFactor {
		t.Errorf("%+v, %v", old, err)
	}
	for before, want := range map[int64]int{0: 2, -1: 2, second.Version: 1, first.Version: 0} {
		if all, err := r.Rules.Versions(t.Context(), r.DB, before, 10); err != nil || len(all) != want {
			t.Errorf("before %d: %d, %v", before, len(all), err)
		}
	}
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `update policy set body = $1 where version = $2`, anyFactor, second.Version)
		return err
	})
	if _, err := r.Rules.Latest(t.Context(), r.DB); err == nil {
		t.Error("a policy that was changed behind our back is believed")
	}
	if all, err := r.Rules.Versions(t.Context(), r.DB, 0, 10); err != nil || len(all) != 1 || all[0].Version != first.Version {
		t.Errorf("of both one is listed: %+v, %v", all, err)
	}
}

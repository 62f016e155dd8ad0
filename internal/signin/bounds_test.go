package signin

import (
	"strings"
	"testing"

	"countersign/internal/prompt"
	"countersign/internal/store"
)

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
	q := bounded(Request{Name: long, Method: long, Browser: long, Opening: []prompt.Answer{typed("odd", "1"), typed("password", "1"), typed("", "1"), typed(AnyCode, "1"), typed(OutOfBand, "")}}, r.kinds)
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

// The policy in force is the newest that nobody changed from outside.
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
		t.Error("a policy that was changed in the database from outside is believed")
	}
	if all, err := r.Rules.Versions(t.Context(), r.DB, 0, 10); err != nil || len(all) != 1 || all[0].Version != first.Version {
		t.Errorf("of both one is listed: %+v, %v", all, err)
	}
}

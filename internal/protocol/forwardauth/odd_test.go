package forwardauth

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// legal are addresses that wikis, package registries and message brokers use.
var legal = []string{"/wiki/C%23", "/wiki/100%25", "/api/queues/%2F/orders", "/@scope%2fname", "/a;v=1/b", "/a?b\\c", "/what%3F", "/a%5Cb", "/v1%2E2", "/%252e%252e.txt", "/a%2F%2Fb"}

// What is legal and odd is read only as odd; what leaves a folder in some reading, and what
// is not legal, is not read at all.
func TestReadOdd(t *testing.T) {
	for _, raw := range legal {
		if _, ok := readTarget(raw); ok {
			t.Errorf("%q has one reading", raw)
		}
		if got, ok := readOdd(raw); !ok || !got.odd || got.raw != raw || !strings.HasPrefix(got.path, "/") {
			t.Errorf("%q is read as %+v, %v", raw, got, ok)
		}
	}
	for _, bad := range []string{"", "a", "//a", "/a//b", "/a/../b", "/./a", "/%2e%2e/a", "/x%2f..%2fadmin", "/x%5c..%5cadmin", "/..;/a", "/x/..%3b/a", "/x/%252e%252e/a", "/x/%25252e%25252e/a", "/..%3fx",
		"/..%20/a", "/a\\b", "/\\a", "/a%00", "/a%2500", "/a#b", "/a b", "/é", "/%ff", "/%c0%af", "/a%", "/a%4", "/%u0061", "/100%", "/" + strings.Repeat("%25", 3) + strings.Repeat("25", 9), "/;" + strings.Repeat("a", 9000)} {
		if got, ok := readOdd(bad); ok {
			t.Errorf("%q is read as %q", bad, got.path)
		}
	}
}

// Where no rule looks at a path, what is legal passes, and policy is told that the path may be
// any. A rule of whatever path keeps all of it out, unless the settings let pass what it
// covers in no reading.
func TestWhoReadsOdd(t *testing.T) {
	rule := prepare([]Rule{{Path: "/admin", Action: "administer"}})
	for _, raw := range legal {
		tg, ok := (place{app: "wiki"}).read(raw)
		if q := (question{at: place{app: "wiki"}, request: request{method: "GET", target: tg}}); !ok || q.pathForPolicy() != "*" {
			t.Errorf("%q without a rule: %v, %q", raw, ok, q.pathForPolicy())
		}
		if _, ok := (place{app: "wiki", rules: rule}).read(raw); ok {
			t.Errorf("%q passes beside a rule", raw)
		}
		tg, ok = (place{app: "wiki", rules: rule, passes: true}).read(raw)
		if action, clear := rule.action(request{method: "GET", target: tg}); !ok || !clear || action != "" {
			t.Errorf("%q does not pass by the settings: %v %v %q", raw, ok, clear, action)
		}
	}
	plain, ok := (place{app: "wiki"}).read("/notes")
	if q := (question{request: request{target: plain}}); !ok || q.pathForPolicy() != "/notes" {
		t.Errorf("a plain path is %q to policy", q.pathForPolicy())
	}
}

// By the settings, a rule that covers all readings gives its action, and one that covers some
// of them has the request refused.
func TestRulesOfOddPaths(t *testing.T) {
	s := prepare([]Rule{{Path: "/admin", Action: "administer"}, {Path: "/wiki", Methods: []string{"POST"}, Action: "write"}})
	for _, c := range []struct {
		method, raw, action string
		clear               bool
	}{
		{"GET", "/admin/C%23", "administer", true},
		{"GET", "/admin/a;v=1", "administer", true},
		{"GET", "/notes/C%23", "", true},
		{"GET", "/admin%2Fx", "", false},
		{"GET", "/admin;v=1", "", false},
		{"GET", "/%2fadmin", "", false},
		{"GET", "/%5cadmin", "", false},
		{"GET", "/%2561dmin", "", false},
		{"GET", "/admin%3fx", "", false},
		{"GET", "/admin%23x", "", false},
		{"GET", "/ADMIN%2fx", "", false},
		{"GET", "/;x/admin", "", false},
		{"POST", "/wiki/C%23", "write", true},
		{"GET", "/wiki/C%23", "", true},
	} {
		tg, ok := readOdd(c.raw)
		if !ok {
			t.Errorf("%s cannot be read", c.raw)
			continue
		}
		if got, clear := s.action(request{method: c.method, target: tg}); got != c.action || clear != c.clear {
			t.Errorf("%s %s is %q, %v", c.method, c.raw, got, clear)
		}
	}
}

// A second method in what some program takes for the query counts.
func TestHiddenMethod(t *testing.T) {
	for raw, hides := range map[string]bool{"/a%3F_method=DELETE": true, "/a;_method=DELETE": true, "/a%253Fx=1%2526_method=DELETE": true, "/a%3Fx=1": false, "/C%23": false} {
		tg, ok := readOdd(raw)
		if !ok || tg.hidesMethod() != hides {
			t.Errorf("%q hides a method: %v, read %v", raw, tg.hidesMethod(), ok)
		}
	}
}

// No spelling gets around a rule where the settings let odd addresses pass.
func TestNoOddSpellingPassesARule(t *testing.T) {
	s := prepare([]Rule{{Path: "/admin", Action: "administer"}})
	for _, spelling := range spellings {
		unguarded(t, s, place{rules: s, passes: true}.read, spelling)
	}
}

func FuzzNoOddSpellingPassesARule(f *testing.F) {
	for _, s := range slices.Concat(spellings, legal) {
		f.Add(s)
	}
	s := prepare([]Rule{{Path: "/admin", Action: "administer"}})
	f.Fuzz(func(t *testing.T, raw string) { unguarded(t, s, place{rules: s, passes: true}.read, raw) })
}

// The setting is one of two words, and coverage hears of the one that weakens.
func TestAmbiguous(t *testing.T) {
	for setting, good := range map[string]bool{`"pass"`: true, `"refuse"`: true, `""`: true, `"yes"`: false, `true`: false} {
		raw := json.RawMessage(`{"hosts":["h.example"],"ambiguous":` + setting + `}`)
		if err := CheckSettings(raw); (err == nil) != good {
			t.Errorf("%s: %v", setting, err)
		}
		if said := Caveats(raw); (len(said) > 0) != (setting == `"pass"`) {
			t.Errorf("%s: coverage is told %q", setting, said)
		}
	}
}

package provision

import (
	"testing"
	"time"
)

// What failed is left alone for twice as long each time, up to six hours, and as long as the
// application asks for, up to an hour.
func TestPauses(t *testing.T) {
	for tries, want := range map[int64]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 20: longestPause, 1 << 40: longestPause} {
		if got := pauseOf(tries, 0); got != want {
			t.Errorf("after %d tries %v and not %v", tries, got, want)
		}
	}
	if got := pauseOf(1, retryAfter("120")); got != 2*time.Minute {
		t.Errorf("it asks for two minutes, and gets %v", got)
	}
	for s, want := range map[string]time.Duration{"": 0, "-1": 0, "soon": 0, "99999999": longestWait, "30": 30 * time.Second} {
		if got := retryAfter(s); got != want {
			t.Errorf("Retry-After: %s is %v", s, got)
		}
	}
}

// A name in a filter is a text as JSON has it, so that no name is more than one.
func TestQuoted(t *testing.T) {
	for s, want := range map[string]string{`ada`: `"ada"`, `a" or userName pr or "`: `"a\" or userName pr or \""`, `a\`: `"a\\"`, `<&>`: `"<&>"`} {
		if got := quoted(s); got != want {
			t.Errorf("%s is %s", s, got)
		}
	}
}

// Of several that an application answers, the one of the name is taken; two of it are none.
func TestOneOfTheName(t *testing.T) {
	all := []resource{{ID: "1", UserName: "ada.b"}, {ID: "2", UserName: "Ada"}, {ID: "3", Display: "ada"}}
	if got, err := one(all, "userName", "ada"); err != nil || got.ID != "2" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := one(append(all, resource{ID: "4", UserName: "ADA"}), "userName", "ada"); err == nil {
		t.Errorf("of two, %+v is taken", got)
	}
	if got, err := one(nil, "userName", "ada"); err != nil || got.ID != "" {
		t.Errorf("of none, %+v, %v", got, err)
	}
}

package drill_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"countersign/internal/drill"
)

// replaced are the hollow components, where every move and every door comes to this.
func replaced(tries []drill.Try, err error) drill.Stage {
	stage := drill.Stage{Components: hollow(func(string) {})}
	for _, c := range stage.Components {
		for m := range c.Moves {
			c.Moves[m] = func(context.Context, *drill.Play, *drill.Canary) ([]drill.Try, error) { return tries, err }
		}
		for k := range c.Doors {
			c.Doors[k].Guess = func(context.Context, *drill.Play, *drill.Guess) []drill.Try { return tries }
		}
	}
	return stage
}

// What was not tried, and what an error kept from being tried, is no proof in any arm;
// and neither hides what got through.
func TestNothingTriedShowsNothing(t *testing.T) {
	shut, broken, open := drill.Try{Name: "shut"}, drill.Tried("broken", false, errors.New("no route to host")), drill.Tried("open", true, nil)
	for what, c := range map[string]struct {
		tries                    []drill.Try
		err                      error
		blocked, closed, control drill.State
		said                     string
	}{
		"no door":             {blocked: drill.NotTried, closed: drill.NotTried, control: drill.NotTried, said: "no door was tried"},
		"an error":            {tries: []drill.Try{broken}, blocked: drill.Failed, closed: drill.Failed, control: drill.Failed, said: "broken: no route to host"},
		"an error beside":     {tries: []drill.Try{shut, broken}, blocked: drill.Failed, closed: drill.Failed, control: drill.Failed, said: "broken: no route to host"},
		"an error and a hole": {tries: []drill.Try{broken, open}, blocked: drill.Failed, closed: drill.Failed, control: drill.Passed, said: "got through: open"},
		"an unplayable one":   {err: errors.New("no canary"), blocked: drill.Failed, closed: drill.Failed, control: drill.Failed, said: "could not be played: no canary"},
		"a shut door":         {tries: []drill.Try{shut}, blocked: drill.Passed, closed: drill.Passed, control: drill.Failed, said: "1 ways tried, none opened"},
	} {
		stage := replaced(c.tries, c.err)
		results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: &office{}, Bed: yard{stage: stage}, Rows: []string{"T1133"}})
		if want := map[bool]int{true: 1, false: 2}[what == "no door"]; err != nil || len(results) != want {
			t.Fatal(results, err)
		}
		for _, r := range results {
			if r.Blocked != results[0].Blocked || r.Closed != results[0].Closed || r.Control != results[0].Control {
				t.Errorf("%s: %+v and %+v", what, r, results[0])
			}
		}
		r := results[0]
		if r.Blocked.State != c.blocked || r.Closed.State != c.closed || r.Control.State != c.control {
			t.Errorf("%s: blocked %+v, closed %+v, control %+v", what, r.Blocked, r.Closed, r.Control)
		}
		if !strings.Contains(r.Blocked.Detail, c.said) {
			t.Errorf("%s: %q does not say %q", what, r.Blocked.Detail, c.said)
		}
		if what != "a shut door" && r.Passed() {
			t.Errorf("%s passed", what)
		}
	}
}

// While Countersign is stopped no answer of its own is one; before that it is an error.
func TestSilenceIsAnAnswerOfWhoIsStopped(t *testing.T) {
	gone := errors.New("connection refused")
	for down, want := range map[bool]drill.Try{false: {Name: "x", Error: gone.Error()}, true: {Name: "x", Detail: gone.Error()}} {
		p := &drill.Play{Down: down}
		if got := p.Tried("x", false, gone); got != want {
			t.Errorf("%+v", got)
		}
		if got := p.Tried("x", true, gone); got != (drill.Try{Name: "x", Open: true}) {
			t.Errorf("an error hides what got through: %+v", got)
		}
	}
}

// Where no component says how its owner enters, nobody was shown to.
func TestNobodyEnteredIsNotHonest(t *testing.T) {
	stage := replaced([]drill.Try{{Name: "shut"}}, nil)
	for i := range stage.Components {
		stage.Components[i].Enter = nil
	}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: &office{}, Rows: []string{"T1133"}})
	if err != nil || results[0].Honest.State != drill.NotTried || results[0].Passed() {
		t.Error(results, err)
	}
}

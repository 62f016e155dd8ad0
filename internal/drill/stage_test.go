package drill_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/drill"
	"countersign/internal/drill/host"
	"countersign/internal/drill/web"
	"countersign/internal/drill/wire"
	"countersign/internal/drill/yubikey"
)

// office answers the commands of a drill, and keeps what it was asked. Its log is written
// by tests; nobody else writes into it.
type office struct {
	asked []string
	log   []map[string]any // the newest first
	at    string           // where what is written happened
}

func (o *office) Do(ctx context.Context, action string, in, out any) error {
	name := ""
	switch in := in.(type) {
	case map[string]string:
		name = in["name"]
	case map[string]any:
		name, _ = in["name"].(string)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	o.asked = append(o.asked, action+" "+name)
	if action == "audit.search" {
		return o.search(in.(map[string]any), out)
	}
	return nil
}

// made are the accounts that were made and not removed.
func (o *office) made() map[string]bool {
	left := map[string]bool{}
	for _, a := range o.asked {
		if name, ok := strings.CutPrefix(a, "account.create "); ok {
			left[name] = true
		}
		if name, ok := strings.CutPrefix(a, "account.remove "); ok {
			delete(left, name)
		}
	}
	return left
}

// yard is a bed that only says which arm it is.
type yard struct {
	drill.Bed
	stage drill.Stage
}

func (y yard) Unguarded() (drill.Stage, drill.Administrator)          { return y.stage, &office{} }
func (y yard) Trick(context.Context, string) (undo func(), err error) { return func() {}, nil }
func (y yard) Later(time.Duration)                                    {}

// theirs are the components that there are.
func theirs() []drill.Component {
	server := web.Server("http://server.example")
	return []drill.Component{server.Portal(), server.Page(web.Site{Application: "wiki", URL: "http://page.example"}), wire.Radius{Application: "vpn", Owners: server}.Component(),
		yubikey.Validation{Application: "gate", Server: string(server)}.Component(), server.Administration(), host.Component("login", nil)}
}

// hollow are the same components with nothing behind them, which note what is played.
func hollow(note func(what string)) []drill.Component {
	all := theirs()
	for i, c := range all {
		for m := range c.Moves {
			c.Moves[m] = func(context.Context, *drill.Play, *drill.Canary) ([]drill.Try, error) {
				note(c.Name + ": " + string(m))
				return []drill.Try{{Name: string(m)}}, nil
			}
		}
		for k, d := range c.Doors {
			c.Doors[k].Guess = func(context.Context, *drill.Play, *drill.Guess) []drill.Try {
				note(c.Name + " at " + d.Name)
				return []drill.Try{{Name: d.Name}}
			}
		}
		all[i].Check = nil
		if all[i].Enroll != nil {
			all[i].Enroll = func(context.Context, *drill.Play, *drill.Canary) error { return nil }
		}
		if all[i].Enter != nil {
			all[i].Enter = func(context.Context, *drill.Play, *drill.Canary) error { note(c.Name + " by its owner"); return nil }
		}
	}
	return all
}

// Every move and door that a component brings is played by some row, and every row tries
// something.
func TestRowsUseWhatComponentsBring(t *testing.T) {
	played := map[string]int{}
	stage := drill.Stage{Components: hollow(func(what string) { played[what]++ })}
	o := &office{}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: o, Bed: yard{stage: stage}})
	if err != nil {
		t.Fatal(err)
	}
	drilled := map[string]bool{}
	for _, r := range results {
		if r.Skipped == "" {
			drilled[r.Row] = true
			if len(r.Tries) == 0 {
				t.Errorf("%s tries nothing", r.Row)
			}
		}
	}
	if len(drilled) < 17 {
		t.Errorf("only %d rows are drilled", len(drilled))
	}
	for _, c := range theirs() {
		for m := range c.Moves {
			if played[c.Name+": "+string(m)] == 0 {
				t.Errorf("no row plays %q of %s", m, c.Name)
			}
		}
		for _, d := range c.Doors {
			if played[c.Name+" at "+d.Name] == 0 {
				t.Errorf("no row guesses at %q", d.Name)
			}
		}
		if c.Enter != nil && played[c.Name+" by its owner"] == 0 {
			t.Errorf("no owner enters %s", c.Name)
		}
	}
	// Whoever is stopped is bombarded with nothing, and no trick is played on them; both are
	// for the guarded arm.
	if played["RADIUS for vpn: bombard"] != 1 || played["page.example: kept session"] != len(drill.Tricks) {
		t.Errorf("arms play what is not theirs: %v", played)
	}
	if left := o.made(); len(left) > 0 || len(o.asked) < 100 {
		t.Errorf("%d canaries are left over, of %d commands", len(left), len(o.asked))
	}
}

// What was tried says at which component and door; a component that does not bring a
// move is not asked for it.
func TestTriesSayWhere(t *testing.T) {
	tries := func(row string) map[string][]drill.Try {
		t.Helper()
		results, err := drill.Run(t.Context(), drill.Plan{Stage: drill.Stage{Components: hollow(func(string) {})}, Admin: &office{}, Rows: []string{row}})
		if err != nil {
			t.Fatal(results, err)
		}
		out := map[string][]drill.Try{}
		for _, r := range results {
			out[r.Application] = r.Tries
		}
		return out
	}
	at := func(application, component, door, name string) drill.Try {
		return drill.Try{Application: application, Component: component, Door: door, Name: name}
	}
	want := map[string][]drill.Try{
		"countersign": {at("countersign", "the portal", "the portal", "the portal"), at("countersign", "administration", "the API on a terminal", "the API on a terminal")},
		"wiki":        {at("wiki", "page.example", "the page of wiki", "the page of wiki")}, "vpn": {at("vpn", "RADIUS for vpn", "RADIUS for vpn", "RADIUS for vpn")},
	}
	if got := tries("T1110.002"); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%+v", got)
	}
	if got := tries("T1213"); !maps.EqualFunc(got, map[string][]drill.Try{"wiki": {at("wiki", "page.example", "", string(drill.ReadPages))}}, slices.Equal) {
		t.Errorf("%+v", got)
	}
}

// Why a row is not drilled: each by what it lacks.
func TestRowsSayWhatTheyLack(t *testing.T) {
	reasons := func(p drill.Plan) map[string]string {
		results, err := drill.Run(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, r := range results {
			out[r.Row] = r.Skipped
		}
		return out
	}
	of := func(kinds ...drill.Kind) drill.Stage {
		return drill.Stage{Components: slices.DeleteFunc(hollow(func(string) {}), func(c drill.Component) bool { return !slices.Contains(kinds, c.Kind) })}
	}
	bare, all := of(drill.Portal), of(drill.Portal, drill.Page, drill.Radius)
	for what, c := range map[string]struct {
		plan drill.Plan
		want map[string]string
	}{
		"a bare deployment": {drill.Plan{Stage: bare, Admin: &office{}}, map[string]string{"T1213": "no protected page was named", "T1133": "no application of RADIUS or of Yubico's protocol was named",
			"T1621": "no RADIUS server was named", "T1078.003": "it can only be played in the test bed", "T1098": "it can only be played in the test bed", "T1078": "",
			"T1021": "there is no drill for this row yet"}},
		"a deployment":                    {drill.Plan{Stage: all, Admin: &office{}}, map[string]string{"T1213": "", "T1133": "", "T1621": "it can only be played in the test bed"}},
		"a deployment with programs only": {drill.Plan{Stage: of(drill.Portal, drill.Validation), Admin: &office{}}, map[string]string{"T1133": "", "T1621": "no RADIUS server was named"}},
		"a test bed with no host":         {drill.Plan{Stage: all, Admin: &office{}, Bed: yard{stage: all}}, map[string]string{"T1078.003": "the test bed has no host", "T1621": ""}},
	} {
		got := reasons(c.plan)
		for row, why := range c.want {
			if said, ok := got[row]; said != why || !ok {
				t.Errorf("%s, %s: %q and not %q", what, row, said, why)
			}
		}
	}
}

// The cookies that an attacker gets at one door they have at the next, and not in the
// next attack.
func TestGuessesCarryTheirCookies(t *testing.T) {
	var seen []http.CookieJar
	stage := drill.Stage{Components: hollow(func(string) {})}
	for i, c := range stage.Components {
		for k := range c.Doors {
			stage.Components[i].Doors[k].Guess = func(_ context.Context, _ *drill.Play, g *drill.Guess) []drill.Try {
				seen = append(seen, g.Jar)
				if i == 0 {
					g.Jar, _ = cookiejar.New(nil)
				}
				return nil
			}
		}
	}
	if _, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: &office{}, Rows: []string{"T1078", "T1110.002"}}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 8 || seen[0] != nil || seen[1] == nil || seen[1] != seen[3] || seen[4] != nil || seen[5] == seen[1] {
		t.Errorf("%v", seen)
	}
}

// A canary that could not be set up is taken away all the same, and the row fails.
func TestCanariesAreTakenAway(t *testing.T) {
	stage := drill.Stage{Components: hollow(func(string) {})}
	stage.Components[0].Enroll = func(context.Context, *drill.Play, *drill.Canary) error { return errors.New("the disk is full") }
	o := &office{}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: o, Rows: []string{"T1078"}})
	if err != nil || len(results) != 5 {
		t.Error(results, err)
	}
	for _, r := range results {
		if r.Blocked.State != drill.Failed || !strings.Contains(r.Blocked.Detail, "the disk is full") || r.Passed() {
			t.Errorf("%+v", r)
		}
	}
	if left := slices.Collect(maps.Keys(o.made())); len(left) > 0 || !slices.ContainsFunc(o.asked, func(a string) bool { return strings.HasPrefix(a, "account.create canary-") }) {
		t.Errorf("left over: %q", left)
	}
	stage.Components = stage.Components[1:]
	results, err = drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: o, Rows: []string{"T1078"}})
	if err != nil || len(results) != 5 || results[0].Blocked.State != drill.Failed || results[0].Passed() {
		t.Error("nobody can enroll:", results, err)
	}
}

// A run that is cut off takes its canaries away, begins no other row and says so.
func TestCutOff(t *testing.T) {
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	stage := drill.Stage{Components: hollow(func(string) {})}
	for _, c := range stage.Components {
		if c.Moves[drill.MadeUp] != nil {
			c.Moves[drill.MadeUp] = func(context.Context, *drill.Play, *drill.Canary) ([]drill.Try, error) { cut(); return nil, ctx.Err() }
		}
	}
	o := &office{}
	results, err := drill.Run(ctx, drill.Plan{Stage: stage, Admin: o, Rows: []string{"T1133", "T1136"}})
	if !errors.Is(err, context.Canceled) || len(results) != 2 || results[0].Passed() {
		t.Error(results, err)
	}
	if left := o.made(); len(left) > 0 || !slices.ContainsFunc(o.asked, func(a string) bool { return strings.HasPrefix(a, "account.remove canary-") }) {
		t.Errorf("left over: %v", left)
	}
}

// What cannot be attacked from here is told before the first attack, of all components at
// once, and nothing is begun.
func TestChecksComeFirst(t *testing.T) {
	stage, o := drill.Stage{Components: hollow(func(string) {})}, &office{}
	for i, why := range []string{"it does not answer", "its secret is another"} {
		stage.Components[i].Check = func(context.Context) error { return errors.New(why) }
	}
	stage.Components[2].Check = func(context.Context) error { return nil }
	results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: o})
	if err == nil || err.Error() != "the portal: it does not answer\npage.example: its secret is another" {
		t.Error(err)
	}
	if len(results) > 0 || len(o.asked) > 0 {
		t.Errorf("it began: %v, %q", results, o.asked)
	}
}

// What is done afterwards is done in the opposite order.
func TestAfterwards(t *testing.T) {
	var done []int
	stage := drill.Stage{Components: hollow(func(string) {})}
	stage.Components[0].Enroll = func(_ context.Context, p *drill.Play, _ *drill.Canary) error {
		for i := range 3 {
			p.Afterwards(func(context.Context) { done = append(done, i) })
		}
		return nil
	}
	if _, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: &office{}, Rows: []string{"T1078"}}); err != nil || !slices.Equal(done, []int{2, 1, 0}) {
		t.Error(done, err)
	}
}

// Owners enter what was attacked, and nothing else: what the others say would be of no result.
func TestOwnersEnterWhatWasAttacked(t *testing.T) {
	entered := map[string]bool{}
	stage := drill.Stage{Components: hollow(func(what string) { entered[what] = true })}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: &office{}, Rows: []string{"T1136"}})
	if err != nil || len(results) != 1 || results[0].Honest.State != drill.Passed {
		t.Error(results, err)
	}
	if !entered["the portal by its owner"] || entered["page.example by its owner"] || entered["RADIUS for vpn by its owner"] {
		t.Errorf("%v", entered)
	}
}

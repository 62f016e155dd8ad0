package attack

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// everything is an installation with an application of every kind, at each of
// which policy demands the most of everybody, for every action and at once.
func everything() Input {
	in := Input{Now: now}
	for _, r := range Rows() {
		for _, t := range r.Ties {
			for _, k := range t.Kinds {
				if k != "*" && !slices.ContainsFunc(in.Applications, func(a Application) bool { return a.Kind == k }) {
					in.Applications = append(in.Applications, Application{Name: k, Kind: k})
				}
			}
			for _, a := range t.Actions {
				in.Classes = append(in.Classes, Class{Accounts: "all", Privileged: true, Action: strings.Replace(a, "*", "x", 1)})
			}
		}
	}
	in.Classes = append(in.Classes, Class{Accounts: "all", Privileged: true, Action: SignIn})
	actions := in.Classes
	in.Classes = nil
	for _, a := range in.Applications {
		for _, c := range actions {
			c.Application, c.Strength, c.Within, c.Exact = a.Name, PhishingResistant, time.Minute, true
			in.Classes = append(in.Classes, c)
		}
	}
	return in
}

// A strong sign-in is not the duty of every row: where nothing of a duty exists in
// this program, the row is open and says what is missing. Rows that have no drill
// and whose duty a strong sign-in is are listed here, so that a new row is thought
// about.
func TestOpenWhereNothingOfTheDutyExists(t *testing.T) {
	signInIsTheDuty := []string{"T1021", "T1021.001", "T1021.004", "T1078.004", "T1114", "T1213.003", "T1556.004"} // the last also needs application.command, which nothing analyses yet
	for _, s := range Coverage(everything()) {
		want := Open
		if s.Row.Drill != "" || slices.Contains(signInIsTheDuty, s.Row.ID) {
			want = Enforced
		}
		if s.State != want {
			t.Errorf("%s is %s, not %s: %+v", s.Row.ID, s.State, want, s.Gaps)
		}
		if want == Open && (len(s.Gaps) != 1 || s.Gaps[0].Kind != NothingBuilt || !strings.HasSuffix(s.Gaps[0].Sentence, ".")) {
			t.Errorf("%s does not say what is missing: %+v", s.Row.ID, s.Gaps)
		}
	}
}

// What is missing is a gap until the row was attacked in vain, at every
// application that it is about.
func TestMissingUntilAttacked(t *testing.T) {
	for _, tt := range []struct {
		name  string
		drill Drill
		at    []string
		want  State
	}{
		{"attacked everywhere", Drill{Row: "T1556", Passed: true, Time: now.Add(-time.Hour)}, []string{"vpn", "wiki", "countersign"}, Proven},
		{"attacked at one of three", Drill{Row: "T1556", Passed: true, Time: now.Add(-time.Hour)}, []string{"vpn"}, Open},
		{"attacked nowhere in particular", Drill{Row: "T1556", Passed: true, Time: now.Add(-time.Hour)}, []string{""}, Open},
		{"long ago", Drill{Row: "T1556", Passed: true, Time: now.Add(-Fresh - time.Hour)}, []string{"vpn", "wiki", "countersign"}, Open},
		{"another row", Drill{Row: "T1556.006", Passed: true, Time: now.Add(-time.Hour)}, []string{"vpn", "wiki", "countersign"}, Open},
		{"and it got in", Drill{Row: "T1556", Time: now.Add(-time.Hour)}, []string{"vpn"}, Open},
	} {
		in := sound()
		for _, at := range tt.at {
			d := tt.drill
			d.Application = at
			in.Drills = append(in.Drills, d)
		}
		if s := state(t, in, "T1556"); s.State != tt.want {
			t.Errorf("%s: %s, not %s: %+v", tt.name, s.State, tt.want, s.Gaps)
		}
	}
}

// Whether there are partners is seen in no account and in no application: that
// there are none can be declared, though Countersign itself is here. That nobody
// signs in cannot.
func TestNoPartnersCanBeDeclared(t *testing.T) {
	in := sound()
	in.NotHere = []Declaration{{Row: "T1199", Reason: "no partner administers anything", Expires: now.Add(time.Hour)}, {Row: "T1556", Reason: "x", Expires: now.Add(time.Hour)}}
	if s := state(t, in, "T1199"); s.State != NotHere {
		t.Errorf("%s: %+v", s.State, s.Gaps)
	}
	if s := state(t, in, "T1556"); s.State != Open || !slices.ContainsFunc(s.Gaps, func(g Gap) bool { return g.Kind == Undeclared }) {
		t.Errorf("%s: %+v", s.State, s.Gaps)
	}
}

// A key is named once, in every row that wants an approval of what it does, and in
// the list, and nowhere by what it does besides.
func TestAutomationKeys(t *testing.T) {
	in := sound()
	in.Keys = []Key{
		{Account: "robot", Number: 7, Note: "nightly \x1b[2J", Expires: now.Add(48 * time.Hour), Actions: []string{"audit.search", "pass.issue", "account.create"}},
		{Account: "watch", Number: 8, Expires: now.Add(time.Hour), Actions: []string{"audit.search"}},
		{Account: "drill", Number: 9, Note: "drill", Expires: now.Add(24 * time.Hour), Actions: []string{"policy.change"}},
	}
	says := "The automation key 9 of drill (drill), until 2026-11-04 12:00Z, does policy.change without an approval of its own; end it when its work is done: countersign authenticator revoke drill 9."
	if s := state(t, in, "T1556.006"); s.State != Partial || len(s.Gaps) != 1 || s.Gaps[0] != (Gap{Kind: OpenKey, Application: "countersign", Account: "drill", Sentence: says}) {
		t.Errorf("%s: %+v", s.State, s.Gaps)
	}
	for id, want := range map[string]State{"T1098": Partial, "T1136": Partial, "T1078": Enforced, "T1133": Enforced} {
		if s := state(t, in, id); s.State != want {
			t.Errorf("%s is %s: %+v", id, s.State, s.Gaps)
		}
	}
	r := NewReport(in)
	if len(r.Keys) != 2 || r.Keys[0].Account != "drill" || !slices.Equal(r.Keys[1].Opens, []string{"T1098", "T1136"}) || !slices.Equal(r.Keys[1].Actions, []string{"account.create", "pass.issue"}) {
		t.Errorf("%+v", r.Keys)
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil || !strings.Contains(b.String(), "Automation keys that open rows:\n9 of drill (drill), until 2026-11-04 12:00Z: T1556, T1556.006, for policy.change\n7 of robot") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("%v\n%s", err, b.String())
	}
	back, err := json.Marshal(r)
	var again Report
	if err != nil || json.Unmarshal(back, &again) != nil || len(again.Keys) != 2 {
		t.Errorf("%v, %+v", err, again.Keys)
	}
}

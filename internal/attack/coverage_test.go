package attack

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var now = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// sound is an installation in which everything about VPN, wiki and Countersign
// itself holds.
func sound() Input {
	in := Input{Now: now, Name: "Example", Applications: []Application{
		{Name: "countersign", Kind: Self, Protocol: "browser"},
		{Name: "vpn", Kind: "vpn", Protocol: "radius"},
		{Name: "wiki", Kind: "wiki", Protocol: "forward-auth"},
	}}
	for _, a := range in.Applications {
		in.Classes = append(in.Classes,
			Class{Accounts: "administrators", Count: 2, Privileged: true, Application: a.Name, Action: SignIn, Strength: PhishingResistant, Exact: true},
			Class{Accounts: "everybody else", Count: 40, Application: a.Name, Action: SignIn, Strength: PhishingResistant, Exact: true},
			Class{Accounts: "dormant", Count: 1, Application: a.Name, Action: SignIn, Strength: Denied, Exact: true})
	}
	for _, action := range []string{"account.create", "group.create", "pass.issue", "authenticator.revoke", "policy.change", "application.set", "account.resume", "account.set-end"} {
		in.Classes = append(in.Classes, Class{Accounts: "administrators", Privileged: true, Application: "countersign", Action: action, Strength: PhishingResistant, Within: 5 * time.Minute, Exact: true})
	}
	in.Classes = append(in.Classes,
		Class{Accounts: "new", Application: "countersign", Action: "authenticator.enroll", Strength: Vouched, Within: 15 * time.Minute, Exact: true},
		Class{Accounts: "everybody else", Application: "countersign", Action: "authenticator.enroll", Strength: TwoFactors, Within: 15 * time.Minute, Exact: true})
	return in
}

func state(t *testing.T, in Input, id string) RowState {
	t.Helper()
	for _, s := range Coverage(in) {
		if s.Row.ID == id {
			return s
		}
	}
	t.Fatalf("no row %s", id)
	return RowState{}
}

func TestSoundInstallation(t *testing.T) {
	for _, s := range Coverage(sound()) {
		want := Enforced
		if !slices.ContainsFunc(sound().Applications, s.Row.Touches) || s.Row.ID == "T1199" || s.Row.ID == "T1556" {
			want = Open
		}
		if s.State != want {
			t.Errorf("%s is %s, not %s: %+v", s.Row.ID, s.State, want, s.Gaps)
		}
	}
}

// Looking at what is administered must be as strong as changing it, and need not
// be as fresh.
func TestLookingNeedNotBeFresh(t *testing.T) {
	for _, tt := range []struct {
		reads    bool
		strength Strength
		want     State
	}{{true, PhishingResistant, Enforced}, {true, TwoFactors, Open}, {false, PhishingResistant, Open}} {
		in := sound()
		in.Classes = append(in.Classes, Class{Accounts: "root", Privileged: true, Application: "countersign", Action: "account.list", Reads: tt.reads, Strength: tt.strength, Exact: true})
		if s := state(t, in, "T1098"); s.State != tt.want {
			t.Errorf("reads %t, %s: %s, %+v", tt.reads, tt.strength, s.State, s.Gaps)
		}
	}
}

func TestNothingIsOpen(t *testing.T) {
	for _, s := range Coverage(Input{Now: now}) {
		if s.State != Open || len(s.Gaps) != 1 || s.Gaps[0].Kind != NothingGuarded {
			t.Errorf("%s of nothing is %s, %+v", s.Row.ID, s.State, s.Gaps)
		}
	}
}

// Each planted gap is found, in its row, and named.
func TestPlantedGaps(t *testing.T) {
	tests := []struct {
		name  string
		plant func(*Input)
		row   string
		state State
		kind  GapKind
		says  []string
	}{
		{"an application without policy", func(in *Input) {
			in.Applications = append(in.Applications, Application{Name: "vpn2", Kind: "vpn", Protocol: "radius"})
		}, "T1133", Partial, NotAnalysed, []string{"vpn2", "signing in"}},
		{"the only one of its kind without policy", func(in *Input) {
			in.Applications = append(in.Applications, Application{Name: "git", Kind: "code"})
		}, "T1213.003", Open, NotAnalysed, []string{"git"}},
		{"a person with only SMS", func(in *Input) {
			in.People = []Person{{Name: "eve", Lacks: "holds only SMS, which can be taken over"}}
		}, "T1078", Partial, WeakAccount, []string{"eve", "SMS"}},
		{"a person with only SMS at one application", func(in *Input) {
			in.People = []Person{{Name: "eve", Lacks: "holds only SMS", Applications: []string{"vpn"}}}
		}, "T1133", Partial, WeakAccount, []string{"eve"}},
		{"a RADIUS exception", func(in *Input) {
			in.Exceptions = []Exception{{What: "192.0.2.7 may leave out its Message-Authenticator", Protocol: "radius", Expires: now.Add(time.Hour)}}
		}, "T1133", Partial, Loosened, []string{"192.0.2.7", "until 2026-11-03"}},
		{"an exception without an end that fails open", func(in *Input) {
			in.Exceptions = []Exception{{What: "break glass", FailOpen: true}}
		}, "T1213", Partial, Loosened, []string{"break glass", "without an end", "opens when Countersign cannot be asked"}},
		{"a class that gets away with one factor", func(in *Input) {
			in.Classes = append(in.Classes, Class{Accounts: "guests", Count: 3, Application: "vpn", Action: SignIn, Strength: OneFactor, Weakest: "known", Witness: "from 10.1.2.3 by radius", Exact: true})
		}, "T1133", Open, TooWeak, []string{"vpn", "guests (3)", "known", "10.1.2.3", "two-factors"}},
		{"a floor that is too low", func(in *Input) {
			in.Classes = append(in.Classes, Class{Accounts: "guests", Application: "wiki", Action: SignIn, Strength: OneFactor})
		}, "T1110", Partial, TooWeak, []string{"guests", "as far as the rules can be analysed"}},
		{"a pass that signs in", func(in *Input) {
			in.Classes = append(in.Classes, Class{Accounts: "new", Application: "vpn", Action: SignIn, Strength: Vouched})
		}, "T1133", Open, TooWeak, []string{"vouched"}},
		{"a code where phishing is to be resisted", func(in *Input) {
			in.Classes = append(in.Classes, Class{Accounts: "guests", Application: "wiki", Action: SignIn, Strength: TwoFactors})
		}, "T1539", Partial, TooWeak, []string{"phishing-resistant"}},
		{"an approval that is too old", func(in *Input) {
			in.Classes = append(in.Classes, Class{Accounts: "administrators", Privileged: true, Application: "countersign", Action: "account.create", Strength: PhishingResistant, Within: 16 * time.Minute})
		}, "T1136", Open, TooWeak, []string{"account.create", "within 15m"}},
		{"an approval of any age", func(in *Input) {
			in.Classes = append(in.Classes, Class{Accounts: "administrators", Privileged: true, Application: "countersign", Action: "group.member.add", Strength: PhishingResistant})
		}, "T1098", Open, TooWeak, []string{"group.member.add"}},
		{"an application that no rule is about", func(in *Input) { in.Applications[1].Unruled = true },
			"T1133", Partial, NoPolicy, []string{"vpn", "nobody gets in"}},
		{"one more way in that demands less", func(in *Input) {
			in.Classes = append(in.Classes, Class{Accounts: "all", Application: "wiki", Action: "wiki.feed", Entrance: true, Strength: OneFactor, Exact: true})
		}, "T1213", Open, TooWeak, []string{"wiki.feed"}},
		{"a door around", func(in *Input) { in.Applications[2].OpenDoors = []string{"port 8080 answers directly"} },
			"T1213", Partial, OpenDoor, []string{"wiki", "port 8080"}},
		{"a drill that failed", func(in *Input) {
			in.Drills = []Drill{{Row: "T1133", Application: "vpn", Time: now.Add(-time.Hour), Detail: "a tunnel came up"}}
		}, "T1133", Partial, DrillFailed, []string{"vpn", "a tunnel came up"}},
		{"a declaration that is not true", func(in *Input) {
			in.NotHere = []Declaration{{Row: "T1133", Reason: "no VPN", Expires: now.Add(time.Hour)}}
		}, "T1133", Partial, Undeclared, []string{"vpn", "Withdraw"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := sound()
			tt.plant(&in)
			s := state(t, in, tt.row)
			if s.State != tt.state {
				t.Errorf("state %s, want %s", s.State, tt.state)
			}
			i := slices.IndexFunc(s.Gaps, func(g Gap) bool { return g.Kind == tt.kind })
			if i < 0 {
				t.Fatalf("no gap of kind %s in %+v", tt.kind, s.Gaps)
			}
			for _, want := range tt.says {
				if !strings.Contains(s.Gaps[i].Sentence, want) {
					t.Errorf("%q does not name %q", s.Gaps[i].Sentence, want)
				}
			}
		})
	}
}

func TestGapsStayWhereTheyBelong(t *testing.T) {
	in := sound()
	in.Classes = append(in.Classes, Class{Accounts: "suspended", Privileged: true, Application: "countersign", Action: "account.create", Strength: Denied})
	if s := state(t, in, "T1136"); s.State != Enforced {
		t.Errorf("a class that gets nothing makes it %s: %+v", s.State, s.Gaps)
	}
	in = sound()
	in.Exceptions = []Exception{{What: "old client", Protocol: "radius", Expires: now.Add(time.Hour)}, {What: "over", Expires: now}}
	in.People = []Person{{Name: "eve", Lacks: "holds only SMS", Applications: []string{"vpn"}}}
	if s := state(t, in, "T1213"); s.State != Enforced {
		t.Errorf("the wiki's row is %s: %+v", s.State, s.Gaps)
	}
	in = sound()
	in.Applications[1].Caveats = []string{"the equipment checks the password itself"}
	if s := state(t, in, "T1133"); s.State != Enforced || !slices.Contains(s.Notes, "vpn: the equipment checks the password itself.") {
		t.Errorf("a caveat makes it %s: %v", s.State, s.Notes)
	}
}

// Who is dormant gets nothing, which is no gap and is said, where a row is about
// them.
func TestDormantIsSaid(t *testing.T) {
	in := sound()
	in.Dormant = []Person{{Name: "root", Lacks: "administers Countersign and is dormant"}}
	for id, want := range map[string]bool{"T1078": true, "T1078.001": true, "T1098.005": true, "T1556.006": true, "T1133": false, "T1110": false} {
		if s := state(t, in, id); s.State != Enforced || slices.Contains(s.Notes, "root administers Countersign and is dormant.") != want {
			t.Errorf("%s is %s: %v", id, s.State, s.Notes)
		}
	}
}

// shut denies every class of an application, for every action.
func shut(in *Input, application, why string) {
	for i, c := range in.Classes {
		if c.Application == application {
			in.Classes[i].Strength, in.Classes[i].Weakest, in.Classes[i].Denial = Denied, "deny", why
		}
	}
}

// Where nobody is let in, the attack fails and so does everybody honest: that
// alone covers no row, and where others are covered it is said.
func TestNobodyLetInIsNoCoverage(t *testing.T) {
	in := sound()
	in.Drills = []Drill{{Row: "T1133", Application: "vpn", Passed: true, Time: now.Add(-time.Hour)}}
	shut(&in, "vpn", "closed")
	says := "Nobody is let in at vpn (deny: closed), so that it shows nothing about this row."
	if s := state(t, in, "T1133"); s.State != Partial || !slices.Contains(s.Gaps, Gap{Kind: NobodyLetIn, Application: "vpn", Protocol: "radius", Sentence: says}) {
		t.Errorf("the only one of its kind: %s, %+v", s.State, s.Gaps)
	}
	if s := state(t, in, "T1078"); s.State != Enforced || !slices.Contains(s.Notes, says) {
		t.Errorf("one of three: %s, %+v, %v", s.State, s.Gaps, s.Notes)
	}
	in.Classes = append(in.Classes, Class{Accounts: "guests", Application: "vpn", Action: SignIn, Strength: TwoFactors, Exact: true})
	if s := state(t, in, "T1133"); s.State != Proven || len(s.Notes) != 0 {
		t.Errorf("with guests: %s, %+v, %v", s.State, s.Gaps, s.Notes)
	}
	in = sound()
	shut(&in, "countersign", "frozen")
	if s := state(t, in, "T1136"); s.State != Partial || len(s.Gaps) != 1 || !strings.Contains(s.Gaps[0].Sentence, "for account.create at countersign (deny: frozen)") {
		t.Errorf("where nobody creates accounts: %s, %+v", s.State, s.Gaps)
	}
}

func TestProof(t *testing.T) {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const dayLong = 24 * time.Hour
	tests := []struct {
		name   string
		drills []Drill
		want   State
		until  time.Time
	}{
		{"none", nil, Enforced, time.Time{}},
		{"passed", []Drill{{Row: "T1133", Application: "vpn", Passed: true, Time: ago(dayLong)}}, Proven, ago(dayLong).Add(Fresh)},
		{"passed of no application", []Drill{{Row: "T1133", Passed: true, Time: ago(dayLong)}}, Enforced, time.Time{}},
		{"passed 30 days ago to the second", []Drill{{Row: "T1133", Application: "vpn", Passed: true, Time: ago(Fresh)}}, Proven, now},
		{"passed longer ago", []Drill{{Row: "T1133", Application: "vpn", Passed: true, Time: ago(Fresh + time.Second)}}, Enforced, time.Time{}},
		{"passed tomorrow", []Drill{{Row: "T1133", Application: "vpn", Passed: true, Time: now.Add(dayLong)}}, Enforced, time.Time{}},
		{"another row", []Drill{{Row: "T1110", Application: "vpn", Passed: true, Time: ago(dayLong)}}, Enforced, time.Time{}},
		{"another application", []Drill{{Row: "T1133", Application: "wiki", Passed: true, Time: ago(dayLong)}}, Enforced, time.Time{}},
		{"passed, then failed", []Drill{{Row: "T1133", Application: "vpn", Passed: true, Time: ago(2 * dayLong)}, {Row: "T1133", Application: "vpn", Time: ago(dayLong)}}, Partial, time.Time{}},
		{"passed and failed at once", []Drill{{Row: "T1133", Application: "vpn", Passed: true, Time: ago(dayLong)}, {Row: "T1133", Application: "vpn", Time: ago(dayLong)}}, Partial, time.Time{}},
		{"failed, then passed", []Drill{{Row: "T1133", Application: "vpn", Time: ago(2 * dayLong)}, {Row: "T1133", Application: "vpn", Passed: true, Time: ago(dayLong)}}, Proven, ago(dayLong).Add(Fresh)},
		{"failed everywhere, then one passed", []Drill{{Row: "T1133", Time: ago(2 * dayLong)}, {Row: "T1133", Application: "vpn", Passed: true, Time: ago(dayLong)}}, Proven, ago(dayLong).Add(Fresh)},
		{"whole failed after one passed", []Drill{{Row: "T1133", Application: "vpn", Passed: true, Time: ago(2 * dayLong)}, {Row: "T1133", Time: ago(dayLong)}}, Partial, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := sound()
			in.Drills = tt.drills
			if s := state(t, in, "T1133"); s.State != tt.want || !s.Until.Equal(tt.until) {
				t.Errorf("%s until %v, want %s until %v (%v)", s.State, s.Until, tt.want, tt.until, s.Notes)
			}
		})
	}
	// One of two VPNs was never attacked: not proven, and the note names it.
	in := sound()
	in.Applications = append(in.Applications, Application{Name: "vpn2", Kind: "vpn"})
	in.Classes = append(in.Classes, Class{Accounts: "all", Application: "vpn2", Action: SignIn, Strength: TwoFactors, Exact: true})
	in.Drills = []Drill{{Row: "T1133", Application: "vpn", Passed: true, Time: ago(dayLong)}}
	if s := state(t, in, "T1133"); s.State != Enforced {
		t.Errorf("one of two: %s", s.State)
	}
	// A gap outweighs every drill.
	in.Drills = append(in.Drills, Drill{Row: "T1133", Application: "vpn2", Passed: true, Time: ago(dayLong)})
	if s := state(t, in, "T1133"); s.State != Proven {
		t.Errorf("both: %s", s.State)
	}
	in.Exceptions = []Exception{{What: "x", Protocol: "radius", Expires: now.Add(dayLong)}}
	if s := state(t, in, "T1133"); s.State != Partial {
		t.Errorf("with an exception: %s", s.State)
	}
}

// A proof is of every door, and of the application as it was when it was attacked: a door
// that was not attacked and anything that was changed since are named, and end it.
func TestProofOfDoorsAndVersions(t *testing.T) {
	sites := func(changed func(a *Application, d *Drill)) RowState {
		in := sound()
		a := &in.Applications[1]
		a.Doors, a.Depends = []string{"vpn-a", "vpn-b"}, map[string]string{"policy": "7", "settings": "s1"}
		d := Drill{Row: "T1133", Application: "vpn", Passed: true, Time: now.Add(-time.Hour), Doors: []string{"vpn-b", "vpn-a"},
			Found: Attacked{Name: "vpn", Depends: map[string]string{"policy": "7", "settings": "s1"}}}
		changed(a, &d)
		in.Drills = []Drill{d}
		return state(t, in, "T1133")
	}
	for name, c := range map[string]struct {
		change func(a *Application, d *Drill)
		note   string
	}{
		"nothing":                   {func(*Application, *Drill) {}, ""},
		"another policy":            {func(a *Application, _ *Drill) { a.Depends["policy"] = "8" }, "The drill of vpn passed on 2026-11-03, and the policy changed since; drill it again."},
		"other settings":            {func(a *Application, _ *Drill) { a.Depends["settings"] = "s2" }, "the settings changed since"},
		"a drill that does not say": {func(_ *Application, d *Drill) { d.Found.Depends = nil }, "the policy changed since"},
		"a door that is new":        {func(a *Application, _ *Drill) { a.Doors = append(a.Doors, "vpn-c") }, "The drill of vpn on 2026-11-03 did not attack vpn-c."},
		"a door that was left out":  {func(_ *Application, d *Drill) { d.Doors = []string{"vpn-a"} }, "did not attack vpn-b."},
		"one that could not be": {func(_ *Application, d *Drill) {
			d.Found.Left = []Left{{"vpn-b", "it has no address here"}}
		}, "did not attack vpn-b: it has no address here."},
		"one that is not in the settings": {func(_ *Application, d *Drill) {
			d.Found.Left = []Left{{"the card listener", "it does not answer"}}
		}, "did not attack the card listener: it does not answer."},
	} {
		s := sites(c.change)
		want := Proven
		if c.note != "" {
			want = Enforced
		}
		if s.State != want || c.note != "" && !slices.ContainsFunc(s.Notes, func(n string) bool { return strings.Contains(n, c.note) }) {
			t.Errorf("%s: %s, %q", name, s.State, s.Notes)
		}
	}
}

func TestNotHere(t *testing.T) {
	tests := []struct {
		name string
		d    Declaration
		want State
	}{
		{"in force", Declaration{Row: "T1669", Reason: "no wireless network", By: "ada", Expires: now.Add(time.Hour)}, NotHere},
		{"over", Declaration{Row: "T1669", Reason: "no wireless network", Expires: now}, Open},
		{"without an end", Declaration{Row: "T1669", Reason: "no wireless network"}, Open},
		{"without a reason", Declaration{Row: "T1669", Reason: " ", Expires: now.Add(time.Hour)}, Open},
		{"of another row", Declaration{Row: "T1485", Reason: "x", Expires: now.Add(time.Hour)}, Open},
	}
	for _, tt := range tests {
		in := sound()
		in.NotHere = []Declaration{tt.d}
		if s := state(t, in, "T1669"); s.State != tt.want {
			t.Errorf("%s: %s", tt.name, s.State)
		}
	}
}

// drawInput is any installation.
var drawInput = rapid.Custom(func(t *rapid.T) Input {
	in := Input{Now: now}
	kinds := []string{Self, "vpn", "wiki", "network-device", "ssh", "mail", "directory", "other", ""}
	names := []string{"a", "b", "c"}
	when := rapid.Custom(func(t *rapid.T) time.Time {
		return now.Add(rapid.SampledFrom([]time.Duration{-40 * 24 * time.Hour, -time.Hour, 0, time.Hour}).Draw(t, "when"))
	})
	ids := rapid.Custom(func(t *rapid.T) string { return rapid.SampledFrom(rows).Draw(t, "row").ID })
	for _, n := range names[:rapid.IntRange(0, 3).Draw(t, "applications")] {
		in.Applications = append(in.Applications, Application{Name: n, Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Protocol: rapid.SampledFrom([]string{"radius", "browser"}).Draw(t, "protocol")})
	}
	for range rapid.IntRange(0, 6).Draw(t, "classes") {
		in.Classes = append(in.Classes, Class{Accounts: "some", Privileged: rapid.Bool().Draw(t, "privileged"), Application: rapid.SampledFrom(names).Draw(t, "of"),
			Action: rapid.SampledFrom([]string{SignIn, SignIn, "account.create", "policy.change", "authenticator.enroll"}).Draw(t, "action"), Strength: Strength(rapid.IntRange(0, int(Denied)).Draw(t, "strength")),
			Within: rapid.SampledFrom([]time.Duration{0, 5 * time.Minute, time.Hour}).Draw(t, "within")})
	}
	for range rapid.IntRange(0, 4).Draw(t, "drills") {
		in.Drills = append(in.Drills, Drill{Row: ids.Draw(t, "row"), Application: rapid.SampledFrom(append(names, "")).Draw(t, "where"), Passed: rapid.Bool().Draw(t, "passed"), Time: when.Draw(t, "time")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "declarations") {
		in.NotHere = append(in.NotHere, Declaration{Row: ids.Draw(t, "row"), Reason: "r", Expires: when.Draw(t, "expires")})
	}
	return in
})

var order = []State{Open, Partial, Enforced, Proven}

// Whatever is added that is bad news, no row gets better by it.
func TestBadNewsNeverHelps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput.Draw(t, "installation")
		before := Coverage(in)
		worse := in
		switch rapid.IntRange(0, 4).Draw(t, "news") {
		case 0:
			worse.Exceptions = append(slices.Clone(in.Exceptions), Exception{What: "x", Protocol: rapid.SampledFrom([]string{"", "radius"}).Draw(t, "p"), Expires: now.Add(time.Hour)})
		case 1:
			worse.People = append(slices.Clone(in.People), Person{Name: "eve", Lacks: "holds only SMS"})
		case 2:
			worse.Classes = append(slices.Clone(in.Classes), Class{Accounts: "guests", Application: "a", Action: SignIn, Strength: OneFactor})
		case 3:
			worse.Drills = append(slices.Clone(in.Drills), Drill{Row: rapid.SampledFrom(rows).Draw(t, "row").ID, Time: now})
		case 4:
			worse.Applications = slices.Clone(in.Applications)
			if len(worse.Applications) > 0 {
				worse.Applications[0].OpenDoors = []string{"a side door"}
			}
		}
		for i, s := range Coverage(worse) {
			if slices.Index(order, s.State) > slices.Index(order, before[i].State) {
				t.Fatalf("%s went from %s to %s", s.Row.ID, before[i].State, s.State)
			}
		}
	})
}

// A row is enforced only when there is something that it is about and each of
// its ties is met there by a class, by every class, and proven only by a drill.
func TestGoodStatesAreEarned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput.Draw(t, "installation")
		for _, s := range Coverage(in) {
			if s.State != Enforced && s.State != Proven {
				if len(s.Gaps) == 0 && s.State != NotHere {
					t.Fatalf("%s is %s for no reason", s.Row.ID, s.State)
				}
				continue
			}
			if len(s.Gaps) > 0 || len(s.Applications) == 0 {
				t.Fatalf("%s is %s with %v at %v", s.Row.ID, s.State, s.Gaps, s.Applications)
			}
			for _, a := range in.Applications {
				for _, tie := range s.Row.Ties {
					if tie.touches(a) && !met(in, tie, a) {
						t.Fatalf("%s is %s though %s does not demand %v", s.Row.ID, s.State, a.Name, tie)
					}
				}
			}
			if s.State == Proven && !slices.ContainsFunc(in.Drills, func(d Drill) bool {
				return d.Row == s.Row.ID && d.Passed && !d.Time.Before(now.Add(-Fresh)) && !d.Time.After(now)
			}) {
				t.Fatalf("%s is proven without a drill", s.Row.ID)
			}
		}
	})
}

// met is the demand of a tie said a second time, the long way.
func met(in Input, tie Tie, a Application) bool {
	said := false
	for _, c := range in.Classes {
		about := c.Action == SignIn
		if len(tie.Actions) > 0 {
			about = slices.ContainsFunc(tie.Actions, func(w string) bool {
				return w == c.Action || strings.HasSuffix(w, ".*") && strings.HasPrefix(c.Action, w[:len(w)-1])
			})
		}
		if c.Application != a.Name || !about || tie.Privileged && !c.Privileged {
			continue
		}
		said = true
		fresh := tie.Within == 0 || c.Reads || c.Strength == Vouched || c.Within > 0 && c.Within <= time.Duration(tie.Within)
		if c.Strength != Denied && (c.Strength < tie.Demand || !fresh) {
			return false
		}
	}
	return said
}

package attack

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

const hostile = "</style><script>alert(1)</script>\"'>&\x1b[2J\u202ePNV"

// mixed is an installation with something in every state, and hostile names.
func mixed() Input {
	in := sound()
	in.Name = hostile
	in.Applications[1].Caveats = []string{"its equipment checks the password itself " + hostile}
	in.Applications = append(in.Applications, Application{Name: hostile, Kind: "ssh", OpenDoors: []string{hostile}})
	in.Classes = append(in.Classes, Class{Accounts: hostile, Application: hostile, Action: SignIn, Strength: TwoFactors, Witness: hostile, Weakest: hostile},
		Class{Accounts: hostile, Application: hostile, Action: SignIn, Strength: OneFactor, Witness: hostile, Weakest: hostile})
	in.People = []Person{{Name: hostile, Lacks: hostile, Applications: []string{"wiki"}}}
	in.Exceptions = []Exception{
		{What: "old " + hostile, Reason: hostile, By: hostile, Protocol: "radius", Expires: now.Add(-time.Hour)},
		{What: "forever " + hostile, FailOpen: true, Application: "vpn"},
		{What: "soon " + hostile, Application: hostile, Expires: now.Add(time.Hour)},
	}
	in.NotHere = []Declaration{{Row: "T1669", Reason: hostile, By: hostile, Expires: now.Add(time.Hour)}}
	in.Drills = []Drill{{Row: "T1136", Application: "countersign", Passed: true, Time: now.Add(-time.Hour)}, {Row: "T1021.004", Time: now, Detail: hostile}}
	return in
}

func TestHTML(t *testing.T) {
	for name, in := range map[string]Input{"mixed": mixed(), "sound": sound(), "nothing": {}} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := NewReport(in).WriteHTML(&b); err != nil {
				t.Fatal(err)
			}
			page := b.String()
			for _, bad := range []string{"<script", "javascript:", "\x1b", "\u202e", "@import", "url(", " src=", "ZgotmplZ", "onerror", "style=\""} {
				if strings.Contains(strings.ToLower(page), strings.ToLower(bad)) {
					t.Errorf("the page holds %q", bad)
				}
			}
			if strings.Count(page, "</style>") != 1 {
				t.Error("a name ended the style sheet")
			}
			for _, s := range Coverage(in) {
				if strings.Count(page, `id="`+s.Row.ID+`"`) != 1 || strings.Count(page, `class="tile `+string(s.State)+`" href="#`+s.Row.ID+`"`) != 1 {
					t.Errorf("%s is not on the map and in the list once", s.Row.ID)
				}
			}
			for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
				if id, ok := strings.CutPrefix(m[1], "#"); !ok || !strings.Contains(page, `id="`+id+`"`) {
					t.Errorf("a link leads nowhere: %s", m[1])
				}
			}
		})
	}
	if at := os.Getenv("COVERAGE_PAGE"); at != "" { // to look at it
		var b bytes.Buffer
		_ = NewReport(mixed()).WriteHTML(&b)
		if err := os.WriteFile(at, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The fields that layers/spec/v4.5/layerformat.md requires, and their ranges.
func TestLayer(t *testing.T) {
	r := NewReport(mixed())
	b, err := r.Layer()
	if err != nil {
		t.Fatal(err)
	}
	var l struct {
		Name, Domain string
		Versions     struct{ Attack, Navigator, Layer string }
		Layout       struct{ Layout, AggregateFunction, ExpandedSubtechniques string }
		Techniques   []struct {
			TechniqueID, Color, Comment string
			Score                       *float64
			Metadata                    []struct{ Name, Value string }
			Links                       []struct{ Label, URL string }
			ShowSubtechniques           bool
		}
		Gradient struct {
			Colors             []string
			MinValue, MaxValue float64
		}
		LegendItems []struct{ Label, Color string }
		Metadata    []struct{ Name, Value string }
	}
	if err := json.Unmarshal(b, &l); err != nil {
		t.Fatal(err)
	}
	color := regexp.MustCompile(`^#[0-9a-f]{6}$`)
	if l.Name == "" || l.Domain != "enterprise-attack" || l.Versions.Layer != "4.5" || l.Versions.Navigator < "4.9.0" || l.Versions.Attack != "18" {
		t.Errorf("head %q %q %+v", l.Name, l.Domain, l.Versions)
	}
	if len(l.Gradient.Colors) < 2 || l.Gradient.MaxValue <= l.Gradient.MinValue || len(l.LegendItems) != len(States()) || l.Layout.ExpandedSubtechniques != "annotated" {
		t.Errorf("gradient %+v, legend %+v", l.Gradient, l.LegendItems)
	}
	for _, c := range l.Gradient.Colors {
		if !color.MatchString(c) {
			t.Errorf("colour %q", c)
		}
	}
	if len(l.Techniques) != 48 {
		t.Fatalf("%d techniques", len(l.Techniques))
	}
	for i, q := range l.Techniques {
		s := r.Rows[i]
		if q.TechniqueID != s.Row.ID || q.Score == nil || *q.Score < 0 || *q.Score > 100 || !color.MatchString(q.Color) || !strings.HasPrefix(q.Comment, strings.ToUpper(string(s.State))) {
			t.Errorf("technique %+v", q)
		}
		for _, m := range q.Metadata {
			if m.Name == "" || m.Value == "" {
				t.Errorf("%s: metadata %+v", q.TechniqueID, m)
			}
		}
		for _, k := range q.Links {
			if k.Label == "" || !strings.HasPrefix(k.URL, "https://attack.mitre.org/techniques/T") {
				t.Errorf("%s: link %+v", q.TechniqueID, k)
			}
		}
		if parent := q.TechniqueID == "T1110"; parent && !q.ShowSubtechniques {
			t.Error("sub-techniques are not shown")
		}
	}
	if bytes.ContainsAny(b, "\x1b\u202e") {
		t.Error("control characters in the layer")
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := NewReport(mixed()).WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	at := strings.Index(lines[0], "STATE")
	if at < 0 || len(lines) != 1+48+1+2+1 {
		t.Fatalf("%d lines, first %q", len(lines), lines[0])
	}
	for _, l := range lines[1:49] {
		word, _, _ := strings.Cut(l[at:], " ")
		if stateWords[State(word)] == "" {
			t.Errorf("no state in the column of states: %q", l)
		}
	}
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Error("a name moves the cursor")
	}
	if want := "43 founding rows: 1 proven, "; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in:\n%s", want, strings.Join(lines[49:], "\n"))
	}
	for _, s := range Coverage(mixed()) {
		b.Reset()
		if err := s.WriteRow(&b); err != nil || !strings.HasPrefix(b.String(), s.Row.ID) || strings.ContainsAny(b.String(), "\x1b\u202e") {
			t.Errorf("%v %q", err, b.String())
		}
	}
}

func TestJSON(t *testing.T) {
	b, err := json.Marshal(NewReport(mixed()))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Mitigation string
		Summary    map[string]map[State]int
		Rows       []struct {
			ID    string
			State State
			Gaps  []Gap
		}
		Exceptions []struct {
			What    string
			InForce bool `json:"in_force"`
		}
		Limits []string
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range got.Summary["founding"] {
		sum += n
	}
	if got.Mitigation != "M1032" || sum != 43 || len(got.Rows) != 48 || len(got.Limits) == 0 {
		t.Errorf("mitigation %s, %d founding rows, %d rows", got.Mitigation, sum, len(got.Rows))
	}
	// Those in force first, by their end; one without an end after them.
	if e := got.Exceptions; len(e) != 3 || !strings.HasPrefix(e[0].What, "soon") || !strings.HasPrefix(e[1].What, "forever") || e[2].InForce || !e[1].InForce {
		t.Errorf("exceptions %+v", e)
	}
}

func TestCauses(t *testing.T) {
	in := sound()
	in.Exceptions = []Exception{{What: "x", Expires: now.Add(time.Hour)}}
	c := NewReport(in).Causes()
	if len(c) < 2 || c[0].Gap.Exception != "x" || len(c[0].Rows) < 10 {
		t.Fatalf("first cause %+v", c[0])
	}
	for i := 1; i < len(c); i++ {
		if len(c[i].Rows) > len(c[i-1].Rows) {
			t.Error("not sorted")
		}
	}
}

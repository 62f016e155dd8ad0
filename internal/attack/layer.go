package attack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The ATT&CK Navigator's layer format 4.5, as its repository describes it
// (mitre-attack/attack-navigator, layers/spec/v4.5/layerformat.md). Only what
// is used here.
type layer struct {
	Name        string        `json:"name"`
	Versions    layerVersions `json:"versions"`
	Domain      string        `json:"domain"`
	Description string        `json:"description"`
	Sorting     int           `json:"sorting"`
	Layout      layerLayout   `json:"layout"`
	// HideDisabled leaves what M1032 is not about on the map.
	HideDisabled bool             `json:"hideDisabled"`
	Techniques   []layerTechnique `json:"techniques"`
	Gradient     layerGradient    `json:"gradient"`
	Legend       []layerLegend    `json:"legendItems"`
	Metadata     []layerFact      `json:"metadata"`
	Links        []layerLink      `json:"links"`
}

type layerVersions struct {
	Attack    string `json:"attack"`
	Navigator string `json:"navigator"`
	Layer     string `json:"layer"`
}

type layerLayout struct {
	Layout    string `json:"layout"`
	ShowID    bool   `json:"showID"`
	ShowName  bool   `json:"showName"`
	Aggregate bool   `json:"showAggregateScores"`
	Unscored  bool   `json:"countUnscored"`
	Function  string `json:"aggregateFunction"`
	Subs      string `json:"expandedSubtechniques"`
}

type layerTechnique struct {
	ID       string      `json:"techniqueID"`
	Score    int         `json:"score"`
	Color    string      `json:"color"`
	Comment  string      `json:"comment"`
	Enabled  bool        `json:"enabled"`
	Metadata []layerFact `json:"metadata"`
	Links    []layerLink `json:"links"`
	ShowSubs bool        `json:"showSubtechniques"`
}

type layerGradient struct {
	Colors []string `json:"colors"`
	Min    int      `json:"minValue"`
	Max    int      `json:"maxValue"`
}

type layerLegend struct {
	Label string `json:"label"`
	Color string `json:"color"`
}

type layerFact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type layerLink struct {
	Label string `json:"label"`
	URL   string `json:"url"`
}

// look is how a state is shown: a score from 0 to 100, a colour, one line.
type look struct {
	score         int
	color, legend string
}

var looks = map[State]look{
	Proven:   {100, "#1a7f5e", "Proven: enforced, and a drill of the last 30 days failed to get in"},
	Enforced: {75, "#8fcfb0", "Enforced: policy demands it of every account at every known door"},
	Partial:  {40, "#f2c14e", "Partial: it holds for some; the comment says for whom it does not"},
	Open:     {0, "#d9573f", "Open: nothing demands it"},
	NotHere:  {0, "#c9c9c4", "Not here: declared, with a reason and an end"},
}

// Layer returns the report as a layer file of the ATT&CK Navigator.
func (r Report) Layer() ([]byte, error) {
	l := layer{
		Name:        strings.TrimSpace("M1032 coverage " + clean(r.Name)),
		Versions:    layerVersions{Attack: "18", Navigator: "5.2.0", Layer: "4.5"},
		Domain:      "enterprise-attack",
		Description: fmt.Sprintf("How far Multi-factor Authentication (M1032) holds, computed by Countersign on %s from live policy, accounts, applications and drills.", day(r.Time)),
		Layout:      layerLayout{Layout: "side", ShowID: true, ShowName: true, Function: "min", Subs: "annotated"},
		Gradient:    layerGradient{Colors: []string{looks[Open].color, looks[Partial].color, looks[Proven].color}, Min: 0, Max: 100},
		Metadata:    []layerFact{{"mitigation", "M1032"}, {"computed", r.Time.UTC().Format("2006-01-02T15:04:05Z")}},
		Links:       []layerLink{{"M1032 Multi-factor Authentication", "https://attack.mitre.org/mitigations/M1032/"}},
	}
	for _, s := range States() {
		l.Legend = append(l.Legend, layerLegend{looks[s].legend, looks[s].color})
		l.Metadata = append(l.Metadata, layerFact{string(s), fmt.Sprint(r.Tally(false)[s])})
	}
	for _, s := range r.Rows {
		l.Techniques = append(l.Techniques, s.technique(r.hasSubs(s.Row.ID)))
	}
	return json.MarshalIndent(l, "", "  ")
}

func (r Report) hasSubs(id string) bool {
	return slices.ContainsFunc(r.Rows, func(s RowState) bool { return strings.HasPrefix(s.Row.ID, id+".") })
}

func (s RowState) technique(subs bool) layerTechnique {
	t := layerTechnique{
		ID: s.Row.ID, Score: looks[s.State].score, Color: looks[s.State].color, Enabled: true, ShowSubs: subs,
		Comment: s.comment(),
		Metadata: []layerFact{{"state", string(s.State)}, {"duty", s.Row.Duty}, {"component", s.Row.Component},
			{"founding row", yesNo(s.Row.Founding)}},
		Links: []layerLink{{"ATT&CK: " + s.Row.ID, "https://attack.mitre.org/techniques/" + strings.ReplaceAll(s.Row.ID, ".", "/") + "/"}},
	}
	if len(s.Applications) > 0 {
		t.Metadata = append(t.Metadata, layerFact{"applications", clean(strings.Join(s.Applications, ", "))})
	}
	if !s.Drilled.IsZero() {
		t.Metadata = append(t.Metadata, layerFact{"drill passed", day(s.Drilled)})
	}
	if !s.Until.IsZero() {
		t.Metadata = append(t.Metadata, layerFact{"until", day(s.Until)})
	}
	return t
}

// comment is every gap and note, a line each.
func (s RowState) comment() string {
	lines := []string{strings.ToUpper(string(s.State))}
	for _, g := range s.Gaps {
		lines = append(lines, clean(g.Sentence))
	}
	for _, n := range s.Notes {
		lines = append(lines, clean(n))
	}
	return strings.Join(lines, "\n")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

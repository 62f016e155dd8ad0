package attack

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Data is a report for programs. States, kinds of gaps and keys are stable
// words, and what another version of this program wrote can be read.
type Data struct {
	Name       string                   `json:"name,omitempty"`
	Time       time.Time                `json:"time"`
	Mitigation string                   `json:"mitigation"`
	Summary    map[string]map[State]int `json:"summary"`
	Rows       []RowData                `json:"rows"`
	// Exceptions is the inventory: those that end first at the top, then those
	// without an end, and at last those that are over.
	Exceptions []ExceptionData `json:"exceptions"`
	// Accounts are those that fall short.
	Accounts []AccountData `json:"accounts"`
	// Keys are the automation keys that open rows, with which.
	Keys []Key `json:"automation_keys,omitempty"`
	// Caveats are weaknesses that leave the second factor in place.
	Caveats []string `json:"caveats,omitempty"`
	Limits  []string `json:"limits"`
}

// RowData is one row for programs.
type RowData struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Founding     bool      `json:"founding"`
	State        State     `json:"state"`
	Duty         string    `json:"duty"`
	Applications []string  `json:"applications,omitempty"`
	Gaps         []Gap     `json:"gaps,omitempty"`
	Notes        []string  `json:"notes,omitempty"`
	Drilled      time.Time `json:"drilled,omitzero"`
	Until        time.Time `json:"until,omitzero"`
}

// ExceptionData is one exception for programs.
type ExceptionData struct {
	What        string    `json:"what"`
	Reason      string    `json:"reason,omitempty"`
	By          string    `json:"by,omitempty"`
	Application string    `json:"application,omitempty"`
	Protocol    string    `json:"protocol,omitempty"`
	FailOpen    bool      `json:"fail_open"`
	Expires     time.Time `json:"expires,omitzero"`
	InForce     bool      `json:"in_force"`
}

// AccountData are accounts that share a weakness.
type AccountData struct {
	Lacks string `json:"lacks"`
	Count int    `json:"count"`
	// Names are the first of them.
	Names        []string `json:"names"`
	Applications []string `json:"applications,omitempty"`
}

// Data returns the report for programs.
func (r Report) Data() Data {
	out := Data{Name: r.Name, Time: r.Time, Mitigation: "M1032", Limits: Limits(), Caveats: r.Caveats, Keys: r.Keys,
		Exceptions: []ExceptionData{}, Accounts: []AccountData{},
		Summary: map[string]map[State]int{"founding": r.Tally(true), "all": r.Tally(false)}}
	for _, s := range r.Rows {
		out.Rows = append(out.Rows, RowData{s.Row.ID, s.Row.Name, s.Row.Founding, s.State, s.Row.Duty, s.Applications, s.Gaps, s.Notes, s.Drilled, s.Until})
	}
	for _, e := range r.Exceptions {
		out.Exceptions = append(out.Exceptions, ExceptionData{e.What, e.Reason, e.By, e.Application, e.Protocol, e.FailOpen, e.Expires, !e.Over(r.Time)})
	}
	for _, p := range r.People {
		d := AccountData{Lacks: p.Lacks, Count: max(p.Count, 1), Names: p.Names, Applications: p.Applications}
		if d.Names == nil {
			d.Names = []string{p.Name}
		}
		out.Accounts = append(out.Accounts, d)
	}
	return out
}

// MarshalJSON writes the report for programs.
func (r Report) MarshalJSON() ([]byte, error) { return json.Marshal(r.Data()) }

// UnmarshalJSON reads what MarshalJSON writes. A row that is not M1032's, a
// state that is none, or a missing row is an error: what is shown must not look
// better than what was said.
func (r *Report) UnmarshalJSON(b []byte) error {
	var d Data
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	out := Report{Name: d.Name, Time: d.Time, Caveats: d.Caveats, Keys: d.Keys}
	for _, w := range d.Rows {
		row, ok := ByID(w.ID)
		if !ok || !slices.Contains(States(), w.State) {
			return fmt.Errorf("attack: no row %q in a state %q is known", w.ID, w.State)
		}
		out.Rows = append(out.Rows, RowState{Row: row, State: w.State, Applications: w.Applications, Gaps: w.Gaps, Notes: w.Notes, Drilled: w.Drilled, Until: w.Until})
	}
	if !slices.EqualFunc(out.Rows, rows, func(s RowState, r Row) bool { return s.Row.ID == r.ID }) {
		return fmt.Errorf("attack: there are %d rows of %d, or not in order", len(out.Rows), len(rows))
	}
	for _, e := range d.Exceptions {
		out.Exceptions = append(out.Exceptions, Exception{What: e.What, Reason: e.Reason, By: e.By, Application: e.Application, Protocol: e.Protocol, FailOpen: e.FailOpen, Expires: e.Expires})
	}
	for _, a := range d.Accounts {
		out.People = append(out.People, Person{Name: Listed(a.Names, a.Count), Names: a.Names, Count: a.Count, Lacks: a.Lacks, Applications: a.Applications})
	}
	*r = out
	return nil
}

// Listed names a few and counts the others: "ada, grace and 40 more".
func Listed(names []string, count int) string {
	const few = 5
	if len(names) > few {
		names = names[:few]
	}
	s := strings.Join(names, ", ")
	if more := count - len(names); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// Formats are what [Render] can write.
func Formats() []string { return []string{"table", "json", "html", "navigator"} }

// Render writes a report, as JSON of [Data], in one of the [Formats].
func Render(w io.Writer, answer []byte, format string) error {
	var r Report
	if err := json.Unmarshal(answer, &r); err != nil {
		return err
	}
	switch format {
	case "table":
		return r.WriteTable(w)
	case "html":
		return r.WriteHTML(w)
	case "json":
		return indented(w, func() ([]byte, error) { return json.MarshalIndent(r, "", "  ") })
	case "navigator":
		return indented(w, r.Layer)
	}
	return fmt.Errorf("there is no format %q; use one of %s", format, strings.Join(Formats(), ", "))
}

// RenderRow writes everything that a report, as JSON of [Data], says of one row.
func RenderRow(w io.Writer, answer []byte, id string) error {
	var r Report
	if err := json.Unmarshal(answer, &r); err != nil {
		return err
	}
	for _, s := range r.Rows {
		if s.Row.ID == id {
			return s.WriteRow(w)
		}
	}
	return fmt.Errorf("M1032 has no row %q", id)
}

func indented(w io.Writer, encode func() ([]byte, error)) error {
	b, err := encode()
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

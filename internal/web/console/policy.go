package console

import (
	"errors"
	"strconv"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	"countersign/internal/admin/policy"
	"countersign/internal/failure"
	"countersign/internal/web/look"
)

const policyPath = "/console/policy"

// mostPolicy is the greatest form with a document in it, in bytes.
const mostPolicy = 256 << 10

// policyPages show the policy, try another one, and put it in force.
type policyPages struct {
	desk *desk
}

func (p *policyPages) routes() []look.Route {
	routes := []look.Route{
		p.desk.page(policyPath, "policy.show", p.show),
		p.desk.page(policyPath+"/edit", "policy.show", p.edit),
		p.desk.page(policyPath+"/versions", "policy.versions", p.versions),
		p.desk.page(policyPath+"/compare", "policy.diff", p.compare),
		p.desk.page(policyPath+"/explain", "policy.explain", p.explain),
		{Pattern: "POST " + policyPath + "/check", Demand: look.Action("policy.check"), Limit: mostPolicy, Handler: p.desk.serve(func(v *visit) error {
			v.back = policyPath + "/edit"
			return p.check(v, typed(v.r.PostForm))
		})},
	}
	return append(routes, p.desk.routes(change{path: policyPath + "/save", action: "policy.change", limit: mostPolicy,
		page:  func(*visit) string { return policyPath + "/edit" },
		again: func(v *visit, f *form) error { return p.form(v, policyEdit{Form: f}) },
		read:  func(_ *visit, f *form) admin.Command { return &policy.Change{Body: document(f), Base: builtOn(f)} },
		done: func(v *visit, _ *form, _ any) error {
			return v.done(policyPath, "The policy is in force, on every server, from now on.")
		}})...)
}

// builtOn is the version that the page showed.
func builtOn(f *form) int64 {
	n, _ := strconv.ParseInt(f.text("version"), 10, 64) // what is no number is none, and refused
	return n
}

// document is the text as it is kept: browsers send lines with CR LF.
func document(f *form) string {
	return strings.ReplaceAll(f.must("body", "A policy without any rule lets nobody in."), "\r\n", "\n") + "\n"
}

// line is one line of a document.
type line struct {
	Number  int
	Text    string
	Remark  bool
	Problem string
}

func linesOf(body string) []line {
	var out []line
	for text := range strings.Lines(body) {
		text = strings.TrimRight(text, "\r\n")
		out = append(out, line{Number: len(out) + 1, Text: text, Remark: strings.HasPrefix(strings.TrimSpace(text), "#")})
	}
	return out
}

func number(v *visit, name string) int64 {
	n, _ := strconv.ParseInt(v.r.URL.Query().Get(name), 10, 64) // what is no number is none
	return n
}

type policyView struct {
	policy.Document
	InForce bool
	Lines   []line
	Tests   []policy.TestResult
	Holds   int
}

// policy shows the document in force, or an older one, with its tests.
func (p *policyPages) show(v *visit) error {
	version := number(v, "version")
	d, err := read[policy.Document](v, &policy.Show{Version: version})
	if err != nil {
		return err
	}
	now, err := read[policy.Document](v, &policy.Show{})
	if err != nil {
		return err
	}
	inForce := d.Version == now.Version
	if inForce {
		d = now // which says what it lacks
	}
	view := policyView{Document: d, InForce: inForce, Lines: linesOf(d.Body)}
	tests, err := read[[]policy.TestResult](v, &policy.Test{Version: d.Version})
	if err != nil && failure.ClassOf(err) != failure.Invalid { // an old one may name what is gone
		return err
	}
	view.Tests = tests
	for _, t := range tests {
		if t.OK {
			view.Holds++
		}
	}
	return v.show(sheet{template: "policy", title: "Policy", here: policyPath, data: view})
}

// policyEdit is the page on which a document is changed.
type policyEdit struct {
	Form     *form
	Problems []line
	Checked  bool
	Tests    []policy.TestResult
	Diff     *policy.Difference
}

// Failing are the tests that do not hold.
func (e policyEdit) Failing() []policy.TestResult {
	var out []policy.TestResult
	for _, t := range e.Tests {
		if !t.OK {
			out = append(out, t)
		}
	}
	return out
}

func (p *policyPages) edit(v *visit) error {
	d, err := read[policy.Document](v, &policy.Show{Version: number(v, "version")})
	if err != nil {
		return err
	}
	now, err := read[policy.Document](v, &policy.Show{})
	if err != nil {
		return err
	}
	return p.form(v, policyEdit{Form: filled("body", d.Body, "version", strconv.FormatInt(now.Version, 10))})
}

// checkPolicy compiles the document, runs its tests, and says what it would
// change for whom. It saves nothing.
func (p *policyPages) check(v *visit, f *form) error {
	edit := policyEdit{Form: f}
	body := document(f)
	if f.bad() {
		return p.form(v, edit)
	}
	tests, err := read[[]policy.TestResult](v, &policy.Check{Body: body})
	if failure.ClassOf(err) == failure.Invalid {
		f.err = err
		f.wrong("body", failure.Public(err))
		return p.form(v, edit)
	}
	if err != nil {
		return err
	}
	edit.Checked, edit.Tests = true, tests
	diff, err := read[policy.Difference](v, &policy.Diff{Body: body})
	if err != nil {
		return err
	}
	edit.Diff = &diff
	return p.form(v, edit)
}

// policyForm shows the document for changing, and each problem with its line.
func (p *policyPages) form(v *visit, e policyEdit) error {
	if _, err := v.admit(&policy.Show{}); err != nil {
		return err
	}
	var found policy.Problems
	problem := e.Form.problem("body")
	if errors.As(e.Form.err, &found) {
		all := linesOf(e.Form.values.Get("body"))
		for _, p := range found {
			l := line{Number: p.Line, Problem: p.Sentence}
			if p.Line > 0 && p.Line <= len(all) {
				l.Text = all[p.Line-1].Text
			}
			e.Problems = append(e.Problems, l)
		}
		e.Form.problems["body"] = "This cannot be a policy yet; see the lines above."
	}
	return v.show(sheet{template: "policy-edit", title: "Change the policy", here: policyPath, problem: problem, data: e})
}

type versionsView struct {
	Versions []policy.Version
	Next     int64
}

const versionsShown = 50

func (p *policyPages) versions(v *visit) error {
	list, err := read[[]policy.Version](v, &policy.Versions{Before: number(v, "before"), Limit: versionsShown})
	if err != nil {
		return err
	}
	view := versionsView{Versions: list}
	if len(list) == versionsShown {
		view.Next = list[len(list)-1].Version
	}
	return v.show(sheet{template: "policy-versions", title: "Versions of the policy", here: policyPath, data: view})
}

type compareView struct {
	Version int64
	policy.Difference
}

func (p *policyPages) compare(v *visit) error {
	version := number(v, "version")
	d, err := read[policy.Difference](v, &policy.Diff{Version: version})
	if err != nil {
		return err
	}
	return v.show(sheet{template: "policy-compare", title: "Compare", here: policyPath, data: compareView{version, d}})
}

type explainView struct {
	Form   *form
	Apps   []choice
	Answer *policy.Explanation
}

// explain asks for somebody what the policy would demand of them.
func (p *policyPages) explain(v *visit) error {
	apps, err := read[[]application.Application](v, &application.List{})
	if err != nil {
		return err
	}
	view := explainView{Form: typed(v.r.URL.Query()), Apps: choices("", "Countersign itself")}
	for _, a := range apps {
		view.Apps = append(view.Apps, choice{a.Name, applicationRow{a, ""}.Called()})
	}
	f := view.Form
	if f.text("account") != "" {
		answer, err := read[policy.Explanation](v, &policy.Explain{Account: f.text("account"), Application: f.text("application"), Source: f.text("source"), ForAction: f.text("action"), Method: f.text("method"), Path: f.text("path")})
		switch failure.ClassOf(err) {
		case failure.Invalid, failure.NotFound:
			f.wrong(failure.FieldOf(err), failure.Public(err))
		default:
			if err != nil {
				return err
			}
			view.Answer = &answer
		}
	}
	return v.show(sheet{template: "policy-explain", title: "Explain", here: policyPath, problem: f.problem("account", "source", "action"), data: view})
}

package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/coverage"
	"countersign/internal/attack"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// handIn has an administrator hand in the report of a drill that met these results an hour
// ago.
func handIn(root *servertest.Person, ago time.Duration, results ...attack.DrillResult) {
	w := root.W
	w.T.Helper()
	at := w.Now().Add(-ago)
	for i := range results {
		results[i].Time = at
	}
	left := []attack.Left{{Door: "radius port 1813", Why: "it is not reached from here"}}
	signed, err := coverage.SignDrill(w.Keys, attack.DrillReport{Began: at.Add(-time.Minute), Ended: at, By: "countersign <test>", Results: results,
		Applications: []attack.Attacked{{Name: "vpn", Left: left}}})
	if err != nil {
		w.T.Fatal(err)
	}
	input, err := json.Marshal(coverage.DrillRecord{Report: signed})
	if err != nil {
		w.T.Fatal(err)
	}
	root.Does("/console/commands/drill.record", "input", string(input))
	root.Sees(`"number": `)
}

// metAtVPN is what a drill met at the VPN: everything that a page can show.
func metAtVPN(passed bool) attack.DrillResult {
	d := attack.DrillResult{Row: "T1133", Application: "vpn", Blocked: attack.Held, Audited: attack.Held, Honest: attack.Held, Control: attack.NotRun, Closed: attack.NotRun,
		Tries:   []attack.DrillTry{{Door: "radius", Sent: "the password without a code", Answer: "Access-Reject"}, {Door: "radius", Sent: "a State of <b>another</b> name", Error: "no answer within 3 s"}},
		Entries: []int64{1, 3}, Log: []string{"rlm_countersign: <i>rejected</i>"}}
	if !passed {
		d.Blocked, d.Detail = attack.Failed, "the password alone opened it"
		d.Tries = append(d.Tries, attack.DrillTry{Door: "radius", Sent: "an old code", Answer: "Access-Accept", Open: true})
	}
	return d
}

// download gets a file, with its type and its name.
func download(p *servertest.Person, path string) (body []byte, kind, name string) {
	p.W.T.Helper()
	res, err := p.Client.Get(p.W.Base + path)
	if err != nil {
		p.W.T.Fatal(err)
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		p.W.T.Fatalf("%s: %d %v", path, res.StatusCode, err)
	}
	return body, res.Header.Get("Content-Type"), res.Header.Get("Content-Disposition")
}

// The pages of coverage show what drills met, narrow the rows down, and hand the report
// out; what is not as it was kept is not shown.
func TestCoveragePages(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	root.Get("/console/coverage/runs")
	root.Sees("No report of a drill was handed in yet")
	root.Get("/console/coverage/rows/T1133")
	root.Sees("No drill has attacked it at <bdi>vpn")
	handIn(root, 2*time.Hour, metAtVPN(true))
	handIn(root, time.Hour, metAtVPN(false))

	root.Get("/console/coverage?state=partial&tactic=initial-access&application=vpn")
	root.Sees(`class="tile`)
	for _, other := range []string{`href="/console/coverage/rows/T1110"`, `class="tile open`, `class="tile proven`} {
		if strings.Contains(root.Page, other) {
			t.Errorf("narrowed down it has %s", other)
		}
	}
	root.Sees(`class="tile partial" href="/console/coverage/rows/T1133"`)
	root.Get("/console/coverage?state=%22%3E%3Cb%3E")
	root.Sees("No row is like that")
	if root.Get("/console/coverage"); strings.Count(root.Page, `class="tile `) != len(attack.Rows()) {
		t.Errorf("the map has %d tiles", strings.Count(root.Page, `class="tile `))
	}

	root.Get("/console/coverage/rows/T1133")
	for _, s := range []string{"the password alone opened it", "Access-Reject", "no answer within 3 s", `<span class="tag bad">open</span>`, `<span class="tag warn">not tried</span>`,
		`href="/console/audit?before=4#entry-3"`, "<i>rejected", "a State of <b>another", "radius port 1813", `href="/console/coverage/runs/2"`, "not run"} {
		root.Sees(s)
	}
	if strings.Contains(root.Page, "<i>rejected") || strings.Contains(root.Page, "<b>another") {
		t.Error("what was tried or logged is shown as it is")
	}
	root.Get("/console/audit?before=4")
	root.Sees(`id="entry-3"`)
	root.Get("/console/coverage/runs")
	root.Sees(`<a href="/console/coverage/runs/2">Run 2</a>`)
	root.Sees("1 failed")
	root.Get("/console/coverage/runs/2")
	root.Sees("countersign <test>")
	root.Sees("0 passed, 1 failed")

	body, kind, name := download(root, "/console/coverage/runs/2/json")
	var run coverage.RunReport
	if err := json.Unmarshal(body, &run); err != nil || kind != "application/json" || !strings.Contains(name, `attachment; filename="countersign-drill-2.json"`) || run.Failed != 1 || len(run.Results[0].Tries) != 3 {
		t.Errorf("%v %s %s %+v", err, kind, name, run)
	}
	for format, want := range map[string]string{"html": "text/html; charset=utf-8", "json": "application/json", "navigator": "application/json"} {
		body, kind, name := download(root, "/console/coverage/export?format="+format)
		if kind != want || !strings.HasPrefix(name, "attachment; ") || len(body) < 1000 || format != "html" && !json.Valid(body) {
			t.Errorf("%s: %s, %s, %d bytes", format, kind, name, len(body))
		}
	}
	for _, path := range []string{"/console/coverage/rows/T0000", "/console/coverage/rows/%3Cb%3E", "/console/coverage/runs/3", "/console/coverage/runs/x", "/console/coverage/runs/3/json", "/console/coverage/export", "/console/coverage/export?format=table"} {
		if root.Get(path); root.Status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, root.Status)
		}
	}

	(&office{World: w}).tamper("update drill_report set author = 'mallory' where id = 2")
	root.Get("/console/coverage/runs/2")
	root.Sees("not as it was kept")
	for _, path := range []string{"/console/coverage/runs", "/console/coverage/runs/2", "/console/coverage/rows/T1133"} {
		if root.Get(path); strings.Contains(root.Page, "mallory") || strings.Contains(root.Page, "Access-Accept") {
			t.Errorf("%s shows a report that is not as it was kept", path)
		}
		root.Sees("not believed")
	}
}

// Each choice narrows the map and the list down to exactly the rows that are so.
func TestCoverageNarrowedDown(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	body, _, _ := download(root, "/console/coverage/export?format=json")
	var all attack.Data
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	tactic := func(word string) func(r attack.RowData) bool {
		return func(r attack.RowData) bool {
			row, _ := attack.ByID(r.ID)
			return slices.Contains(row.Tactics, word)
		}
	}
	for query, so := range map[string]func(r attack.RowData) bool{
		"state=open":          func(r attack.RowData) bool { return r.State == attack.Open },
		"state=enforced":      func(r attack.RowData) bool { return r.State == attack.Enforced },
		"tactic=discovery":    tactic("discovery"),
		"tactic=persistence":  tactic("persistence"),
		"application=vpn":     func(r attack.RowData) bool { return slices.Contains(r.Applications, "vpn") },
		"application=nowhere": func(attack.RowData) bool { return false },
		"state=open&tactic=collection&application=": func(r attack.RowData) bool {
			return r.State == attack.Open && tactic("collection")(r)
		},
	} {
		root.Get("/console/coverage?" + query)
		if strings.Contains(query, "tactic=") && strings.Count(root.Page, `<section class="tactic"`) != 1 {
			t.Errorf("%s: there are other tactics on the map", query)
		}
		for _, r := range all.Rows {
			tile := strings.Contains(root.Page, `class="tile `+string(r.State)+`" href="/console/coverage/rows/`+r.ID+`"`)
			line := strings.Contains(root.Page, `<th scope="row"><span class="soft">`+r.ID+`</span>`)
			if tile != so(r) || line != so(r) {
				t.Errorf("%s: %s is on the map %t, in the list %t", query, r.ID, tile, line)
			}
		}
	}
}

// Who may not see the coverage sees nothing of drills either.
func TestCoveragePagesAreForAdministrators(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	handIn(root, time.Hour, metAtVPN(false))
	bob, stranger := w.Person(), w.Person()
	bob.Comes("bob", w.EnrollCodes("bob").Secret)
	for _, path := range []string{"", "/rows/T1133", "/runs", "/runs/1", "/runs/1/json", "/export?format=html", "/export?format=json", "/export?format=navigator"} {
		for _, p := range []*servertest.Person{bob, stranger} {
			p.Get("/console/coverage" + path)
			if strings.Contains(p.Page, "T1133") || strings.Contains(p.Page, "the password alone") || strings.Contains(p.Page, "Run 1") {
				t.Errorf("%s is shown to somebody who is no administrator", path)
			}
		}
		stranger.Sees("Sign in")
		bob.Sees("These pages are for administrators.")
	}
}

// A policy that shuts the coverage shuts the pages about drills with it.
func TestCoveragePagesWithoutCoverage(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	handIn(root, time.Hour, metAtVPN(false))
	root.Get("/console/coverage/runs/1")
	root.Sees("the password alone opened it")
	(&office{World: w}).policy("rules:\n  - {name: all, require: two-factors}\n  - {name: shut, when: 'action == \"coverage.show\"', deny: \"not today\"}\n")
	for _, path := range []string{"", "/rows/T1133", "/runs", "/runs/1", "/runs/1/json", "/export?format=json"} {
		if root.Get("/console/coverage" + path); root.Status == http.StatusOK || strings.Contains(root.Page, "the password alone") || strings.Contains(root.Page, "Run 1") {
			t.Errorf("%s is shown: %d", path, root.Status)
		}
	}
}

// The pages are good on a phone, in the dark and by keyboard.
func TestCoverageInTheBrowser(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	who := w.Administrator("root")
	root := w.Person()
	root.Comes("root", who.Secret)
	handIn(root, 2*time.Hour, metAtVPN(true))
	handIn(root, time.Hour, metAtVPN(false))
	b := testbed.Chromium(t)
	b.Visit(w.Base + "/sign-in")
	b.Fill("#name", "root")
	b.Fill("#text", servertest.Passphrase)
	b.Click("form:has(#name) button")
	b.Wait("#text-totp")
	b.Fill("#text-totp", root.Code())
	b.Click("main form button")
	b.WaitText("main", "This browser")
	for _, p := range []struct{ path, name, says string }{
		{"/console/coverage", "coverage-map", "Credential Access"},
		{"/console/coverage?state=open&tactic=collection", "coverage-chosen", "Show all"},
		{"/console/coverage?state=proven", "coverage-nothing", "No row is like that"},
		{"/console/coverage/rows/T1133", "coverage-row", "the password alone opened it"},
		{"/console/coverage/runs", "drill-runs", "Run 2"},
		{"/console/coverage/runs/2", "drill-run", "0 passed, 1 failed"},
	} {
		b.Visit(w.Base + p.path)
		b.WaitText("main", p.says)
		testbed.Eval[bool](b, `document.querySelectorAll("main details").forEach(d => d.open = true), true`)
		servertest.Pictures(b, p.name)
		servertest.Fits(t, b, p.path)
	}
	b.Visit(w.Base + "/console/coverage")
	if state := testbed.Eval[string](b, `[...document.querySelectorAll(".tile")].filter(e => !e.textContent.includes(e.className.split(" ")[1])).map(e => e.href).join(" ")`); state != "" {
		t.Errorf("only their colour says how these rows are: %s", state)
	}
	b.Click(`a.tile[href$="/T1133"]`)
	b.WaitText("h1", "External Remote Services")
	b.Click(`a[href$="/runs/2"]`)
	b.WaitText("h1", "Run 2")
}

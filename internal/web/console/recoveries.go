package console

import (
	"slices"
	"strconv"

	"countersign/internal/admin"
	recoveries "countersign/internal/admin/recovery"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/recovery"
	"countersign/internal/web/look"
)

const recoveriesPath = "/console/recoveries"

// recoveryPages are the recoveries, for the help desk as well.
type recoveryPages struct {
	desk *desk
}

func (p *recoveryPages) routes() []look.Route {
	return slices.Concat([]look.Route{
		p.desk.page(recoveriesPath, "recovery.list", func(v *visit) error { return p.list(v, typed(v.r.URL.Query())) }),
		p.desk.page(recoveriesPath+"/{name}", "recovery.list", func(v *visit) error { return p.show(v, typed(nil)) }),
	}, p.desk.routes(p.forms()...))
}

type recoveryRow struct {
	recoveries.Recovery
	Path string
}

func recoveryRowOf(r recoveries.Recovery) recoveryRow {
	return recoveryRow{r, under(recoveriesPath, r.Account)}
}

// Words says how it was made sure who it is.
func (r recoveryRow) Words() string { return recovery.Words(r.Check) }

// Open reports whether something can still come of it.
func (r recoveryRow) Open() bool {
	return r.Phase == recovery.Waiting || r.Phase == recovery.Unsure || r.Phase == recovery.Ready || r.Phase == recovery.Collected || r.Phase == recovery.Over
}

// Tags say how far it is.
func (r recoveryRow) Tags() []tag {
	switch r.Phase {
	case recovery.Waiting:
		return []tag{{"waiting", ""}}
	case recovery.Unsure:
		return []tag{{"needs a second person", "warn"}}
	case recovery.Ready:
		return []tag{{"can go on", "good"}}
	case recovery.Collected, recovery.Over:
		return []tag{{"went on", "good"}}
	case recovery.Stopped:
		return []tag{{"stopped", "bad"}}
	}
	return []tag{{string(r.Phase), ""}}
}

type recoveriesView struct {
	Rows []recoveryRow
	Form *form
}

// Checks are the ways to make sure who somebody is.
func (recoveriesView) Checks() []choice {
	out := choices("", "Choose …")
	for _, c := range recovery.Checks() {
		out = append(out, choice{c[0], c[1]})
	}
	return out
}

func (p *recoveryPages) list(v *visit, f *form) error {
	all, err := read[[]recoveries.Recovery](v, &recoveries.List{})
	if err != nil {
		return err
	}
	view := recoveriesView{Form: f}
	for _, r := range all {
		view.Rows = append(view.Rows, recoveryRowOf(r))
	}
	return v.show(sheet{template: "recoveries", title: "Recoveries", here: recoveriesPath, problem: f.problem("account", "browser", "check", "note"), data: view})
}

type recoveryView struct {
	recoveryRow
	Form *form
	// Confirms says that who looks can be the second person.
	Confirms bool
}

// recovery shows the newest case of an account.
func (p *recoveryPages) show(v *visit, f *form) error {
	all, err := read[[]recoveries.Recovery](v, &recoveries.List{Account: v.r.PathValue("name")})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return failure.New(failure.NotFound, "There was no recovery of that account.")
	}
	row := recoveryRowOf(all[0])
	confirms := slices.Contains(v.g.Groups(), directory.Administrators) && row.Opener != v.g.Name() && row.Confirmed == "" &&
		(row.Phase == recovery.Waiting || row.Phase == recovery.Unsure)
	return v.show(sheet{template: "recovery", title: "Recovery", here: recoveriesPath, problem: f.problem("browser", "note", "reason"), data: recoveryView{row, f, confirms}})
}

func (p *recoveryPages) forms() []change {
	name := func(v *visit) string { return v.r.PathValue("name") }
	own := func(v *visit) string { return under(recoveriesPath, name(v)) }
	return []change{
		{path: "/console/new-recovery", action: "recovery.open", again: p.list,
			page: func(*visit) string { return recoveriesPath },
			read: func(_ *visit, f *form) admin.Command {
				return &recoveries.Open{Account: f.must("account", "Write the name of who called."), Browser: f.must("browser", "Type the six digits that they read out."),
					Check: f.must("check", "Choose how you made sure who it is."), Note: f.must("note", "Write down what you saw, or the number of the ticket."), Forgotten: f.text("forgotten") == "yes"}
			},
			done: func(v *visit, _ *form, answer any) error {
				opened, told := answer.(recoveries.Recovery), "and the owner of the account was written to."
				if opened.Unheard != "" {
					told = "and it takes a second person. " + opened.Unheard
				}
				return v.done(under(recoveriesPath, opened.Account), "The recovery was opened, "+told)
			}},
		{path: recoveriesPath + "/{name}/confirm", action: "recovery.confirm", again: p.show, page: own,
			read: func(v *visit, f *form) admin.Command {
				number, _ := strconv.ParseInt(f.text("case"), 10, 64)
				return &recoveries.Confirm{Account: name(v), Case: number, Opener: f.text("opener"), Check: f.text("check"), Forgotten: f.text("forgotten") == "yes",
					Browser: f.must("browser", "Type the six digits that they read out from their page."), Note: f.must("note", "Write down how you made sure as well.")}
			},
			done: func(v *visit, _ *form, _ any) error {
				return v.done(own(v), "It was confirmed: they can go on now.")
			}},
		{path: recoveriesPath + "/{name}/stop", action: "recovery.stop", again: p.show, page: own,
			read: func(v *visit, f *form) admin.Command {
				return &recoveries.Stop{Account: name(v), Reason: f.must("reason", "Write down why.")}
			},
			done: func(v *visit, _ *form, answer any) error {
				return v.done(own(v), "The recovery was stopped. "+answer.(recoveries.Stopped).Undone)
			}},
	}
}

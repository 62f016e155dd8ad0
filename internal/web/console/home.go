package console

import (
	"slices"

	"countersign/internal/admin/account"
	logs "countersign/internal/admin/audit"
	"countersign/internal/admin/overview"
	"countersign/internal/audit"
	"countersign/internal/web/look"
)

const homePath = "/console"

// homePage is the overview.
type homePage struct {
	desk      *desk
	checklist *checklistPage
}

func (p *homePage) routes() []look.Route {
	return []look.Route{p.desk.page(homePath, "overview.show", p.show)}
}

type homeView struct {
	overview.Overview
	Form *form
	// Checklist is what is left to do until the installation is ready.
	Checklist checklistView
	// Risky are accounts whose owner reported something, and Weak those without two factors.
	Risky, Weak []accountRow
	// Alarms are those of the last days, and Refusals the newest.
	Alarms, Refusals []told
	// Charts are what there was by day.
	Charts charts
	Zone   string
	// Tampered is what was changed in the database from outside.
	Tampered []tamperedRow
}

// tamperedRow is an alarm of the database.
type tamperedRow struct{ logs.Alarm }

// Entries is where the log says it, and Owner the page of whose it is.
func (r tamperedRow) Entries() string {
	return auditPath + "?event=" + logs.TamperedEvent + "&text=" + escape(r.Row)
}

func (r tamperedRow) Owner() string { return under(accountsPath, r.Account) }

// Calm reports whether nothing needs attention.
func (h homeView) Calm() bool {
	return h.Overview.Alarms == 0 && len(h.Alarms) == 0 && h.Halted == "" && h.WithoutTwoFactors == 0 && h.Dormant == 0 && h.Suspended == 0 && h.AtRisk == 0 && h.Recoveries == 0 && len(h.Carriers) == 0
}

// mostShown is how much of each list the overview shows.
const mostShown = 6

func (p *homePage) show(v *visit) error {
	o, err := read[overview.Overview](v, &overview.Show{})
	if err != nil {
		return err
	}
	view := homeView{Overview: o, Form: typed(nil), Zone: v.desk.look.Zone(), Alarms: tellAll(v.desk.look, o.Raised)}
	view.Charts = chartsOf(o.Days, reasonWords, v.desk.look.Nouns)
	if view.Risky, err = p.some(v, "at-risk", o.AtRisk); err != nil {
		return err
	}
	if view.Weak, err = p.some(v, "without-two-factors", o.WithoutTwoFactors); err != nil {
		return err
	}
	if view.Checklist, err = p.checklist.view(v); err != nil {
		return err
	}
	alarms, err := read[logs.AlarmPage](v, &logs.Alarms{})
	if err != nil {
		return err
	}
	for _, a := range alarms.Alarms[:min(len(alarms.Alarms), 5*mostShown)] {
		view.Tampered = append(view.Tampered, tamperedRow{a})
	}
	// Alarms stand above, and an entry is on a page once.
	lately := slices.DeleteFunc(o.Lately, func(e audit.Entry) bool {
		return asked(e) || slices.ContainsFunc(o.Raised, func(a audit.Entry) bool { return a.Seq == e.Seq })
	})
	view.Refusals = tellAll(v.desk.look, lately[:min(len(lately), mostShown)])
	return v.show(sheet{template: "home", title: "Overview", here: homePath, data: view})
}

// some are the first accounts of a state. Where none was counted, none is looked for: that would
// read every account there is.
func (p *homePage) some(v *visit, state string, counted int64) ([]accountRow, error) {
	if counted == 0 {
		return nil, nil
	}
	page, err := read[account.Page](v, &account.List{State: state, Limit: mostShown})
	return rowsOf(v.desk.look, page.Accounts), err
}

// Small makes a count fit for a sentence.
func (homeView) Small(n int64) int { return int(n) }

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
	desk *desk
}

func (p *homePage) routes() []look.Route {
	return []look.Route{p.desk.page(homePath, "overview.show", p.show)}
}

type homeView struct {
	overview.Overview
	Form   *form
	Weak   []accountRow
	Alarms []told
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
	return h.Overview.Alarms == 0 && h.Halted == "" && h.WithoutTwoFactors == 0 && h.Dormant == 0 && h.Suspended == 0 && h.AtRisk == 0 && h.Recoveries == 0 && len(h.Carriers) == 0
}

// mostShown is how much of each list the overview shows.
const mostShown = 6

func (p *homePage) show(v *visit) error {
	o, err := read[overview.Overview](v, &overview.Show{})
	if err != nil {
		return err
	}
	weak, err := read[account.Page](v, &account.List{State: "without-two-factors", Limit: mostShown})
	if err != nil {
		return err
	}
	refused, err := read[logs.Page](v, &logs.Search{Outcome: audit.Refused, Limit: 5 * mostShown})
	if err != nil {
		return err
	}
	alarms, err := read[logs.AlarmPage](v, &logs.Alarms{})
	if err != nil {
		return err
	}
	var tampered []tamperedRow
	for _, a := range alarms.Alarms[:min(len(alarms.Alarms), 5*mostShown)] {
		tampered = append(tampered, tamperedRow{a})
	}
	lately := slices.DeleteFunc(refused.Entries, asked)
	lately = lately[:min(len(lately), mostShown)]
	return v.show(sheet{template: "home", title: "Overview", here: homePath,
		data: homeView{Overview: o, Form: typed(nil), Weak: rowsOf(v.desk.look, weak.Accounts), Alarms: tellAll(v.desk.look, lately), Tampered: tampered}})
}

// Small makes a count fit for a sentence.
func (homeView) Small(n int64) int { return int(n) }

package console

import (
	"slices"

	"countersign/internal/admin"
	"countersign/internal/audit"
	"countersign/internal/web/look"
)

const homePath = "/console"

func (c *Console) homeRoutes() []look.Route {
	return []look.Route{c.page(homePath, "overview.show", (*visit).home)}
}

type homeView struct {
	admin.Overview
	Form   *form
	Weak   []accountRow
	Alarms []told
}

// Calm reports whether nothing needs attention.
func (h homeView) Calm() bool {
	return h.WithoutTwoFactors == 0 && h.Dormant == 0 && h.Suspended == 0 && h.AtRisk == 0 && h.Recoveries == 0
}

// mostShown is how much of each list the overview shows.
const mostShown = 6

func (v *visit) home() error {
	o, err := read[admin.Overview](v, &admin.OverviewShow{})
	if err != nil {
		return err
	}
	weak, err := read[admin.AccountPage](v, &admin.AccountList{State: "without-two-factors", Limit: mostShown})
	if err != nil {
		return err
	}
	refused, err := read[admin.AuditPage](v, &admin.AuditSearch{Outcome: audit.Refused, Limit: 5 * mostShown})
	if err != nil {
		return err
	}
	lately := slices.DeleteFunc(refused.Entries, asked)
	lately = lately[:min(len(lately), mostShown)]
	return v.show(sheet{template: "home", title: "Overview", here: homePath,
		data: homeView{Overview: o, Form: typed(nil), Weak: rowsOf(weak.Accounts), Alarms: tellAll(lately)}})
}

// Small makes a count fit for a sentence.
func (homeView) Small(n int64) int { return int(n) }

package console

import (
	"net/url"
	"slices"

	"countersign/internal/admin/account"
	"countersign/internal/admin/group"
	"countersign/internal/admin/pass"
	"countersign/internal/directory"
	"countersign/internal/web/look"
)

const accountsPath = "/console/accounts"

// accountPages are the list of accounts, and a page for each.
type accountPages struct {
	desk *desk
}

func (p *accountPages) routes() []look.Route {
	return slices.Concat([]look.Route{
		p.desk.page(accountsPath, "account.list", p.list),
		p.desk.page("/console/new-account", "account.list", func(v *visit) error { return p.blank(v, filled("kind", "person")) }),
		p.desk.page(accountsPath+"/{name}", "account.show", func(v *visit) error { return p.show(v, "", nil) }),
	}, p.desk.routes(p.forms()...))
}

// tag is a word on the state of something.
type tag struct{ Text, Class string }

// tagsOf says what is to be known of an account at a glance.
func tagsOf(l *look.Look, a account.Account) []tag {
	var out []tag
	if a.State != "active" {
		out = append(out, tag{"suspended", "bad"})
	}
	if !a.AtRisk.IsZero() {
		out = append(out, tag{"at risk", "bad"})
	}
	if a.Ended {
		out = append(out, tag{"ended", "bad"})
	} else if !a.Ends.IsZero() {
		out = append(out, tag{"has an end", ""})
	}
	if a.Dormant {
		out = append(out, tag{"dormant", "warn"})
	}
	if a.Kind == "service" {
		out = append(out, tag{"service", ""})
	} else if !a.TwoFactors {
		out = append(out, lacking(l, a))
	}
	switch {
	case slices.Contains(a.Groups, directory.Administrators):
		out = append(out, tag{"administrator", "good"})
	case slices.Contains(a.Groups, directory.Helpdesk) && a.Privileged:
		out = append(out, tag{"help desk", "good"})
	case a.Privileged:
		out = append(out, tag{"privileged", "good"})
	}
	return out
}

// invitationTags say how far an invitation is.
var invitationTags = map[string]tag{pass.Invited: {"invited", "warn"}, pass.Opened: {"invitation opened", "warn"}, pass.Expired: {"invitation expired", "bad"}, pass.Done: {"invitation used", "good"}}

func lacking(l *look.Look, a account.Account) tag {
	switch {
	case a.Invitation != nil && a.Invitation.State != pass.Done && len(a.Kinds) == 0, a.Invitation != nil && a.Invitation.State == pass.Opened:
		return invitationTags[a.Invitation.State]
	case len(a.Kinds) == 0:
		return tag{"waiting for a pass", "warn"}
	case slices.ContainsFunc(a.Kinds, func(k string) bool { return l.Options.Kinds[k].Vouched }):
		return tag{"pass issued", "warn"}
	}
	return tag{"no second factor", "bad"}
}

type accountRow struct {
	account.Account
	Path string
	Tags []tag
}

func rowsOf(l *look.Look, accounts []account.Account) []accountRow {
	out := make([]accountRow, len(accounts))
	for i, a := range accounts {
		out[i] = accountRow{a, under(accountsPath, a.Name), tagsOf(l, a)}
	}
	return out
}

type accountsView struct {
	Form   *form
	Rows   []accountRow
	Next   string // address of the next page, or empty
	Later  bool   // it is not the first
	Chosen bool
}

var accountStates = choices("", "All accounts", "without-two-factors", "Without two factors", "dormant", "Dormant", "ended", "Ended", "at-risk", "At risk", "suspended", "Suspended")

// States are what the list can be narrowed to.
func (accountsView) States() []choice { return accountStates }

func (p *accountPages) list(v *visit) error {
	q := v.r.URL.Query()
	f := typed(q)
	page, err := read[account.Page](v, &account.List{Query: f.text("q"), State: f.text("state"), After: q.Get("after")})
	if err != nil {
		return err
	}
	view := accountsView{Form: f, Rows: rowsOf(v.desk.look, page.Accounts), Later: q.Get("after") != "", Chosen: f.text("q") != "" || f.text("state") != ""}
	if page.Next != "" {
		view.Next = accountsPath + "?" + url.Values{"q": {f.text("q")}, "state": {f.text("state")}, "after": {page.Next}}.Encode()
	}
	return v.show(sheet{template: "accounts", title: "Accounts", here: accountsPath, data: view})
}

type newAccountView struct {
	Form   *form
	Groups []group.Group
}

func (p *accountPages) blank(v *visit, f *form) error {
	groups, err := read[[]group.Group](v, &group.List{})
	if err != nil {
		return err
	}
	return v.show(sheet{template: "new-account", title: "New account", here: accountsPath,
		problem: f.problem("name", "display", "mail", "ends", "groups"), data: newAccountView{f, groups}})
}

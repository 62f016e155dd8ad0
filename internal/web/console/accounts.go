package console

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"

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
	Groups []choice
	query  url.Values
}

var (
	accountStates = choices("", "All accounts", "without-two-factors", "Without two factors", "dormant", "Dormant", "ended", "Ended", "at-risk", "At risk", "suspended", "Suspended")
	pageSizes     = choices("50", "50", "25", "25", "100", "100", "200", "200", "500", "500")
)

// States are what the list can be narrowed to.
func (accountsView) States() []choice { return accountStates }

// Sizes are how many there are on a page.
func (accountsView) Sizes() []choice { return pageSizes }

// column is a heading that sorts the list.
type column struct{ Text, Href, Sorted string }

// Columns are the headings: pressing the one that the list is sorted by turns it round.
func (a accountsView) Columns() []column {
	var out []column
	for _, c := range []struct{ sort, text string }{{"name", "Account"}, {"mail", "Mail"}, {"", "State"}, {"", "Groups"}, {"used", "Last used"}, {"created", "Made"}} {
		one := column{Text: c.text}
		if now := cmp.Or(a.query.Get("sort"), "name"); c.sort != "" {
			q := maps.Clone(a.query)
			q.Set("sort", c.sort)
			switch now {
			case c.sort:
				one.Sorted = "ascending"
				q.Set("sort", "-"+c.sort)
			case "-" + c.sort:
				one.Sorted = "descending"
			}
			one.Href = accountsPath + "?" + q.Encode()
		}
		out = append(out, one)
	}
	return out
}

func (p *accountPages) list(v *visit) error {
	q := v.r.URL.Query()
	f := typed(q)
	size, _ := strconv.Atoi(f.text("size")) // what is none is the usual one
	page, err := read[account.Page](v, &account.List{Query: f.text("q"), State: f.text("state"), Group: f.text("group"), Sort: f.text("sort"), After: q.Get("after"), Limit: size})
	if err != nil {
		return err
	}
	groups, err := read[[]group.Group](v, &group.List{})
	if err != nil {
		return err
	}
	view := accountsView{Form: f, Rows: rowsOf(v.desk.look, page.Accounts), Later: q.Get("after") != "", Chosen: f.text("q")+f.text("state")+f.text("group") != "", Groups: choices("", "Any group"), query: url.Values{}}
	for _, g := range groups {
		view.Groups = append(view.Groups, choice{g.Name, called(g)})
	}
	for _, name := range []string{"q", "state", "group", "sort", "size"} {
		if s := f.text(name); s != "" {
			view.query.Set(name, s)
		}
	}
	if page.Next != "" {
		next := maps.Clone(view.query)
		next.Set("after", page.Next)
		view.Next = accountsPath + "?" + next.Encode()
	}
	return v.show(sheet{template: "accounts", title: "Accounts", here: accountsPath, data: view})
}

// First is the address of the first page of the same list.
func (a accountsView) First() string { return accountsPath + "?" + a.query.Encode() }

// Sort is what the list is sorted by.
func (a accountsView) Sort() string { return a.query.Get("sort") }

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

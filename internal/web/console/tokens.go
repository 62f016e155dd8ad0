package console

import (
	"net/url"
	"slices"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/audit"
	"countersign/internal/admin/token"
	"countersign/internal/failure"
	"countersign/internal/web/look"
)

const tokensPath = "/console/tokens"

// tokenPages are the list of hardware tokens, and a page for each.
type tokenPages struct {
	desk *desk
}

func (p *tokenPages) routes() []look.Route {
	return slices.Concat([]look.Route{
		p.desk.page(tokensPath, "token.list", p.list),
		p.desk.page(tokensPath+"/{serial}", "token.list", func(v *visit) error { return p.show(v, typed(nil)) }),
	}, p.desk.routes(p.forms()...))
}

// tokenTags say where a token is.
var tokenTags = map[string]tag{
	"stock": {"in stock", ""}, "assigned": {"assigned", "good"}, "returned": {"came back", "warn"}, "lost": {"lost", "bad"}, "revoked": {"revoked", "bad"},
}

type tokenRow struct {
	token.Token
	Path string
	Tags []tag
}

// OwnerPath is the address of its owner's page.
func (r tokenRow) OwnerPath() string { return under(accountsPath, r.Owner) }

func tokenRowOf(t token.Token) tokenRow {
	return tokenRow{t, under(tokensPath, t.Serial), []tag{tokenTags[t.State]}}
}

// tokenImport is one file that came into stock, as the log tells it.
type tokenImport struct {
	At            time.Time
	By, Count, Of string
}

type tokensView struct {
	Form    *form
	Rows    []tokenRow
	Next    string // address of the next page, or empty
	Later   bool   // it is not the first
	Chosen  bool
	Imports []tokenImport
}

var tokenStates = choices("", "Everywhere", "stock", "In stock", "assigned", "Assigned", "returned", "Came back", "lost", "Lost", "revoked", "Revoked")

// States are what the list can be narrowed to.
func (tokensView) States() []choice { return tokenStates }

func (p *tokenPages) list(v *visit) error {
	q := v.r.URL.Query()
	f := typed(q)
	page, err := read[token.Page](v, &token.List{Serial: f.text("q"), State: f.text("state"), Owner: f.text("owner"), After: q.Get("after")})
	if failure.ClassOf(err) == failure.NotFound {
		f.wrong("owner", failure.Public(err))
	} else if err != nil {
		return err
	}
	view := tokensView{Form: f, Later: q.Get("after") != "", Chosen: f.text("q")+f.text("state")+f.text("owner") != ""}
	for _, t := range page.Tokens {
		view.Rows = append(view.Rows, tokenRowOf(t))
	}
	if page.Next != "" {
		view.Next = tokensPath + "?" + url.Values{"q": {f.text("q")}, "state": {f.text("state")}, "owner": {f.text("owner")}, "after": {page.Next}}.Encode()
	}
	if !view.Later && !view.Chosen {
		if view.Imports, err = p.imports(v); err != nil {
			return err
		}
	}
	return v.show(sheet{template: "tokens", title: "Tokens", here: tokensPath, problem: f.problem("owner"), data: view})
}

// imports are the newest files.
func (p *tokenPages) imports(v *visit) ([]tokenImport, error) {
	page, err := read[audit.Page](v, &audit.Search{Event: "token.imported", Limit: 10})
	if err != nil {
		return nil, err
	}
	var out []tokenImport
	for _, en := range page.Entries {
		out = append(out, tokenImport{At: en.At, By: en.Actor.Name, Count: en.Detail["count"], Of: en.Detail["digest"]})
	}
	return out, nil
}

type tokenView struct {
	tokenRow
	Form *form
}

func (p *tokenPages) show(v *visit, f *form) error {
	serial := v.r.PathValue("serial")
	page, err := read[token.Page](v, &token.List{Serial: serial, Limit: 1000})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(page.Tokens, func(t token.Token) bool { return t.Serial == serial })
	if i < 0 {
		return failure.New(failure.NotFound, "There is no token of that serial number.")
	}
	return v.show(sheet{template: "token", title: "Token", here: tokensPath, problem: f.problem("account", "note", "codes", "reason"),
		data: tokenView{tokenRowOf(page.Tokens[i]), f}})
}

func (p *tokenPages) forms() []change {
	serial := func(v *visit) string { return v.r.PathValue("serial") }
	act := func(verb, action, note string, command func(v *visit, f *form) admin.Command) change {
		return change{path: tokensPath + "/{serial}/" + verb, action: action, again: p.show, read: command,
			page: func(v *visit) string { return under(tokensPath, serial(v)) },
			done: func(v *visit, _ *form, _ any) error { return v.done(under(tokensPath, serial(v)), note) }}
	}
	return []change{
		act("assign", "token.assign", "The token was assigned, and its owner told.", func(v *visit, f *form) admin.Command {
			return &token.Assign{Serial: serial(v), Account: f.must("account", "Write the name of an account."), Note: f.text("note"), Codes: f.text("codes")}
		}),
		act("lost", "token.lost", "The token is off.", func(v *visit, f *form) admin.Command {
			return &token.Lost{Serial: serial(v), Reason: f.text("reason")}
		}),
		act("return", "token.return", "The token came back. Put it right by two of its codes before it is assigned again.", func(v *visit, f *form) admin.Command {
			return &token.Return{Serial: serial(v), Reason: f.text("reason")}
		}),
		act("resync", "token.resync", "The token is right again.", func(v *visit, f *form) admin.Command {
			return &token.Resync{Serial: serial(v), Codes: f.must("codes", "Type two codes that the token shows one after the other.")}
		}),
		act("revoke", "token.revoke", "The token is revoked, and its secret erased.", func(v *visit, f *form) admin.Command {
			return &token.Revoke{Serial: serial(v), Reason: f.text("reason")}
		}),
	}
}

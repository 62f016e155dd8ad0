package console

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/admin/upstream"
	"countersign/internal/failure"
	"countersign/internal/web/look"
)

const upstreamsPath = "/console/identity-providers"

// upstreamPages are the list of other organisations' identity providers, and a page for each.
type upstreamPages struct {
	desk *desk
}

func (p *upstreamPages) routes() []look.Route {
	own := func(v *visit) string { return under(upstreamsPath, v.r.PathValue("name")) }
	back := func(note string) func(v *visit, f *form, answer any) error {
		return func(v *visit, _ *form, _ any) error { return v.done(own(v), note) }
	}
	name := func(v *visit) string { return v.r.PathValue("name") }
	return slices.Concat([]look.Route{
		p.desk.page(upstreamsPath, "upstream.list", p.list),
		p.desk.page("/console/new-identity-provider", "upstream.list", func(v *visit) error { return p.blank(v, nil) }),
		p.desk.page(upstreamsPath+"/{name}", "upstream.show", func(v *visit) error { return p.show(v, nil, nil) }),
	}, p.desk.routes(
		change{path: "/console/new-identity-provider", action: "upstream.set", page: func(*visit) string { return "/console/new-identity-provider" }, again: p.blank,
			read: func(_ *visit, f *form) admin.Command {
				return &upstream.Set{Name: f.must("name", "Every identity provider needs a name."), Settings: settingsOf(f)}
			},
			done: func(v *visit, f *form, _ any) error {
				return v.done(under(upstreamsPath, f.text("name")), "The identity provider was added. Test it now.")
			}},
		change{path: upstreamsPath + "/{name}/change", action: "upstream.set", page: own, again: p.unsaved, done: back("The identity provider was saved."),
			read: func(v *visit, f *form) admin.Command {
				base, err := strconv.ParseInt(f.text("base"), 10, 64)
				if err != nil {
					f.wrong("settings", "Load the page again: it does not say on which version this was built.")
				}
				return &upstream.Set{Name: name(v), Base: base, Settings: settingsOf(f)}
			}},
		change{path: upstreamsPath + "/{name}/test", action: "upstream.test", page: own, again: p.unsaved, done: p.tested,
			read: func(v *visit, _ *form) admin.Command { return &upstream.Test{Name: name(v)} }},
		change{path: upstreamsPath + "/{name}/accept-key", action: "upstream.accept-key", page: own, again: p.unsaved, done: back("The key was accepted."),
			read: func(v *visit, f *form) admin.Command { return &upstream.AcceptKey{Name: name(v), Key: f.text("key")} }},
		change{path: upstreamsPath + "/{name}/link", action: "upstream.link", page: own, again: p.unsaved, done: back("The person was linked. It counts once they have shown their own factor beside it."),
			read: func(v *visit, f *form) admin.Command {
				return &upstream.Link{Name: name(v), Account: f.must("account", "Say whose account it is."), Subject: f.must("subject", "Say whom the identity provider says it is."), Note: f.text("note")}
			}},
		change{path: upstreamsPath + "/{name}/unlink", action: "upstream.unlink", page: own, again: p.unsaved, done: back("The account was unlinked."),
			read: func(v *visit, f *form) admin.Command {
				return &upstream.Unlink{Name: name(v), Account: f.text("account")}
			}},
		change{path: upstreamsPath + "/{name}/remove", action: "upstream.remove", page: own, again: p.unsaved,
			read: func(v *visit, _ *form) admin.Command { return &upstream.Remove{Name: name(v)} },
			done: func(v *visit, _ *form, _ any) error {
				return v.done(upstreamsPath, "The identity provider was removed. Nobody comes in by it any more.")
			}},
	))
}

type upstreamRow struct {
	upstream.Listed
	Path string
}

func (p *upstreamPages) list(v *visit) error {
	all, err := read[[]upstream.Listed](v, &upstream.List{})
	if err != nil {
		return err
	}
	rows := make([]upstreamRow, len(all))
	for i, u := range all {
		rows[i] = upstreamRow{u, under(upstreamsPath, u.Name)}
	}
	return v.show(sheet{template: "identity-providers", title: "Identity providers", here: upstreamsPath, data: rows})
}

// upstreamView is the form of one identity provider, old or new.
type upstreamView struct {
	Form *form
	// Link is the form by which somebody is linked.
	Link *form
	Path string
	New  bool
	upstream.Shown
	Tested *upstream.Tested
}

// Protocols, Trusts and Links are what can be chosen.
func (upstreamView) Protocols() []choice {
	return choices("oidc", "OpenID Connect", "saml", "SAML 2.0")
}

func (upstreamView) Trusts() []choice {
	return choices("reject", "Nothing: our own factor is asked for (reject)", "accept", "A second factor where a rule takes it (accept)", "enforce", "The same, and nobody comes without (enforce)")
}

func (upstreamView) Rules() []choice {
	return choices("administrator", "An administrator links each person", "domain", "A verified address of its own domains links")
}

func (upstreamView) Switches() []choice {
	return choices("", "On, with a button", "hidden", "On, without a button", "off", "Off")
}

// Account is the address of an account's page.
func (upstreamView) Account(name string) string { return under(accountsPath, name) }

func (p *upstreamPages) blank(v *visit, f *form) error {
	if _, err := v.admit(&upstream.List{}); err != nil {
		return err
	}
	if f == nil {
		f = filled("protocol", "oidc", "trust", "reject", "link", "administrator")
	}
	return v.show(sheet{template: "identity-provider", title: "New identity provider", here: upstreamsPath, problem: f.problem("name", "settings"), data: upstreamView{Form: f, Path: "/console/new-identity-provider", New: true}})
}

func (p *upstreamPages) unsaved(v *visit, f *form) error { return p.show(v, f, nil) }

func (p *upstreamPages) tested(v *visit, _ *form, answer any) error {
	found, ok := answer.(upstream.Tested)
	if !ok {
		return failure.New(failure.Internal, "upstream.test answers another type")
	}
	return p.show(v, nil, &found)
}

func (p *upstreamPages) show(v *visit, f *form, found *upstream.Tested) error {
	shown, err := read[upstream.Shown](v, &upstream.Show{Name: v.r.PathValue("name")})
	if err != nil {
		return err
	}
	stored, link := formOf(shown), typed(nil)
	problem := ""
	switch {
	case f == nil:
	case f.text("base") != "":
		stored, problem = f, f.problem("settings")
	default:
		link, problem = f, f.problem("account", "subject")
	}
	return v.show(sheet{template: "identity-provider", title: "Identity provider", here: upstreamsPath, problem: problem,
		data: upstreamView{Form: stored, Link: link, Path: under(upstreamsPath, shown.Name) + "/change", Shown: shown, Tested: found}})
}

// formOf is the form of stored settings. The secret reads as it is shown.
func formOf(u upstream.Shown) *form {
	state := ""
	switch {
	case u.Off:
		state = "off"
	case u.Hidden:
		state = "hidden"
	}
	yes := ""
	if u.Pinned {
		yes = "yes"
	}
	return filled("base", strconv.FormatInt(u.Version, 10), "protocol", u.Protocol, "title", u.Title, "issuer", u.Issuer, "client_id", u.Client, "client_secret", u.Secret,
		"sign_in", u.SignIn, "certificates", u.Certificates, "mail_attribute", u.Mail, "metadata_url", u.MetadataURL, "metadata_pins", strings.Join(u.MetadataPins, "\n"), "domains", strings.Join(u.Domains, "\n"), "link", u.Link, "trust", string(u.Trust), "classes", strings.Join(u.Classes, "\n"),
		"max_age", strconv.Itoa(u.MaxAge), "inside", strings.Join(u.Inside, "\n"), "ca", u.Authority, "algorithms", strings.Join(u.Algorithms, "\n"), "state", state, "pinned", yes)
}

// settingsOf are the settings that a form says. Of a protocol that is not chosen nothing is taken.
func settingsOf(f *form) json.RawMessage {
	s := map[string]any{"protocol": f.text("protocol"), "title": f.text("title"), "issuer": f.text("issuer"), "domains": f.lines("domains"), "link": f.text("link"), "trust": f.text("trust"),
		"classes": f.lines("classes"), "inside": f.lines("inside"), "ca": f.text("ca"), "off": f.text("state") == "off", "hidden": f.text("state") == "hidden"}
	if age := f.text("max_age"); age != "" {
		n, err := strconv.Atoi(age)
		if err != nil {
			f.wrong("max_age", "Write a number of seconds.")
		}
		s["max_age"] = n
	}
	if f.text("protocol") == "saml" {
		s["sign_in"], s["certificates"], s["mail_attribute"] = f.text("sign_in"), f.text("certificates"), f.text("mail_attribute")
		s["metadata_url"], s["metadata_pins"] = f.text("metadata_url"), f.lines("metadata_pins")
	} else {
		s["client_id"], s["client_secret"], s["algorithms"], s["pinned_keys"] = f.text("client_id"), f.text("client_secret"), f.lines("algorithms"), f.text("pinned") == "yes"
	}
	raw, err := json.Marshal(s)
	if err != nil {
		f.wrong("settings", "The settings cannot be written.")
	}
	return raw
}

package console

import (
	"bytes"
	"encoding/json"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/admin/nouns"
	"countersign/internal/failure"
	"countersign/internal/web/look"
)

// commandPages are every command as a form of JSON.
type commandPages struct {
	desk *desk
}

// commandRoutes are the complete list: every command as one form of JSON, also
// those that no page was made for.
func (p *commandPages) routes() []look.Route {
	routes := []look.Route{p.desk.page("/console/commands", "account.list", p.list)}
	for _, s := range nouns.Commands() {
		path := "/console/commands/" + s.Action
		routes = append(routes, p.desk.page(path, "account.list", func(v *visit) error { return p.show(v, s, nil, "") }))
		routes = append(routes, p.desk.routes(change{path: path, action: s.Action, limit: 256 << 10,
			page:  func(*visit) string { return path },
			read:  func(_ *visit, f *form) admin.Command { return decode(s, f) },
			again: func(v *visit, f *form) error { return p.show(v, s, f, "") },
			done: func(v *visit, f *form, answer any) error {
				b, err := json.MarshalIndent(answer, "", "  ")
				if err != nil {
					return err
				}
				return p.show(v, s, f, string(b))
			}})...)
	}
	return routes
}

func (p *commandPages) list(v *visit) error {
	if _, err := v.admit(&account.List{}); err != nil {
		return err
	}
	return v.show(sheet{template: "commands", title: "All commands", here: "/console/commands", data: nouns.Commands()})
}

type commandView struct {
	Spec   admin.Spec
	Form   *form
	Answer string
}

// command shows one command's form, with what was typed or an empty command.
func (p *commandPages) show(v *visit, s admin.Spec, f *form, answer string) error {
	if _, err := v.admit(&account.List{}); err != nil {
		return err
	}
	if f == nil {
		b, err := json.MarshalIndent(s.New(), "", "  ")
		if err != nil {
			return err
		}
		f = filled("input", string(b))
	}
	return v.show(sheet{template: "command", title: "Command", here: "/console/commands", problem: f.problem("input"), data: commandView{s, f, answer}})
}

func decode(s admin.Spec, f *form) admin.Command {
	cmd := s.New()
	d := json.NewDecoder(bytes.NewReader([]byte(f.values.Get("input"))))
	d.DisallowUnknownFields()
	if err := d.Decode(cmd); err != nil {
		f.wrong("input", failure.Public(failure.New(failure.Invalid, "That cannot be read: %s.", strings.TrimPrefix(err.Error(), "json: "))))
	}
	return cmd
}

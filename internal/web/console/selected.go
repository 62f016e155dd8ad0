package console

import (
	"fmt"

	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/admin/group"
	"countersign/internal/admin/pass"
	sessions "countersign/internal/admin/session"
	"countersign/internal/web/look"
)

const selectedPath = "/console/selected"

// selectedPages do one thing to several accounts. What was ticked comes to a page that says
// how many they are and asks once more; that is approved, once for all.
type selectedPages struct {
	desk     *desk
	accounts *accountPages
}

// act is one thing that can be done to several accounts, in words.
type act struct {
	Do, Ask, Says, Button, Class string
	// Note is what the field for the reason is called.
	Note string
}

var acts = []act{
	{Do: "invite", Ask: "Invite %d people by mail?", Says: "Each is sent a link, good for a day, to set up how they sign in.", Button: "Invite %d by mail", Note: "Note"},
	{Do: "letters", Ask: "Print letters for %d people?", Says: "Each letter has a code, good for a week, to set up how they sign in.", Button: "Make %d letters", Class: "second", Note: "How the letters reach them"},
	{Do: "join", Ask: "Add %d accounts to a group?", Says: "They may do what the policy and the applications let the group do.", Button: "Add %d to the group", Note: ""},
	{Do: "end-sessions", Ask: "End all sessions of %d accounts?", Says: "They sign in again everywhere.", Button: "End the sessions of %d", Class: "danger", Note: "Reason"},
	{Do: "suspend", Ask: "Suspend %d accounts?", Says: "They get nothing from then on, and their sessions end at once. They can be resumed.", Button: "Suspend %d accounts", Class: "danger", Note: "Reason"},
}

func actOf(do string) (act, bool) {
	for _, a := range acts {
		if a.Do == do {
			return a, true
		}
	}
	return act{}, false
}

type selectedView struct {
	act
	Names  []string
	Form   *form
	Groups []choice
}

// Heading asks, with how many.
func (s selectedView) Heading() string { return fmt.Sprintf(s.Ask, len(s.Names)) }

// Press is what the button says, with how many.
func (s selectedView) Press() string { return fmt.Sprintf(s.Button, len(s.Names)) }

func (p *selectedPages) routes() []look.Route {
	return append([]look.Route{
		{Pattern: "POST " + selectedPath, Demand: look.Action("account.list"), Limit: 256 << 10, Handler: p.desk.serve(p.ask)},
	}, p.desk.routes(p.forms()...)...)
}

// ask shows whom something is to be done to, and changes nothing.
func (p *selectedPages) ask(v *visit) error {
	v.back = accountsPath
	f := typed(v.r.PostForm)
	return p.again(v, f, f.text("do"))
}

func (p *selectedPages) again(v *visit, f *form, do string) error {
	if _, err := v.admit(&account.List{}); err != nil {
		return err
	}
	a, known := actOf(do)
	names := f.values["account"]
	switch {
	case !known:
		return v.done(accountsPath, "Choose what is to be done.")
	case len(names) == 0:
		return v.done(accountsPath, "Tick the accounts first.")
	}
	view := selectedView{act: a, Names: names, Form: f}
	if do == "join" {
		groups, err := read[[]group.Group](v, &group.List{})
		if err != nil {
			return err
		}
		for _, g := range groups {
			view.Groups = append(view.Groups, choice{g.Name, called(g)})
		}
	}
	return v.show(sheet{template: "selected", title: "Several accounts", here: accountsPath, problem: f.problem("reason", "group"), data: view})
}

// on is the form of an act.
func (p *selectedPages) on(do, action, note string, command func(first string, also []string, f *form) admin.Command) change {
	return change{path: selectedPath + "/" + do, action: action, limit: 256 << 10,
		page:  func(*visit) string { return accountsPath },
		again: func(v *visit, f *form) error { return p.again(v, f, do) },
		read: func(_ *visit, f *form) admin.Command {
			names := f.values["account"]
			if len(names) == 0 {
				f.wrong("account", "Tick the accounts first.")
				names = []string{""}
			}
			return command(names[0], names[1:], f)
		},
		done: func(v *visit, f *form, _ any) error {
			return v.done(accountsPath, fmt.Sprintf(note, len(f.values["account"])))
		}}
}

func (p *selectedPages) forms() []change {
	why := func(f *form) string { return f.must("reason", "Say why; whoever reads the log will want to know.") }
	letters := p.on("letters", "pass.letter", "", func(first string, also []string, f *form) admin.Command {
		return &pass.Letter{Whom: pass.Whom{Account: first, Also: also}, Note: f.text("reason")}
	})
	letters.done = func(v *visit, _ *form, answer any) error { return p.accounts.letters(v, answer.(pass.Letters)) }
	return []change{letters,
		p.on("invite", "pass.invite", "%d invitations are on their way.", func(first string, also []string, f *form) admin.Command {
			return &pass.Invite{Whom: pass.Whom{Account: first, Also: also}, Note: f.text("reason")}
		}),
		p.on("suspend", "account.suspend", "%d accounts are suspended, and their sessions have ended.", func(first string, also []string, f *form) admin.Command {
			return &account.Suspend{Name: first, Also: also, Reason: why(f)}
		}),
		p.on("join", "group.member.add", "%d accounts were added to the group.", func(first string, also []string, f *form) admin.Command {
			return &group.MemberAdd{Group: f.must("group", "Choose a group."), Account: first, Also: also}
		}),
		p.on("end-sessions", "session.end", "The sessions of %d accounts have ended.", func(first string, also []string, f *form) admin.Command {
			return &sessions.End{Account: first, Also: also, Reason: why(f)}
		}),
	}
}

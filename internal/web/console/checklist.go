package console

import (
	"slices"

	"countersign/internal/admin"
	"countersign/internal/admin/checklist"
	"countersign/internal/failure"
	"countersign/internal/protocol"
	"countersign/internal/web/look"
)

const checklistPath = "/console/checklist"

// checklistPage is what is left to do, each item with the form that does it.
type checklistPage struct {
	desk      *desk
	protocols protocol.List
}

// checklistView is the list as the overview and its own page show it.
type checklistView struct {
	checklist.List
	Form      *form
	Protocols protocol.List
	// Mailed is what a test mail came to that was just sent.
	Mailed *checklist.Mailed
}

// Shown reports whether the overview shows it.
func (c checklistView) Shown() bool { return !c.Away && !c.Ready() }

// Of is how many items there are.
func (c checklistView) Of() int { return len(c.Items) }

// Next is the first item that is not done; empty where all are. It is open, and the others can be.
func (c checklistView) Next() string {
	i := slices.IndexFunc(c.Items, func(i checklist.Item) bool { return !i.Done })
	if i < 0 {
		return ""
	}
	return c.Items[i].Item
}

// Path is the page of the account that a step is about, or of the application.
func (checklistView) Path(i checklist.Item) string {
	if i.Item == checklist.FirstApplication {
		return under(applicationsPath, i.About)
	}
	return under(accountsPath, i.About)
}

func (p *checklistPage) routes() []look.Route {
	return append([]look.Route{p.desk.page(checklistPath, "checklist.show", func(v *visit) error { return p.show(v, "", nil) })},
		p.desk.routes(
			p.on("test-mail", "checklist.test-mail", func() admin.Command { return &checklist.TestMail{} }, func(v *visit, _ *form, answer any) error {
				mailed, ok := answer.(checklist.Mailed)
				if !ok {
					return failure.New(failure.Internal, "checklist.test-mail answers another type")
				}
				return p.show(v, "", &mailed)
			}),
			p.on("put-away", "checklist.put-away", func() admin.Command { return &checklist.PutAway{} }, func(v *visit, _ *form, _ any) error {
				return v.done(homePath, "The checklist was put away. It is at the end of this page.")
			}),
			p.on("bring-back", "checklist.bring-back", func() admin.Command { return &checklist.BringBack{} }, func(v *visit, _ *form, _ any) error {
				return v.done(homePath, "The checklist is back.")
			}))...)
}

// on is a form of the list.
func (p *checklistPage) on(which, action string, command func() admin.Command, done func(v *visit, f *form, answer any) error) change {
	return change{path: checklistPath + "/" + which, action: action,
		read:  func(*visit, *form) admin.Command { return command() },
		page:  func(*visit) string { return checklistPath },
		again: func(v *visit, f *form) error { return p.show(v, f.problem(), nil) },
		done:  done}
}

// show shows the list on a page of its own.
func (p *checklistPage) show(v *visit, problem string, mailed *checklist.Mailed) error {
	view, err := p.view(v)
	if err != nil {
		return err
	}
	view.Mailed = mailed
	return v.show(sheet{template: "checklist", title: "Checklist", here: homePath, problem: problem, data: view})
}

// view is the list as it is now.
func (p *checklistPage) view(v *visit) (checklistView, error) {
	list, err := read[checklist.List](v, &checklist.Show{})
	return checklistView{List: list, Form: typed(nil).as("check"), Protocols: p.protocols}, err
}

package console

import (
	"net/http"

	"countersign/internal/admin"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// change is one form that changes something.
type change struct {
	// path is where it is posted to, and action is the command that it becomes.
	path, action string
	// read turns what was typed into the command, and notes on the form what
	// cannot be one.
	read func(v *visit, f *form) admin.Command
	// page is where the form is, and again shows it there with what was typed.
	page  func(v *visit) string
	again func(v *visit, f *form) error
	// done says what was done.
	done func(v *visit, f *form, answer any) error
	// limit is the greatest form in bytes; zero is 64 KiB.
	limit int64
}

const (
	approvedPath = "/approved"
	// moreField is the button that asks for room for one more of something.
	moreField = "more"
)

// routes are those of a form: where it is posted, and where the browser posts again
// when the command was approved on the sign-in pages.
func (d *desk) routes(forms ...change) []look.Route {
	var out []look.Route
	for _, f := range forms {
		out = append(out,
			look.Route{Pattern: "POST " + f.path, Demand: look.Action(f.action), Limit: f.limit, Handler: d.serve(f.post)},
			look.Route{Pattern: "POST " + f.path + approvedPath, Demand: look.Action(f.action), Handler: d.serve(f.approved)})
	}
	return out
}

// post does what was posted, or has the person approve it first: its exact text
// is shown to them, and a proof of its own is asked for.
func (c change) post(v *visit) error {
	v.back = c.page(v)
	f := typed(v.r.PostForm)
	if f.text(moreField) != "" {
		return c.again(v, f) // the form with room for one more, and nothing is done
	}
	cmd := c.read(v, f)
	if f.bad() {
		return c.again(v, f)
	}
	if err := v.desk.admin.Prepare(v.r.Context(), cmd); err != nil {
		return err
	}
	step, err := v.desk.browser.Check(v.r, cmd.Action(), cmd.Object())
	if err != nil {
		return err
	}
	if step.State == signin.Ask && step.Reason != "no-session" {
		// What would be refused anyway is said before anybody approves it.
		if err := v.desk.admin.PreflightBy(v.r.Context(), admin.Asker{Session: v.desk.browser.Secret(v.r), Protocol: "browser", Source: v.desk.browser.Source(v.r)}, cmd); err != nil {
			return c.mend(v, f, err)
		}
	}
	switch step.State {
	case signin.Granted:
		return c.do(v, step.Grant, f, cmd)
	case signin.Ask:
		if step.Reason == "no-session" {
			return v.again(f)
		}
		reading, err := v.desk.admin.Reading(v.r.Context(), cmd)
		if err != nil {
			return err
		}
		return v.desk.browser.Prove(v.w, v.r, session.Continuation{Action: cmd.Action(), Object: cmd.Object(), Reading: reading, Back: v.back, Return: v.r.URL.EscapedPath() + approvedPath, Form: v.r.PostForm})
	}
	return failure.Refuse(step.Reason, step.Public)
}

// approved does what was posted before the person was sent to approve it. The
// form is the one that was kept; the grant is for its text and no other.
func (c change) approved(v *visit) error {
	v.back = c.page(v)
	e, err := v.desk.browser.Kept(v.w, v.r)
	if err != nil {
		return err
	}
	if e.Return != v.r.URL.EscapedPath() {
		return failure.Refuse("other-errand", "That was begun on another page. Begin again.")
	}
	f := typed(e.Form)
	cmd := c.read(v, f)
	if f.bad() {
		return c.again(v, f)
	}
	if err := v.desk.admin.Prepare(v.r.Context(), cmd); err != nil {
		return err
	}
	if cmd.Action() != e.Action || cmd.Object() != e.Object {
		return failure.New(failure.Conflict, "What you approved has changed meanwhile: it would now be %s. Look at it again.", cmd.Object())
	}
	g, err := v.desk.browser.Claim(v.w, v.r, e)
	if err != nil {
		return err
	}
	v.desk.admin.ReceivedAt(cmd, g.Begun())
	return c.do(v, g, f, cmd)
}

// again has somebody whose session ended sign in beside this page and send the form
// once more. What they typed is on the page that they are given, and nowhere else:
// nothing is kept for whoever has no session.
func (v *visit) again(f *form) error {
	again := map[string][]string{}
	for name, values := range f.values {
		if name != look.TokenField {
			again[name] = values
		}
	}
	return v.desk.pages.Render(v.w, v.r, look.Page{Template: "again", Title: "Sign in first", Shape: look.Card, Status: http.StatusUnauthorized,
		Data: map[string]any{"Path": v.r.URL.EscapedPath(), "Values": again}})
}

// do does it. What admin cannot do is said beside the field that it is about,
// and nothing that was typed is lost.
func (c change) do(v *visit, g signin.Grant, f *form, cmd admin.Command) error {
	v.g = g
	answer, err := v.desk.admin.Do(v.r.Context(), g, cmd)
	if err != nil {
		return c.mend(v, f, err)
	}
	return c.done(v, f, answer)
}

// mend shows the form again for what the person can mend.
func (c change) mend(v *visit, f *form, err error) error {
	switch failure.ClassOf(err) {
	case failure.Invalid, failure.Conflict, failure.NotFound, failure.Refused:
		f.err = err
		f.wrong(failure.FieldOf(err), failure.Public(err))
		return c.again(v, f)
	}
	return err
}

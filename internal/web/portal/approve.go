package portal

import (
	"net/http"
	"strconv"
	"strings"

	"countersign/internal/approval"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// approveView is the form for a number, or what waits under it.
type approveView struct {
	Number  string
	Waiting *approval.Waiting
	// Object is what is approved, with the number as it was typed.
	Object string
}

// approvals are the pages on which a person approves what waits elsewhere.
type approvals struct {
	frame  *frame
	engine *approval.Approvals
}

// number asks for the number that is shown where the person signs in.
func (ap *approvals) number(w http.ResponseWriter, r *http.Request) error {
	return ap.showWaiting(w, r, approveView{}, language.Sentence{})
}

func (ap *approvals) showWaiting(w http.ResponseWriter, r *http.Request, v approveView, problem language.Sentence) error {
	g, limited, ok, err := ap.frame.enter(w, r)
	if !ok {
		return err
	}
	if limited {
		return failure.Refuse("limited", "Set up how you sign in first.")
	}
	page := ap.frame.page(g, "approve", "Approve a sign-in", v)
	if page.Problem = problem; !problem.IsZero() {
		page.Status = http.StatusBadRequest
	}
	return ap.frame.pages.Render(w, r, page)
}

// digits is a number without what people type between.
func digits(number string) string { return strings.NewReplacer(" ", "", "-", "").Replace(number) }

// found shows what waits under a number, before anything is approved.
func (ap *approvals) found(w http.ResponseWriter, r *http.Request) error {
	g, limited, ok, err := ap.frame.enter(w, r)
	if !ok || limited {
		return err
	}
	number := r.PostForm.Get("number")
	waiting, err := ap.engine.WaitingFor(r.Context(), g, number)
	if class := failure.ClassOf(err); class == failure.NotFound || class == failure.Invalid {
		return ap.showWaiting(w, r, approveView{Number: number}, look.Problem(err))
	}
	if err != nil {
		return err
	}
	return ap.showWaiting(w, r, approveView{Waiting: &waiting, Object: waiting.Numbered(digits(number))}, language.Sentence{})
}

// approveIt hands what was approved to the engine, which alone compares the number.
func (ap *approvals) approveIt(w http.ResponseWriter, r *http.Request, g signin.Grant, object string) error {
	if err := ap.engine.Approve(r.Context(), g, object); err != nil {
		return err
	}
	return ap.frame.look.Done(w, r, "/account/approve", language.Say("Approved. The other device goes on by itself, or press Enter there."))
}

func (ap *approvals) refuse(w http.ResponseWriter, r *http.Request) error {
	g, _, ok, err := ap.frame.enter(w, r)
	if !ok {
		return err
	}
	id, err := strconv.ParseInt(r.PostForm.Get("id"), 10, 64)
	if err != nil {
		return failure.New(failure.Invalid, "Unknown request.")
	}
	if err := ap.engine.Refuse(r.Context(), g, id); err != nil {
		return err
	}
	return ap.frame.look.Done(w, r, "/account/history", language.Say("Refused. If you did not begin it, your password is known to somebody: change it."))
}

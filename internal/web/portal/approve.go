package portal

import (
	"net/http"
	"strconv"
	"strings"

	"countersign/internal/approval"
	"countersign/internal/failure"
	"countersign/internal/signin"
)

// approveView is the form for a number, or what waits under it.
type approveView struct {
	Number  string
	Waiting *approval.Waiting
	// Object is what is approved, with the number as it was typed.
	Object string
}

// number asks for the number that is shown where the person signs in.
func (p *Portal) number(w http.ResponseWriter, r *http.Request) error {
	return p.showWaiting(w, r, approveView{}, "")
}

func (p *Portal) showWaiting(w http.ResponseWriter, r *http.Request, v approveView, problem string) error {
	g, limited, ok, err := p.enter(w, r)
	if !ok {
		return err
	}
	if limited {
		return failure.Refuse("limited", "Set up how you sign in first.")
	}
	page := p.page(g, "approve", "Approve a sign-in", v)
	if page.Problem = problem; problem != "" {
		page.Status = http.StatusBadRequest
	}
	return p.pages.Render(w, r, page)
}

// digits is a number without what people type between.
func digits(number string) string { return strings.NewReplacer(" ", "", "-", "").Replace(number) }

// found shows what waits under a number, before anything is approved.
func (p *Portal) found(w http.ResponseWriter, r *http.Request) error {
	g, limited, ok, err := p.enter(w, r)
	if !ok || limited {
		return err
	}
	number := r.PostForm.Get("number")
	waiting, err := p.approvals.WaitingFor(r.Context(), g, number)
	if class := failure.ClassOf(err); class == failure.NotFound || class == failure.Invalid {
		return p.showWaiting(w, r, approveView{Number: number}, failure.Public(err))
	}
	if err != nil {
		return err
	}
	return p.showWaiting(w, r, approveView{Waiting: &waiting, Object: waiting.Numbered(digits(number))}, "")
}

// approveIt hands what was approved to the engine, which alone compares the number.
func (p *Portal) approveIt(w http.ResponseWriter, r *http.Request, g signin.Grant, object string) error {
	if err := p.approvals.Approve(r.Context(), g, object); err != nil {
		return err
	}
	return p.look.Done(w, r, "/account/approve", "Approved. The other device goes on by itself, or press Enter there.")
}

func (p *Portal) refuse(w http.ResponseWriter, r *http.Request) error {
	g, _, ok, err := p.enter(w, r)
	if !ok {
		return err
	}
	id, err := strconv.ParseInt(r.PostForm.Get("id"), 10, 64)
	if err != nil {
		return failure.New(failure.Invalid, "That is no request.")
	}
	if err := p.approvals.Refuse(r.Context(), g, id); err != nil {
		return err
	}
	return p.look.Done(w, r, "/account/history", "Refused. If you did not begin it, your password is known to somebody: change it.")
}

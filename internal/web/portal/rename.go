package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// renameCookie holds the errand of a new name that waits for a fresh proof: what
// was typed is not typed twice.
const renameCookie, renameLife = "countersign-rename", 15 * time.Minute

// own returns one of the person's authenticators by its number.
func (p *Portal) own(r *http.Request, g signin.Grant, number string) (enrollment.Authenticator, error) {
	all, err := p.Enrollments.List(r.Context(), g.Account())
	if err != nil {
		return enrollment.Authenticator{}, err
	}
	i := slices.IndexFunc(all, func(a enrollment.Authenticator) bool { return strconv.FormatInt(int64(a.ID), 10) == number })
	if i < 0 {
		return enrollment.Authenticator{}, failure.New(failure.NotFound, "There is no such authenticator.")
	}
	return all[i], nil
}

// naming shows the form for another name.
func (p *Portal) naming(w http.ResponseWriter, r *http.Request) error {
	g, limited, ok, err := p.enter(w, r)
	if !ok {
		return err
	}
	if limited {
		return failure.Refuse("limited", "Sign in first.")
	}
	a, err := p.own(r, g, r.URL.Query().Get("number"))
	if err != nil {
		return err
	}
	return p.pages.Render(w, r, look.Page{Template: "rename", Title: "Rename", Shape: look.Card, Data: a})
}

// name gives the posted name, or sends the person to prove themselves first.
func (p *Portal) name(w http.ResponseWriter, r *http.Request) error {
	number, label := r.PostForm.Get("number"), r.PostForm.Get("label")
	step, err := p.Check(r, enrollment.Rename, number)
	if err != nil {
		return err
	}
	switch step.State {
	case signin.Granted:
		return p.rename(w, r, step.Grant, number, label)
	case signin.Ask:
		code, err := p.Keep(r, session.Errand{Action: enrollment.Rename, Object: number, Form: url.Values{"label": {label}},
			Return: "/account/rename/approved?number=" + url.QueryEscape(number)})
		if err != nil {
			return err
		}
		p.Look.Set(w, renameCookie, code, renameLife)
		return p.SignIn(w, r, code)
	}
	return failure.Refuse(step.Reason, step.Public)
}

// named gives the name that was posted before the person was sent to prove
// themselves. The grant is claimed for the number that the errand holds.
func (p *Portal) named(w http.ResponseWriter, r *http.Request) error {
	e, err := p.Sessions.Errand(r.Context(), p.Look.Get(r, renameCookie))
	if err != nil {
		return err
	}
	g, err := p.Claim(w, r, enrollment.Rename, e.Object)
	if err != nil {
		return err
	}
	p.Look.Drop(w, renameCookie)
	return p.rename(w, r, g, e.Object, e.Form.Get("label"))
}

func (p *Portal) rename(w http.ResponseWriter, r *http.Request, g signin.Grant, number, label string) error {
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return failure.New(failure.NotFound, "There is no such authenticator.")
	}
	if err := p.Enrollments.Rename(r.Context(), g, assurance.CredentialID(id), label); err != nil {
		return err
	}
	return p.Look.Done(w, r, "/account", "It has its new name.")
}

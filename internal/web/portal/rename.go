package portal

import (
	"net/http"
	"net/url"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

// naming shows the form for another name.
func (p *Portal) naming(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := p.frame.inside(w, r)
	if !ok {
		return err
	}
	a, err := p.frame.own(r, g, r.URL.Query().Get("number"))
	if err != nil {
		return err
	}
	return p.frame.pages.Render(w, r, look.Page{Template: "rename", Title: "Rename", Shape: look.Card, Data: a})
}

// name gives the posted name, once the person has proved themselves.
func (p *Portal) name(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := p.frame.inside(w, r)
	if !ok {
		return err
	}
	a, err := p.frame.own(r, g, r.PostForm.Get("number"))
	if err != nil {
		return err
	}
	label := enrollment.CleanLabel(r.PostForm.Get("label"), a.Label)
	says := language.Say("Rename “%s” to “%s”", language.Word(a.Label), label)
	return p.prove(w, r, session.Continuation{Action: enrollment.Rename, Object: strconv.FormatInt(int64(a.ID), 10), Form: url.Values{"label": {label}},
		Says: says.String(), Told: p.frame.look.Language(r).Tell(says)})
}

func (p *Portal) rename(w http.ResponseWriter, r *http.Request, g signin.Grant, e session.Continuation) error {
	id, err := strconv.ParseInt(e.Object, 10, 64)
	if err != nil {
		return failure.New(failure.NotFound, "There is no such authenticator.")
	}
	if err := p.changes.Rename(r.Context(), g, assurance.CredentialID(id), e.Form.Get("label")); err != nil {
		return err
	}
	return p.frame.look.Done(w, r, "/account", language.Say("It has its new name."))
}

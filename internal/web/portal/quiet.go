package portal

import (
	"net/http"
	"net/url"

	"countersign/internal/approval"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/web/look"
)

type quietView struct {
	Now approval.QuietHours
	// Everybodys says that they are not the person's own.
	Everybodys         bool
	Begins, Ends, Zone string
}

// quiet shows the form for quiet hours.
func (p *Portal) quiet(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := p.frame.inside(w, r)
	if !ok {
		return err
	}
	now, own, err := p.pushes.QuietOf(r.Context(), g.Account())
	if err != nil {
		return err
	}
	v := quietView{Now: now, Everybodys: !own, Begins: "22:00", Ends: "07:00"}
	if !now.IsZero() {
		v.Begins, v.Ends, v.Zone = now.From(), now.Until(), now.Zone
	}
	return p.frame.pages.Render(w, r, look.Page{Template: "quiet", Title: "Quiet hours", Shape: look.Card, Data: v})
}

// setQuiet sets what was posted, once the person has proved themselves. A form with
// the button for none takes them away.
func (p *Portal) setQuiet(w http.ResponseWriter, r *http.Request) error {
	f := r.PostForm
	q, err := readQuiet(f)
	if failure.ClassOf(err) == failure.Invalid {
		return p.frame.pages.Render(w, r, look.Page{Template: "quiet", Title: "Quiet hours", Shape: look.Card, Problem: look.Problem(err), Status: http.StatusBadRequest,
			Data: quietView{Begins: f.Get("begins"), Ends: f.Get("ends"), Zone: f.Get("zone")}})
	}
	if err != nil {
		return err
	}
	return p.prove(w, r, session.Continuation{Action: signin.SetQuiet, Object: q.String(), Form: quietForm(f)})
}

func readQuiet(f url.Values) (approval.QuietHours, error) {
	if f.Get("none") != "" {
		return approval.QuietHours{}, nil
	}
	return approval.ReadQuietHours(f.Get("begins"), f.Get("ends"), f.Get("zone"))
}

// quietForm is what readQuiet reads of a form.
func quietForm(f url.Values) url.Values {
	return url.Values{"none": f["none"], "begins": f["begins"], "ends": f["ends"], "zone": f["zone"]}
}

func (p *Portal) hush(w http.ResponseWriter, r *http.Request, g signin.Grant, e session.Continuation) error {
	q, err := readQuiet(e.Form)
	if err != nil {
		return err
	}
	if err := p.pushes.SetQuiet(r.Context(), g, q); err != nil {
		return err
	}
	return p.frame.look.Done(w, r, "/account", language.Say("Quiet hours: %s.", q.Sentence()))
}

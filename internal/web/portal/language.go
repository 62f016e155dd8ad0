package portal

import (
	"net/http"
)

// language keeps the language that somebody chose in the foot of a page, and goes back there:
// for this browser, and for the account of its session, which is written to in it.
func (p *Portal) language(w http.ResponseWriter, r *http.Request) error {
	in, err := p.frame.look.Chosen(r)
	if err != nil {
		return err
	}
	p.frame.look.Prefer(w, in.Tag())
	g, _, ok, err := p.frame.whoever(r)
	if ok {
		err = p.languages.Set(r.Context(), g, in.Tag())
	}
	if err != nil {
		return err
	}
	return p.frame.look.Return(w, r)
}

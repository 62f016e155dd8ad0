package server

import (
	"net/http"

	"countersign/internal/protocol"
	"countersign/internal/web/look"
)

// protocolPages shows the pages of protocols in the look of all others.
func protocolPages(l *look.Look) protocol.Pages {
	return func(w http.ResponseWriter, r *http.Request, p protocol.Page) {
		o := look.Outside{Status: p.Status, Title: p.Title, Heading: p.Heading, Problem: p.Problem, Sentences: p.Sentences, Points: p.Points, After: p.After, Frames: p.Frames, Onward: p.Onward}
		for _, k := range p.Links {
			o.Links = append(o.Links, look.OutsideLink(k))
		}
		if f := p.Form; f != nil {
			o.Form = &look.OutsideForm{To: f.To, Origin: f.Origin, Anywhere: f.Anywhere, Submits: f.Submits, Code: f.Code, CodeName: f.CodeName}
			for i := 0; i+1 < len(f.Hidden); i += 2 {
				o.Form.Hidden = append(o.Form.Hidden, look.Field{Name: f.Hidden[i], Value: f.Hidden[i+1]})
			}
			for _, b := range f.Buttons {
				o.Form.Buttons = append(o.Form.Buttons, look.Button(b))
			}
		}
		l.ShowOutside(w, r, o)
	}
}

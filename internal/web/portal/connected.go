package portal

import (
	"net/http"

	"countersign/internal/language"
	"countersign/internal/protocol"
)

// connected is the page of the applications that a person is signed in to.
type connected struct {
	frame       *frame
	connections *protocol.Connections
}

// connectedPath is the page.
const connectedPath = "/account/connected"

// connectedView is one of them, with what it got as the person reads it.
type connectedView struct {
	protocol.Connected
	Says []language.Sentence
}

func (c *connected) show(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := c.frame.inside(w, r)
	if !ok {
		return err
	}
	all, err := c.connections.Of(r.Context(), g.Account())
	if err != nil {
		return err
	}
	var view []connectedView
	for _, one := range all {
		view = append(view, connectedView{one, c.connections.Says(one)})
	}
	return c.frame.render(w, r, g, "connected", "Connected applications", view)
}

// end ends what one of them has, which any session of the person's may.
func (c *connected) end(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := c.frame.inside(w, r)
	if !ok {
		return err
	}
	if err := c.connections.EndOwn(r.Context(), g, r.PostForm.Get("application")); err != nil {
		return err
	}
	return c.frame.look.Done(w, r, connectedPath, language.Say("What the application had been given was ended."))
}

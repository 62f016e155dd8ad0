package portal

import (
	"net/http"

	"countersign/internal/protocol"
)

// applications is the page of what a person can sign in to.
type applications struct {
	frame *frame
	doors *protocol.Doors
}

func (a *applications) show(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := a.frame.inside(w, r)
	if !ok {
		return err
	}
	doors, err := a.doors.Of(r.Context(), g)
	if err != nil {
		return err
	}
	return a.frame.render(w, r, g, "applications", "My applications", doors)
}

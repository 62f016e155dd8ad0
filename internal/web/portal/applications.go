package portal

import (
	"net/http"
	"slices"

	"countersign/internal/enrollment"
	"countersign/internal/protocol"
)

// applications is the page of what a person can sign in to.
type applications struct {
	frame *frame
	doors *protocol.Doors
}

type applicationsView struct {
	Doors []protocol.Door
	// AppPasswords says that there is something to do on that page.
	AppPasswords bool
}

func (a *applications) show(w http.ResponseWriter, r *http.Request) error {
	g, ok, err := a.frame.inside(w, r)
	if !ok {
		return err
	}
	var v applicationsView
	if v.Doors, err = a.doors.Of(r.Context(), g); err != nil {
		return err
	}
	devices, err := a.doors.Devices(r.Context(), g)
	if err != nil {
		return err
	}
	all, err := a.frame.listing.List(r.Context(), g.Account())
	v.AppPasswords = len(devices) > 0 || slices.ContainsFunc(all, enrollment.Authenticator.AppPassword)
	if err != nil {
		return err
	}
	return a.frame.render(w, r, g, "applications", "My applications", v)
}

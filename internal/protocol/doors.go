package protocol

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"countersign/internal/application"
	"countersign/internal/prompt"
	"countersign/internal/signin"
)

// Doors tell people which applications they could sign in to, and where they begin. They grant
// nothing: who comes there is asked as ever.
type Doors struct {
	prospects *signin.Prospects
	catalogue *application.Catalogue
	protocols List
	public    *url.URL
}

// NewDoors makes Doors. Public is where our own pages are.
func NewDoors(prospects *signin.Prospects, catalogue *application.Catalogue, protocols List, public *url.URL) *Doors {
	return &Doors{prospects, catalogue, protocols, public}
}

// Door is an application, for people to read. It holds none of its settings.
type Door struct {
	// Title is what people call it, Way says how it asks, within a sentence.
	Title, Way string
	// Start is the address at which a browser begins; empty where it begins in a program of
	// the person's own, such as a VPN's.
	Start string
}

// Of are the applications that policy lets the grant's account into with what it has, from where
// it is, in the order of the catalogue.
func (d *Doors) Of(ctx context.Context, g signin.Grant) ([]Door, error) {
	all, err := d.catalogue.All(ctx)
	if err != nil {
		return nil, err
	}
	in, err := d.prospects.LetsIn(ctx, g.Account(), g.Source(), all, d.plays)
	if err != nil {
		return nil, err
	}
	var out []Door
	for _, app := range in {
		out = append(out, d.door(app))
	}
	return out, nil
}

// DeviceDoor is an application at which devices come in with app passwords.
type DeviceDoor struct {
	// Name is the application's, Title what people call it.
	Name, Title string
	// Services are those that an app password can be made for.
	Services []string
}

// Devices are the applications at which the grant's account may come in with an app password, as
// far as policy can say before there is one.
func (d *Doors) Devices(ctx context.Context, g signin.Grant) ([]DeviceDoor, error) {
	all, err := d.catalogue.All(ctx)
	if err != nil {
		return nil, err
	}
	services := map[string][]string{}
	var take []application.Application
	for _, app := range all {
		o, err := d.protocols.Exposure(app)
		if err == nil && len(o.AppPasswords) > 0 { // settings that cannot be read take none
			services[app.Name] = o.AppPasswords
			take = append(take, app)
		}
	}
	in, err := d.prospects.TakesAppPasswords(ctx, g.Account(), g.Source(), take)
	if err != nil {
		return nil, err
	}
	var out []DeviceDoor
	for _, app := range in {
		out = append(out, DeviceDoor{Name: app.Name, Title: cmp.Or(app.Title, app.Name), Services: services[app.Name]})
	}
	return out, nil
}

func (d *Doors) plays(app application.Application) prompt.Medium {
	p, _ := d.protocols.Named(app.Protocol)
	return p.Plays
}

func (d *Doors) door(app application.Application) Door {
	p, _ := d.protocols.Named(app.Protocol)
	out := Door{Title: app.Title, Way: p.Way}
	if out.Title == "" {
		out.Title = app.Name
	}
	if p.Begin != nil {
		if path := p.Begin(app); path != "" {
			out.Start = d.public.JoinPath(path).String()
			return out
		}
	}
	if p.Start == nil {
		return out
	}
	if u, err := url.Parse(p.Start(app.Settings, d.public.Scheme)); err == nil && u.Host != "" && strings.HasPrefix(u.Scheme, "http") {
		out.Start = u.String()
	}
	return out
}

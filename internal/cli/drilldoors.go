package cli

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"countersign/internal/admin/coverage"
	"countersign/internal/application"
	"countersign/internal/attack"
	"countersign/internal/config"
	"countersign/internal/drill"
	"countersign/internal/drill/git"
	"countersign/internal/drill/mail"
	"countersign/internal/drill/openid"
	"countersign/internal/drill/web"
	"countersign/internal/drill/wire"
	"countersign/internal/drill/yubikey"
)

// doors are the components of a stage, and by application what of it cannot be attacked.
type doors struct {
	components []drill.Component
	left       map[string][]attack.Left
}

func (d *doors) leave(application string, left map[string]string) {
	for door, why := range left {
		d.left[application] = append(d.left[application], attack.Left{Door: door, Why: why})
	}
}

// doors finds what can be attacked: Countersign's own pages first, whose cookies the others
// are tried with.
func (d *drillRun) doors(ctx context.Context, here stood, found coverage.Targets) (doors, error) {
	own := web.Server(found.URL)
	out := doors{components: []drill.Component{own.Portal()}, left: map[string][]attack.Left{}}
	apps, err := here.applications.All(ctx)
	if err != nil {
		return out, err
	}
	var sites []web.Site
	var equipment []wire.Configured
	var programs []yubikey.Configured
	var clients []openid.Configured
	var guarded []application.Application
	pages := slices.Clone(d.Page)
	for _, app := range apps {
		t := slices.IndexFunc(found.Applications, func(t coverage.Target) bool { return t.Name == app.Name })
		if t < 0 {
			continue // made since
		}
		target := found.Applications[t]
		if target.Shut {
			out.leave(app.Name, everyDoor(target, "policy lets nobody in whom a drill can make"))
			continue
		}
		switch drill.Kind(target.Drill) {
		case drill.Page:
			at, left, err := web.SitesOf(app.Name, app.Settings, scheme(found.URL), pages)
			if err != nil {
				return out, err
			}
			sites = append(sites, at...)
			guarded = append(guarded, app)
			out.leave(app.Name, left)
			pages = slices.DeleteFunc(pages, func(p string) bool {
				return slices.ContainsFunc(target.Doors, func(host string) bool { return web.Serves(host, p) })
			})
		case drill.Radius:
			equipment = append(equipment, wire.Configured{Application: app.Name, Settings: app.Settings})
		case drill.Validation:
			programs = append(programs, yubikey.Configured{Application: app.Name, Settings: app.Settings})
		case drill.OpenID, drill.Mail:
			clients = append(clients, openid.Configured{Application: app.Name, Kind: app.Kind, Settings: app.Settings})
		default:
			out.leave(app.Name, everyDoor(target, "there is no drill of this protocol yet"))
		}
	}
	if len(pages) > 0 {
		return out, fmt.Errorf("no application has the host of --page %s; see: countersign application list", pages[0])
	}
	if sites, err = d.reached(sites, found.Cards, mail.Addresses(clients)); err != nil {
		return out, err
	}
	known, left, err := openid.Here(own, clients)
	if err != nil {
		return out, err
	}
	for door, why := range left {
		out.leave(strings.TrimPrefix(door, "OpenID Connect for "), map[string]string{door: why})
	}
	behind, err := behindProxies(own, sites, guarded, known)
	if err != nil {
		return out, err
	}
	out.components = append(out.components, behind...)
	for _, c := range known {
		out.components = append(out.components, c.Component())
	}
	if err := d.mailboxes(&out, clients, known); err != nil {
		return out, err
	}
	if found.Cards != "" {
		out.components = append(out.components, own.Cards(d.cards(found.Cards)))
	}
	if err := d.equipment(&out, own, equipment); err != nil {
		return out, err
	}
	asking, err := yubikey.Here(found.URL, programs)
	if err != nil {
		return out, err
	}
	out.components = append(out.components, yubikey.Components(asking...)...)
	out.components = append(out.components, own.Administration())
	return out, nil
}

// behindProxies are the sites, and of those of the kind code what Git reads and writes there.
func behindProxies(own web.Server, sites []web.Site, guarded []application.Application, clients []openid.Client) ([]drill.Component, error) {
	var repositories []drill.Component
	kinds := map[string]string{}
	for _, app := range guarded {
		kinds[app.Name] = app.Kind
		mine := map[string]*web.Site{}
		for i := range sites {
			if sites[i].Application == app.Name {
				mine[sites[i].URL] = &sites[i]
			}
		}
		for _, address := range slices.Sorted(maps.Keys(mine)) {
			r, ok, err := git.Here(git.Configured{Application: app.Name, Settings: app.Settings}, address, clients)
			if err != nil {
				return nil, err
			}
			if ok {
				site := mine[address]
				r.Door, r.Connect = site.Door, site.Connect
				site.URL = r.Page()
				repositories = append(repositories, r.Component())
			}
		}
	}
	pages := own.Pages(sites...)
	for i, c := range pages {
		if kinds[c.Application] == "code" { // whatever else it is, people read code there
			pages[i].Moves[drill.CloneCode] = c.Moves[drill.ReadPages]
		}
	}
	return append(pages, repositories...), nil
}

// mailboxes adds the mail servers. Programs are those whose tokens they are shown.
func (d *drillRun) mailboxes(out *doors, all []openid.Configured, programs []openid.Client) error {
	connect := map[string]string{}
	for _, pair := range d.Resolve {
		if host, to, ok := strings.Cut(pair, "="); ok {
			connect[host] = to
		}
	}
	servers, left, err := mail.Here(all, programs, connect)
	if err != nil {
		return err
	}
	for application, doors := range left {
		out.leave(application, doors)
	}
	for _, s := range servers {
		out.components = append(out.components, s.Component())
	}
	return nil
}

// everyDoor says the same of each door of an application.
func everyDoor(t coverage.Target, why string) map[string]string {
	out := map[string]string{}
	for _, door := range t.Doors {
		out[door] = why
	}
	return out
}

func scheme(address string) string {
	s, _, _ := strings.Cut(address, "://")
	return s
}

// reached gives sites the addresses that the flags have for them. cards is where smart cards
// are shown, and mail are the hosts and ports of mail servers: for these one may be too.
func (d *drillRun) reached(sites []web.Site, cards string, mail []string) ([]web.Site, error) {
	for _, pair := range d.Backend {
		if err := elsewhere(pair); err != nil {
			return nil, err
		}
	}
	for _, f := range []struct {
		name  string
		pairs []string
		take  func(s *web.Site, value string)
	}{
		{"--resolve", d.Resolve, func(s *web.Site, v string) { s.Connect = v }},
		{"--backend", d.Backend, func(s *web.Site, v string) { s.Backend = v }},
	} {
		for _, pair := range f.pairs {
			host, value, ok := strings.Cut(pair, "=")
			if !ok || value == "" {
				return nil, fmt.Errorf("%s %s: write the host of a site, =, and the address", f.name, pair)
			}
			known := false
			for i := range sites {
				if isHost(sites[i].URL, host) {
					f.take(&sites[i], value)
					known = true
				}
			}
			if !known && !isHost(cards, host) && !slices.Contains(mail, host) {
				return nil, fmt.Errorf("%s %s: no application has the host %s", f.name, pair, host)
			}
		}
	}
	return sites, nil
}

// elsewhere refuses an application that only this machine reaches: that it is reached here
// is no hole.
func elsewhere(pair string) error {
	_, value, _ := strings.Cut(pair, "=")
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return fmt.Errorf("--backend %s: write the host of a site, =, and an address such as http://192.0.2.20:3000", pair)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return fmt.Errorf("--backend %s: only this machine reaches an application on a loopback address, which is as it should be; leave it out", pair)
	}
	return nil
}

// cards is where smart cards are shown, with the address that a flag has for it.
func (d *drillRun) cards(address string) web.CardReader {
	r := web.CardReader{URL: address}
	for _, pair := range d.Resolve {
		if host, to, ok := strings.Cut(pair, "="); ok && isHost(address, host) {
			r.Connect = to
		}
	}
	return r
}

// isHost reports whether an address has that host, with or without its port.
func isHost(address, host string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Host == host || u.Hostname() == host)
}

// equipment adds the RADIUS applications that this machine can ask.
func (d *drillRun) equipment(out *doors, own web.Server, all []wire.Configured) error {
	if len(all) == 0 {
		return nil
	}
	address, err := d.radius()
	if err != nil {
		return err
	}
	if address == "" {
		for _, c := range all {
			out.leave(c.Application, map[string]string{"RADIUS for " + c.Application: "the configuration here names no RADIUS server; name it with --radius"})
		}
		return nil
	}
	at, left, err := wire.Here(all)
	if err != nil {
		return err
	}
	for i := range at {
		at[i].Address, at[i].Owners = address, own
	}
	for door, why := range left {
		out.leave(strings.TrimPrefix(door, "RADIUS for "), map[string]string{door: why})
	}
	out.components = append(out.components, wire.Components(at...)...)
	return nil
}

// radius is where the server answers RADIUS: what the flag says, or the configuration.
func (d *drillRun) radius() (string, error) {
	if d.Radius != "" || d.Config == "" {
		return d.Radius, nil
	}
	file, err := config.Read(d.Config)
	if err != nil || len(file.Radius.Listen) == 0 {
		return "", err
	}
	host, port, err := net.SplitHostPort(file.Radius.Listen[0])
	if err != nil {
		return "", err
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

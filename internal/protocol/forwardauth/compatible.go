package forwardauth

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"

	"countersign/internal/application"
	"countersign/internal/failure"
)

// site is a host of the settings, taken apart.
type site struct {
	name, port string
	wild       bool
}

func readSite(host string) (site, bool) {
	key, err := settingsHost(host)
	if err != nil {
		return site{}, false
	}
	rest, wild := strings.CutPrefix(key, "*.")
	name, port, ok := splitHost(rest)
	return site{name, port, wild}, ok
}

// covers reports whether a name is one of the site's.
func (s site) covers(name string) bool {
	if s.wild {
		_, parent, ok := strings.Cut(name, ".")
		return ok && parent == s.name
	}
	return name == s.name
}

// meets reports whether two sites have a name in common.
func (s site) meets(o site) bool {
	switch {
	case s.wild && o.wild:
		return s.name == o.name
	case o.wild:
		return o.covers(s.name)
	}
	return s.covers(o.name)
}

// CheckCompatible says what of an application's settings does not fit the other
// applications, or our own pages at public: a host that belongs to another,
// and a name that another has at another port. Browsers keep one set of cookies
// for all ports of a name (RFC 6265 section 8.5), so what is behind the one port
// would be sent the sessions of the other, and could use them there.
func CheckCompatible(raw json.RawMessage, others []application.Application, public *url.URL) error {
	mine, err := sites(raw)
	if err != nil {
		return err
	}
	for _, s := range mine {
		if s.covers(strings.ToLower(public.Hostname())) && !loopback(s.name) {
			return failure.New(failure.Invalid, "%s is where Countersign's own pages are, and browsers keep one set of cookies for all ports of a name: the application would be sent everybody's sessions. Give it a name of its own.", public.Hostname())
		}
	}
	for _, other := range others {
		if other.Protocol != Protocol {
			continue
		}
		theirs, err := sites(other.Settings)
		if err != nil {
			continue // what cannot be read opens no host
		}
		for _, s := range mine {
			for _, o := range theirs {
				if err := s.compatible(o, other.Name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s site) compatible(o site, whose string) error {
	switch {
	case s == o:
		return failure.New(failure.Conflict, "The host %s belongs to the application %s already, and would belong to neither.", s.name, whose)
	case s.port != o.port && s.meets(o):
		return failure.New(failure.Conflict, "The application %s is at another port of %s, and browsers keep one set of cookies for all ports of a name: each of the two would be sent the sessions of the other. Give one of them a name of its own.", whose, o.name)
	}
	return nil
}

func sites(raw json.RawMessage) ([]site, error) {
	settings, err := parse(raw)
	if err != nil {
		return nil, err
	}
	var out []site
	for _, h := range settings.Hosts {
		if s, ok := readSite(h); ok {
			out = append(out, s)
		}
	}
	return out, nil
}

// loopback reports whether a name is this machine's own, where Countersign is
// tried out: there everything shares one name.
func loopback(name string) bool {
	a, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return name == "localhost" || err == nil && a.IsLoopback()
}

// here reports whether a name leads to this machine alone: as [loopback] does, and every name
// below localhost, which browsers look up nowhere (RFC 6761 section 6.3).
func here(name string) bool { return loopback(name) || strings.HasSuffix(name, ".localhost") }

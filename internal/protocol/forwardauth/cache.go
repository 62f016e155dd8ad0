package forwardauth

import (
	"context"
	"time"
)

// place is an application at a host.
type place struct {
	app   string
	rules rules
	// passes says that the settings let pass what can be read in several ways.
	passes bool
	// openings are what needs no session.
	openings []opening
	// programs are what requests may bring in the place of a session.
	programs []string
	// tokensOf are the clients whose access tokens are taken.
	tokensOf []string
}

// hostCache holds the applications of hosts, as they were read last.
type hostCache struct {
	changed uint64
	made    time.Time
	hosts   map[string]place
}

// keep is how long the cache is used without asking the catalogue, which reads
// the store whenever this server cannot confirm that it hears of changes. So a
// server that is cut off knows no host a second later.
const keep = time.Second

// find returns the application of a host in its one spelling: the one that
// names it exactly, else the one whose wildcard covers it.
func (d *Guard) find(ctx context.Context, host string) (place, bool, error) {
	changed, now := d.applications.Changed(), d.now()
	ix := d.cache.Load()
	if ix == nil || ix.changed != changed || now.Sub(ix.made).Abs() >= keep {
		all, err := d.applications.ByProtocol(ctx, Protocol)
		if err != nil {
			return place{}, false, err
		}
		ix = &hostCache{changed: changed, made: now, hosts: map[string]place{}}
		for _, a := range all {
			s, err := parse(a.Settings)
			if err != nil {
				continue // settings that cannot be read open no host
			}
			ix.add(a.Name, s)
		}
		d.cache.Store(ix)
	}
	p, ok := ix.find(host)
	return p, ok, nil
}

// add enters an application. A host that two applications name belongs to
// neither: which rules hold there is not ours to guess.
func (ix *hostCache) add(app string, s Settings) {
	p := place{app: app, rules: prepare(s.Rules), passes: s.Ambiguous == Pass, openings: prepareOpenings(s), programs: s.Programs, tokensOf: s.TokensOf}
	for _, h := range s.Hosts {
		key, err := settingsHost(h)
		if err != nil {
			continue
		}
		if other, taken := ix.hosts[key]; taken && other.app != p.app {
			ix.hosts[key] = place{}
			continue
		}
		ix.hosts[key] = p
	}
}

func (ix *hostCache) find(host string) (place, bool) {
	p, ok := ix.hosts[host]
	if !ok {
		p = ix.hosts[wildcard(host)]
	}
	return p, p.app != ""
}

// Package clientaddr finds the address that a request comes from, behind trusted proxies.
//
// It owns the list of trusted proxies, the reading of X-Forwarded-For and of the header in
// which proxies hand on a client's certificate, and the two warnings about proxies that are set
// up wrongly. It decides nothing and keeps nothing. Its neighbours are web/challenge, which
// asks it for every page, and the protocols behind a proxy. Its one invariant: a header counts
// only if a trusted proxy sent it, and neither the address nor the certificate of a trusted
// proxy is ever returned as that of a person or a client.
package clientaddr

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Reader reads addresses. It is safe for concurrent use.
type Reader struct {
	proxies []netip.Prefix
	now     func() time.Time
	log     *slog.Logger
	// certificates is the header of clients' certificates; empty for none.
	certificates string

	mu     sync.Mutex
	warned map[warning]time.Time
}

// NewReader returns a Reader that believes the forwarded headers of these networks. Log
// receives what keeps a proxy from being answered; nil is no log.
func NewReader(proxies []netip.Prefix, now func() time.Time, log *slog.Logger) *Reader {
	return &Reader{proxies: proxies, now: now, log: log, warned: map[warning]time.Time{}}
}

// FromProxy reports whether a trusted proxy sent the request. If not, the log says so.
func (d *Reader) FromProxy(r *http.Request) bool {
	if d.listed(Peer(r)) {
		return true
	}
	d.warn(r, notListed)
	return false
}

// Behind returns the address of the browser of a request that a trusted proxy sent, as
// [Reader.Source] does. It reports false if none sent it, as [Reader.FromProxy] does.
func (d *Reader) Behind(r *http.Request) (netip.Addr, bool) {
	at := Peer(r)
	if !d.listed(at) {
		d.warn(r, notListed)
		return netip.Addr{}, false
	}
	a := d.forwarded(r, at)
	if !a.IsValid() {
		d.warn(r, noAddress)
	}
	return a, true
}

// Source returns the address of the browser: that of the peer or, if the peer is a trusted
// proxy, the one that the proxies report. It is the zero address if they report none or one
// that cannot be read, so that nobody gets the address of the proxy; then the log says so.
func (d *Reader) Source(r *http.Request) netip.Addr {
	a := d.claimed(r)
	if !a.IsValid() {
		d.warn(r, noAddress)
	}
	return a
}

// claimed is the address that the request claims to come from.
func (d *Reader) claimed(r *http.Request) netip.Addr {
	at := Peer(r)
	if !d.listed(at) {
		return at
	}
	return d.forwarded(r, at)
}

// forwarded reads X-Forwarded-For from its end (the header has no RFC; each proxy appends the
// address of its own peer). The first address that is not a trusted proxy's is the browser's;
// anybody may have written what stands before it. It is the zero address when the deciding
// entry cannot be read, and when the proxies name only themselves: the address of a proxy
// belongs to none of its visitors.
func (d *Reader) forwarded(r *http.Request, at netip.Addr) netip.Addr {
	lines, named := r.Header["X-Forwarded-For"], false
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			if !d.listed(at) {
				return at
			}
			var entry string
			comma := strings.LastIndexByte(rest, ',')
			rest, entry, more = rest[:max(comma, 0)], rest[comma+1:], comma >= 0
			a, ok := address(strings.TrimSpace(entry))
			if !ok {
				return netip.Addr{}
			}
			at, named = a, true
		}
	}
	if !named || d.isProxy(at) {
		return netip.Addr{}
	}
	return at
}

func (d *Reader) listed(a netip.Addr) bool {
	return slices.ContainsFunc(d.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// isProxy reports whether an address is listed by itself: then it is a proxy's. In a listed
// network, an address may be a person's.
func (d *Reader) isProxy(a netip.Addr) bool {
	return slices.ContainsFunc(d.proxies, func(p netip.Prefix) bool { return p.IsSingleIP() && p.Addr() == a })
}

// Peer returns the address that a request's connection comes from, of a proxy or a browser;
// the zero address if there is none.
func Peer(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}

// address reads an entry of X-Forwarded-For, to which some proxies add a port.
func address(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		p, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = p.Addr()
	}
	a = a.Unmap().WithZone("")
	return a, !a.IsUnspecified() && !a.IsMulticast()
}

// warning is a reason why a proxy is not answered that its administrator can mend, as a
// sentence for the log.
type warning string

const (
	noAddress warning = "requests from the address of a trusted proxy do not say whose they are, so pages behind that proxy let nobody in, and people have no source address; let it set X-Forwarded-For to the address of its client (a browser on the proxy's own machine that comes without it looks the same, and can sign in here)"
	notListed warning = "a check came from an address that is not among the trusted proxies, and was refused; add it to trusted_proxies if it is your proxy"
)

// WarnAgain is the least time between two warnings of the same kind in the log.
const WarnAgain = time.Minute

// warn writes to the log, once in [WarnAgain] for each kind.
func (d *Reader) warn(r *http.Request, why warning) {
	if d.log != nil && d.due(why) {
		d.log.Warn(string(why), "proxy", Peer(r), "asked", r.URL.Path)
	}
}

// due reports whether a warning may be written now, and then counts it as written.
func (d *Reader) due(why warning) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if last, done := d.warned[why]; done && now.Sub(last).Abs() < WarnAgain {
		return false
	}
	d.warned[why] = now
	return true
}

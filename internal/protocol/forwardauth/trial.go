package forwardauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"countersign/internal/outside"
	"countersign/internal/protocol"
)

const (
	// mostTested bounds the hosts of one test.
	mostTested = 5
	// patience is how long one request of a test may take.
	patience = 5 * time.Second
)

// tester asks an application's hosts as a stranger's browser does, and nobody else: an address
// inside is asked only where the application's own settings list it. What comes back is looked
// at and never shown.
type tester struct {
	protocol.Trial
	settings Settings
	inside   []netip.Prefix
	scheme   string
}

// test is what the description has.
func test(ctx context.Context, t protocol.Trial) []protocol.Finding {
	s, err := parse(t.Application.Settings)
	if err != nil {
		return []protocol.Finding{protocol.Wrong("The settings cannot be read, so nobody is let in: save them again.")}
	}
	inside, err := s.inside()
	if err != nil {
		return []protocol.Finding{protocol.Wrong("The networks inside cannot be read: save the settings again.")}
	}
	x := &tester{t, s, inside, t.Place.Public.Scheme}
	var out []protocol.Finding
	for i, host := range s.Hosts {
		plain, err := settingsHost(host)
		switch {
		case err != nil || i >= mostTested:
			continue
		case strings.HasPrefix(plain, "*."):
			out = append(out, protocol.Works("%s stands for many names; none of them was asked.", host))
		default:
			out = append(out, x.site(ctx, plain)...)
		}
	}
	return append(out, x.backend(ctx)...)
}

// refused is an address that is not asked.
type refused struct{ to netip.Addr }

func (r *refused) Error() string { return "not asked: " + r.to.String() }

// allows reports whether an address may be asked: a public one, or one that the settings list.
func (x *tester) allows(a netip.Addr) bool {
	a = a.Unmap()
	if a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a.Zone() != "" {
		return false
	}
	return outside.Public(a) || slices.ContainsFunc(x.inside, func(p netip.Prefix) bool { return p.Contains(a) })
}

// control is asked after a name was looked up and before each connection, so that a name that
// changes its address in between gains nothing.
func (x *tester) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !x.allows(to.Addr()) {
		return &refused{to.Addr()}
	}
	return nil
}

// dial connects where a browser would. The names below localhost are this machine to browsers,
// and to few resolvers (RFC 6761 section 6.3).
func (x *tester) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".localhost") {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return (&net.Dialer{Timeout: patience, Control: x.control}).DialContext(ctx, network, address)
}

// ask is one request of a stranger's browser, without cookies. Nothing of it goes further than
// the host that is named: no redirect is followed.
func (x *tester) ask(ctx context.Context, address string, unchecked bool) (*http.Response, error) {
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("User-Agent", "Countersign (a test of the guard)")
	transport := &http.Transport{Proxy: nil, DialContext: x.dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: unchecked}} //nolint:gosec // only after the certificate was found wrong and said so; nothing secret is sent
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // it is not shown
	return res, res.Body.Close()
}

// site tests one host: its name, its certificate, the guard, and the way back.
func (x *tester) site(ctx context.Context, host string) []protocol.Finding {
	address := x.scheme + "://" + host + "/"
	before := x.counted()
	heard, _ := x.Ears.Of(x.Application.Name)
	res, err := x.ask(ctx, address, false)
	var out []protocol.Finding
	unchecked := false
	if f, certificate := x.certificate(host, err); certificate {
		out, unchecked = append(out, f), true
		res, err = x.ask(ctx, address, true)
	}
	if err != nil {
		return append(out, x.unreached(host, err))
	}
	now, _ := x.Ears.Of(x.Application.Name)
	guard := x.guard(host, res, now.After(heard))
	out = append(out, guard...)
	out = append(out, x.sinceThen(before)...)
	if len(guard) == 1 && guard[0].Works {
		out = append(out, x.wayBack(ctx, host, unchecked))
	}
	return out
}

// certificate says what is wrong with a host's certificate, if that is what went wrong.
func (x *tester) certificate(host string, err error) (protocol.Finding, bool) {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return protocol.Wrong("The certificate of %s was signed by an authority that this server does not know. Use one that browsers know, send the whole chain, or add your own authority to this machine and to people's.", host), true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return protocol.Wrong("The certificate of %s has expired or is not good yet. Renew it, and look at this machine's clock.", host), true
	case errors.As(err, &invalid):
		return protocol.Wrong("The certificate of %s cannot be used for a web site. Get another.", host), true
	case errors.As(err, &name):
		return protocol.Wrong("The certificate of %s is for other names. Get one that has this name.", host), true
	}
	return protocol.Finding{}, false
}

// unreached says why a host gave no answer.
func (x *tester) unreached(host string, err error) protocol.Finding {
	var dns *net.DNSError
	var no *refused
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &no):
		return protocol.Wrong("%s leads to %s, which is not on the public internet, so it was not asked. If your proxy is there, add that address to the networks inside of this application's settings.", host, no.to)
	case errors.As(err, &dns):
		return protocol.Wrong("The name of %s is not found. Add it to DNS, with the address of the proxy.", host)
	case errors.As(err, &record):
		return protocol.Wrong("%s does not speak TLS there. Give the proxy a certificate, or have --public-url begin with http for a trial without one.", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return protocol.Wrong("Nothing listens at %s. Start the proxy, and have it listen at that port.", host)
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return protocol.Wrong("%s does not answer within %s. Look whether a firewall is between, and whether the proxy hangs.", host, patience)
	}
	return protocol.Wrong("%s gave no answer that could be read. Look into the proxy's log.", host)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// guard says what the answer to a stranger shows. Asked says that the proxy asked us.
func (x *tester) guard(host string, res *http.Response, asked bool) []protocol.Finding {
	one := func(f protocol.Finding) []protocol.Finding { return []protocol.Finding{f} }
	to, _ := res.Location()
	switch {
	case to != nil && to.Scheme+"://"+to.Host == x.scheme+"://"+host && to.Path == beginPath:
		return one(protocol.Works("A stranger at %s is sent to sign in.", host))
	case res.StatusCode == http.StatusOK && asked && len(x.settings.Public) > 0:
		return one(protocol.Works("%s shows its first page to everybody: the proxy asked, and a public path of the settings opens it.", host))
	case res.StatusCode < 300:
		return one(protocol.Wrong("%s shows its page to a stranger: the proxy does not ask Countersign, so nobody is kept out. Use the configuration under \"Set it up\", and look whether another site of the proxy answers first.", host))
	case to != nil && to.Scheme == "https" && x.scheme == "http":
		return one(protocol.Wrong("%s sends to https, and --public-url begins with http. Have it begin with https.", host))
	case to != nil:
		return one(protocol.Wrong("%s sends a stranger to %q and not to sign in. Look which site of the proxy answers, and whether its hosts fit.", host, to.Host))
	case res.StatusCode == http.StatusUnauthorized && asked:
		return one(protocol.Wrong("The proxy of %s asks, but answers 401 and sends nobody to sign in. With nginx, the lines about error_page 401 and @countersign-sign-in are missing.", host))
	case res.StatusCode == http.StatusForbidden:
		return one(protocol.Wrong("%s refuses a stranger with 403, where it should send them to sign in. If a reason is below, mend that; else a rule of the policy refuses everybody there, or the proxy does so by itself.", host))
	case res.StatusCode == http.StatusNotFound:
		return one(protocol.Wrong("%s answers 404: another site of the proxy answers, or the lines about Countersign are missing.", host))
	case res.StatusCode >= 500 && !asked:
		return one(protocol.Wrong("The proxy of %s refuses with %d, and did not reach this server. Set the address of Countersign in its configuration: %s. Nobody gets in until then.", host, res.StatusCode, x.Place.Ask))
	}
	return one(protocol.Wrong("%s answers a stranger with %d, where it should send them to sign in. Look into the proxy's log.", host, res.StatusCode))
}

// wayBack tests whether requests under /.countersign/ reach us: without them nobody comes back
// from signing in.
func (x *tester) wayBack(ctx context.Context, host string, unchecked bool) protocol.Finding {
	res, err := x.ask(ctx, x.scheme+"://"+host+beginPath+"?to=%2F", unchecked)
	if err != nil {
		return x.unreached(host, err)
	}
	if to, _ := res.Location(); to != nil && x.Place.SignIn(to) {
		return protocol.Works("The way back from signing in to %s is open.", host)
	}
	return protocol.Wrong("Requests for %s%s do not reach Countersign, so people sign in and do not come back. Add the part of the configuration about %s, with its X-Forwarded- headers, and leave the guard out there.", host, beginPath, hostPath)
}

// counted is how often each cause was heard of so far.
func (x *tester) counted() map[string]int {
	out := map[string]int{}
	for _, u := range x.both() {
		out[u.Cause] += u.Count
	}
	return out
}

// both are what was not served of this application, and of nobody's.
func (x *tester) both() []protocol.Unserved {
	_, unserved := x.Ears.Of(x.Application.Name)
	return append(unserved, x.Ears.Strays(Protocol)...)
}

// sinceThen are the causes that came up while the test asked: what the proxy leaves out.
func (x *tester) sinceThen(before map[string]int) []protocol.Finding {
	var out []protocol.Finding
	now := x.counted()
	for _, u := range x.both() {
		if now[u.Cause] > before[u.Cause] {
			out = append(out, protocol.Wrong("%s", u.Mend))
			now[u.Cause] = 0
		}
	}
	return out
}

// backend looks whether the application is reached past the guard, where the settings say where
// it is: by opening a connection, over which nothing is sent.
func (x *tester) backend(ctx context.Context) []protocol.Finding {
	if x.settings.Backend == "" {
		return nil
	}
	u, err := backendURL(x.settings.Backend)
	if err != nil {
		return []protocol.Finding{protocol.Wrong("Where the application is cannot be read: save the settings again.")}
	}
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	c, err := x.dial(ctx, "tcp", u.Host)
	var no *refused
	if errors.As(err, &no) {
		return []protocol.Finding{protocol.Wrong("The application itself, at %s, was not asked, because %s is not on the public internet. Add that address to the networks inside of this application's settings.", u.Host, no.to)}
	}
	local := here(u.Hostname())
	if err == nil {
		_ = c.Close() // nothing was sent
	}
	switch {
	case err == nil && local:
		return []protocol.Finding{protocol.Works("The application answers at %s, which only this machine reaches.", u.Host)}
	case local:
		return []protocol.Finding{protocol.Wrong("Nothing answers at %s, where the settings say that the application is, on this machine. Start it, or correct the address.", u.Host)}
	case err == nil:
		return []protocol.Finding{protocol.Wrong("The application answers at %s from this machine, past the guard: whoever reaches that address needs nobody's yes. Let only the proxy reach it, by a firewall or by binding it to the proxy's machine. If the proxy is this machine, all is well.", u.Host)}
	}
	return []protocol.Finding{protocol.Works("The application at %s is not reached past the guard from this machine.", u.Host)}
}

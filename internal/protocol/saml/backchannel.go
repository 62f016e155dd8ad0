package saml

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"countersign/internal/failure"
	"countersign/internal/outside"
	"countersign/internal/participant"
	"countersign/internal/protocol/saml/message"
)

// A sign-out without a browser goes by SOAP (SAML bindings, section 3.2; profiles, section 4.4.3.1):
// an application asks us and is answered at once, and we ask applications when a session is over,
// for whatever reason. Whom we ask is in the table of participants, and waits there until they
// answered, so that nothing of it is lost with a server.

const (
	soapPath = "/saml/soap"
	soapType = "text/xml; charset=utf-8"
	// soapPatience bounds one request to an application, tellEvery is how often we look for whom to
	// tell, and tellAtOnce how many are told at a time.
	soapPatience = 15 * time.Second
	tellEvery    = time.Second
	tellAtOnce   = 8
)

// soap takes an application's request to sign somebody out, and answers it.
func (d *signOuts) soap(w http.ResponseWriter, r *http.Request) {
	private(w)
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, message.Longest))
	if err != nil {
		d.fault(w, r, nil, failure.New(failure.Invalid, "The envelope is longer than %d octets.", message.Longest))
		return
	}
	var from *party
	var request message.LogoutRequest
	in, err := message.FromSOAP(b)
	if err == nil {
		request, err = in.LogoutRequest(d.certificates(r.Context(), &from))
	}
	if err == nil {
		err = d.checkSOAP(request.Heading, request.Until)
	}
	if err != nil {
		d.fault(w, r, from, err)
		return
	}
	status, err := d.signOutBySOAP(r.Context(), from, request)
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	by, _, err := d.signs(r.Context())
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	out, err := message.AnswerLogout(message.NewID(), d.entity(), "", d.now(), request.ID, status).SOAP(by)
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	w.Header().Set("Content-Type", soapType)
	_, _ = w.Write(out) // the client may be gone
}

// fault answers what is not taken, and tells administrators.
func (d *signOuts) fault(w http.ResponseWriter, r *http.Request, from *party, err error) {
	if failure.ClassOf(err) == failure.Internal || failure.ClassOf(err) == failure.Unavailable {
		d.unavailable(w, r, err)
		return
	}
	d.miss(from, failure.ReasonOf(err), d.clients.Source(r))
	b, err := message.SOAPFault(failure.Public(err))
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	w.Header().Set("Content-Type", soapType)
	w.WriteHeader(http.StatusInternalServerError) // SOAP 1.1, section 6.2
	_, _ = w.Write(b)                             // the client may be gone
}

// checkSOAP says why a message that came by SOAP is not taken. It need not say for which address it
// was made; one that does was made for this one.
func (d *signOuts) checkSOAP(h message.Heading, until time.Time) error {
	if h.Destination == "" || h.Destination == d.at(soapPath) {
		h.Destination = d.at(signOutPath)
	} else {
		h.Destination = ""
	}
	return d.checkLogout(h, until, "")
}

// signOutBySOAP ends the sessions that a request means. Applications that are told by a browser
// alone are not, and the answer says so.
func (d *signOuts) signOutBySOAP(ctx context.Context, from *party, request message.LogoutRequest) (message.Status, error) {
	found, err := d.named(ctx, from, request)
	if err != nil {
		return message.Status{}, err
	}
	if len(found) == 0 {
		return message.Status{Code: message.Requester, Second: message.UnknownPrincipal}, nil
	}
	status := message.Status{Code: message.Success}
	for _, one := range found {
		if err := d.end(ctx, one); err != nil {
			return status, err
		}
		rest, err := d.participants.Of(ctx, one.Session)
		if err != nil {
			return status, err
		}
		for _, other := range rest {
			to, err := d.parties.named(ctx, other.Application)
			if err != nil {
				return status, err
			}
			if to == nil || to.settings.LogoutSOAP == "" {
				status.Second = message.PartialLogout
			}
		}
	}
	return status, nil
}

// work asks applications to end sessions that are over, until ctx ends.
func (d *signOuts) work(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		if err := d.tellAll(ctx); err != nil && ctx.Err() == nil && d.log != nil {
			d.log.Warn("SAML applications are not told of sign-outs", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tellAll tells whom it is due to tell now.
func (d *signOuts) tellAll(ctx context.Context) error {
	due, err := d.participants.Due(ctx, 100)
	if err != nil {
		return err
	}
	var each sync.WaitGroup
	places := make(chan struct{}, tellAtOnce)
	for _, one := range due {
		places <- struct{}{}
		each.Go(func() {
			defer func() { <-places }()
			if err := d.tellOne(ctx, one); err != nil && ctx.Err() == nil && d.log != nil {
				d.log.Warn("a SAML application is not told of a sign-out", "application", one.Application, "error", err)
			}
		})
	}
	each.Wait()
	return nil
}

// tellOne tells one application of the end of one session, where it takes that by SOAP.
func (d *signOuts) tellOne(ctx context.Context, one participant.Participant) error {
	to, err := d.parties.named(ctx, one.Application)
	if err != nil {
		return err
	}
	if to == nil || to.settings.LogoutSOAP == "" {
		return d.participants.Settle(ctx, one) // a browser may still tell it
	}
	taken, err := d.participants.Take(ctx, one)
	if err != nil || !taken {
		return err
	}
	if err := d.ask(ctx, to, one); err != nil {
		d.miss(to, "logout-by-soap", netip.Addr{})
		return err
	}
	return d.participants.Leave(ctx, one)
}

// ask sends a request to sign out, and reads the answer, which must be signed by the application.
func (d *signOuts) ask(ctx context.Context, to *party, one participant.Participant) error {
	by, _, err := d.signs(ctx)
	if err != nil {
		return err
	}
	id := message.NewID()
	b, err := message.AskLogout(id, d.entity(), to.settings.LogoutSOAP, d.now(), d.nameIn(one, to), one.Index).SOAP(by)
	if err != nil {
		return err
	}
	said, err := d.post(ctx, to, b)
	if err != nil {
		return err
	}
	in, err := message.FromSOAP(said)
	if err != nil {
		return err
	}
	response, err := in.LogoutResponse(func(issuer string) ([]*x509.Certificate, error) {
		if issuer != to.settings.Entity {
			return nil, errUnknown
		}
		return to.certificates, nil
	})
	switch {
	case err != nil:
		return err
	case response.Proof != message.Signed || response.InResponseTo != id:
		return failure.Refuse("unsigned", "The answer is not signed, or answers another request.")
	case response.Code != message.Success && response.Code != message.Requester: // it knows of no such session
		return failure.New(failure.Unavailable, "The application did not sign out.")
	}
	return nil
}

// post sends an envelope to an application, which is inside the network only where its settings
// list that; no redirect is followed, and no proxy asked.
func (d *signOuts) post(ctx context.Context, to *party, b []byte) ([]byte, error) {
	u, err := url.Parse(to.settings.LogoutSOAP)
	if err != nil {
		return nil, failure.New(failure.Unavailable, "The address cannot be used.")
	}
	listed, err := outside.List(to.settings.Inside)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: listed.Control(u.Hostname())}
	transport := &http.Transport{Proxy: nil, DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 16 << 10}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: soapPatience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(b))
	if err != nil {
		return nil, failure.New(failure.Unavailable, "The address cannot be used.")
	}
	r.Header.Set("Content-Type", soapType)
	r.Header.Set("SOAPAction", `"http://www.oasis-open.org/committees/security"`)
	r.Header.Set("User-Agent", "countersign")
	a, err := client.Do(r)
	if err != nil {
		return nil, failure.Wrap(failure.Unavailable, err, "The application cannot be reached.")
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return nil, failure.New(failure.Unavailable, "The application answered %d.", a.StatusCode)
	}
	return io.ReadAll(io.LimitReader(a.Body, message.Longest+1))
}

// checkSOAP says what is wrong with where an application is told by SOAP.
func (s *Settings) checkSOAP(keyed bool) error {
	if _, err := outside.List(s.Inside); err != nil || len(s.Inside) > 20 {
		return invalid("The setting inside lists up to 20 networks, addresses and host names.")
	}
	if s.LogoutSOAP == "" {
		return nil
	}
	if !keyed {
		return invalid("Single logout needs the certificate that the application signs with: an unsigned answer is not believed.")
	}
	if err := address(s.LogoutSOAP); err != nil {
		return err
	}
	if !s.reachable(s.LogoutSOAP) {
		return invalid("Where an application is told by SOAP begins with https; http is for a loopback address that inside lists.")
	}
	return nil
}

// reachable reports whether an address is one that we may send to: with TLS, or on this machine as
// an administrator listed it.
func (s *Settings) reachable(at string) bool {
	u, err := url.Parse(at)
	if err != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && len(s.Inside) > 0 && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

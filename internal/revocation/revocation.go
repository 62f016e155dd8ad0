// Package revocation checks whether a certificate was revoked.
//
// It speaks OCSP (RFC 6960) and reads CRLs (RFC 5280 section 6.3). It asks only the
// addresses of the configuration and never follows one in a certificate, which its
// issuer chose. protocol/mutualtls calls it. Invariant: a certificate is good only
// after a fresh, correctly signed "good" from every configured source. No answer, a
// stale one, an unclear one and a wrong signature are refusals, each with its reason.
package revocation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Reason is a stable word for the audit log: why a certificate is not accepted.
type Reason string

// The reasons. All except Revoked mean that the status is unknown.
const (
	Revoked     Reason = "revoked"
	Unreachable Reason = "revocation-unreachable" // nobody answered
	Stale       Reason = "revocation-stale"       // what was answered is over, or not yet
	Unknown     Reason = "revocation-unknown"     // the responder does not know it
	Forged      Reason = "revocation-forged"      // signed by somebody who may not
	Malformed   Reason = "revocation-malformed"   // not readable, or not of a kind that is understood
	Missing     Reason = "revocation-missing"     // no source is about this certificate
)

// Refusal is a [Reason] with details for the audit log.
type Refusal struct {
	Reason Reason
	Detail string
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

func refuse(r Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// Source configures who is asked about an authority's certificates. All sources that are
// set must confirm that a certificate is good.
type Source struct {
	// OCSP is the http or https address of a responder, or empty.
	OCSP string
	// AnyNonce accepts answers without the nonce that was sent (RFC 8954), for
	// responders that sign in advance. Such answers can be replayed until they are
	// stale.
	AnyNonce bool
	// CRLs are http or https addresses, or paths of files, DER or PEM.
	CRLs []string
}

const (
	// patience bounds one question to the network.
	patience = 5 * time.Second
	// skew is how far a responder's clock may be ahead of ours.
	skew = time.Minute
	// largestAnswer and largestList are in bytes.
	largestAnswer = 64 << 10
	largestList   = 32 << 20
)

// Checker checks certificates. It is safe for concurrent use. It caches CRLs while they
// are fresh, and never an OCSP answer.
type Checker struct {
	now     func() time.Time
	client  *http.Client
	issuers []*x509.Certificate

	mu    sync.Mutex
	lists map[string]*list
}

// New returns a Checker that accepts CRLs of these issuers, and of those on the path of
// the certificate. It follows no redirects and uses no proxy: it connects only to what
// the configuration names.
func New(now func() time.Time, issuers ...*x509.Certificate) *Checker {
	return &Checker{now: now, issuers: issuers, lists: map[string]*list{}, client: &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: patience, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Check returns nil if all certificates below the root are good. The path is the
// certificate, the intermediate authorities, and the root. An intermediate is good if a
// CRL of its issuer says so, or else the responder; without either its status is unknown
// and refused. An error is a *[Refusal].
func (c *Checker) Check(ctx context.Context, s Source, path []*x509.Certificate) error {
	if len(path) < 2 {
		return refuse(Missing, "nobody issued it")
	}
	for i := range path[:len(path)-1] {
		listed, err := c.listed(ctx, s, path, i)
		if err != nil {
			return err
		}
		if s.OCSP != "" && (i == 0 || !listed) {
			if err := c.ask(ctx, s, path[i], path[i+1]); err != nil {
				return above(i, path, err)
			}
			continue
		}
		if !listed {
			return above(i, path, refuse(Missing, "no CRL of its issuer is about it"))
		}
	}
	return nil
}

// above says that a refusal is about an authority between, and how to mend that.
func above(i int, path []*x509.Certificate, err error) error {
	var r *Refusal
	if i == 0 || !errors.As(err, &r) {
		return err
	}
	return refuse(r.Reason, "the authority %q: %s; add the CRL of %q to crls", path[i].Subject.CommonName, r.Detail, path[i+1].Subject.CommonName)
}

// get reads an address, at most so many bytes.
func (c *Checker) get(r *http.Request, most int64, kind string) ([]byte, error) {
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, refuse(Unreachable, "%s does not answer: %v", r.URL.Host, plain(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refuse(Unreachable, "%s answered with status %d", r.URL.Host, resp.StatusCode)
	}
	if got, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); kind != "" && got != kind {
		return nil, refuse(Malformed, "%s answered with something else", r.URL.Host)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, refuse(Unreachable, "%s broke off", r.URL.Host)
	}
	if int64(len(b)) > most {
		return nil, refuse(Malformed, "%s answered with more than %d bytes", r.URL.Host, most)
	}
	return b, nil
}

// plain takes the address out of what net/http says: it is in the sentence.
func plain(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

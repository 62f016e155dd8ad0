package revocation

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// refresh is how old a list may be before a newer one is looked for, though it
	// would still be good.
	refresh = 10 * time.Minute
	// retry is how soon after a failure.
	retry = 15 * time.Second
)

// list is one CRL, as it was read last.
type list struct {
	mu      sync.Mutex
	tried   time.Time
	failure error
	now     *crl // nil before the first one
}

// crl is a list that can be read, not yet verified for an issuer.
type crl struct {
	*x509.RevocationList
	scope    scope
	serials  map[string]time.Time
	verified []byte // the issuer's certificate for whom its signature was right
}

// listed looks a certificate up in every list of its issuer, and reports whether one
// of them is about it. A list that cannot be had might be the one.
func (c *Checker) listed(ctx context.Context, s Source, cert, issuer *x509.Certificate) (bool, error) {
	covered, seen := false, false
	for _, source := range s.CRLs {
		l, err := c.list(ctx, source, issuer)
		if err != nil {
			return false, err
		}
		if l == nil {
			continue
		}
		seen = true
		if !l.scope.covers(cert) {
			continue
		}
		covered = true
		if at, yes := l.serials[cert.SerialNumber.String()]; yes {
			return true, refuse(Revoked, "since %s, says the CRL %s", at.UTC().Format(time.RFC3339), source)
		}
	}
	if seen && !covered {
		return false, refuse(Missing, "the CRLs of its issuer are not about it")
	}
	return covered, nil
}

// list returns the list of a source if it is the issuer's, and nil if it is another
// one's. It is fresh, and its signature is right.
func (c *Checker) list(ctx context.Context, source string, issuer *x509.Certificate) (*crl, error) {
	c.mu.Lock()
	l := c.lists[source]
	if l == nil {
		l = &list{}
		c.lists[source] = l
	}
	c.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := c.now()
	c.renew(ctx, l, source, issuer)
	if l.now == nil {
		return nil, l.failure
	}
	if !bytes.Equal(l.now.RawIssuer, issuer.RawSubject) {
		return nil, nil
	}
	if !bytes.Equal(l.now.verified, issuer.Raw) {
		if err := l.now.CheckSignatureFrom(issuer); err != nil {
			return nil, refuse(Forged, "the CRL %s is not signed by the issuer that it names", source)
		}
		l.now.verified = issuer.Raw
	}
	switch {
	case l.now.ThisUpdate.After(now.Add(skew)):
		return nil, refuse(Stale, "the CRL %s is from the future", source)
	case l.now.NextUpdate.IsZero(), !now.Before(l.now.NextUpdate):
		return nil, refuse(Stale, "the CRL %s should have been renewed on %s", source, l.now.NextUpdate.UTC().Format(time.RFC3339))
	}
	return l.now, nil
}

// renew reads a source again when it is time to. What cannot be read, is forged, or
// is older than what is there, leaves the old list, which is good until it is over.
func (c *Checker) renew(ctx context.Context, l *list, source string, issuer *x509.Certificate) {
	now, wait := c.now(), refresh
	if l.failure != nil || l.now == nil || !now.Before(l.now.NextUpdate) {
		wait = retry
	}
	if isFile(source) {
		wait = 0
	}
	if age := now.Sub(l.tried); !l.tried.IsZero() && age >= 0 && age < wait {
		return
	}
	l.tried = now
	b, err := c.fetch(ctx, source)
	if err == nil && l.now != nil && bytes.Equal(b, l.now.Raw) {
		l.failure = nil
		return
	}
	var next *crl
	if err == nil {
		next, err = parse(b, source)
	}
	if err == nil && l.now != nil && bytes.Equal(next.RawIssuer, issuer.RawSubject) && next.CheckSignatureFrom(issuer) != nil {
		err = refuse(Forged, "the CRL %s is not signed by the issuer that it names", source)
	}
	if err == nil && l.now != nil && older(next.RevocationList, l.now.RevocationList) {
		err = refuse(Stale, "the CRL %s is older than the one before", source)
	}
	if l.failure = err; err == nil {
		l.now = next
	}
}

// older reports whether a list goes back behind another of the same issuer.
func older(a, b *x509.RevocationList) bool {
	if !bytes.Equal(a.RawIssuer, b.RawIssuer) {
		return false
	}
	if a.Number != nil && b.Number != nil {
		return a.Number.Cmp(b.Number) < 0
	}
	return a.ThisUpdate.Before(b.ThisUpdate)
}

func isFile(source string) bool {
	return !strings.HasPrefix(source, "http://") && !strings.HasPrefix(source, "https://")
}

// fetch returns a list in DER.
func (c *Checker) fetch(ctx context.Context, source string) ([]byte, error) {
	var b []byte
	var err error
	if isFile(source) {
		if b, err = readFile(source); err != nil {
			return nil, err
		}
	} else {
		// The list is for everybody who waits for it, and not only for who came first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
		if err != nil {
			return nil, refuse(Unreachable, "the CRL's address is not one")
		}
		if b, err = c.get(r, largestList, ""); err != nil {
			return nil, err
		}
	}
	if block, _ := pem.Decode(b); block != nil && block.Type == "X509 CRL" {
		b = block.Bytes
	}
	return b, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, refuse(Unreachable, "the CRL %s is not there", path)
	}
	if info.Size() > largestList {
		return nil, refuse(Malformed, "the CRL %s is longer than %d bytes", path, largestList)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, refuse(Unreachable, "the CRL %s cannot be read", path)
	}
	return b, nil
}

func parse(b []byte, source string) (*crl, error) {
	r, err := x509.ParseRevocationList(b)
	if err != nil {
		return nil, refuse(Malformed, "%s is not a CRL", source)
	}
	out := &crl{RevocationList: r, serials: make(map[string]time.Time, len(r.RevokedCertificateEntries))}
	if out.scope, err = scopeOf(r); err != nil {
		return nil, refuse(Malformed, "the CRL %s: %v", source, err)
	}
	for _, e := range r.RevokedCertificateEntries {
		for _, x := range e.Extensions {
			if x.Critical {
				return nil, refuse(Malformed, "the CRL %s: an entry has a critical extension that is not understood", source)
			}
		}
		serial := e.SerialNumber
		if serial == nil {
			serial = new(big.Int)
		}
		out.serials[serial.String()] = e.RevocationTime
	}
	return out, nil
}

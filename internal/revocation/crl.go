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

// list is what one source gave, by who signed it. A key that a source once had a list
// of keeps it: what comes later under another key stands beside it, and takes nothing's
// place. So authorities of one name, as in a roll-over of keys, do not push each other
// out, and neither does somebody who can write where a list is fetched.
type list struct {
	mu      sync.Mutex
	tried   time.Time
	failure error
	last    *crl
	held    map[string]*crl // by [signer]
}

// crl is a list whose signature was right.
type crl struct {
	*x509.RevocationList
	scope   scope
	serials map[string]time.Time
}

// signer tells issuers apart by name and key, as a renewed certificate has both.
func signer(c *x509.Certificate) string {
	return string(c.RawSubject) + "\x00" + string(c.RawSubjectPublicKeyInfo)
}

// listed looks a certificate up in every list of its issuer, and reports whether one
// of them is about it. A list that cannot be had might be the one.
func (c *Checker) listed(ctx context.Context, s Source, path []*x509.Certificate, i int) (bool, error) {
	cert, issuer := path[i], path[i+1]
	covered := false
	for _, source := range s.CRLs {
		l, err := c.list(ctx, source, path, issuer)
		if err != nil {
			return false, err
		}
		if l == nil || !l.scope.covers(cert) {
			continue
		}
		covered = true
		if at, yes := l.serials[cert.SerialNumber.String()]; yes {
			return true, refuse(Revoked, "since %s, says the CRL %s", at.UTC().Format(time.RFC3339), source)
		}
	}
	return covered, nil
}

// list returns the list of a source that this issuer signed, and nil if it has
// others' only. It is fresh.
func (c *Checker) list(ctx context.Context, source string, path []*x509.Certificate, issuer *x509.Certificate) (*crl, error) {
	c.mu.Lock()
	l := c.lists[source]
	if l == nil {
		l = &list{held: map[string]*crl{}}
		c.lists[source] = l
	}
	c.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := c.now()
	c.renew(ctx, l, source, path)
	held := l.held[signer(issuer)]
	switch {
	case held == nil && len(l.held) == 0:
		return nil, l.failure
	case held == nil:
		return nil, nil
	case held.ThisUpdate.After(now.Add(skew)):
		return nil, refuse(Stale, "the CRL %s is from the future", source)
	case held.NextUpdate.IsZero(), !now.Before(held.NextUpdate):
		return nil, refuse(Stale, "the CRL %s should have been renewed on %s", source, held.NextUpdate.UTC().Format(time.RFC3339))
	}
	return held, nil
}

// renew reads a source again when it is time to. What cannot be read, is signed by
// nobody whom the configuration names, or does not follow the signer's last list,
// leaves what is there, which is good until it is over.
func (c *Checker) renew(ctx context.Context, l *list, source string, path []*x509.Certificate) {
	now, wait := c.now(), refresh
	if l.failure != nil || l.last == nil || !now.Before(l.last.NextUpdate) {
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
	if err != nil {
		l.failure = err
		return
	}
	if l.last != nil && bytes.Equal(b, l.last.Raw) {
		l.failure = nil
		return
	}
	l.failure = c.take(l, source, b, path)
}

// take keeps a list that was read, if it may.
func (c *Checker) take(l *list, source string, b []byte, path []*x509.Certificate) error {
	next, err := parse(b, source)
	if err != nil {
		return err
	}
	by := signedBy(next, c.issuers, path[1:])
	if by == nil {
		return refuse(Forged, "the CRL %s is signed by no certificate of an authority's file", source)
	}
	before := l.held[signer(by)]
	if before != nil && !next.scope.equal(before.scope) {
		return refuse(Malformed, "the CRL %s is about other certificates than the one before; restart the server if that is meant", source)
	}
	if before != nil && older(next.RevocationList, before.RevocationList) {
		return refuse(Stale, "the CRL %s is older than the one before", source)
	}
	l.held[signer(by)], l.last = next, next
	return nil
}

// signedBy returns who of those that are configured signed a list in their name.
// Several may have the name (RFC 5280 section 6.3.3 goes by name and key).
func signedBy(l *crl, issuers ...[]*x509.Certificate) *x509.Certificate {
	for _, some := range issuers {
		for _, c := range some {
			if bytes.Equal(l.RawIssuer, c.RawSubject) && l.CheckSignatureFrom(c) == nil {
				return c
			}
		}
	}
	return nil
}

// older reports whether a list goes back behind another of the same issuer, by its
// number or by its time.
func older(a, b *x509.RevocationList) bool {
	if a.Number != nil && b.Number != nil && a.Number.Cmp(b.Number) < 0 {
		return true
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

package revocation_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"countersign/internal/revocation"
	"countersign/internal/testbed"
)

func reason(err error) revocation.Reason {
	var r *revocation.Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	if err != nil {
		return "not a refusal"
	}
	return ""
}

// clock can be moved.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// The promise: a real responder's good is good, its revoked and its unknown are not,
// and a change there is seen at once.
func TestOpenSSLResponder(t *testing.T) {
	a := testbed.NewAuthority(t, "Staff", nil)
	leaf := a.Issue("ada", testbed.NewKey(t).Public())
	path := []*x509.Certificate{leaf, a.Certificate}
	for _, try := range []struct {
		known  []testbed.Known
		reason revocation.Reason
	}{{[]testbed.Known{testbed.Good(leaf)}, ""}, {[]testbed.Known{testbed.Revoked(leaf)}, revocation.Revoked}, {nil, revocation.Unknown}} {
		r := testbed.OCSP(t, a, try.known...)
		c := revocation.New(time.Now)
		if err := c.Check(t.Context(), revocation.Source{OCSP: r.URL}, path); reason(err) != try.reason {
			t.Errorf("%v, want %q", err, try.reason)
		}
		// It knows nothing of another authority's.
		other := testbed.NewAuthority(t, "Staff", nil)
		if err := c.Check(t.Context(), revocation.Source{OCSP: r.URL}, []*x509.Certificate{other.Issue("ada", testbed.NewKey(t).Public(), func(x *x509.Certificate) { x.SerialNumber = leaf.SerialNumber }), other.Certificate}); err == nil {
			t.Error("a certificate of another authority is good")
		}
	}
}

// responder answers with whatever it is told to, signed by whomever.
type responder struct {
	*httptest.Server
	asked  atomic.Int64
	answer func(w http.ResponseWriter, r *ocsp.Request, raw []byte)
}

func newResponder(t *testing.T) *responder {
	s := &responder{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		raw, _ := io.ReadAll(r.Body)
		q, err := ocsp.ParseRequest(raw)
		if err != nil {
			t.Errorf("the question cannot be read: %v", err)
			return
		}
		w.Header().Set("Content-Type", "application/ocsp-response")
		s.answer(w, q, raw)
	}))
	t.Cleanup(s.Close)
	return s
}

// The promise: everything but a fresh good, signed by who may, is a refusal with its
// own reason.
func TestOCSP(t *testing.T) {
	a := testbed.NewAuthority(t, "Staff", nil)
	key := testbed.NewKey(t)
	leaf := a.Issue("ada", key.Public())
	path := []*x509.Certificate{leaf, a.Certificate}
	forSigning := func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} }
	over := func(x *x509.Certificate) { x.NotAfter = time.Now().Add(-time.Minute) }
	delegate, eve := testbed.NewKey(t), testbed.NewKey(t)
	impostor := testbed.NewAuthority(t, "Staff", nil)
	delegated := a.Issue("ocsp", delegate.Public(), forSigning)
	now := time.Now()
	good := ocsp.Response{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour)}
	with := func(f func(*ocsp.Response)) ocsp.Response { r := good; f(&r); return r }
	by := func(c *x509.Certificate) func(*ocsp.Response) { return func(r *ocsp.Response) { r.Certificate = c } }
	for name, try := range map[string]struct {
		response ocsp.Response
		signer   crypto.Signer
		as       *x509.Certificate
		reason   revocation.Reason
	}{
		"good, by the authority":            {good, a.Key, a.Certificate, ""},
		"good, by its delegate":             {with(by(delegated)), delegate, delegated, ""},
		"revoked":                           {with(func(r *ocsp.Response) { r.Status, r.RevokedAt = ocsp.Revoked, now }), a.Key, a.Certificate, revocation.Revoked},
		"unknown":                           {with(func(r *ocsp.Response) { r.Status = ocsp.Unknown }), a.Key, a.Certificate, revocation.Unknown},
		"over":                              {with(func(r *ocsp.Response) { r.NextUpdate = now.Add(-time.Second) }), a.Key, a.Certificate, revocation.Stale},
		"not yet":                           {with(func(r *ocsp.Response) { r.ThisUpdate = now.Add(time.Hour) }), a.Key, a.Certificate, revocation.Stale},
		"old, without an end":               {with(func(r *ocsp.Response) { r.NextUpdate, r.ThisUpdate = time.Time{}, now.Add(-time.Hour) }), a.Key, a.Certificate, revocation.Stale},
		"of another certificate":            {with(func(r *ocsp.Response) { r.SerialNumber = a.Certificate.SerialNumber }), a.Key, a.Certificate, revocation.Malformed},
		"by a stranger":                     {good, eve, a.Certificate, revocation.Forged},
		"by another authority of that name": {good, impostor.Key, impostor.Certificate, revocation.Forged},
		"by another authority's delegate":   {with(by(impostor.Issue("ocsp", eve.Public(), forSigning))), eve, a.Certificate, revocation.Forged},
		"by another person's certificate":   {with(by(a.Issue("eve", eve.Public()))), eve, a.Certificate, revocation.Forged},
		"by the very certificate":           {with(by(leaf)), key, leaf, revocation.Forged},
		"by a delegate whose time is over":  {with(by(a.Issue("ocsp", delegate.Public(), forSigning, over))), delegate, delegated, revocation.Forged},
		"by the certificate, made a signer": {with(by(a.Issue("eve", eve.Public(), func(x *x509.Certificate) { x.ExtKeyUsage = append(x.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }))), eve, a.Certificate, revocation.Forged},
	} {
		s := newResponder(t)
		s.answer = func(w http.ResponseWriter, q *ocsp.Request, _ []byte) {
			if q.SerialNumber.Cmp(leaf.SerialNumber) != 0 {
				t.Errorf("asked about %v", q.SerialNumber)
			}
			b, err := ocsp.CreateResponse(a.Certificate, try.as, try.response, try.signer)
			if err != nil {
				t.Error(err)
			}
			w.Write(b)
		}
		c := revocation.New(time.Now)
		if err := c.Check(t.Context(), revocation.Source{OCSP: s.URL, AnyNonce: true}, path); reason(err) != try.reason {
			t.Errorf("%s: %v, want %q", name, err, try.reason)
		}
		if try.reason == "" {
			if err := c.Check(t.Context(), revocation.Source{OCSP: s.URL}, path); reason(err) != revocation.Stale {
				t.Errorf("%s without a nonce: %v", name, err)
			}
			if s.asked.Load() != 2 {
				t.Errorf("%s: asked %d times, so an answer was remembered", name, s.asked.Load())
			}
		}
	}
	status := func(b ...byte) func(http.ResponseWriter, *ocsp.Request, []byte) {
		return func(w http.ResponseWriter, _ *ocsp.Request, _ []byte) { w.Write(b) }
	}
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for name, try := range map[string]struct {
		answer func(http.ResponseWriter, *ocsp.Request, []byte)
		reason revocation.Reason
	}{
		"try later": {status(ocsp.TryLaterErrorResponse...), revocation.Unreachable},
		"nothing":   {status(), revocation.Malformed},
		"garbage":   {status([]byte("<html>")...), revocation.Malformed},
		"500":       {func(w http.ResponseWriter, _ *ocsp.Request, _ []byte) { w.WriteHeader(500) }, revocation.Unreachable},
		"a redirect": {func(w http.ResponseWriter, _ *ocsp.Request, _ []byte) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(302)
		}, revocation.Unreachable},
		"a page":   {func(w http.ResponseWriter, _ *ocsp.Request, _ []byte) { w.Header().Set("Content-Type", "text/html") }, revocation.Malformed},
		"too much": {func(w http.ResponseWriter, _ *ocsp.Request, _ []byte) { w.Write(make([]byte, 1<<20)) }, revocation.Malformed},
		"breaks off": {func(w http.ResponseWriter, _ *ocsp.Request, _ []byte) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("x"))
		}, revocation.Unreachable},
	} {
		s := newResponder(t)
		s.answer = try.answer
		if err := revocation.New(time.Now).Check(t.Context(), revocation.Source{OCSP: s.URL, AnyNonce: true}, path); reason(err) != try.reason {
			t.Errorf("%s: %v, want %q", name, err, try.reason)
		}
	}
	if elsewhere.Load() > 0 {
		t.Error("a redirect was followed")
	}
	if err := revocation.New(time.Now).Check(t.Context(), revocation.Source{OCSP: "http://" + testbed.Addr(t)}, path); reason(err) != revocation.Unreachable {
		t.Errorf("nobody there: %v", err)
	}
	if err := revocation.New(time.Now).Check(t.Context(), revocation.Source{}, path); reason(err) != revocation.Missing {
		t.Errorf("nobody to ask: %v", err)
	}
}

// The promise: an answer that a real responder gave to somebody else's question is
// not taken.
func TestOCSPReplay(t *testing.T) {
	a := testbed.NewAuthority(t, "Staff", nil)
	leaf := a.Issue("ada", testbed.NewKey(t).Public())
	path := []*x509.Certificate{leaf, a.Certificate}
	real := testbed.OCSP(t, a, testbed.Good(leaf))
	var kept []byte
	s := newResponder(t)
	s.answer = func(w http.ResponseWriter, _ *ocsp.Request, raw []byte) {
		if kept == nil {
			resp, err := http.Post(real.URL, "application/ocsp-request", bytes.NewReader(raw))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			kept, _ = io.ReadAll(resp.Body)
		}
		w.Write(kept)
	}
	c := revocation.New(time.Now)
	for _, anyNonce := range []bool{false, true} {
		if err := c.Check(t.Context(), revocation.Source{OCSP: s.URL, AnyNonce: anyNonce}, path); anyNonce && reason(err) != revocation.Stale || !anyNonce && err != nil {
			t.Errorf("any nonce %t: %v", anyNonce, err)
		}
	}
}

// The promise: a list is believed when its issuer signed it, while it is fresh, about
// what it is about, and never an older one after a newer.
func TestCRL(t *testing.T) {
	root := testbed.NewAuthority(t, "Root", nil)
	a := testbed.NewAuthority(t, "Staff", root)
	impostor := testbed.NewAuthority(t, "Staff", nil)
	leaf := a.Issue("ada", testbed.NewKey(t).Public(), func(x *x509.Certificate) { x.CRLDistributionPoints = []string{"http://pki.example.org/staff.crl"} })
	path := []*x509.Certificate{leaf, a.Certificate, root.Certificate}
	folder := t.TempDir()
	file := func(name string, b []byte) string {
		p := filepath.Join(folder, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	point := func(critical bool, value ...byte) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: critical, Value: append([]byte{0x30, byte(len(value))}, value...)}
	}
	named := func(address string) []byte {
		b := append([]byte{0x86, byte(len(address))}, address...)
		b = append([]byte{0xa0, byte(len(b))}, b...)
		return append([]byte{0xa0, byte(len(b))}, b...)
	}
	revoking := testbed.NewAuthority(t, "Staff", root)
	revoking.Certificate, revoking.Key = a.Certificate, a.Key
	revoking.Revoke(leaf)
	rootRevokes := *root
	rootRevokes.Revoke(a.Certificate)
	hour := time.Hour
	for name, try := range map[string]struct {
		lists  []string
		reason revocation.Reason
	}{
		"good":                           {[]string{file("good", a.CRL(hour))}, ""},
		"good, in PEM":                   {[]string{file("pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: a.CRL(hour)}))}, ""},
		"revoked":                        {[]string{file("revoked", revoking.CRL(hour))}, revocation.Revoked},
		"revoked in the second":          {[]string{file("first", a.CRL(hour)), file("second", revoking.CRL(hour))}, revocation.Revoked},
		"over":                           {[]string{file("over", a.CRL(-hour))}, revocation.Stale},
		"not there":                      {[]string{filepath.Join(folder, "nothing")}, revocation.Unreachable},
		"one of two not there":           {[]string{file("one", a.CRL(hour)), filepath.Join(folder, "nothing")}, revocation.Unreachable},
		"garbage":                        {[]string{file("garbage", []byte("revoked: nobody"))}, revocation.Malformed},
		"forged":                         {[]string{file("forged", impostor.CRL(hour))}, revocation.Forged},
		"of somebody else":               {[]string{file("root", root.CRL(hour))}, revocation.Missing},
		"none":                           {nil, revocation.Missing},
		"the authority is revoked":       {[]string{file("below", a.CRL(hour)), file("above", rootRevokes.CRL(hour))}, revocation.Revoked},
		"for people":                     {[]string{file("people", a.CRL(hour, point(true, 0x81, 1, 0xff)))}, ""},
		"for authorities":                {[]string{file("authorities", a.CRL(hour, point(true, 0x82, 1, 0xff)))}, revocation.Missing},
		"for some reasons":               {[]string{file("reasons", a.CRL(hour, point(true, 0x83, 2, 0, 0x80)))}, revocation.Malformed},
		"indirect":                       {[]string{file("indirect", a.CRL(hour, point(true, 0x84, 1, 0xff)))}, revocation.Malformed},
		"for attributes":                 {[]string{file("attributes", a.CRL(hour, point(true, 0x85, 1, 0xff)))}, revocation.Malformed},
		"for its point":                  {[]string{file("point", a.CRL(hour, point(true, named("http://pki.example.org/staff.crl")...)))}, ""},
		"for another point":              {[]string{file("elsewhere", a.CRL(hour, point(true, named("http://pki.example.org/guests.crl")...)))}, revocation.Missing},
		"delta":                          {[]string{file("delta", a.CRL(hour, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}))}, revocation.Malformed},
		"a critical word not known":      {[]string{file("critical", a.CRL(hour, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}))}, revocation.Malformed},
		"a word not known, not critical": {[]string{file("word", a.CRL(hour, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}))}, ""},
	} {
		lists := try.lists
		if name != "of somebody else" && name != "the authority is revoked" {
			lists = append([]string{file("of the root", root.CRL(hour))}, lists...)
		}
		if err := revocation.New(time.Now).Check(t.Context(), revocation.Source{CRLs: lists}, path); reason(err) != try.reason {
			t.Errorf("%s: %v, want %q", name, err, try.reason)
		}
	}
	// Nobody says that the authority between was not revoked.
	if err := revocation.New(time.Now).Check(t.Context(), revocation.Source{CRLs: []string{file("alone", a.CRL(hour))}}, path); reason(err) != revocation.Missing {
		t.Errorf("nobody speaks of the authority between: %v", err)
	}
}

// The promise: a list from the network is good until it is over, though its server
// is down; a forged or an older one does not take its place.
func TestCRLFromTheNetwork(t *testing.T) {
	a, impostor := testbed.NewAuthority(t, "Staff", nil), testbed.NewAuthority(t, "Staff", nil)
	leaf := a.Issue("ada", testbed.NewKey(t).Public())
	path := []*x509.Certificate{leaf, a.Certificate}
	var answer atomic.Pointer[[]byte]
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if b := answer.Load(); b != nil {
			w.Write(*b)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer s.Close()
	var at clock
	c := revocation.New(at.now)
	source := revocation.Source{CRLs: []string{s.URL}}
	want := func(what string, r revocation.Reason) {
		t.Helper()
		if err := c.Check(t.Context(), source, path); reason(err) != r {
			t.Errorf("%s: %v, want %q", what, err, r)
		}
	}
	old := a.CRL(4 * time.Hour)
	want("not there", revocation.Unreachable)
	first := a.CRL(2 * time.Hour)
	answer.Store(&first)
	want("too soon after a failure", revocation.Unreachable)
	at.ahead.Add(int64(time.Minute))
	want("there", "")
	n := asked.Load()
	want("remembered", "")
	if asked.Load() != n {
		t.Error("a fresh list was fetched again")
	}
	answer.Store(&old)
	at.ahead.Add(int64(11 * time.Minute))
	want("an older one", "")
	for range 5 { // so that its number is higher
		impostor.CRL(time.Hour)
	}
	forged := impostor.CRL(100 * time.Hour)
	answer.Store(&forged)
	at.ahead.Add(int64(11 * time.Minute))
	want("a forged one", "")
	answer.Store(nil)
	at.ahead.Add(int64(11 * time.Minute))
	want("the server is down", "")
	if asked.Load() <= n+2 {
		t.Error("no newer list was looked for")
	}
	at.ahead.Add(int64(2 * time.Hour))
	want("down for too long", revocation.Stale)
	before := a.CRL(6 * time.Hour)
	a.Revoke(leaf)
	last := a.CRL(5 * time.Hour)
	answer.Store(&last)
	at.ahead.Add(int64(time.Minute))
	want("revoked meanwhile", revocation.Revoked)
	answer.Store(&before)
	at.ahead.Add(int64(11 * time.Minute))
	want("a list of before, which is fresh", revocation.Revoked)
}

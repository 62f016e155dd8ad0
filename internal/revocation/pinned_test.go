package revocation_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"countersign/internal/revocation"
	"countersign/internal/testbed"
)

// opensslCA is an authority whose lists openssl makes.
type opensslCA struct {
	t       *testing.T
	folder  string
	revoked []*x509.Certificate
	*testbed.Authority
}

func newOpenssl(t *testing.T, name string, above *testbed.Authority) *opensslCA {
	a := &opensslCA{t: t, folder: t.TempDir(), Authority: testbed.NewAuthority(t, name, above)}
	testbed.PEM(t, filepath.Join(a.folder, "ca.pem"), a.Certificate)
	testbed.KeyPEM(t, filepath.Join(a.folder, "ca.key"), a.Key)
	return a
}

// list is a list of so many days with a number, as openssl ca -gencrl writes it.
func (a *opensslCA) list(number, days int, extra ...string) []byte {
	a.t.Helper()
	var index strings.Builder
	for _, c := range a.revoked {
		serial := fmt.Sprintf("%X", c.SerialNumber)
		if len(serial)%2 != 0 {
			serial = "0" + serial
		}
		fmt.Fprintf(&index, "R\t%s\t%s\t%s\tunknown\t/CN=x\n", c.NotAfter.UTC().Format("060102150405Z"), time.Now().UTC().Format("060102150405Z"), serial)
	}
	config := "[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n" + strings.Join(extra, "\n")
	for name, text := range map[string]string{"index.txt": index.String(), "index.txt.attr": "unique_subject = no\n", "number": fmt.Sprintf("%02X\n", number), "ca.cnf": config} {
		if err := os.WriteFile(filepath.Join(a.folder, name), []byte(text), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	c := exec.Command(testbed.Program(a.t, "openssl"), "ca", "-config", "ca.cnf", "-gencrl", "-keyfile", "ca.key", "-cert", "ca.pem", "-crldays", fmt.Sprint(days), "-out", "out.crl")
	c.Dir = a.folder
	if out, err := c.CombinedOutput(); err != nil {
		a.t.Fatalf("openssl ca: %v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(a.folder, "out.crl"))
	if err != nil {
		a.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes
}

// place is where a list is fetched: plain http, or a file.
type place struct {
	source string
	put    func(b []byte)
}

func places(t *testing.T) map[string]func() place {
	return map[string]func() place{
		"http": func() place {
			var mu sync.Mutex
			var now []byte
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				w.Write(now)
			}))
			t.Cleanup(s.Close)
			return place{s.URL, func(b []byte) { mu.Lock(); defer mu.Unlock(); now = b }}
		},
		"a file": func() place {
			path := filepath.Join(t.TempDir(), "list.crl")
			return place{path, func(b []byte) {
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}}
		},
	}
}

// The attack: whoever can write where the root's list is fetched, over plain http or in
// a file, has a revoked authority between believed again. The promise: what takes the
// place of a list is its signer's own next one, about the same certificates, and where
// nobody speaks of an authority it is not believed.
func TestRevokedIntermediateStaysRevoked(t *testing.T) {
	root := newOpenssl(t, "Root", nil)
	staff := newOpenssl(t, "Staff", root.Authority)
	guests := newOpenssl(t, "Guests", root.Authority)
	stranger, impostor := newOpenssl(t, "Nobody", nil), newOpenssl(t, "Root", nil)
	leaf := staff.Issue("ada", testbed.NewKey(t).Public())
	path := []*x509.Certificate{leaf, staff.Certificate, root.Certificate}
	before := root.list(3, 30)
	root.revoked = []*x509.Certificate{staff.Certificate}
	revoking := root.list(5, 30)
	people := root.list(9, 30, "issuingDistributionPoint=critical,@i", "[i]", "onlyuser=TRUE")
	root.revoked = nil
	older := root.list(4, 300)
	good := staff.list(1, 30)
	hostile := map[string][]byte{
		"of a stranger": stranger.list(99, 300), "of a stranger who has the root's name": impostor.list(99, 300), "of the authority below": staff.list(99, 300),
		"of another authority below": guests.list(99, 300), "of before": before, "older, which lasts longer": older, "about people only": people, "nothing": {}, "a page": []byte("<html>"),
	}
	for kind, make := range places(t) {
		for name, list := range hostile {
			above, below := make(), make()
			above.put(revoking)
			below.put(good)
			var at clock
			c := revocation.New(at.now, root.Certificate, staff.Certificate, guests.Certificate)
			source := revocation.Source{CRLs: []string{above.source, below.source}}
			if err := c.Check(t.Context(), source, path); reason(err) != revocation.Revoked {
				t.Fatalf("%s: it is not revoked to begin with: %v", kind, err)
			}
			above.put(list)
			for range 4 {
				at.ahead.Add(int64(11 * time.Minute))
				if err := c.Check(t.Context(), source, path); reason(err) != revocation.Revoked {
					t.Errorf("%s, %s: %v", kind, name, err)
				}
			}
			above.put(revoking)
			at.ahead.Add(int64(31 * 24 * time.Hour)) // nor is it good once the last list is over
			above.put(list)
			if err := c.Check(t.Context(), source, path); err == nil {
				t.Errorf("%s, %s: good when the last list is over", kind, name)
			}
			// A server that begins with it.
			above.put(list)
			if err := revocation.New(time.Now, root.Certificate, staff.Certificate, guests.Certificate).Check(t.Context(), source, path); err == nil && name != "of before" && name != "older, which lasts longer" {
				t.Errorf("%s, %s: good for a server that begins with it", kind, name)
			}
		}
		// Honest people: a new list takes the place of the old one.
		above, below := make(), make()
		above.put(before)
		below.put(good)
		var at clock
		c := revocation.New(at.now, root.Certificate, staff.Certificate)
		for _, step := range []struct {
			list []byte
			want revocation.Reason
		}{{before, ""}, {revoking, revocation.Revoked}, {root.list(6, 60), ""}} {
			above.put(step.list)
			at.ahead.Add(int64(11 * time.Minute))
			if err := c.Check(t.Context(), revocation.Source{CRLs: []string{above.source, below.source}}, path); reason(err) != step.want {
				t.Errorf("%s: %v, want %q", kind, err, step.want)
			}
		}
	}
}

// The promise: two authorities of one name, as in a roll-over of keys, are two. Each
// one's list is believed about its own, also where both come by one address, and the
// new one's never speaks for the old one's.
func TestTwoAuthoritiesOfOneName(t *testing.T) {
	old, next := newOpenssl(t, "Staff", nil), newOpenssl(t, "Staff", nil)
	hers := old.Issue("ada", testbed.NewKey(t).Public())
	his := next.Issue("bob", testbed.NewKey(t).Public(), func(c *x509.Certificate) { c.SerialNumber = hers.SerialNumber })
	ada, bob := []*x509.Certificate{hers, old.Certificate}, []*x509.Certificate{his, next.Certificate}
	both := []*x509.Certificate{old.Certificate, next.Certificate}
	want := func(what string, c *revocation.Checker, s revocation.Source, path []*x509.Certificate, r revocation.Reason) {
		t.Helper()
		if err := c.Check(t.Context(), s, path); reason(err) != r {
			t.Errorf("%s: %v, want %q", what, err, r)
		}
	}
	for kind, make := range places(t) {
		old.revoked = nil
		one, two := make(), make()
		one.put(old.list(7, 30))
		two.put(next.list(1, 30))
		s := revocation.Source{CRLs: []string{one.source, two.source}}
		c := revocation.New(time.Now, both...)
		want(kind+", hers", c, s, ada, "")
		want(kind+", his", c, s, bob, "")
		old.revoked = []*x509.Certificate{hers}
		one.put(old.list(8, 30))
		c = revocation.New(time.Now, both...)
		want(kind+", hers revoked", c, s, ada, revocation.Revoked)
		want(kind+", his of the same number", c, s, bob, "")

		// One address, first the old one's list, then the new one's.
		var at clock
		s = revocation.Source{CRLs: []string{one.source}}
		c = revocation.New(at.now, both...)
		want(kind+", one address: hers", c, s, ada, revocation.Revoked)
		want(kind+", one address: his", c, s, bob, revocation.Missing)
		one.put(next.list(2, 90))
		at.ahead.Add(int64(11 * time.Minute))
		want(kind+", the new key: his", c, s, bob, "")
		want(kind+", the new key: hers", c, s, ada, revocation.Revoked)
		at.ahead.Add(int64(31 * 24 * time.Hour))
		want(kind+", the old one's list is over", c, s, ada, revocation.Stale)
		want(kind+", the new one's is not", c, s, bob, "")
	}
}

// The promise: of a responder only, an authority between is asked about as well.
func TestOCSPSpeaksOfWhatIsBetween(t *testing.T) {
	root := testbed.NewAuthority(t, "Root", nil)
	staff := testbed.NewAuthority(t, "Staff", root)
	leaf := staff.Issue("ada", testbed.NewKey(t).Public())
	path := []*x509.Certificate{leaf, staff.Certificate, root.Certificate}
	r := newResponder(t)
	r.answer = func(w http.ResponseWriter, q *ocsp.Request, _ []byte) {
		status, now := ocsp.Unknown, time.Now()
		if q.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
			status = ocsp.Good
		}
		b, err := ocsp.CreateResponse(staff.Certificate, staff.Certificate, ocsp.Response{Status: status, SerialNumber: q.SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour)}, staff.Key)
		if err != nil {
			t.Error(err)
		}
		w.Write(b)
	}
	if err := revocation.New(time.Now).Check(t.Context(), revocation.Source{OCSP: r.URL, AnyNonce: true}, path); err == nil {
		t.Error("nobody speaks of the authority between, and it is believed")
	}
	list := filepath.Join(t.TempDir(), "root.crl")
	if err := os.WriteFile(list, root.CRL(time.Hour), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := revocation.New(time.Now).Check(t.Context(), revocation.Source{OCSP: r.URL, AnyNonce: true, CRLs: []string{list}}, path); err != nil {
		t.Errorf("a list for what is between, a responder for people: %v", err)
	}
}

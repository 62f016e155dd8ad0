package testbed

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Responder is a real OCSP responder: that of openssl.
type Responder struct {
	t     testing.TB
	index string
	// URL is where it answers.
	URL string
}

// OCSP starts a responder for an authority that signs with the authority's own key.
// It cannot be told to listen on loopback alone; it holds nothing but this test's.
func OCSP(t testing.TB, a *Authority, known ...Known) *Responder {
	t.Helper()
	folder := t.TempDir()
	r := &Responder{t: t, index: filepath.Join(folder, "index.txt")}
	r.Knows(known...)
	ca := PEM(t, filepath.Join(folder, "ca.pem"), a.Certificate)
	key := KeyPEM(t, filepath.Join(folder, "ca.key"), a.Key)
	for range 5 { // the port is free on loopback, and may not be elsewhere
		addr := Addr(t)
		_, port, _ := strings.Cut(addr, ":")
		log := Start(t, Process{Path: Program(t, "openssl"), Args: []string{"ocsp", "-index", r.index, "-port", port, "-rsigner", ca, "-rkey", key, "-CA", ca, "-nmin", "5"}})
		if r.begins(log) {
			r.URL = "http://" + addr
			return r
		}
	}
	t.Fatal("openssl ocsp does not begin")
	return nil
}

// begins waits for what it writes. It serves one connection at a time, and waits for
// ever on one that asks nothing, so its port cannot be tried.
func (r *Responder) begins(log *Log) bool {
	for deadline := time.Now().Add(patience / 5); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(log.String(), "waiting for OCSP client") {
			return true
		}
	}
	r.t.Logf("openssl ocsp does not begin:\n%s", log)
	return false
}

// Knows rewrites what the responder knows: each certificate is good, but for those
// that Revoked made.
func (r *Responder) Knows(all ...Known) {
	r.t.Helper()
	var b strings.Builder
	for _, k := range all {
		state, at := "V", ""
		if k.revoked {
			state, at = "R", time.Now().Add(-time.Minute).UTC().Format("060102150405Z")
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\t%02X\tunknown\t/CN=x\n", state, k.certificate.NotAfter.UTC().Format("060102150405Z"), at, k.certificate.SerialNumber)
	}
	next := r.index + ".next"
	if err := os.WriteFile(next, []byte(b.String()), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(next, r.index); err != nil {
		r.t.Fatal(err)
	}
}

// Known is a certificate that a responder knows.
type Known struct {
	certificate *x509.Certificate
	revoked     bool
}

// Good and Revoked say what is known of a certificate.
func Good(c *x509.Certificate) Known { return Known{c, false} }

// Revoked is the other one.
func Revoked(c *x509.Certificate) Known { return Known{c, true} }

package testbed

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"
)

// ChromiumWithCard is a Chromium that has a certificate and its key, and shows it at
// one origin without a dialog, as an administrator's policy says. The key is in the
// browser's own store: for one on a token it opens a dialog for the PIN, which no
// test can answer. It takes root, because the policy is a file of the system.
func ChromiumWithCard(t testing.TB, origin string, c *x509.Certificate, key *ecdsa.PrivateKey) *Browser {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("Chromium reads policies from /etc/chromium only, which takes root")
	}
	home, db := nssHome(t)
	p12 := filepath.Join(home, "card.p12")
	for _, args := range [][]string{
		{"openssl", "pkcs12", "-export", "-in", PEM(t, filepath.Join(home, "card.pem"), c), "-inkey", KeyPEM(t, filepath.Join(home, "card.key"), key), "-name", "card", "-passout", "pass:", "-out", p12},
		{"pk12util", "-d", "sql:" + db, "-i", p12, "-W", ""},
	} {
		if out, err := exec.Command(Program(t, args[0]), args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
	selectTheCard(t, origin)
	return Chromium(t, chromedp.Env("HOME="+home))
}

// nssHome is a home folder with an empty store of certificates, as Chromium reads it on Linux.
func nssHome(t testing.TB) (home, db string) {
	t.Helper()
	home = t.TempDir()
	db = filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(db, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(Program(t, "certutil"), "-d", "sql:"+db, "-N", "--empty-password").CombinedOutput(); err != nil {
		t.Fatalf("certutil: %v\n%s", err, out)
	}
	return home, db
}

// ChromiumWithKeys is a Chromium that binds sessions to its device (Device Bound Session
// Credentials), with keys in software: both features are needed for that. It trusts certificates
// of the authority, because a browser that does not check certificates binds nothing.
func ChromiumWithKeys(t testing.TB, trusts *Authority) *Browser {
	t.Helper()
	home, db := nssHome(t)
	root := PEM(t, filepath.Join(home, "root.pem"), trusts.Certificate)
	if out, err := exec.Command(Program(t, "certutil"), "-d", "sql:"+db, "-A", "-t", "C,,", "-n", "root", "-i", root).CombinedOutput(); err != nil {
		t.Fatalf("certutil: %v\n%s", err, out)
	}
	return Chromium(t, chromedp.Env("HOME="+home), chromedp.Flag("ignore-certificate-errors", false),
		chromedp.Flag("enable-features", "DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"))
}

// selectTheCard has Chromium show the certificate at every port of origin's host. Chromium reads
// these policies from one folder for the whole machine, and of two files with the same policy
// only the last by name counts. So the file is the same for every test, and stays: tests beside
// each other agree, and one that was killed leaves nothing that the next has to win against.
func selectTheCard(t testing.TB, origin string) {
	t.Helper()
	at, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	filter, err := json.Marshal(map[string]any{"pattern": at.Scheme + "://" + at.Hostname() + ":*", "filter": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := json.Marshal(map[string]any{"AutoSelectCertificateForUrls": []string{string(filter)}})
	if err != nil {
		t.Fatal(err)
	}
	const folder = "/etc/chromium/policies/managed"
	leftovers, err := filepath.Glob(filepath.Join(folder, "countersign-*-Test*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range leftovers {
		if err := os.Remove(of); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	path := filepath.Join(folder, "countersign-tests.json")
	if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, policy) {
		return
	}
	fresh := keep(t, filepath.Join(folder, ".countersign-tests-"+strconv.Itoa(os.Getpid())), policy)
	if err := os.Rename(fresh, path); err != nil {
		t.Fatal(err)
	}
}

package testbed

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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
	home := t.TempDir()
	db := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(db, 0o700); err != nil {
		t.Fatal(err)
	}
	p12 := filepath.Join(home, "card.p12")
	for _, args := range [][]string{
		{"openssl", "pkcs12", "-export", "-in", PEM(t, filepath.Join(home, "card.pem"), c), "-inkey", KeyPEM(t, filepath.Join(home, "card.key"), key), "-name", "card", "-passout", "pass:", "-out", p12},
		{"certutil", "-d", "sql:" + db, "-N", "--empty-password"},
		{"pk12util", "-d", "sql:" + db, "-i", p12, "-W", ""},
	} {
		if out, err := exec.Command(Program(t, args[0]), args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
	filter, err := json.Marshal(map[string]any{"pattern": origin, "filter": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := json.Marshal(map[string]any{"AutoSelectCertificateForUrls": []string{string(filter)}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("/etc/chromium/policies/managed", "countersign-"+filepath.Base(home)+"-"+filepath.Base(filepath.Dir(home))+".json")
	keep(t, path, policy)
	t.Cleanup(func() { os.Remove(path) })
	return Chromium(t, chromedp.Env("HOME="+home))
}

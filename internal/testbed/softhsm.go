package testbed

import (
	"crypto"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// HSM is a card: a token of SoftHSM with one key, which it made and does not give
// out, behind a PIN.
type HSM struct {
	t testing.TB
	// Public is the key's public part.
	Public crypto.PublicKey
	// Module is the PKCS #11 library, Configuration what SOFTHSM2_CONF names, and
	// PIN the token's.
	Module, Configuration, PIN string
	folder                     string
}

// SoftHSM makes a token and a P-256 key in it.
func SoftHSM(t testing.TB) *HSM {
	t.Helper()
	h := &HSM{t: t, PIN: "648219", folder: t.TempDir()}
	for _, path := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(path); err == nil {
			h.Module = path
		}
	}
	if h.Module == "" {
		t.Fatal("SoftHSM is not installed; run deploy/test-packages.sh")
	}
	h.Configuration = filepath.Join(h.folder, "softhsm2.conf")
	if err := os.Mkdir(filepath.Join(h.folder, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	keep(t, h.Configuration, []byte("directories.tokendir = "+filepath.Join(h.folder, "tokens")+"\nobjectstore.backend = file\nlog.level = ERROR\n"))
	h.run("softhsm2-util", "--module", h.Module, "--init-token", "--free", "--label", "badge", "--pin", h.PIN, "--so-pin", "73648291")
	h.tool("--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "badge")
	out := filepath.Join(h.folder, "public.der")
	h.tool("--read-object", "--type", "pubkey", "--id", "01", "--output-file", out)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if h.Public, err = x509.ParsePKIXPublicKey(b); err != nil {
		t.Fatal(err)
	}
	return h
}

// Put stores a certificate beside the key, as an issuer of cards does.
func (h *HSM) Put(c *x509.Certificate) {
	h.t.Helper()
	path := keep(h.t, filepath.Join(h.folder, "certificate.der"), c.Raw)
	h.tool("--write-object", path, "--type", "cert", "--id", "01", "--label", "badge")
}

// Environment is what a program needs to find the token.
func (h *HSM) Environment() []string {
	return append(os.Environ(), "SOFTHSM2_CONF="+h.Configuration, "PKCS11_MODULE_PATH="+h.Module)
}

func (h *HSM) tool(args ...string) {
	h.t.Helper()
	h.run("pkcs11-tool", append([]string{"--module", h.Module, "--login", "--pin", h.PIN}, args...)...)
}

func (h *HSM) run(name string, args ...string) {
	h.t.Helper()
	c := exec.Command(Program(h.t, name), args...)
	c.Env = h.Environment()
	if out, err := c.CombinedOutput(); err != nil {
		h.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Curl visits an address with the key in the token, and returns where it is sent.
func (h *HSM) Curl(address, endpoint, pin string, certificate, trusted *x509.Certificate) (location string, err error) {
	h.t.Helper()
	folder := h.t.TempDir()
	c := exec.Command(Program(h.t, "curl"), "--silent", "--show-error", "--engine", "pkcs11", "--key-type", "ENG",
		"--key", "pkcs11:token=badge;object=badge;type=private;pin-value="+pin, "--cert", PEM(h.t, filepath.Join(folder, "card.pem"), certificate),
		"--cacert", PEM(h.t, filepath.Join(folder, "served.pem"), trusted), "--connect-to", "::"+endpoint, "--write-out", "%{redirect_url}", "--output", "/dev/null", address)
	c.Env = h.Environment()
	out, err := c.Output()
	return string(out), err
}

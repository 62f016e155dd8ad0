package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator/passkey"
	"countersign/internal/config"
	"countersign/internal/session"
	"countersign/internal/testbed"
	"countersign/internal/throttle"
	"countersign/internal/virtualauth"
)

// What config print shows as defaults is what the rooms take by themselves.
func TestPrintedDefaultsAreTheRooms(t *testing.T) {
	s, err := SettingsOf(config.Default(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	own, err := throttle.Limits{}.Check()
	if err != nil || s.Limits != own {
		t.Errorf("printed %+v, the engine's own %+v, %v", s.Limits, own, err)
	}
	if want := (session.Limits{Overall2: 24 * time.Hour, Idle2: time.Hour, Overall3: 12 * time.Hour, Idle3: 15 * time.Minute}); s.Sessions != want {
		t.Errorf("printed %+v", s.Sessions)
	}
	if _, err := Kinds(s, nil, nil); err != nil {
		t.Error(err)
	}
}

// What the file says of passkeys is what their room is given, and nothing is laxer by
// itself.
func TestSettingsOfPasskeys(t *testing.T) {
	file := config.Default()
	for _, want := range [][2]string{{passkey.Required, passkey.Refuse}, {passkey.Preferred, passkey.Accept}} {
		s, err := SettingsOf(file, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{s.Passkeys.UserVerification, s.Passkeys.CounterRegression}; got != want {
			t.Errorf("the room is given %q, want %q", got, want)
		}
		file.Passkeys.UserVerification, file.Passkeys.SignatureCounter = "preferred", "accept"
	}
}

// A check of the configuration warns of authorities whose cards would all be refused, and of
// metadata that is out of date, as a start does.
func TestCheckWarns(t *testing.T) {
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	strange := testbed.NewAuthority(t, "Strange", nil)
	template := *strange.Certificate
	template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
	testbed.PEM(t, in("ca.pem"), testbed.Certify(t, &template, &template, strange.Key.Public(), strange.Key))
	ca, err := virtualauth.NewCA("metadata")
	if err != nil {
		t.Fatal(err)
	}
	testbed.PEM(t, in("root.pem"), ca.Root())
	file := config.Default()
	pair := config.TLS{Certificate: in("own.pem"), Key: in("own.key")}
	writePair(t, pair, 1)
	file.Certificates = config.Certificates{Listen: "127.0.0.1:8443", PublicURL: "https://localhost:8443", TLS: pair, TLSVersion: "1.2",
		Authorities: []config.CertificateAuthority{{Name: "strange", File: in("ca.pem"), Mapping: "issuer-serial", CRLs: []string{"x"}}}}
	file.Passkeys.Metadata, file.Passkeys.MetadataRoot, file.Passkeys.MetadataSigner = in("blob"), in("root.pem"), "mds.example"
	for late, days := range map[bool]int{false: 1, true: -2} {
		blob, err := ca.Blob(virtualauth.Blob{Number: 6, NextUpdate: time.Now().AddDate(0, 0, days), Signer: "mds.example"})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(in("blob"), blob, 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if err := Check(file, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if says := log.String(); strings.Contains(says, "passkeys.metadata is out of date") != late || !strings.Contains(says, "critical extension 1.2.3.4 cannot be handled") || !strings.Contains(says, "authority=strange") {
			t.Errorf("late %t: the log says %s", late, says)
		}
	}
	s, err := SettingsOf(file, slog.New(slog.DiscardHandler))
	if err != nil || s.Cards.TLS != tls.VersionTLS12 {
		t.Errorf("TLS %x, %v", s.Cards.TLS, err)
	}
}

// writePair writes a new self-signed certificate and its key.
func writePair(t *testing.T, files config.TLS, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{files.Certificate: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A renewed certificate is served without a restart; half a renewal leaves the
// old one.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	files := config.TLS{Certificate: filepath.Join(dir, "c.pem"), Key: filepath.Join(dir, "k.pem")}
	c := &certificates{files: func() config.TLS { return files }, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if _, err := c.TLSConfig(); err == nil {
		t.Fatal("there is no certificate yet")
	}
	serves := func(serial int64) {
		t.Helper()
		c.looked = time.Time{} // as a second later
		pair, err := c.get(&tls.ClientHelloInfo{})
		if err != nil || pair == nil || pair.Leaf.SerialNumber.Int64() != serial {
			t.Errorf("it serves %+v, %v; want serial %d", pair, err, serial)
		}
	}
	writePair(t, files, 1)
	if _, err := c.TLSConfig(); err != nil {
		t.Fatal(err)
	}
	serves(1)
	if err := os.WriteFile(files.Key, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	serves(1)
	writePair(t, files, 2)
	serves(2)
}

// A reload takes what can change and names what cannot; a bad file changes nothing.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("listen: 127.0.0.1:8080\npublic_url: http://localhost:8080\n")
	read := func() (config.File, error) { return config.Read(path) }
	file, err := read()
	if err != nil {
		t.Fatal(err)
	}
	d := newDaemon(file)
	d.reread, d.log = read, slog.New(slog.NewTextHandler(t.Output(), nil))
	write("listen: 127.0.0.1:9090\npublic_url: http://localhost:8080\nlog: {level: debug}\n")
	now, restart, err := d.reload()
	if err != nil || len(now) != 1 || len(restart) != 1 || restart[0] != "listen" {
		t.Errorf("now %v, restart %v, %v", now, restart, err)
	}
	if d.level.Level() != slog.LevelDebug || d.file.Load().Listen != "127.0.0.1:8080" {
		t.Errorf("level %v, listens on %s", d.level.Level(), d.file.Load().Listen)
	}
	write("log: {level: shouting}\n")
	if _, _, err := d.reload(); err == nil || d.level.Level() != slog.LevelDebug {
		t.Errorf("a bad file was used: %v, %v", err, d.level.Level())
	}
}

// The pages ask nobody for a certificate, and take none.
func TestPagesAskForNoCertificate(t *testing.T) {
	files := config.TLS{Certificate: filepath.Join(t.TempDir(), "c.pem"), Key: filepath.Join(t.TempDir(), "k.pem")}
	writePair(t, files, 1)
	c := &certificates{files: func() config.TLS { return files }}
	pages, err := c.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	if pages.ClientAuth != tls.NoClientCert || pages.ClientCAs != nil {
		t.Errorf("the pages ask for a certificate: %v", pages.ClientAuth)
	}
}

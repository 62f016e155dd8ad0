package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"countersign/internal/protocol"
	"countersign/internal/testbed"
)

// A handshake that fails for a cause that can be mended is a warning with what to do, once
// a minute; a scan is none. The client is OpenSSL.
func TestHandshakesThatFailAreTold(t *testing.T) {
	openssl := testbed.Program(t, "openssl")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer // read after the server has ended
	told := cardFailures{slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})), protocol.NewEars(), time.Now}
	server := &http.Server{TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, ErrorLog: told.logger()}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(l, "", "") }()
	count := func() (n int) {
		_, all := told.ears.Of("")
		for _, u := range all {
			n += u.Count
		}
		return n
	}
	for range 2 {
		_ = exec.Command(openssl, "s_client", "-tls1_2", "-connect", l.Addr().String()).Run() // it is refused
	}
	for deadline := time.Now().Add(20 * time.Second); count() < 2 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	server.Close()
	<-ended
	_, _ = told.Write([]byte("http: TLS handshake error from 192.0.2.1:5: remote error: tls: unknown certificate authority\n"))
	_, all := told.ears.Of("")
	causes := map[string]int{}
	for _, u := range all {
		causes[u.Cause] = u.Count
	}
	if causes["card-tls-version"] != 2 || causes["card-server-certificate"] != 1 {
		t.Errorf("told are %v", causes)
	}
	if s := text.String(); strings.Count(s, "level=WARN") != 2 || !strings.Contains(s, "switch TLS 1.3 on there") {
		t.Errorf("the log says %s", s)
	}
	before := text.Len()
	_, _ = told.Write([]byte("http: TLS handshake error from 192.0.2.1:5: EOF\n"))
	if s := text.String()[before:]; !strings.Contains(s, "level=DEBUG") {
		t.Errorf("a scan is %s", s)
	}
}

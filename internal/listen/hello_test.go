package listen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"
)

// The promise: a client that says nothing, or half a ClientHello, is cut off although
// its handshake might take for ever; one that has said hello may take its time.
func TestWhoSaysNothingIsCutOff(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	under, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer under.Close()
	l := tls.NewListener(&Hello{under, 200 * time.Millisecond}, Heard(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}))
	ended := make(chan error)
	serve := func() {
		c, err := l.Accept()
		if err == nil {
			c.SetDeadline(time.Now().Add(time.Hour)) //nolint:errcheck // as net/http sets what a handshake may take
			err = c.(*tls.Conn).Handshake()
		}
		ended <- err
	}
	for _, sent := range []string{"", "\x16\x03\x01\x02\x00\x01"} { // without the limit this waits for an hour
		go serve()
		c, err := net.Dial("tcp", under.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("a handshake of nothing")
		}
		c.Close()
	}
	go serve()
	c, err := net.Dial("tcp", under.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The PIN is typed after the server's part of the handshake was read.
	slow := &typing{Conn: c, pause: 600 * time.Millisecond}
	if err := tls.Client(slow, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
		t.Errorf("who types slowly: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("who types slowly is cut off: %v", err)
	}
}

// typing waits before its second flight.
type typing struct {
	net.Conn
	pause  time.Duration
	writes int
}

func (c *typing) Write(b []byte) (int, error) {
	if c.writes++; c.writes == 2 {
		time.Sleep(c.pause)
	}
	return c.Conn.Write(b)
}

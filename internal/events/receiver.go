package events

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"countersign/internal/audit"
	"countersign/internal/failure"
)

// Receiver takes entries. It is used by one goroutine at a time.
type Receiver interface {
	// Take hands over entries in the order of their numbers, and returns nil only when the
	// receiver has all of them. After an error all of them are handed over again, now or by
	// another server. Rejected is how many the receiver took from us and threw away, saying
	// so; they are not sent again. The error names the receiver's host, and no secret.
	Take(ctx context.Context, entries []audit.Entry) (rejected int, err error)
	// Close ends its connections. Take may be called again.
	Close()
}

// Trace hears each step of a Take, for people who set it up; nil is nobody.
type Trace func(line string)

func (t Trace) say(format string, args ...any) {
	if t != nil {
		t(fmt.Sprintf(format, args...))
	}
}

// Files are the files of a connection by TLS. They are read for each connection, so that a
// renewal needs no restart.
type Files struct {
	// CA are the root certificates of the receiver; empty is those of the system.
	CA string
	// Certificate and Key identify this server to the receiver; both or neither.
	Certificate, Key string
}

// config reads the files, for connections to this host.
func (f Files) config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		text, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, failure.Wrap(failure.Unavailable, err, "The file in ca cannot be read. Check that it is there and that Countersign may read it.")
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, failure.New(failure.Unavailable, "The file in ca has no certificate: %s.", f.CA)
		}
	}
	if f.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
		if err != nil {
			return nil, failure.Wrap(failure.Unavailable, err, "The files in certificate and key cannot be used. Check that they are PEM and belong together.")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// secrets reads the lines of a secret's file that are not empty, at least one.
func secrets(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, failure.Wrap(failure.Unavailable, err, "The file in secret_file cannot be read. Check that it is there and that Countersign may read it.")
	}
	lines := nonEmpty(string(text))
	if len(lines) == 0 {
		return nil, failure.New(failure.Unavailable, "The file in secret_file is empty: %s.", path)
	}
	return lines, nil
}

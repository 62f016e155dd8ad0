package server

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"countersign/internal/config"
)

// certificates hands out the pages' certificate, and reads it again when a file
// has changed. A pair that does not fit, as in the middle of a renewal, is
// told of and the old one stays.
type certificates struct {
	files func() config.TLS
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	stamp  [2]stamp
	paths  config.TLS
	now    *tls.Certificate
}

// stamp is how a changed file is known.
type stamp struct {
	size int64
	at   time.Time
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.Size(), info.ModTime()}, nil
}

// load reads the pair if it is another than before.
func (c *certificates) load() error {
	files := c.files()
	a, err := stampOf(files.Certificate)
	if err != nil {
		return err
	}
	b, err := stampOf(files.Key)
	if err != nil {
		return err
	}
	if c.now != nil && files == c.paths && c.stamp == [2]stamp{a, b} {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return err
	}
	c.now, c.paths, c.stamp = &pair, files, [2]stamp{a, b}
	return nil
}

// get is for [tls.Config]; it looks at the files once a second at most.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > time.Second {
		c.looked = time.Now()
		if err := c.load(); err != nil {
			c.log.Warn("the certificate could not be read again; the old one stays", "error", err)
		}
	}
	return c.now, nil
}

// TLSConfig fails when there is no certificate to begin with.
func (c *certificates) TLSConfig() (*tls.Config, error) {
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}, nil
}

package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"countersign/internal/config"
)

// mutualOf is where clients show certificates: at an address of their own, or at that of the pages
// where a proxy takes them there; nil for nowhere.
func mutualOf(c config.MutualTLS, pages *url.URL) (*url.URL, error) {
	if c == (config.MutualTLS{}) {
		return nil, nil
	}
	if c.PublicURL == "" {
		return pages, nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return nil, err
	}
	u.Path = ""
	return u, nil
}

// MutualServer serves the paths at which programs show certificates, and nothing else, with the
// certificate of the server itself. Whoever has none is asked all the same; what a certificate is
// worth is the protocol's to say. No connection is resumed, which would show a key that was held
// some time ago.
func (in *Installation) MutualServer(own *tls.Config, log *slog.Logger) *http.Server {
	c := own.Clone()
	c.ClientAuth, c.SessionTicketsDisabled = tls.RequestClientCert, true
	var paths []string
	for _, d := range in.protocols {
		paths = append(paths, d.CertifiedPaths...)
	}
	server := patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(paths, r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		in.Handler.ServeHTTP(w, r)
	}), pageTimes)
	server.TLSConfig = c
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	return server
}

// mutual is the server that clients show certificates to; nil where there is none.
func (d *daemon) mutual() (*http.Server, error) {
	file := d.file.Load()
	if file.MutualTLS.Listen == "" {
		return nil, nil
	}
	c := &certificates{files: func() config.TLS { return d.file.Load().MutualTLS.TLS }, log: d.log}
	own, err := c.TLSConfig()
	if err != nil {
		return nil, fmt.Errorf("mutual_tls.tls: %w", err)
	}
	return d.in.MutualServer(own, d.log), nil
}

package listen

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Hello is a listener that closes connections without a TLS ClientHello after a
// time-out of its own. The rest of the handshake may take longer: a user who types the
// PIN of a smart card has minutes, a silent client has not. It must be the listener
// directly below TLS, with a configuration from [Heard].
type Hello struct {
	net.Listener
	Within time.Duration
}

// Accept returns the next connection; its time-out has begun.
func (h *Hello) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	quiet := &silent{Conn: c, until: time.Now().Add(h.Within)}
	if err := c.SetReadDeadline(quiet.until); err != nil {
		c.Close()
		return nil, err
	}
	return quiet, nil
}

// Heard returns a TLS configuration that ends the time-out when the ClientHello arrives.
func Heard(config *tls.Config) *tls.Config {
	c := config.Clone()
	before := c.GetConfigForClient
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if quiet, ok := hello.Conn.(*silent); ok {
			quiet.spoke()
		}
		if before != nil {
			return before(hello)
		}
		return nil, nil
	}
	return c
}

// silent is a connection without a ClientHello so far: no read deadline is later than
// that of the ClientHello.
type silent struct {
	net.Conn
	until time.Time

	mu     sync.Mutex
	spoken bool
	wanted time.Time // the deadline for reading that the server set
}

func (s *silent) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = t
	if !s.spoken && (t.IsZero() || t.After(s.until)) {
		t = s.until
	}
	return s.Conn.SetReadDeadline(t)
}

func (s *silent) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

func (s *silent) spoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoken = true
	s.Conn.SetReadDeadline(s.wanted) //nolint:errcheck // a connection that is gone says so when it is read
}

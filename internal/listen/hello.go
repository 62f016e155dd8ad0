package listen

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Hello is a listener for TLS whose clients have so long until their ClientHello is
// here, however long what comes behind it may take: a handshake in which a PIN is typed
// has minutes, and whoever says nothing has none of them. It is the outermost listener
// below TLS, and its configuration goes through [Heard].
type Hello struct {
	net.Listener
	Within time.Duration
}

// Accept returns the next connection, whose time runs.
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

// Heard has a configuration end the wait for the ClientHello when it is here.
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

// silent is a connection on which no ClientHello was read yet: no deadline that is set
// lies behind the time that it has for that.
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

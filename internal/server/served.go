package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"countersign/internal/config"
	"countersign/internal/listen"
	"countersign/internal/protocol"
)

// listeners are the sockets, opened before anything is served.
type listeners struct {
	pages     net.Listener
	local     net.Listener
	counts    net.Listener                // nil for none
	cards     net.Listener                // nil for none
	mutual    net.Listener                // nil for none
	protocols map[string]protocol.Sockets // by name
}

func (d *daemon) listen(file config.File) (listeners, error) {
	pages, err := openPort("listen", file.Listen)
	if err != nil {
		return listeners{}, err
	}
	local, err := listenLocal(file.Data)
	if err != nil {
		return listeners{}, err
	}
	var counts net.Listener
	if file.Metrics != "" {
		if counts, err = openPort("metrics", file.Metrics); err != nil {
			return listeners{}, err
		}
	}
	var cards net.Listener
	if file.Certificates.Listen != "" {
		if cards, err = openPort("certificates.listen", file.Certificates.Listen); err != nil {
			return listeners{}, err
		}
	}
	var mutual net.Listener
	if file.MutualTLS.Listen != "" {
		if mutual, err = openPort("mutual_tls.listen", file.MutualTLS.Listen); err != nil {
			return listeners{}, err
		}
	}
	protocols, err := d.in.Listen(file.Sockets())
	return listeners{pages, local, counts, cards, mutual, protocols}, err
}

// openPort listens for connections where a setting says.
func openPort(setting, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	return l, portTaken(setting, address, err)
}

// portTaken says in one sentence why an address cannot be listened on, and whom to ask.
func portTaken(setting, address string, err error) error {
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another program has the address %s, and ss -lntup 'sport = :%s' says which: stop it, or set %s to another address", address, port, setting)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not open the port of %s: run as the service of the package does, with AmbientCapabilities=CAP_NET_BIND_SERVICE, or set %s to a port above 1023", address, setting)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this machine does not have the address %s: set %s to one that ip address shows, or to 0.0.0.0 for all", address, setting)
	}
	return err
}

// times are how long a server waits for whoever it serves.
type times struct {
	header, read, write, idle time.Duration
}

// pageTimes are those of the pages. Within the time for an answer falls the time in
// which a page that waits is held, and in which a slow check is queued; a download that
// takes longer moves its own end as long as it is read.
var pageTimes = times{header: 10 * time.Second, read: 30 * time.Second, write: time.Minute, idle: 2 * time.Minute}

const (
	// mostPages bounds the connections of the pages: at some 40 KiB for each that TLS
	// holds open this is 160 MiB. See [listen.Share] for what one source gets.
	mostPages = 4096
	// mostCounts bounds those of the metrics, which a few programs read.
	mostCounts = 64
	// mostCards bounds those of people who type a PIN, and of those who do not.
	mostCards = 2000
	// mostHeader is the greatest head of a request.
	mostHeader = 32 << 10
)

// patient is a server with these times, so that nobody keeps it busy by being slow: neither by sending a
// request bit by bit, nor by not reading the answer.
func patient(h http.Handler, t times) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: t.header, ReadTimeout: t.read, WriteTimeout: t.write, IdleTimeout: t.idle, MaxHeaderBytes: mostHeader}
}

// sharing bounds the connections of each listener that the network reaches, and how
// long a client takes until it has said what it wants: ten seconds to the end of the
// request's head or, with TLS, to the ClientHello.
func (l *listeners) sharing(proxies []netip.Prefix) {
	share := func(at *net.Listener, most int, exempt []netip.Prefix) {
		if *at != nil {
			*at = listen.New(*at, most, exempt)
		}
	}
	share(&l.pages, mostPages, proxies)
	share(&l.mutual, mostPages, proxies)
	share(&l.counts, mostCounts, nil)
	if l.cards != nil {
		l.cards = ShareCards(l.cards)
	}
}

// ShareCards bounds the connections of the listener that cards are shown to, whose
// handshakes last as long as a PIN is typed.
func ShareCards(l net.Listener) net.Listener {
	return &listen.Hello{Listener: listen.New(l, mostCards, nil), Within: pageTimes.header}
}

package listen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// queue is a listener that hands out connections from addresses that the test names.
type queue struct {
	conns chan net.Conn
	once  sync.Once
}

func (q *queue) Accept() (net.Conn, error) {
	c, ok := <-q.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (q *queue) Close() error { q.once.Do(func() { close(q.conns) }); return nil }
func (*queue) Addr() net.Addr { return &net.TCPAddr{} }

// from is the server's end of a connection from an address.
type from struct {
	net.Conn
	at net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.at }

// knock comes from an address, and returns the client's end.
func (q *queue) knock(address string) net.Conn {
	here, there := net.Pipe()
	q.conns <- from{here, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))}
	return there
}

func shared(most int, exempt ...netip.Prefix) (*queue, *Share, chan net.Conn) {
	q := &queue{conns: make(chan net.Conn)}
	s := New(q, most, exempt)
	in := make(chan net.Conn, 100)
	go func() {
		defer close(in)
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			in <- c
		}
	}()
	return q, s, in
}

// deadline is after how long without a word the listener does nothing any more.
const deadline = 10 * time.Second

// closed reports whether the other end closes a connection, and does not only leave it
// without a word.
func closed(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(deadline)) //nolint:errcheck // a pipe that is closed takes none, and says so when it is read
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

// The promise: one source gets half at most, and whoever else comes is let in.
func TestOneSourceLeavesRoom(t *testing.T) {
	q, s, in := shared(10)
	defer s.Close()
	for range 5 {
		q.knock("192.0.2.1:1000")
		<-in
	}
	for range 20 {
		if !closed(q.knock("192.0.2.1:1000")) {
			t.Fatal("a source got more than half")
		}
	}
	q.knock("192.0.2.2:1000")
	<-in
	q.knock("[2001:db8::1]:1000")
	<-in
	// The rest is for new sources: a subscriber's /56 is one.
	for _, at := range []string{"[2001:db8:1:ff::1]:1000", "[2001:db8:1:2::1]:1000"} {
		q.knock(at) // a subscriber's /56 is one source
		<-in
	}
	if !closed(q.knock("[2001:db8:1:3::1]:1000")) {
		t.Error("a subscriber with many addresses got more than is left for others")
	}
	q.knock("192.0.2.9:1000")
	<-in
}

// What is closed is free again, however often it is closed.
func TestPlacesAreGivenBack(t *testing.T) {
	q, s, in := shared(4)
	defer s.Close()
	for range 100 {
		q.knock("192.0.2.1:1000")
		c := <-in
		c.Close()
		c.Close()
	}
	if s.all != 0 || len(s.held) != 0 {
		t.Errorf("%d connections and %v are counted", s.all, s.held)
	}
}

// Where all is taken a new source waits, a source that has one is turned away, and a
// listener that closes ends the wait.
func TestFullWaits(t *testing.T) {
	q, s, in := shared(2)
	q.knock("192.0.2.1:1000")
	first := <-in
	q.knock("192.0.2.2:1000")
	<-in
	if !closed(q.knock("192.0.2.1:1000")) {
		t.Fatal("a source that has its place got another one")
	}
	q.knock("192.0.2.3:1000")
	first.Close()
	if c := <-in; c.RemoteAddr().String() != "192.0.2.3:1000" {
		t.Error(c.RemoteAddr())
	}
	late := q.knock("192.0.2.4:1000")
	s.Close()
	if _, more := <-in; more || !closed(late) {
		t.Error("somebody was let in after the end")
	}
}

// Listed proxies stand for many people.
func TestProxiesHaveNoShare(t *testing.T) {
	q, s, in := shared(10, netip.MustParsePrefix("192.0.2.0/24"))
	defer s.Close()
	for range 10 {
		q.knock("192.0.2.1:1000")
		<-in
	}
}

// The attack: a network that has many subscribers' addresses takes one connection from
// each of them. The promise: it leaves room for whoever comes from elsewhere, and its own
// other subscribers are let in until then.
func TestANetworkLeavesRoom(t *testing.T) {
	for name, at := range map[string]func(i int) string{
		"a tunnel's /48":   func(i int) string { return fmt.Sprintf("[2001:db8:1:%x00::1]:1000", i%256) },
		"a provider's /32": func(i int) string { return fmt.Sprintf("[2001:db8:%x:%x00::1]:1000", i/256, i%256) },
		"an IPv4 /24":      func(i int) string { return fmt.Sprintf("198.51.100.%d:1000", i%256) },
		"an IPv4 /16":      func(i int) string { return fmt.Sprintf("198.51.%d.%d:1000", i/256%256, i%256) },
	} {
		q, s, in := shared(512)
		got := 0
		for i := range 2000 {
			if letIn(t, in, q.knock(at(i))) {
				got++
			}
		}
		if got < 256 {
			t.Errorf("%s gets %d of 512", name, got)
		}
		for i := range 8 {
			if !letIn(t, in, q.knock(fmt.Sprintf("192.0.%d.1:1000", i))) {
				t.Errorf("%s shuts the door to the %dth who comes from elsewhere", name, i+1)
			}
		}
		s.Close()
	}
}

// The attack: strangers from everywhere take all that they can get. The promise: a listed
// proxy is answered, and does not stand in line behind them.
func TestStrangersLeaveRoomForProxies(t *testing.T) {
	q, s, in := shared(64, netip.MustParsePrefix("192.0.2.1/32"))
	defer s.Close()
	got := 0
	for i := range 200 {
		if letIn(t, in, q.knock(fmt.Sprintf("10.%d.0.1:1000", i))) {
			got++
		}
	}
	if got < 48 {
		t.Errorf("strangers get %d of 64", got)
	}
	for range 8 {
		if !letIn(t, in, q.knock("192.0.2.1:1000")) {
			t.Error("a listed proxy is turned away")
		}
	}
}

// letIn reports whether a connection is let in, and not closed. One of which nothing
// becomes ends the test: the listener waits for room that nobody gives back.
func letIn(t *testing.T, in <-chan net.Conn, c net.Conn) bool {
	t.Helper()
	gone := make(chan struct{})
	go func() {
		if closed(c) {
			close(gone)
		}
	}()
	select {
	case <-in:
		return true
	case <-gone:
		return false
	case <-time.After(deadline):
		t.Fatal("a connection is neither let in nor closed")
		return false
	}
}

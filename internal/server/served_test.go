package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"testing"
	"time"

	"countersign/internal/listen"
)

// served serves h as the pages are served, with other times, and returns the address.
func served(t *testing.T, h http.Handler, with times, most int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := patient(h, with)
	go server.Serve(listen.New(l, most, nil))
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

func dialFrom(t *testing.T, source, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// The promise: a client that does not read its answer is cut off, and so is one that
// sends its request bit by bit or takes its time between two.
func TestSlowClientsAreCutOff(t *testing.T) {
	if pageTimes.header == 0 || pageTimes.read == 0 || pageTimes.write == 0 || pageTimes.idle == 0 {
		t.Fatalf("the pages wait for ever: %+v", pageTimes)
	}
	short := times{header: 300 * time.Millisecond, read: 300 * time.Millisecond, write: 300 * time.Millisecond, idle: 300 * time.Millisecond}
	ended := make(chan error, 1)
	at := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/much" {
			fmt.Fprint(w, "little")
			return
		}
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				ended <- err
				return
			}
		}
	}), short, 100)
	// Each of these hangs for ever where there is no such time.
	unread := dialFrom(t, "127.0.0.1", at)
	fmt.Fprint(unread, "GET /much HTTP/1.1\r\nHost: a\r\n\r\n")
	<-ended
	for what, sent := range map[string]string{
		"half a head": "GET / HTTP/1.1\r\nHo",
		"half a body": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
		"nothing":     "",
		"one request": "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		c := dialFrom(t, "127.0.0.1", at)
		fmt.Fprint(c, sent)
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The promise: one address that opens all the connections that it can get leaves room
// for everybody else.
func TestOneAddressLeavesConnections(t *testing.T) {
	at := served(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }), pageTimes, 32)
	var turnedAway int
	var idle []net.Conn
	for range 40 {
		idle = append(idle, dialFrom(t, "127.0.0.1", at))
	}
	for _, c := range idle[32:] { // whatever the others did, these had no place
		if _, err := bufio.NewReader(c).ReadByte(); err != nil {
			turnedAway++
		}
	}
	if turnedAway != 8 {
		t.Errorf("of 8 connections past the share %d were closed", turnedAway)
	}
	honest := dialFrom(t, "127.0.0.2", at)
	fmt.Fprint(honest, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if r, err := http.ReadResponse(bufio.NewReader(honest), nil); err != nil || r.StatusCode != http.StatusOK {
		t.Error("an honest client elsewhere is not served: ", err)
	}
}

// Whole table: every listener that the network reaches shares its connections among
// their sources, and cuts off whoever says nothing, also one that is added later.
func TestEveryListenerIsShared(t *testing.T) {
	var l listeners
	v := reflect.ValueOf(&l).Elem()
	open := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	l = listeners{pages: open(), local: open(), counts: open(), cards: open(), mutual: open()}
	l.sharing(nil)
	n := 0
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).Type() != reflect.TypeFor[net.Listener]() || name == "local" {
			continue // a socket of this machine, which only its own users reach
		}
		if v.Field(i).IsNil() {
			t.Fatalf("the test opens no %s", name)
		}
		n++
	}
	for name, at := range map[string]net.Listener{"pages": l.pages, "counts": l.counts, "cards": l.cards, "mutual": l.mutual} {
		if h, ok := at.(*listen.Hello); ok {
			if h.Within > 10*time.Second || h.Within == 0 {
				t.Errorf("%s: %v to the ClientHello", name, h.Within)
			}
			at = h.Listener
		}
		if _, ok := at.(*listen.Share); !ok {
			t.Errorf("%s is not shared", name)
		}
		n--
	}
	if n != 0 {
		t.Errorf("%d listeners are not in the table", n)
	}
	if pageTimes.header > 10*time.Second {
		t.Errorf("%v to the end of a request's head", pageTimes.header)
	}
}

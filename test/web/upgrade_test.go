package web

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// socketKey is a WebSocket's, and socketAccept the answer to it (RFC 6455 section 1.3).
const socketKey, socketAccept = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

// willing is an application that changes to whatever protocol it is asked for, as servers
// with HTTP/2 on a plain connection do, and says what it was asked for.
func willing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := strings.Join(r.Header["Upgrade"], ", ")
		if to == "" {
			fmt.Fprint(w, "as it was")
			return
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Accept: %s\r\n\r\n", to, socketAccept)
	})}
	go s.Serve(l) //nolint:errcheck // until it is closed
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// The attack: whoever may open one page changes the connection to HTTP/2 (Upgrade: h2c,
// RFC 7540 section 3.2), behind every proxy. In it they ask the application for any page,
// say that they are anybody (Remote-User: root), and go on when their session has ended:
// neither the proxy nor Countersign sees what is in there. The promise: the application
// is asked for no other change than to a WebSocket, and the page itself is served.
func TestNobodyTunnelsToAnApplication(t *testing.T) {
	t.Parallel()
	for _, f := range servertest.Fronts {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			w := servertest.NewWorld(t)
			ada, addr := w.EnrollCodes("ada"), testbed.Addr(t)
			f.Start(t, addr, strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1), willing(t))
			w.Protect("wiki", map[string]any{"hosts": []string{addr}})
			cookie := servertest.Handed(w, w.SignedIn(ada), addr)
			if status, body := servertest.Raw(t, addr, "GET", "/notes", cookie); status != http.StatusOK || body != "as it was" {
				t.Fatalf("the page itself is answered %d", status)
			}
			for _, to := range [][]string{{"h2c"}, {"H2C"}, {"h2c", "websocket"}, {"h2c, websocket"}, {"websocket, h2c"}, {"TLS/1.0"}, {"HTTP/2.0"}} {
				for _, connection := range []string{"Upgrade", "Upgrade, HTTP2-Settings"} {
					lines := []string{cookie, "Connection: " + connection, "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"}
					for _, one := range to {
						lines = append(lines, "Upgrade: "+one)
					}
					if status, _ := servertest.Raw(t, addr, "GET", "/notes", lines...); status == http.StatusSwitchingProtocols {
						t.Errorf("with Connection: %s the application changes to %v", connection, to)
					}
				}
			}
			if status, _ := servertest.Raw(t, addr, "GET", "/notes", cookie, "Connection: Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: "+socketKey); status != http.StatusSwitchingProtocols {
				t.Errorf("a WebSocket is answered %d", status)
			}
		})
	}
}

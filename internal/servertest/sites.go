package servertest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/server"
	"countersign/internal/session"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// A front is a reverse proxy as an example of deploy/examples sets it up. It
// listens at addr, asks Countersign at own, and has the page behind it.
type Front struct {
	Name  string
	Start func(t testing.TB, addr, own, page string)
}

// Fronts are the proxies that promises about forward-auth are kept behind. Time
// limits are shortened, so that a Countersign that hangs does not hang a test.
var Fronts = []Front{
	{"nginx", func(t testing.TB, addr, own, page string) {
		testbed.Nginx(t, addr, testbed.Example(t, "nginx.conf", "127.0.0.1:8081", addr, "wiki.example.org", addr, "127.0.0.1:8080", own, "127.0.0.1:3000", page, "timeout 5s", "timeout 1s"))
	}},
	{"caddy", func(t testing.TB, addr, own, page string) {
		testbed.Caddy(t, addr, testbed.Example(t, "Caddyfile", "http://127.0.0.1:8081, http://localhost:8081", "http://"+addr, "127.0.0.1:8080", own, "127.0.0.1:3000", page,
			"timeout 5s", "timeout 1s"))
	}},
	{"haproxy", func(t testing.TB, addr, own, page string) {
		Haproxy(t, addr, own, page, "timeout = 5000", "timeout = 1000")
	}},
	{"traefik", func(t testing.TB, addr, own, page string) { // its time limit is 30 seconds, and cannot be set
		host, _, _ := strings.Cut(addr, ":")
		testbed.Traefik(t, addr, testbed.Example(t, "traefik.yml", "127.0.0.1:8081", addr, "/etc/traefik/", ""),
			testbed.Example(t, "traefik-sites.yml", "wiki.example.org", host, "127.0.0.1:8080", own, "127.0.0.1:3000", page))
	}},
}

// Haproxy starts HAProxy with its script, in which some texts are replaced.
func Haproxy(t testing.TB, addr, own, page string, replace ...string) {
	script := filepath.Join(t.TempDir(), "haproxy.lua")
	if err := os.WriteFile(script, []byte(testbed.Example(t, "haproxy.lua", replace...)), 0o644); err != nil {
		t.Fatal(err)
	}
	testbed.HAProxy(t, addr, testbed.Example(t, "haproxy.cfg", "127.0.0.1:8081", addr, "wiki.example.org", addr, "127.0.0.1:8080", own, "127.0.0.1:3000", page, "/etc/haproxy/haproxy.lua", script))
}

// Protect adds an application.
func (w *World) Protect(name string, settings any) {
	w.T.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		w.T.Fatal(err)
	}
	if err := server.Protocols().CheckSettings("forward-auth", raw); err != nil {
		w.T.Fatal(err)
	}
	ctx := context.Background()
	err = w.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a := application.Application{Name: name, Title: name, Kind: "wiki", Tier: application.Standard, Protocol: "forward-auth", Settings: raw}
		if _, err := w.Catalogue.Set(ctx, tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: name})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

func PageRequest(address string) *http.Request {
	r, err := http.NewRequest("GET", address, nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Accept", "text/html")
	return r
}

// Raw sends a request as it stands and returns what came back: status and body.
func Raw(t testing.TB, addr, method, target string, headers ...string) (int, string) {
	t.Helper()
	return RawTo(t, addr, addr, method, target, headers...)
}

// RawTo is raw with another Host.
func RawTo(t testing.TB, addr, host, method, target string, headers ...string) (int, string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(15 * time.Second)) // bounds a failure only
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, strings.ReplaceAll(target, "HOST", addr), host)
	for _, h := range headers {
		fmt.Fprintf(c, "%s\r\n", h)
	}
	fmt.Fprint(c, "\r\n")
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return 0, "" // cut off, which is an answer to nonsense
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(body)
}

// Handed gives a standing session to a host, and returns the Cookie header.
func Handed(w *World, secret, host string) string {
	w.T.Helper()
	ctx := context.Background()
	to := session.Handover{Host: "http://" + host, Browser: "hers"}
	code, err := w.Handovers.Derive(ctx, secret, to)
	if err != nil {
		w.T.Fatal(err)
	}
	child, err := w.Handovers.Accept(ctx, code, to, session.Visit{Application: "wiki"})
	if err != nil {
		w.T.Fatal(err)
	}
	return "Cookie: countersign-app=" + child
}

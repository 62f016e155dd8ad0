package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"testing"

	"countersign/internal/testbed"
)

// The promise holds behind Caddy as behind nginx: with password and code a
// person reaches the page, with the password alone or forged headers nobody does.
func TestCaddy(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	page := testbed.NewPage(t)
	conf, err := os.ReadFile("../../deploy/examples/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	port := testbed.Port(t)
	own := strings.Replace(strings.TrimPrefix(w.base, "http://"), "localhost", "127.0.0.1", 1)
	text := strings.NewReplacer(":8081", fmt.Sprintf(":%d", port), "127.0.0.1:8080", own, "127.0.0.1:3000", page.Addr).Replace(string(conf))
	testbed.Caddy(t, fmt.Sprintf("127.0.0.1:%d", port), text)
	host := fmt.Sprintf("localhost:%d", port)
	if err := w.plantApplications(context.Background(), host, "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}

	visit := func(p *person, headers ...string) {
		t.Helper()
		r, err := http.NewRequest("GET", "http://"+host+"/notes?page=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		p.take(p.client.Do(r))
	}
	mallory := w.person()
	visit(mallory, "Remote-User", "ada", "X-Forwarded-Uri", "/.countersign/accept", "X-Forwarded-Host", "elsewhere")
	mallory.get("/sign-in")
	mallory.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	visit(mallory)
	if n := len(page.Seen()); n != 0 {
		t.Fatalf("the page saw %d requests of somebody without a code", n)
	}

	honest := w.person()
	visit(honest)
	honest.sees("Sign in")
	honest.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	honest.post("/sign-in", "authenticator", "totp", "text", ada.code())
	visit(honest, "Remote-User", "root")
	seen := page.Seen()
	if len(seen) == 0 || seen[len(seen)-1].Target != "/notes?page=1" || seen[len(seen)-1].Header.Get("Remote-User") != "ada" {
		t.Fatalf("status %d; the page saw %v", honest.status, seen)
	}

	stolen := &person{w: w, client: &http.Client{}}
	stolen.client.Jar, _ = cookiejar.New(nil)
	visit(stolen)
	if seen := page.Seen(); len(seen) != 0 { // those since the last look
		t.Errorf("somebody without cookies reached the page: %v", seen)
	}
}

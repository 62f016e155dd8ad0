package main

import (
	"context"
	"testing"
)

// The demonstration's own page is as closed as one behind a real proxy, and opens
// to whoever shows two factors.
func TestDemonstrationPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	host, err := protectedPage(ctx, w.handler)
	if err != nil {
		t.Fatal(err)
	}
	w.protect("wiki", map[string]any{"hosts": []string{host}})
	p := w.person()
	p.take(p.client.Do(pageRequest("http://" + host + "/")))
	p.sees("Sign in")
	p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	p.post("/sign-in", "authenticator", "totp", "text", ada.code())
	p.take(p.client.Do(pageRequest("http://" + host + "/")))
	p.sees("You are <b>ada</b>")
}

package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// The demonstration's own page is as closed as one behind a real proxy, and opens
// to whoever shows two factors.
func TestDemonstrationPage(t *testing.T) {
	t.Parallel()
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	host, err := server.ProtectedPage(ctx, w.Handler)
	if err != nil {
		t.Fatal(err)
	}
	w.Protect("wiki", map[string]any{"hosts": []string{host}})
	p := w.Person()
	p.Take(p.Client.Do(servertest.PageRequest("http://" + host + "/")))
	p.Sees("Sign in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	p.Take(p.Client.Do(servertest.PageRequest("http://" + host + "/")))
	p.Sees("You are <b>ada</b>")
}

// The promise: a demonstration touches no installation, however its database is named.
func TestDemonstrationLeavesInstallationsAlone(t *testing.T) {
	dsn := storetest.Postgres(t)
	ctx, over := context.WithCancel(t.Context())
	over() // so that one that is begun all the same ends at once
	for what, c := range map[string]serveCommand{"the database": {Demo: true, Database: dsn}, "a configuration": {Demo: true, Config: filepath.Join(t.TempDir(), "c.yaml")}} {
		if c.Config != "" {
			if err := os.WriteFile(c.Config, []byte("data: /nonexistent\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Run(ctx); err == nil || !strings.Contains(err.Error(), "demonstration") {
			t.Errorf("%s: %v", what, err)
		}
	}
	t.Setenv("COUNTERSIGN_ROOT_KEY", "x")
	if err := (&serveCommand{Demo: true}).Run(ctx); err == nil || !strings.Contains(err.Error(), "demonstration") {
		t.Errorf("a root key: %v", err)
	}
}

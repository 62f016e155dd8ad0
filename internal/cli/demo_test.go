package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/store/storetest"
)

// The promise: a demonstration touches no installation, however its database is named.
func TestDemonstrationLeavesInstallationsAlone(t *testing.T) {
	dsn := storetest.Postgres(t)
	ctx, over := context.WithCancel(t.Context())
	over() // so that one that is begun all the same ends at once
	for says, c := range map[string]serveCommand{"a demonstration has a database of its own": {Demo: true, Database: dsn}, "a demonstration takes nothing from an installation": {Demo: true, Config: filepath.Join(t.TempDir(), "c.yaml")}} {
		if c.Config != "" {
			if err := os.WriteFile(c.Config, []byte("data: /nonexistent\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Run(ctx); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	t.Setenv("COUNTERSIGN_ROOT_KEY", "x")
	if err := (&serveCommand{Demo: true}).Run(ctx); err == nil || !strings.Contains(err.Error(), "a demonstration takes nothing from an installation") {
		t.Errorf("a root key: %v", err)
	}
}

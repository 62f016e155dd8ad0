// Package container plays what docs/containers.md says: the image, the compose file, the chart.
package container

import (
	"os"
	"path/filepath"
	"testing"

	"countersign/internal/testbed"
)

// deployed reads a file under deploy/.
func deployed(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testbed.Root(t), "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Package signals has the stories of shared signals: what happens to people at one server is heard
// at another.
package signals

import (
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, cli.Main) }

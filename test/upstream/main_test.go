// Package upstream has the stories of people who sign in first at another organisation's identity
// provider, and of whoever owns that provider and wants more.
package upstream

import (
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, cli.Main) }

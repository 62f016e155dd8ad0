package provision

import (
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, cli.Main) }

package cli

import (
	"testing"

	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, Main) }

// Package entra has the stories of people whom Microsoft Entra asks for their second factor here.
// No tenant of Microsoft's is in them: a stand-in asks, and checks the answer, as Microsoft's
// external method provider reference documents it.
package entra

import (
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, cli.Main) }

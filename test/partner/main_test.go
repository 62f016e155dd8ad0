// Package partner has the stories of partners: other organisations whose people administer something
// for us, and of whoever owns such a partner and wants more. A second Countersign is the partner.
package partner

import (
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, cli.Main) }

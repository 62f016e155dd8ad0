// Package mail has the stories of mail servers behind Countersign: Dovecot and Postfix.
package mail

import (
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, cli.Main) }

// Package mail has the stories of mail servers behind Countersign: Dovecot, Postfix and Roundcube.
package mail

import (
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, cli.Main) }

// Package oidc has the stories of applications that sign people in by OpenID Connect.
package oidc

import (
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, cli.Main) }

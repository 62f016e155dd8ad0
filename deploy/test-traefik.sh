#!/bin/sh
# Builds a Traefik for the tests from its own source: Debian has none. It takes
# about five minutes once, and does nothing when it is there. Tests that need it
# say so and are skipped without it.
#
# Left out is the list of DNS providers for ACME certificates (150 vendors' SDKs),
# which has nothing to do with what is tested. All else is as it was released.
set -eu
version=v3.6.12
to=${XDG_CACHE_HOME:-$HOME/.cache}/countersign-tests/traefik-$version
[ -x "$to" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" # outside any module

# fetch puts a module's source into a folder of its own, so that it can be changed.
fetch() {
	dir=$(go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
	cp -r "$dir" "$2"
	chmod -R u+w "$2"
}
fetch "github.com/traefik/traefik/v3@$version" traefik
lego=$(awk '$1 == "github.com/go-acme/lego/v4" { print $2; exit }' traefik/go.mod)
fetch "github.com/go-acme/lego/v4@$lego" lego

rm lego/providers/dns/*.go
cat >lego/providers/dns/none.go <<'GO'
package dns

import (
	"errors"

	"github.com/go-acme/lego/v4/challenge"
)

func NewDNSChallengeProviderByName(string) (challenge.Provider, error) {
	return nil, errors.New("built without DNS providers")
}
GO
cd traefik
mkdir -p webui/static # of which at least one file is compiled in
touch webui/static/index.html
go mod edit -replace "github.com/go-acme/lego/v4=../lego"
GOFLAGS=-mod=mod go build -trimpath -ldflags '-s -w' -o "$to.new" ./cmd/traefik
mv "$to.new" "$to"

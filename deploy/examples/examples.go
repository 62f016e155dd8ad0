// Package examples is the files that administrators copy, for what shows them with the
// names and addresses of an application already in place. The tests run the same files.
package examples

import "embed"

// Files are all of this folder's, by their names.
//
//go:embed Caddyfile *.yaml *.yml *.cfg *.lua *.conf *.txt
var Files embed.FS

// Command countersign is the server and its command line. What the server is made of is
// listed in internal/server, and what can be said to it in internal/cli.
package main

import "countersign/internal/cli"

// version is set when a release is built.
var version = ""

func main() { cli.Main(version) }

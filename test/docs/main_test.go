package docs

import (
	"fmt"
	"os"
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

// asParser has the test binary read a command as the program does, and do nothing.
const asParser = "COUNTERSIGN_TEST_AS_PARSER"

func TestMain(m *testing.M) {
	if os.Getenv(asParser) != "1" {
		servertest.Main(m, cli.Main)
		return
	}
	if err := cli.Readable(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "countersign", os.Args[1:], err)
		os.Exit(2)
	}
}

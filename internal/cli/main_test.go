package cli

import (
	"os"
	"testing"
)

// asProgram has the test binary be the program, so that tests run the real
// command line without building it again.
const asProgram = "COUNTERSIGN_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "1" {
		Main("")
		return
	}
	os.Exit(m.Run())
}

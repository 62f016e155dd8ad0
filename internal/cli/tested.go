package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"countersign/internal/config"
)

// usualConfig is where a package keeps the configuration.
const usualConfig = "/etc/countersign/countersign.yaml"

// configAt reads a configuration, the usual one where none is named, and returns its path.
func configAt(path string) (config.File, string, error) {
	if path == "" {
		path = usualConfig
	}
	file, err := config.Read(path)
	return file, path, err
}

// tested is what a test of something that Countersign sends by found out. Its steps are
// printed as they come, or with --json at the end.
type tested struct {
	Steps    []string `json:"steps"`
	Accepted bool     `json:"accepted"`
	Problem  string   `json:"problem,omitempty"`

	json  bool
	lines io.Writer // of the steps
}

func newTested(conn *connection) *tested {
	t := &tested{json: conn.JSON, lines: os.Stdout}
	if t.json {
		t.lines = io.Discard
	}
	return t
}

func (t *tested) step(line string) {
	t.Steps = append(t.Steps, line)
	fmt.Fprintln(t.lines, line)
}

// failed ends a test. The problem is the error's sentence.
func (t *tested) failed(problem string, err error) error {
	t.Problem = problem
	if t.json {
		return errors.Join(json.NewEncoder(os.Stdout).Encode(t), err)
	}
	return err
}

// accepted ends a test that worked.
func (t *tested) accepted(sentence string) error {
	t.Accepted = true
	if t.json {
		return json.NewEncoder(os.Stdout).Encode(t)
	}
	fmt.Printf("\n%s\n", sentence)
	return nil
}

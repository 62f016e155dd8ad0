package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	logs "countersign/internal/admin/audit"
	"countersign/internal/admin/coverage"
	"countersign/internal/admin/policy"
)

// seenVersions are the versions that this command line printed last, by server and thing:
// what a change is built on unless it says otherwise. So what somebody else changed
// meanwhile is not overwritten by whoever has not looked at it.
type seenVersions map[string]map[string]string

func seenPath() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "countersign", "seen.json"), err
}

func readSeen() (seenVersions, error) {
	path, err := seenPath()
	if err != nil {
		return seenVersions{}, nil //nolint:nilerr // nobody to have seen anything
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return seenVersions{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := seenVersions{}
	if json.Unmarshal(b, &out) != nil {
		return seenVersions{}, nil // worth nothing then: the server asks for the version
	}
	return out, nil
}

// note remembers a version of a thing.
func (c *client) note(thing, version string) error {
	path, err := seenPath()
	if err != nil || version == "" {
		return nil //nolint:nilerr // there is nowhere to write it
	}
	all, err := readSeen()
	if err != nil {
		return err
	}
	if all[c.Server] == nil {
		all[c.Server] = map[string]string{}
	}
	all[c.Server][thing] = version
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

const policyThing = "policy"

// build says what a change is built on where the command does not, and when a search begins and
// ends.
func (c *client) build(cmd admin.Command) error {
	all, err := readSeen()
	if err != nil {
		return err
	}
	of := all[c.Server]
	switch cmd := cmd.(type) {
	case *logs.Search:
		cmd.Since, cmd.Until = ago(cmd.Since, time.Now()), ago(cmd.Until, time.Now())
	case *coverage.Declare:
		cmd.Until = day(cmd.Until, time.Now())
	case *policy.Change:
		if cmd.Base == 0 && of[policyThing] != "" {
			return json.Unmarshal([]byte(of[policyThing]), &cmd.Base)
		}
	case *application.Set:
		if cmd.Base == "" {
			cmd.Base = of["application/"+cmd.Name]
		}
	}
	return nil
}

// saw remembers what an answer showed.
func (c *client) saw(cmd admin.Command, answer json.RawMessage) error {
	var shown struct {
		Version json.RawMessage `json:"version"`
	}
	if json.Unmarshal(answer, &shown) != nil || len(shown.Version) == 0 {
		return nil // it names no version
	}
	text := string(shown.Version)
	var quoted string
	if json.Unmarshal(shown.Version, &quoted) == nil {
		text = quoted
	}
	switch cmd := cmd.(type) {
	case *policy.Show:
		if cmd.Version == 0 {
			return c.note(policyThing, text)
		}
	case *policy.Change:
		return c.note(policyThing, text)
	case *application.Show:
		return c.note("application/"+cmd.Name, text)
	case *application.Set:
		return c.note("application/"+cmd.Name, text)
	}
	return nil
}

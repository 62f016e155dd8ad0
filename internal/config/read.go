package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// most is the greatest file, in bytes: a hundred times what anybody writes.
const most = 1 << 20

// Read reads a file; settings that it lacks have their defaults. An error names the
// file and the line.
func Read(path string) (File, error) { return ReadWith(path, nil) }

// ReadWith is [Read] with settings from elsewhere, such as flags, laid over the file's before
// the rest is derived and all is checked. An empty path is an empty file; nil lays nothing over.
func ReadWith(path string, over func(*File)) (File, error) {
	if path == "" {
		return parse(nil, over)
	}
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return File{}, err
	}
	c, err := parse(b, over)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Parse parses and checks a document; settings that it lacks have their defaults.
func Parse(b []byte) (File, error) { return parse(b, nil) }

func parse(b []byte, over func(*File)) (File, error) {
	c := blank()
	if len(b) > most {
		return Default(), errors.New("the file is longer than 1 MiB")
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	switch err := d.Decode(&c); {
	case errors.Is(err, io.EOF): // an empty file is the defaults
	case err != nil:
		return Default(), plain(err)
	default:
		if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
			return Default(), errors.New("there is a second document after ---; one is enough")
		}
	}
	if over != nil {
		over(&c)
	}
	c.fill()
	return c, c.Check()
}

var (
	unknownField = regexp.MustCompile(`field (\S+) not found in type config\.(\w+)`)
	wrongType    = regexp.MustCompile("cannot unmarshal !!\\w+ (?:`(.*?)` )?into .*")
)

// plain says in our words what the YAML reader found.
func plain(err error) error {
	var many *yaml.TypeError
	if !errors.As(err, &many) {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var lines []string
	for _, s := range many.Errors {
		s = unknownField.ReplaceAllString(s, `there is no setting "$1" here`)
		s = wrongType.ReplaceAllString(s, "what is there does not fit")
		lines = append(lines, s)
	}
	return errors.New(strings.Join(lines, "; "))
}

// Print returns the whole configuration with the defaults.
func (c File) Print(w io.Writer) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	return errors.Join(e.Encode(c), e.Close())
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"countersign/internal/admin/site"
	words "countersign/internal/text"
)

type siteCommand struct {
	Plan   planCommand   `cmd:"" help:"Say what a file would change. Ends with 4 where the installation is not as the file says."`
	Apply  applyCommand  `cmd:"" help:"Make the installation as a file says, with one approval."`
	Export exportCommand `cmd:""`
}

type exportCommand struct{}

// Run prints the file as it is, for a redirection.
func (exportCommand) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	raw, err := c.do(ctx, &site.Export{})
	if err != nil {
		return err
	}
	if conn.JSON {
		return c.print(os.Stdout, raw)
	}
	var e site.Exported
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	_, err = io.WriteString(os.Stdout, e.File)
	return err
}

type siteFile struct {
	File  string `short:"f" required:"" placeholder:"FILE" help:"The file, YAML; - reads standard input. (env NAME) in it is the value of that variable."`
	Prune bool   `help:"Remove what the file does not name, of the parts that it has."`
}

// errDiffers is how a plan ends that would change something. It has a status of its own, so
// that a script tells it from a file that cannot be read.
var errDiffers = errors.New("the installation is not as the file says")

type planCommand struct{ siteFile }

// Run prints what a file would change.
func (p *planCommand) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	_, raw, d, err := p.plan(ctx, c)
	if err != nil {
		return err
	}
	if conn.JSON {
		err = c.print(os.Stdout, raw)
	} else {
		err = printDifference(os.Stdout, d)
	}
	if err == nil && !d.Same {
		err = errDiffers
	}
	return err
}

type applyCommand struct{ siteFile }

// Run prints what a file changes, and has it done. With --json standard output has the answer
// alone.
func (a *applyCommand) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	file, raw, d, err := a.plan(ctx, c)
	if err != nil {
		return err
	}
	out := os.Stdout
	if conn.JSON {
		out = os.Stderr
	}
	if err := printDifference(out, d); err != nil {
		return err
	}
	if d.Text != site.Nothing {
		if raw, err = c.do(ctx, &site.Apply{File: file, Prune: a.Prune, Changes: d.Text}); err != nil {
			return err
		}
		fmt.Fprintln(out, "Done.")
	}
	if conn.JSON {
		return c.print(os.Stdout, raw)
	}
	return nil
}

// plan asks what a file would change.
func (s *siteFile) plan(ctx context.Context, c *client) (file string, raw json.RawMessage, d site.Difference, err error) {
	b, err := readInput(s.File)
	if err != nil {
		return "", nil, d, err
	}
	if file, err = withVariables(string(b), os.LookupEnv); err != nil {
		return "", nil, d, fmt.Errorf("%s: %w", s.File, err)
	}
	if raw, err = c.do(ctx, &site.Plan{File: file, Prune: s.Prune}); err != nil {
		return "", nil, d, err
	}
	return file, raw, d, json.Unmarshal(raw, &d)
}

// variable is one of the environment, named in the place of a value.
var variable = regexp.MustCompile(`(?m)(:[ \t]+|-[ \t]+)["']?\(env ([A-Za-z_][A-Za-z0-9_]*)\)["']?([ \t]*(?:#.*)?)$`)

// withVariables puts the values of variables in their places, as quoted texts, so that a file
// that is kept with others holds no secrets and none of them is read as anything but a text.
func withVariables(file string, lookup func(string) (string, bool)) (string, error) {
	var missing error
	out := variable.ReplaceAllStringFunc(file, func(s string) string {
		m := variable.FindStringSubmatch(s)
		v, ok := lookup(m[2])
		if !ok || v == "" {
			missing = fmt.Errorf("the variable %s is not set", m[2])
			return s
		}
		quoted, err := json.Marshal(v) // JSON's texts are YAML's
		if err != nil {
			missing = err
			return s
		}
		return m[1] + string(quoted) + m[3]
	})
	return out, missing
}

// signs are written before what happens to a thing.
var signs = map[string]string{site.Made: "+", site.Changed: "~", site.Removed: "-", site.Extra: "?"}

// printDifference prints changes as a person reads them.
func printDifference(w io.Writer, d site.Difference) error {
	var b strings.Builder
	for _, c := range d.Changes {
		fmt.Fprintf(&b, "%s %s %s", signs[c.What], c.Kind, words.Name(c.Name))
		if c.What == site.Extra {
			b.WriteString(": not in the file, and stays (--prune removes it)")
		}
		b.WriteByte('\n')
		for _, f := range c.Fields {
			fmt.Fprintf(&b, "    %s: %s\n", words.OneLine(f.Name), asWritten(f))
		}
		for _, line := range c.Lines {
			fmt.Fprintf(&b, "    %s\n", words.Seen(line))
		}
	}
	switch {
	case d.Same:
		b.WriteString("The installation is as the file says.\n")
	case d.Text == site.Nothing:
		b.WriteString("Nothing is to be changed.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func asWritten(f site.Field) string {
	switch {
	case f.Before == "":
		return words.OneLine(f.After)
	case f.After == "":
		return words.OneLine(f.Before) + " no longer"
	case f.Before == f.After: // two secrets
		return "another " + words.OneLine(f.After)
	}
	return words.OneLine(f.Before) + " -> " + words.OneLine(f.After)
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	policies "countersign/internal/admin/policy"
	"countersign/internal/policy"
	"countersign/internal/server"
	words "countersign/internal/text"
)

type policyCommand struct {
	Show     policyShow            `cmd:""`
	Change   do[policies.Change]   `cmd:""`
	Check    policyCheck           `cmd:"" help:"Say whether a policy document is well formed, whether every name in it exists, and whether its own tests hold. Saves nothing."`
	Test     do[policies.Test]     `cmd:""`
	Explain  do[policies.Explain]  `cmd:""`
	Diff     do[policies.Diff]     `cmd:""`
	Versions do[policies.Versions] `cmd:""`
	Default  policyDefault         `cmd:"" help:"Print the policy of a new installation."`
}

// policyShow is policy.show, printed as a document that policy check and policy change take:
// what is said about it stands in remarks.
type policyShow struct {
	Command policies.Show `embed:""`
}

// Run prints it, and remembers its version as what the next change is built on.
func (s *policyShow) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	answer, err := c.do(ctx, &s.Command)
	if err != nil {
		return err
	}
	if err := c.saw(&s.Command, answer); err != nil {
		return err
	}
	if conn.JSON {
		return c.print(os.Stdout, answer)
	}
	var d policies.Document
	if err := json.Unmarshal(answer, &d); err != nil {
		return err
	}
	return writePolicy(os.Stdout, d)
}

// writePolicy writes a document below what is said about it.
func writePolicy(w io.Writer, d policies.Document) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Version %d, saved by %s at %s.\n", d.Version, words.Seen(d.Author), moment(d.Created))
	for _, g := range d.Gone {
		fmt.Fprintf(&b, "# It mentions what is gone: %s\n", words.Seen(g))
	}
	for _, r := range d.Lacks {
		fmt.Fprintf(&b, "# It lacks a rule of a new installation:\n")
		for line := range strings.Lines(words.Lines(r.Text)) {
			b.WriteString("#   " + strings.TrimRight(line, "\n") + "\n")
		}
	}
	b.WriteString("\n" + strings.TrimRight(words.Lines(d.Body), "\n") + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

type policyDefault struct{}

func (policyDefault) Run() error {
	_, err := os.Stdout.Write(policy.Default())
	return err
}

type policyCheck struct {
	File string `arg:"" help:"The document."`
	place
}

func (c *policyCheck) Run(ctx context.Context, conn *connection) error {
	body, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	db, keys, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	known, err := server.Known(ctx, db, keys)
	if err != nil {
		return err
	}
	p, err := policy.Compile(body, known)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	for _, w := range p.Warnings() {
		fmt.Fprintf(os.Stderr, "%s: warning: %s\n", c.File, w)
	}
	unmet, err := server.Unmeetable(ctx, db, keys, p)
	if err != nil {
		return err
	}
	for _, u := range unmet {
		fmt.Fprintf(os.Stderr, "%s: warning: %s\n", c.File, u)
	}
	results, failed := p.Test(), 0
	for _, r := range results {
		if !r.OK {
			failed++
		}
	}
	if conn.JSON {
		err = json.NewEncoder(os.Stdout).Encode(results)
	} else {
		_, err = fmt.Printf("%s: %d rules, %d tests, %d of them failed\n", c.File, len(p.Rules()), len(results), failed)
	}
	if err == nil && failed > 0 {
		for _, r := range results {
			if !r.OK {
				fmt.Fprintf(os.Stderr, "  line %d, %s: wanted %s, got %s\n", r.Line, r.Name, r.Want, r.Got)
			}
		}
		return errors.New("the document's own tests do not hold")
	}
	return err
}

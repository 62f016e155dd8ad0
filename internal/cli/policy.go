package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	policies "countersign/internal/admin/policy"
	"countersign/internal/policy"
	"countersign/internal/server"
)

type policyCommand struct {
	Show     do[policies.Show]     `cmd:""`
	Change   do[policies.Change]   `cmd:""`
	Check    policyCheck           `cmd:"" help:"Say whether a policy document is well formed, whether every name in it exists, and whether its own tests hold. Saves nothing."`
	Test     do[policies.Test]     `cmd:""`
	Explain  do[policies.Explain]  `cmd:""`
	Diff     do[policies.Diff]     `cmd:""`
	Versions do[policies.Versions] `cmd:""`
	Default  policyDefault         `cmd:"" help:"Print the policy of a new installation."`
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

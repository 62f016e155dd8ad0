package cli

import (
	"context"
	"os"

	"countersign/internal/admin/coverage"
	"countersign/internal/attack"
)

type coverageCommand struct {
	Show     coverageShow          `cmd:"" default:"withargs" help:"Show how far each row holds, and what leaves a gap."`
	Declare  do[coverage.Declare]  `cmd:""`
	Withdraw do[coverage.Withdraw] `cmd:""`
}

// coverageShow is coverage.show with a choice of how it is written.
type coverageShow struct {
	Row    string `arg:"" optional:"" help:"Everything about one row, such as T1133."`
	Format string `help:"table, json, html, or navigator for a layer of the ATT&CK Navigator." default:"table" enum:"table,json,html,navigator"`
}

func (s *coverageShow) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	answer, err := c.do(ctx, &coverage.Show{})
	if err != nil {
		return err
	}
	switch {
	case s.Row != "":
		return attack.RenderRow(os.Stdout, answer, s.Row)
	case conn.JSON:
		s.Format = "json"
	}
	return attack.Render(os.Stdout, answer, s.Format)
}

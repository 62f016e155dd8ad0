package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	logs "countersign/internal/admin/audit"
	"countersign/internal/audit"
)

type auditCommand struct {
	Search     do[logs.Search]     `cmd:""`
	Tail       auditTail           `cmd:"" help:"Print what is written from now on, as it comes."`
	Checkpoint do[logs.Checkpoint] `cmd:""`
	Alarms     do[logs.Alarms]     `cmd:""`
	Seen       do[logs.Seen]       `cmd:""`
	Verify     auditVerify         `cmd:"" help:"Check offline that no entry was changed, removed, inserted, moved or cut off."`
	Export     auditExport         `cmd:"" help:"Write the log as JSON lines."`
	Accept     auditAccept         `cmd:"" help:"Say why the log is not as the server left it, and have it go on. The servers must be stopped."`
}

type auditVerify struct {
	place
	Witness []string `help:"A file with checkpoints that were sent elsewhere before; may be given more than once." type:"existingfile"`
}

func (c *auditVerify) Run(ctx context.Context, conn *connection) error {
	var witnessed []string
	for _, name := range c.Witness {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		witnessed = append(witnessed, string(b))
	}
	db, _, err := c.openBroken(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	report, err := db.AuditLog().Verify(ctx, witnessed...)
	if conn.JSON {
		if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
			return err
		}
	} else {
		for _, f := range report.Faults {
			fmt.Println(f)
		}
		fmt.Printf("%d entries, %d checkpoints agree, the largest covers %d; root %s\n", report.Entries, report.Checkpoints, report.Signed, report.Root)
	}
	if err == nil && !report.OK() {
		return errors.New("the audit log is not as it was written")
	}
	return err
}

type auditExport struct {
	place
}

func (c *auditExport) Run(ctx context.Context) error {
	db, keys, err := c.openBroken(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	notes, err := db.AuditLog().Checkpoints(ctx)
	if err != nil {
		return err
	}
	out, err := audit.NewWriter(os.Stdout, keys.Origin(), notes)
	if err != nil {
		return err
	}
	for leaf, err := range db.AuditLog().Leaves(ctx) {
		if err != nil {
			return err
		}
		if err := out.Write(leaf); err != nil {
			return err
		}
	}
	return nil
}

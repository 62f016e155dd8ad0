package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"

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
	Export  string   `help:"A file that audit export or the console wrote, in place of an installation: no database and no secret key is needed. With --log-key." type:"existingfile" placeholder:"FILE"`
	LogKey  string   `help:"The audit log's public key, as keys show prints it: whose log the export must be." placeholder:"KEY"`
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
	report, err := c.verify(ctx, witnessed)
	if err != nil {
		return err
	}
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
	switch {
	case !report.OK():
		return errors.New("the audit log is not as it was written")
	case c.Export != "" && report.Signed < report.Entries:
		return fmt.Errorf("nothing vouches for the last %d entries: they are newer than the newest checkpoint in the file; export again after countersign audit checkpoint, or give a newer one with --witness", report.Entries-report.Signed)
	}
	return nil
}

// verify checks the log of an installation, or an export.
func (c *auditVerify) verify(ctx context.Context, witnessed []string) (audit.Report, error) {
	if (c.Export == "") != (c.LogKey == "") {
		return audit.Report{}, errors.New("--export and --log-key go together: an export is verified with the public key that keys show prints")
	}
	if c.Export != "" {
		return verifyExport(c.Export, c.LogKey, witnessed)
	}
	db, _, err := c.openBroken(ctx)
	if err != nil {
		return audit.Report{}, err
	}
	defer db.Close()
	return db.AuditLog().Verify(ctx, witnessed...)
}

// verifyExport checks a file with nothing but the public key.
func verifyExport(path, key string, witnessed []string) (audit.Report, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return audit.Report{}, errors.New("--log-key is no key: take the one that keys show prints")
	}
	f, err := os.Open(path)
	if err != nil {
		return audit.Report{}, err
	}
	defer f.Close()
	log, err := audit.ReadLog(f)
	if err != nil {
		return audit.Report{}, err
	}
	if log.Origin != verifier.Name() {
		return audit.Report{}, fmt.Errorf("the file is of another log than the key: it says %q, and the key %q", log.Origin, verifier.Name())
	}
	return audit.Verify(log.Entries(), audit.Check{Origin: verifier.Name(), Verifier: verifier, Checkpoints: append(log.Checkpoints, witnessed...)})
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

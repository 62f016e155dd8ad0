package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

type auditCommand struct {
	Verify auditVerify `cmd:"" help:"Check offline that no entry was changed, removed, inserted, moved or cut off."`
	Export auditExport `cmd:"" help:"Write the log as JSON lines."`
}

type auditVerify struct {
	Data string `default:"countersign-data" help:"Folder of the database and the root key."`
	JSON bool   `help:"Print JSON."`
}

func openLog(ctx context.Context, folder string) (*store.DB, *keyring.Keyring, error) {
	path := filepath.Join(folder, "countersign.db")
	if _, err := os.Stat(path); err != nil {
		return nil, nil, fmt.Errorf("there is no database in %s; name its folder with --data", folder)
	}
	root, err := rootKey(folder)
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, store.Options{DSN: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	keys, err := keyring.Open(ctx, db, root)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, keys, nil
}

func (c *auditVerify) Run(ctx context.Context) error {
	db, _, err := openLog(ctx, c.Data)
	if err != nil {
		return err
	}
	defer db.Close()
	report, err := db.Verify(ctx)
	if c.JSON {
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
	Data string `default:"countersign-data" help:"Folder of the database and the root key."`
}

func (c *auditExport) Run(ctx context.Context) error {
	db, keys, err := openLog(ctx, c.Data)
	if err != nil {
		return err
	}
	defer db.Close()
	notes, err := db.Checkpoints(ctx)
	if err != nil {
		return err
	}
	out, err := audit.NewWriter(os.Stdout, keys.Origin(), notes)
	if err != nil {
		return err
	}
	for leaf, err := range db.Leaves(ctx) {
		if err != nil {
			return err
		}
		if err := out.Write(leaf); err != nil {
			return err
		}
	}
	return nil
}

package cli

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/keyring"
	"countersign/internal/rootkey"
	"countersign/internal/server"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// The promise: wherever a rotation of the root key is cut off, the installation
// starts, with one key and no leftover once it is finished, and says so in its log.
func TestRotationCutOff(t *testing.T) {
	for steps, want := range []string{"old", "old", "new", "new"} {
		folder := settled(t)
		old := readFile(t, filepath.Join(folder, rootkey.File))
		r, shut := beginRotation(t, folder)
		for _, step := range []func(context.Context) error{r.write, r.use, r.replace}[:steps] {
			if err := step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		shut() // as a crash would: nothing more is written
		in := start(t, folder)
		if err := in.DB.Close(); err != nil {
			t.Fatal(err)
		}
		now := readFile(t, filepath.Join(folder, rootkey.File))
		if got := map[bool]string{true: "old", false: "new"}[now == old]; got != want {
			t.Errorf("cut off after %d steps, it started with the %s key and should have with the %s", steps, got, want)
		}
		if err := (&keysRotateRoot{place: place{Data: folder}}).Run(t.Context()); err != nil {
			t.Fatalf("cut off after %d steps, it cannot be rotated again: %v", steps, err)
		}
		if now == readFile(t, filepath.Join(folder, rootkey.File)) {
			t.Errorf("cut off after %d steps, rotating again changed nothing", steps)
		}
		if _, err := os.Stat(filepath.Join(folder, rootkey.NextFile)); err == nil {
			t.Errorf("cut off after %d steps, the second rotation left its file", steps)
		}
		db, _, err := place{Data: folder}.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		entries, err := db.AuditLog().Entries(t.Context(), store.Filter{Event: "keyring.root-rotated"})
		if wanted := 1 + steps/2; err != nil || len(entries) != wanted || !strings.HasPrefix(entries[0].Actor.Name, "operator ") {
			t.Errorf("cut off after %d steps: %d rotations in the log, %d wanted; %v", steps, len(entries), wanted, err)
		}
		if report, err := db.AuditLog().Verify(t.Context()); err != nil || !report.OK() {
			t.Errorf("the log does not verify: %v, %v", report.Faults, err)
		}
		db.Close()
	}
}

// A stale file of a rotation must not let anybody in with a key that is not the
// database's, nor take the place of the one that is.
func TestRotationLeftover(t *testing.T) {
	folder := settled(t)
	old := readFile(t, filepath.Join(folder, rootkey.File))
	if err := rootkey.Write(filepath.Join(folder, rootkey.NextFile), keyring.NewRoot()); err != nil {
		t.Fatal(err)
	}
	start(t, folder).DB.Close()
	if readFile(t, filepath.Join(folder, rootkey.File)) != old {
		t.Error("a leftover took the key's place")
	}
	if err := os.WriteFile(filepath.Join(folder, rootkey.File), []byte(keyring.NewRoot().Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (place{Data: folder}).open(t.Context()); err == nil {
		t.Error("neither key is the database's, and it opened")
	}
}

// A folder with a database and no root key must not be given a new one.
func TestNoKeyIsMadeBesideADatabase(t *testing.T) {
	folder := settled(t)
	if err := os.Remove(filepath.Join(folder, rootkey.File)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (place{Data: folder}).open(t.Context()); err == nil {
		t.Error("it opened without a key")
	}
	if _, err := rootkey.FindOrMake(folder, server.DatabaseFile); err == nil {
		t.Error("a key was made beside a database that it cannot open")
	}
	if _, err := os.Stat(filepath.Join(folder, rootkey.File)); err == nil {
		t.Error("a key was left")
	}
}

// Keys given from outside are rotated into a file, and the folder gets none.
func TestRotateOutsideKey(t *testing.T) {
	folder := settled(t)
	t.Setenv("COUNTERSIGN_ROOT_KEY", readFile(t, filepath.Join(folder, rootkey.File)))
	if err := os.Remove(filepath.Join(folder, rootkey.File)); err != nil {
		t.Fatal(err)
	}
	if err := (&keysRotateRoot{place: place{Data: folder}}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--to") {
		t.Errorf("without --to: %v", err)
	}
	to := filepath.Join(t.TempDir(), "new.key")
	if err := (&keysRotateRoot{place: place{Data: folder}, To: to}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (place{Data: folder}).open(t.Context()); err == nil {
		t.Error("the old key still opens it")
	}
	t.Setenv("COUNTERSIGN_ROOT_KEY", readFile(t, to))
	start(t, folder).DB.Close()
}

func TestRotateDataAndShow(t *testing.T) {
	folder := settled(t)
	if err := (&keysRotateData{place: place{Data: folder}, Purpose: []string{"credential"}}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := (&keysRotateData{place: place{Data: folder}, Purpose: []string{"audit-mac"}}).Run(t.Context()); err == nil {
		t.Error("the audit log's key was rotated: no entry before would verify")
	}
	db, keys, err := place{Data: folder}.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := keys.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var credential []keyring.Key
	for _, k := range list {
		if k.Purpose == keyring.Credential {
			credential = append(credential, k)
		}
	}
	if len(credential) != 2 || credential[0].Retired.IsZero() || !credential[1].Retired.IsZero() || credential[1].Generation != 2 {
		t.Errorf("the keys of credentials: %+v", credential)
	}
	if err := (&keysShow{place: place{Data: folder}}).Run(t.Context(), &connection{}); err != nil {
		t.Error(err)
	}
}

// The log of an installation on PostgreSQL verifies and is exported by its URL.
func TestAuditOnPostgreSQL(t *testing.T) {
	dsn := storetest.StartPostgres(t).DSN
	folder := t.TempDir()
	in, err := server.Assemble(t.Context(), testSettings(t, folder, dsn))
	if err != nil {
		t.Fatal(err)
	}
	if err := in.DB.Close(); err != nil {
		t.Fatal(err)
	}
	p := place{Data: folder, Database: dsn}
	if err := (&auditVerify{place: p}).Run(t.Context(), &connection{}); err != nil {
		t.Error(err)
	}
	if err := (&auditExport{place: p}).Run(t.Context()); err != nil {
		t.Error(err)
	}
	if err := (&auditVerify{place: place{Data: folder}}).Run(t.Context(), &connection{}); err == nil {
		t.Error("without its URL a database was found in the folder")
	}
}

func testSettings(t testing.TB, folder, database string) server.Settings {
	u, err := url.Parse("http://localhost:1")
	if err != nil {
		t.Fatal(err)
	}
	return server.Settings{Folder: folder, Database: database, PublicURL: u, Now: time.Now, Log: quietLog(t)}
}

// settled makes an installation, stops it and returns its folder.
func settled(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	if err := start(t, folder).DB.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

func start(t testing.TB, folder string) *server.Installation {
	t.Helper()
	in, err := server.Assemble(context.Background(), testSettings(t, folder, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.DB.Close() })
	return in
}

func beginRotation(t testing.TB, folder string) (*rotation, func()) {
	t.Helper()
	db, keys, err := place{Data: folder}.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &rotation{keys: keys, path: filepath.Join(folder, rootkey.File), next: filepath.Join(folder, rootkey.NextFile)}, func() { db.Close() }
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// quietLog shows what a server logs where the test failed.
func quietLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

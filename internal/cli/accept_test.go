package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/server"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// refusesToStart says why a server does not start on a folder.
func refusesToStart(t *testing.T, folder string) error {
	t.Helper()
	in, err := server.Assemble(t.Context(), testSettings(t, folder, ""))
	if err == nil {
		in.DB.Close()
		t.Fatal("it starts")
	}
	if !errors.Is(err, store.ErrHalted) || !strings.Contains(err.Error(), "countersign rollback-recovery") || !strings.Contains(err.Error(), "countersign audit accept") {
		t.Errorf("it does not say what to do: %v", err)
	}
	return err
}

// The promise: an older copy of the database that was put back is noticed by the next
// start, which names both commands; either has it go on, and says so in the log.
func TestAnOlderDatabaseIsNoticed(t *testing.T) {
	for name, accept := range map[string]func(place) error{
		"rollback-recovery": func(p place) error { return (&rollbackCommand{place: p}).Run(t.Context()) },
		"audit accept": func(p place) error {
			return (&auditAccept{place: p, Because: "the disk was put back"}).Run(t.Context(), &connection{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := settled(t)
			path, old := filepath.Join(folder, server.DatabaseFile), filepath.Join(t.TempDir(), "old.db")
			storetest.Intrude(t, path, "vacuum into '"+old+"'")
			if err := (&keysRotateData{place: place{Data: folder}, Purpose: []string{"credential"}}).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			start(t, folder).DB.Close()
			for _, name := range []string{path, path + "-wal", path + "-shm"} {
				if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			if err := os.Rename(old, path); err != nil {
				t.Fatal(err)
			}
			refusesToStart(t, folder)
			p := place{Data: folder}
			if err := (&auditVerify{place: p}).Run(t.Context(), &connection{}); err == nil {
				t.Error("nothing is wrong with it")
			}
			refusesToStart(t, folder) // looking changes nothing
			if err := accept(p); err != nil {
				t.Fatal(err)
			}
			in := start(t, folder)
			got, err := in.DB.AuditLog().Entries(t.Context(), store.Filter{Event: store.AcceptedEvent})
			if err != nil || len(got) != 1 || !strings.HasPrefix(got[0].Actor.Name, "operator ") || got[0].Detail["because"] == "" {
				t.Errorf("%+v, %v", got, err)
			}
			in.DB.Close() // it writes what it remembers, which accepting clears
			if err := accept(p); err != nil && name == "audit accept" {
				t.Errorf("the entry that is missing for good cannot be accepted again: %v", err)
			}
		})
	}
}

// Nothing is accepted without a reason.
func TestAcceptWantsAReason(t *testing.T) {
	p := place{Data: settled(t)}
	for _, because := range []string{"", strings.Repeat("x", mostBecause+1)} {
		if err := (&auditAccept{place: p, Because: because}).Run(t.Context(), &connection{}); err == nil {
			t.Errorf("%q was taken", because)
		}
	}
	if err := (&auditAccept{place: p, Because: "why not"}).Run(t.Context(), &connection{}); err == nil || !strings.Contains(err.Error(), "nothing is wrong") {
		t.Errorf("%v", err)
	}
}

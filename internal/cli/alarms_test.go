package cli

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/audit"
	"countersign/internal/server"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// tampers changes the database of a world behind its back.
func (w *world) tampers(statements ...string) {
	w.t.Helper()
	storetest.Intrude(w.t, filepath.Join(w.folder, server.DatabaseFile), statements...)
}

func (w *world) alarmed() []store.Alarm {
	w.t.Helper()
	all, err := w.DB.Alarms().Unseen(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) soon(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("it never happened: %s", what)
		}
	}
}

// The promise: what is changed in the database from outside cannot be overlooked, until
// somebody says that they have dealt with it.
func TestAlarmsOfTheDatabase(t *testing.T) {
	w := newWorld(t)
	ada := w.officeOf("ada")[0]
	browser := w.person()
	browser.comes("ada", ada.person.secret)
	home := func() *person {
		browser.get("/console")
		return browser
	}
	misses := func(text string) {
		t.Helper()
		if strings.Contains(home().page, text) {
			t.Errorf("the overview says %q", text)
		}
	}
	home().sees("Overview")
	misses("changed from outside")
	w.soon("the log is read", w.DB.View().CaughtUp)
	if err := w.DB.View().Hear(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.tampers("update audit_entry set at = 0 where seq = 2")
	w.soon("an alarm", func() bool { return len(w.alarmed()) == 1 })
	home().sees("The database was changed from outside")
	home().sees("audit_entry 2")
	misses("Nothing is changed any more")
	var listed audit.AlarmPage
	if err := ada.Do(t.Context(), "audit.alarms", map[string]any{}, &listed); err != nil || len(listed.Alarms) != 1 || listed.Halted != "" ||
		listed.Alarms[0].Table != "audit_entry" || listed.Alarms[0].Row != "2" || listed.Alarms[0].Wrong != store.Altered {
		t.Errorf("%+v, %v", listed, err)
	}
	w.soon("its entry", func() bool { return w.events(store.TamperedEvent) == 1 })
	if err := ada.Do(t.Context(), "audit.seen", map[string]any{"reason": ""}, nil); err == nil {
		t.Error("seen without a word")
	}
	if err := ada.Do(t.Context(), "audit.seen", map[string]any{"reason": "it was a script"}, nil); err != nil {
		t.Fatal(err)
	}
	misses("changed from outside")
	if err := ada.Do(t.Context(), "audit.seen", map[string]any{"reason": "again"}, nil); err == nil {
		t.Error("seen twice")
	}
	if w.events(store.SeenEvent) != 1 {
		t.Error("that it was seen is not in the log")
	}
}

// The promise: a log that is not as the server left it is said to administrators, what
// can be read stays readable, and nothing is changed.
func TestAHaltedServerSaysSo(t *testing.T) {
	w := newWorld(t)
	ada := w.officeOf("ada")[0]
	browser := w.person()
	browser.comes("ada", ada.person.secret)
	browser.get("/console")
	browser.sees("Overview")
	w.tampers("delete from audit_tree", "delete from audit_entry", "delete from audit_checkpoint")
	w.soon("it halts", func() bool { return w.DB.Condition().Halted() != nil })
	browser.get("/console")
	browser.sees("Nothing is changed any more")
	browser.sees("countersign audit accept")
	if err := ada.Do(t.Context(), "group.create", map[string]any{"name": "late"}, nil); err == nil {
		t.Error("a group was made")
	}
	if err := w.DB.Condition().Health(context.Background()); !errors.Is(err, store.ErrHalted) {
		t.Error(err)
	}
}

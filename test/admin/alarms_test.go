package admin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

func alarmed(w *servertest.World) []store.Alarm {
	w.T.Helper()
	all, err := w.DB.Alarms().Unseen(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	return all
}

func soon(w *servertest.World, what string, ok func() bool) {
	w.T.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.T.Fatalf("it never happened: %s", what)
		}
	}
}

// The promise: what is changed in the database from outside cannot be overlooked, until
// somebody says that they have dealt with it.
func TestAlarmsOfTheDatabase(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	browser := w.Person()
	browser.Comes("ada", ada.Person.Secret)
	home := func() *servertest.Person {
		browser.Get("/console")
		return browser
	}
	misses := func(text string) {
		t.Helper()
		if strings.Contains(home().Page, text) {
			t.Errorf("the overview says %q", text)
		}
	}
	home().Sees("Overview")
	misses("changed from outside")
	soon(w, "the log is read", w.DB.View().CaughtUp)
	if err := w.DB.View().Hear(t.Context()); err != nil {
		t.Fatal(err)
	}
	servertest.Tampers(w, "update audit_entry set at = 0 where seq = 2")
	soon(w, "an alarm", func() bool { return len(alarmed(w)) == 1 })
	home().Sees("The database was changed from outside")
	home().Sees("audit_entry 2")
	misses("Nothing is changed any more")
	var listed audit.AlarmPage
	if err := ada.Do(t.Context(), "audit.alarms", map[string]any{}, &listed); err != nil || len(listed.Alarms) != 1 || listed.Halted != "" ||
		listed.Alarms[0].Table != "audit_entry" || listed.Alarms[0].Row != "2" || listed.Alarms[0].Wrong != store.Altered {
		t.Errorf("%+v, %v", listed, err)
	}
	soon(w, "its entry", func() bool { return w.Events(store.TamperedEvent) == 1 })
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
	if w.Events(store.SeenEvent) != 1 {
		t.Error("that it was seen is not in the log")
	}
}

// The promise: a log that is not as the server left it is said to administrators, what
// can be read stays readable, and nothing is changed.
func TestAHaltedServerSaysSo(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	browser := w.Person()
	browser.Comes("ada", ada.Person.Secret)
	browser.Get("/console")
	browser.Sees("Overview")
	servertest.Tampers(w, "delete from audit_tree", "delete from audit_entry", "delete from audit_checkpoint")
	soon(w, "it halts", func() bool { return w.DB.Condition().Halted() != nil })
	browser.Get("/console")
	browser.Sees("Nothing is changed any more")
	browser.Sees("countersign audit accept")
	if err := ada.Do(t.Context(), "group.create", map[string]any{"name": "late"}, nil); err == nil {
		t.Error("a group was made")
	}
	if err := w.DB.Condition().Health(context.Background()); !errors.Is(err, store.ErrHalted) {
		t.Error(err)
	}
}

package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"countersign/internal/store"
)

// Who looks an entry up that was altered is told so, and it is an alarm at once: before the
// watch comes to it again, which takes long in a large log.
func TestASearchFindsAnAlteredEntry(t *testing.T) {
	houses(t, func(h *house) {
		t := h.t
		h.open()
		h.write(12)
		eventually(t, "the log is read", func() bool { return store.ReadTo(h.db) == 12 })
		for _, seq := range []int64{3, 5, 8} {
			if n := len(h.findings()); n != 0 && seq == 3 {
				t.Fatalf("%d alarms, and nobody did anything", n)
			}
			h.sql(fmt.Sprintf("update audit_entry set body = (select body from audit_entry where seq = 1) where seq = %d", seq))
			found, err := h.db.AuditLog().Entries(ctx, store.Filter{From: seq, Limit: 1})
			if err != nil || len(found) != 1 || found[0].Seq != seq || found[0].Event != "audit.unreadable" || found[0].Reason != "altered" {
				t.Errorf("entry %d: %+v, %v", seq, found, err)
			}
			what := fmt.Sprintf("audit_entry %d altered", seq)
			if !h.findings()[what] {
				t.Errorf("%s, and it is no alarm", what)
			}
			h.finds(what)
		}
		eventually(t, "the log says it", func() bool {
			said, err := h.db.AuditLog().Entries(ctx, store.Filter{Event: store.TamperedEvent})
			if err != nil {
				t.Fatal(err)
			}
			return len(said) == 3
		})
	})
}

// A server that is killed loses nothing of how long its log was but the last seconds: the
// signer keeps it with every look. Neither the end of the server nor the versions that it
// keeps once a minute are needed for that.
func TestTheHeadIsKeptWhileItRuns(t *testing.T) {
	houses(t, func(h *house) {
		t := h.t
		h.open()
		h.write(5)
		h.sql(keepTree)
		h.write(5)
		if err := store.Sign(h.db); err != nil {
			t.Fatal(err)
		}
		head, err := os.ReadFile(filepath.Join(h.folder, "log-head"))
		if err != nil {
			t.Fatal(err)
		}
		h.db.Close()
		if err := store.Forget(h.folder); err != nil { // what is written when it is closed was not written
			t.Fatal(err)
		}
		if err := os.MkdirAll(h.folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(h.folder, "log-head"), head, 0o600); err != nil {
			t.Fatal(err)
		}
		h.sql(cuts["the end is cut off"]...)
		h.refuses()
	})
}

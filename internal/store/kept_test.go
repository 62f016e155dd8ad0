package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
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

// The signer looks by itself: a log that grew is signed within seconds, and its head kept, by
// a server of which nobody asks that.
func TestTheSignerLooksByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, dsn: filepath.Join(t.TempDir(), "test.db"), folder: filepath.Join(t.TempDir(), "remembered"), keys: storetest.Keys(t)}
		h.open()
		head := filepath.Join(h.folder, "log-head")
		var before []byte
		for n := range int64(3) {
			if err := change(h.db, key("row ", n)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if signed := count(t, h.db, "select max(size) from audit_checkpoint"); signed != n+1 {
				t.Errorf("of %d entries %d are signed", n+1, signed)
			}
			after, err := os.ReadFile(head)
			if err != nil || bytes.Equal(after, before) {
				t.Errorf("after %d entries the head is not kept: %v", n+1, err)
			}
			before = after
		}
	})
}

package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"countersign/internal/admin/account"
	"countersign/internal/failure"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
	"countersign/internal/ticket"
)

// sent is a file of accounts that was sent, as the command line sends it.
func sent(t *testing.T, by *servertest.Clerk, change bool, rows ...account.Row) account.Batch {
	t.Helper()
	b := account.Batch{Upload: ticket.NewSecret(), Count: len(rows), File: "people.csv", Change: change}
	sum := sha256.New()
	for part := range slices.Chunk(rows, account.RowsPerPart) {
		var staged account.Staged
		if err := by.Do(t.Context(), "account.stage", &account.Stage{Upload: b.Upload, Part: b.Parts, Rows: part}, &staged); err != nil {
			t.Fatal(err)
		}
		digest, err := hex.DecodeString(staged.Digest)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(digest)
		b.Parts++
	}
	b.Digest = hex.EncodeToString(sum.Sum(nil))
	return b
}

func people(n int) []account.Row {
	var out []account.Row
	for i := range n {
		out = append(out, account.Row{Line: i + 2, Name: fmt.Sprintf("person%03d", i), Display: fmt.Sprintf("Person Number %d", i), Mail: fmt.Sprintf("person%03d@example.org", i), Groups: []string{"staff"}})
	}
	return out
}

// The promise: a preview changes nothing and says what is made, changed and left; an import
// does that, with an entry for each account; nobody comes into a privileged group by a file;
// and the same file again changes nothing.
func TestImportAccounts(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := servertest.OfficeOf(w, "ada")[0]
		does(t, ada, "group.create", map[string]any{"name": "staff"})
		does(t, ada, "account.create", map[string]any{"name": "person001"})
		rows, before := people(450), w.Events("account.created")
		rows[7].Groups = []string{"administrators", "staff"}
		var plan, out account.Outcome
		b := sent(t, ada, true, rows...)
		if err := ada.Do(t.Context(), "account.preview", &account.Preview{Batch: b}, &plan); err != nil {
			t.Fatal(err)
		}
		if plan.Made != 449 || plan.Changed != 1 || plan.Left != 0 || len(plan.Faults) != 0 || fmt.Sprint(plan.Owed) != "[{person007 administrators}]" {
			t.Errorf("the preview says %d, %d, %d, %v, %v", plan.Made, plan.Changed, plan.Left, plan.Faults, plan.Owed)
		}
		if w.Events("account.created") != before {
			t.Error("a preview made accounts")
		}
		if err := ada.Do(t.Context(), "account.import", &account.Import{Batch: b}, &out); err != nil {
			t.Fatal(err)
		}
		if out.Made != 449 || out.Changed != 1 || len(out.Invitable) != 449 || fmt.Sprint(out.Owed) != "[{person007 administrators}]" {
			t.Errorf("imported: %d, %d, %d, %v", out.Made, out.Changed, len(out.Invitable), out.Owed)
		}
		if servertest.Administers(w, "person007") {
			t.Error("a file makes administrators")
		}
		if made, parts := w.Events("account.created")-before, w.Events("account.imported"); made != 449 || parts != 3 || w.Events("account.changed-by-import") != 1 {
			t.Errorf("%d accounts and %d parts are in the log", made, parts)
		}
		if err := ada.Do(t.Context(), "account.import", &account.Import{Batch: b}, nil); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("what was sent is good twice: %v", err)
		}
		b = sent(t, ada, true, rows...)
		if err := ada.Do(t.Context(), "account.import", &account.Import{Batch: b}, &out); err != nil || out.Made != 0 || out.Changed != 0 || out.Left != 450 {
			t.Errorf("the same file again: %+v, %v", out, err)
		}
	})
}

// The promise: with one fault nothing is made, each fault is told by its line without what
// stands in it, and nothing else than what was approved and sent by the same person is made.
func TestImportIsRefusedWhole(t *testing.T) {
	w := servertest.NewWorld(t)
	office := servertest.OfficeOf(w, "ada", "bob")
	ada, bob := office[0], office[1]
	does(t, ada, "account.create", map[string]any{"name": "zoe"})
	does(t, ada, "account.remove", map[string]any{"name": "zoe"})
	const secret = "hunter2hunter2"
	before := w.Events("account.created")
	for want, row := range map[string]account.Row{
		"The name is none":               {Name: "a b " + secret},
		"The name looks like":            {Name: "administrat0rs"},
		"was removed":                    {Name: "zoe"},
		"names a group that does not":    {Name: "yves", Groups: []string{secret}},
		"The display name is none":       {Name: "yves", Display: "ada"},
		"The mail address is none":       {Name: "yves", Mail: secret},
		"The end is none":                {Name: "yves", Ends: secret},
		"The name is that of line 2":     {Name: "PERSON000"},
		"The display name is none, or i": {Name: "yves", Display: secret + "\u202e"},
	} {
		row.Line = 9
		rows := append(people(3), row)
		for i := range rows[:3] {
			rows[i].Groups = nil
		}
		b := sent(t, ada, false, rows...)
		var plan account.Outcome
		if err := ada.Do(t.Context(), "account.preview", &account.Preview{Batch: b}, &plan); err != nil {
			t.Fatal(err)
		}
		if len(plan.Faults) != 1 || plan.Faults[0].Line != 9 || !strings.Contains(plan.Faults[0].Text, want) || strings.Contains(plan.Faults[0].Text, secret) {
			t.Errorf("%q: %+v", want, plan.Faults)
		}
		if err := ada.Do(t.Context(), "account.import", &account.Import{Batch: b}, nil); failure.ClassOf(err) != failure.Conflict || strings.Contains(failure.Public(err), secret) {
			t.Errorf("%q: the import is answered %v", want, err)
		}
	}
	if n := w.Events("account.created"); n != before {
		t.Errorf("%d accounts were made", n)
	}
	b := sent(t, ada, false, account.Row{Line: 2, Name: "yves"})
	for what, change := range map[string]func(b *account.Batch){
		"another digest": func(b *account.Batch) { b.Digest = strings.Repeat("0", 64) }, "another count": func(b *account.Batch) { b.Count = 2 },
		"no parts": func(b *account.Batch) { b.Parts = 0 }, "more parts": func(b *account.Batch) { b.Parts = 2 }, "another upload": func(b *account.Batch) { b.Upload = ticket.NewSecret() },
	} {
		other := b
		change(&other)
		if err := ada.Do(t.Context(), "account.import", &account.Import{Batch: other}, nil); err == nil {
			t.Errorf("%s is imported", what)
		}
	}
	if err := bob.Do(t.Context(), "account.import", &account.Import{Batch: b}, nil); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("somebody else imports what ada sent: %v", err)
	}
	if err := ada.Do(t.Context(), "account.import", &account.Import{Batch: b}, nil); err != nil {
		t.Error(err)
	}
}

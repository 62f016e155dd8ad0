package admin

import (
	"fmt"
	"strings"
	"testing"

	"countersign/internal/admin/account"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/servertest"
)

// The promise: a fault in a later part keeps the parts before it from being made, what is found
// only while it is made says how much was, and the file that was mended goes on there.
func TestImportOfSeveralParts(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	does(t, ada, "group.create", map[string]any{"name": "staff"})
	before := w.Events("account.created")
	rows := people(account.RowsPerPart + 2)
	last := &rows[len(rows)-1]
	last.Groups = []string{"nowhere"}
	if err := ada.Do(t.Context(), "account.import", &account.Import{Batch: sent(t, ada, false, rows...)}, nil); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a file with a fault: %v", err)
	}
	if n := w.Events("account.created"); n != before {
		t.Errorf("%d accounts of a file with a fault are made", n-before)
	}
	last.Groups, last.Display = nil, "person000" // nobody has that name before the first part is made
	err := ada.Do(t.Context(), "account.import", &account.Import{Batch: sent(t, ada, false, rows...)}, nil)
	if says := failure.Public(err); failure.ClassOf(err) != failure.Conflict || !strings.Contains(says, "after 1 of 2 parts, with 200 accounts made") || !strings.Contains(says, fmt.Sprintf("Line %d:", last.Line)) {
		t.Errorf("what is found while it is made: %v", says)
	}
	last.Display, last.Mail = "", ""
	var out account.Outcome
	if err := ada.Do(t.Context(), "account.import", &account.Import{Batch: sent(t, ada, false, rows...)}, &out); err != nil || out.Made != 2 || out.Left != account.RowsPerPart || len(out.Invitable) != 1 {
		t.Errorf("the mended file: %d made, %d left, %v, %v", out.Made, out.Left, out.Invitable, err)
	}
}

// The promise: who is there is left alone by a file that does not say otherwise, and somebody
// privileged by every file; a name that leads to somebody else by a former name makes nobody and
// changes nobody.
func TestImportLeavesAlone(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	does(t, ada, "group.create", map[string]any{"name": "staff"})
	does(t, ada, "account.create", map[string]any{"name": "bob"})
	does(t, ada, "account.create", map[string]any{"name": "grace"})
	does(t, ada, "account.rename", map[string]any{"name": "grace", "to": "hopper"})
	joined := w.Events("group.member-added")
	rows := []account.Row{{Line: 2, Name: "bob", Groups: []string{"staff"}}, {Line: 3, Name: "ada", Groups: []string{"staff"}}, {Line: 4, Name: "grace", Groups: []string{"staff"}}}
	for _, change := range []bool{false, true} {
		var out account.Outcome
		if err := ada.Do(t.Context(), "account.import", &account.Import{Batch: sent(t, ada, change, rows...)}, &out); err != nil || out.Made != 0 {
			t.Fatalf("%+v, %v", out, err)
		}
		want := ""
		if change {
			want = "bob"
		}
		var page account.Page
		if err := ada.Do(t.Context(), "account.list", map[string]any{"group": "staff"}, &page); err != nil {
			t.Fatal(err)
		}
		var in []string
		for _, a := range page.Accounts {
			in = append(in, a.Name)
		}
		if strings.Join(in, " ") != want || w.Events("group.member-added") != joined {
			t.Errorf("change %v: %q are in the group", change, in)
		}
	}
}

// The promise: what is approved says which file it is, and whether it changes those who are there;
// one import and one part have a bound.
func TestImportIsBoundAndNamed(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	b := sent(t, ada, false, account.Row{Line: 2, Name: "yves"})
	other, more := b, b
	other.Digest, more.Change = strings.Repeat("0", 64), true
	one := (&account.Import{Batch: b}).Object()
	for what, batch := range map[string]account.Batch{"another digest": other, "a file that changes": more} {
		if (&account.Import{Batch: batch}).Object() == one {
			t.Errorf("%s is approved by the same text: %s", what, one)
		}
	}
	b.Count = account.MostRows + 1
	for action, cmd := range map[string]any{"account.preview": &account.Preview{Batch: b}, "account.import": &account.Import{Batch: b}} {
		if err := ada.Do(t.Context(), action, cmd, nil); failure.ClassOf(err) != failure.Invalid || failure.FieldOf(err) != "count" {
			t.Errorf("%s of %d accounts: %v", action, b.Count, err)
		}
	}
	for _, n := range []int{0, account.RowsPerPart + 1} {
		if err := ada.Do(t.Context(), "account.stage", &account.Stage{Upload: b.Upload, Part: 1, Rows: make([]account.Row, n)}, nil); failure.ClassOf(err) != failure.Invalid || err == nil {
			t.Errorf("a part of %d accounts is taken: %v", n, err)
		}
	}
}

// The promise: nobody is renamed past a rule of the policy that names accounts, in either
// direction, and everybody else is.
func TestRenamePastThePolicy(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	for _, name := range []string{"grace", "contractor-heidi"} {
		does(t, ada, "account.create", map[string]any{"name": name})
	}
	body := strings.Replace(codesAnd(""), "rules:\n", "rules:\n  - name: contractors\n    when: 'account.name.startsWith(\"contractor-\") && application.name == \"wiki\"'\n    deny: contractors stay out\n", 1)
	if body == codesAnd("") {
		t.Fatal(string(policy.DefaultForCodes()))
	}
	does(t, ada, "policy.change", map[string]any{"body": body, "base": servertest.PolicyVersion(w)})
	for name, to := range map[string]string{"contractor-heidi": "heidi", "grace": "contractor-grace"} {
		if err := ada.Do(t.Context(), "account.rename", map[string]any{"name": name, "to": to}, nil); failure.ClassOf(err) != failure.Conflict || failure.FieldOf(err) != "to" {
			t.Errorf("%s becomes %s: %v", name, to, err)
		}
	}
	does(t, ada, "account.rename", map[string]any{"name": "grace", "to": "hopper"})
	does(t, ada, "account.rename", map[string]any{"name": "contractor-heidi", "to": "contractor-h"})
}

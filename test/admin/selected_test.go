package admin

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/failure"
	"countersign/internal/servertest"
)

// The promise: one thing is done to several accounts by one approval, which says how many and
// who; to all of them or to none, each with its entry; and the page asks once more, changing
// nothing before.
func TestSeveralAccounts(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	does(t, ada, "group.create", map[string]any{"name": "staff"})
	for _, name := range []string{"grace", "heidi", "ivan"} {
		does(t, ada, "account.create", map[string]any{"name": name})
	}
	if text := servertest.Prepared(w, "account.suspend", map[string]any{"name": "grace", "also": []string{"heidi", "ivan"}, "reason": "left"}).Object(); text != "3 accounts: grace heidi ivan: left" {
		t.Errorf("the approval says %q", text)
	}
	for action, field := range map[string]string{"pass.invite": "account", "pass.letter": "account", "pass.uninvite": "account", "session.end": "account", "group.member.add": "account", "account.suspend": "name"} {
		if text := servertest.Command(t, action, map[string]any{field: "grace", "also": []string{"heidi", "ivan"}, "group": "staff"}).Object(); !strings.Contains(text, "3 accounts: grace heidi ivan") {
			t.Errorf("the approval of %s says %q", action, text)
		}
	}
	for _, in := range []map[string]any{
		{"name": "grace", "also": []string{"ada"}}, {"name": "grace", "also": []string{"nobody"}}, {"name": "grace", "also": []string{"GRACE"}}, {"name": "grace", "also": make([]string, 501)},
	} {
		if err := ada.Do(t.Context(), "account.suspend", in, nil); err == nil {
			t.Errorf("%v is done", in["also"])
		}
	}
	if err := ada.Do(t.Context(), "account.suspend", map[string]any{"name": "grace", "also": []string{"ada"}}, nil); !strings.HasPrefix(failure.Public(err), "ada: ") {
		t.Errorf("it is not said who keeps it from being done: %v", err)
	}
	if err := w.Admin.Preflight(t.Context(), servertest.Command(t, "account.suspend", map[string]any{"name": "grace", "also": []string{"ada"}})); failure.ClassOf(err) != failure.Refused || !strings.HasPrefix(failure.Public(err), "ada: ") {
		t.Errorf("before it is approved, it is not said who keeps it from being done: %v", err)
	}
	if n := w.Events("account.suspended"); n != 0 {
		t.Errorf("%d are suspended", n)
	}
	does(t, ada, "group.member.add", map[string]any{"group": "staff", "account": "grace", "also": []string{"heidi", "ivan"}})
	does(t, ada, "session.end", map[string]any{"account": "grace", "also": []string{"heidi"}})
	if err := ada.Do(t.Context(), "session.end", map[string]any{"account": "grace", "number": "x", "also": []string{"heidi"}}, nil); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("one session of two accounts: %v", err)
	}
	if a, s := w.Events("group.member-added"), w.Events("session.ended"); a < 3 || s < 2 {
		t.Errorf("%d and %d entries", a, s)
	}
	w.Later(time.Minute)
	p := w.Person()
	p.Comes("ada", ada.Person.Secret)
	p.Get("/console/accounts?group=staff&sort=-name&size=25")
	p.Sees("heidi")
	p.PostMany("/console/selected", "account", []string{"grace", "heidi"}, "do", "suspend")
	p.Sees("Suspend 2 accounts?")
	if n := w.Events("account.suspended"); n != 0 {
		t.Error("asking suspends")
	}
	p.PostMany("/console/selected/suspend", "account", []string{"grace", "heidi"}, "reason", "left")
	if strings.Contains(p.Page, "<h1>Approve</h1>") {
		p.Proves()
	}
	p.Sees("2 accounts are suspended")
	if n := w.Events("account.suspended"); n != 2 {
		t.Errorf("%d are suspended", n)
	}
	p.PostMany("/console/selected", "account", nil, "do", "suspend")
	p.Sees("Tick the accounts first")
}

// What is approved names all, or the first ones and a digest over all in their order.
func TestSeveralAreNamed(t *testing.T) {
	names := make([]string, 300)
	for i := range names {
		names[i] = "person" + strings.Repeat("x", i%7) + string(rune('a'+i%26))
	}
	long := admin.Several(names)
	if len(long) > 1200 || !strings.HasPrefix(long, "300 accounts: ") || !strings.Contains(long, " more, SHA-256 over the names ") {
		t.Errorf("%q", long)
	}
	names[299] += "y"
	if admin.Several(names) == long {
		t.Error("another last name is approved by the same text")
	}
}

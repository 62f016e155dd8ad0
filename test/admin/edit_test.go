package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/recovery"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// refuses fails where somebody is not refused a command for this reason.
func refuses(t *testing.T, by *servertest.Clerk, reason, action string, in map[string]any) {
	t.Helper()
	if err := by.Do(t.Context(), action, in, nil); failure.ReasonOf(err) != reason {
		t.Errorf("%s: %s %v is answered %v (%q), want %q", by.Name, action, in, err, failure.ReasonOf(err), reason)
	}
}

// does fails where somebody cannot do a command.
func does(t *testing.T, by *servertest.Clerk, action string, in map[string]any) {
	t.Helper()
	if err := by.Do(t.Context(), action, in, nil); err != nil {
		t.Errorf("%s: %s %v: %v", by.Name, action, in, err)
	}
}

// changed is what the newest entry of an event says was before and after.
func changed(t *testing.T, w *servertest.World, event string) string {
	t.Helper()
	all, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: event, Newest: true, Limit: 1})
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %v, %v", event, all, err)
	}
	return all[0].AccountName + ": " + all[0].Detail["before"] + " > " + all[0].Detail["after"] + ", " + all[0].Detail["reason"]
}

// The attack: whoever administers gives an account another mail address, and has a recovery
// opened that its owner does not hear of. The promise: the owner is told at the old
// addresses, what was under way ends, and for seven days a recovery takes a second person.
func TestMailChangeTakesOverNoRecovery(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		d := servertest.WithHelpDesk(t, dsn)
		browser, number := d.Asks("bob")
		if got := d.Opens(d.Helga, "bob", number); got.Phase != recovery.Waiting {
			t.Fatalf("a recovery takes more than waiting before anything was changed: %+v", got)
		}
		d.Post.Collect()
		does(t, d.Root, "account.set-mail", map[string]any{"name": "bob", "mail": "mallory@example.net", "reason": "he called"})
		told := d.Post.Collect()
		for _, address := range []string{"bob@example.org", "bob@home.example", "mallory@example.net"} {
			if !slices.Contains(told, address+": Your account has another mail address") {
				t.Errorf("%s is not told: %q", address, told)
			}
		}
		if got := changed(t, d.World, "account.mail-set"); got != "bob: bob@example.org, bob@home.example > mallory@example.net, he called" {
			t.Errorf("the history says %q", got)
		}
		d.Later(25 * time.Hour)
		if browser.GoesOn() != http.StatusForbidden {
			t.Error("the recovery that was under way goes on")
		}
		_, number = d.Asks("bob")
		if got := d.Opens(d.Helga, "bob", number); got.Phase == recovery.Waiting {
			t.Errorf("a recovery after the change takes nobody else: %+v", got)
		}
		does(t, d.Root, "recovery.stop", map[string]any{"account": "bob", "reason": "a test"})
		d.Later(7 * 24 * time.Hour)
		_, number = d.Asks("bob")
		if got := d.Opens(d.Helga, "bob", number); got.Phase != recovery.Waiting {
			t.Errorf("a recovery a week later: %+v", got)
		}
	})
}

// The promise: a renamed person goes on as before: signed in, with what they sign in with,
// in their groups, by the old name and the new one; and no name gives somebody what is
// another's.
func TestRenamedPerson(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	d.Join("bob", "helpdesk")
	grace := d.EnrollCodes("grace")
	for _, name := range []string{"zoe", "robot"} {
		does(t, d.Root, "account.create", map[string]any{"name": name, "kind": map[bool]string{true: "service"}[name == "robot"]})
	}
	inside := d.Person()
	inside.Comes("grace", grace.Secret)
	does(t, d.Root, "account.rename", map[string]any{"name": "grace", "to": "Hopper", "reason": "married"})
	if got := changed(t, d.World, "account.renamed"); got != "hopper: grace > hopper, married" {
		t.Errorf("the history says %q", got)
	}
	if inside.Get("/account"); !strings.Contains(inside.Page, "hopper") {
		t.Errorf("the session is gone:\n%s", inside.Page)
	}
	for _, name := range []string{"grace", "hopper", `CORP\grace`} {
		d.Later(time.Minute)
		p := d.Person()
		p.Get("/sign-in")
		if p.SignIn(name, grace.Code()); !p.Inside() {
			t.Errorf("%s does not sign in", name)
		}
	}
	refuses(t, d.Root, "own-name-change", "account.rename", map[string]any{"name": "operator", "to": "zeus"})
	does(t, d.Root, "account.remove", map[string]any{"name": "zoe"})
	refuses(t, d.Root, "second-person", "account.rename", map[string]any{"name": "hopper", "to": "zoe"})
	does(t, d.Root, "account.rename", map[string]any{"name": "hopper", "to": "amazing"})
	does(t, d.Root, "account.remove", map[string]any{"name": "amazing"})
	for _, name := range []string{"grace", "hopper"} {
		refuses(t, d.Root, "second-person", "account.create", map[string]any{"name": name})
	}
	for _, c := range []struct {
		action string
		in     map[string]any
	}{{"account.rename", map[string]any{"name": "bob", "to": "robert"}}, {"account.set-mail", map[string]any{"name": "bob", "mail": "x@example.net"}}, {"account.set-display", map[string]any{"name": "bob", "display": "X"}}} {
		key, err := d.Root.Key(c.action)
		if err != nil {
			t.Fatal(err)
		}
		cmd := servertest.Prepared(d.World, c.action, c.in)
		if _, err := d.Admin.Do(t.Context(), servertest.ByKey(d.World, key, cmd).Grant, cmd); failure.ReasonOf(err) != "a-person-must" {
			t.Errorf("a key does %s to somebody privileged: %v", c.action, err)
		}
	}
	does(t, d.Root, "account.set-display", map[string]any{"name": "bob", "display": "Robert"})
	if got := changed(t, d.World, "account.display-set"); got != "bob: none > Robert, " {
		t.Errorf("the history says %q", got)
	}
	if told := d.Post.Collect(); !slices.Contains(told, "bob@example.org: Your account is called something else") {
		t.Errorf("told: %q", told)
	}
}

// The promise: who somebody is can be changed on their page, which says what comes of it.
func TestEditOnThePage(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	d.Later(time.Minute)
	p := d.Person()
	p.Comes("operator", d.Root.Person.Secret)
	p.Get("/console/accounts/bob")
	p.Sees("The old address and the new one are told")
	for _, c := range [][]string{{"/set-display", "display", "Robert"}, {"/set-mail", "mail", "robert@example.org", "reason", "met"}, {"/rename", "to", "robert", "reason", "asked"}} {
		p.Get("/console/accounts/bob")
		p.Does("/console/accounts/bob"+c[0], c[1:]...)
	}
	p.Sees("robert")
	p.Sees("Former names")
	p.Get("/console/accounts/" + url.PathEscape("bob"))
	p.Sees("robert@example.org")
	p.Does("/console/accounts/robert/set-mail", "mail", "no address", "reason", "met")
	p.Sees("Write one mail address")
}

// The promise: what a group is called can be changed, on its page and by a command; its name stays,
// and nobody but a service account knows anybody by an identifier of its own. Several leave a group
// by one approval, all of them or none.
func TestGroupIsCalledOtherwise(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	does(t, d.Root, "group.create", map[string]any{"name": "sales", "display": "Sales"})
	does(t, d.Root, "group.set-display", map[string]any{"group": "Sales", "display": "Sales Team"})
	entries, err := d.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "group.display-set", Newest: true, Limit: 1})
	if err != nil || len(entries) != 1 || entries[0].Detail["group"] != "sales" || entries[0].Detail["before"] != "Sales" || entries[0].Detail["after"] != "Sales Team" || entries[0].Actor.Name != "operator" {
		t.Errorf("the log says %+v, %v", entries, err)
	}
	d.Later(time.Minute)
	p := d.Person()
	p.Comes("operator", d.Root.Person.Secret)
	p.Get("/console/groups/sales")
	p.Sees("Sales Team")
	p.Does("/console/groups/sales/set-display", "display", "Sellers")
	p.Get("/console/groups/sales")
	p.Sees("<h1><bdi>Sellers</bdi></h1>")

	for action, in := range map[string]map[string]any{"account.set-external": {"name": "bob", "external": "1"}, "group.set-external": {"group": "sales", "external": "1"}, "account.create": {"name": "new", "external": "1"}, "group.create": {"name": "new", "external": "1"}} {
		if err := d.Root.Do(t.Context(), action, in, nil); failure.ClassOf(err) != failure.Refused {
			t.Errorf("a person does %s: %v", action, err)
		}
	}
	for _, name := range []string{"nora", "omar"} {
		does(t, d.Root, "account.create", map[string]any{"name": name})
	}
	does(t, d.Root, "group.member.add", map[string]any{"group": "sales", "account": "nora", "also": []string{"omar"}})
	if err := d.Root.Do(t.Context(), "group.member.remove", map[string]any{"group": "sales", "account": "nora", "also": []string{"bob"}}, nil); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("one who is not in it leaves: %v", err)
	}
	for name, is := range map[string]int{"nora": 1, "omar": 1} {
		if a, err := d.Accounts.Find(t.Context(), d.DB, name); err != nil || len(a.Groups) != is {
			t.Errorf("%s is in %v, %v", name, a.Groups, err)
		}
	}
	does(t, d.Root, "group.member.remove", map[string]any{"group": "sales", "account": "nora", "also": []string{"omar"}})
	if a, err := d.Accounts.Find(t.Context(), d.DB, "omar"); err != nil || len(a.Groups) != 0 {
		t.Errorf("omar is in %v, %v", a.Groups, err)
	}
}

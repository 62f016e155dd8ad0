package signin

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/account"
	"countersign/internal/admin/pass"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// file is a table of people, as a spreadsheet writes it.
func file(n int) string {
	var b strings.Builder
	b.WriteString("\ufeffName;Display name;E-Mail;Groups\r\n")
	for i := range n {
		fmt.Fprintf(&b, "worker%03d;Worker Number %d;worker%03d@example.org;staff, vpn\r\n", i, i, i)
		if i%50 == 0 {
			b.WriteString(";;;\r\n")
		}
	}
	return b.String()
}

// field is a hidden field of a page.
func field(page, name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return m[1]
}

// The promise: an administrator imports two hundred people from a spreadsheet's file in the
// console, invites all of them by one approval, and each of them sets up how they sign in by
// their own mail, and comes in with that. A mailing that is begun twice lets nobody in twice.
func TestTwoHundredPeople(t *testing.T) {
	storetest.Long(t, "enrolls two hundred people on each database")
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		const many = 200
		began := time.Now()
		o := newOffice(t, dsn)
		o.does("group.create", map[string]any{"name": "staff"}, nil)
		o.does("group.create", map[string]any{"name": "vpn"}, nil)
		root := o.Person()
		o.Later(time.Minute)
		root.Comes("operator", o.Root.Person.Secret)
		root.Get("/console/import")
		root.Upload("/console/import", "people.csv", file(many))
		root.Sees("What the file comes to")
		root.Sees(fmt.Sprintf("Import %d accounts", many))
		var fields []string
		for _, name := range []string{"upload", "parts", "count", "digest", "file"} {
			fields = append(fields, name, field(root.Page, name))
		}
		root.Does("/console/import/do", fields...)
		root.Sees(fmt.Sprintf("%d accounts were made", many))

		var page account.Page
		o.does("account.list", map[string]any{"group": "vpn", "limit": 500}, &page)
		var names []string
		for _, a := range page.Accounts {
			names = append(names, a.Name)
		}
		if len(names) != many {
			t.Fatalf("%d accounts are in the group", len(names))
		}
		root.Get("/console/accounts?group=vpn&size=500")
		root.PostMany("/console/selected", "account", names, "do", "invite")
		root.Sees("Invite 200 people by mail?")
		root.PostMany("/console/selected/invite", "account", names, "reason", "welcome")
		if strings.Contains(root.Page, "<h1>Approve</h1>") {
			root.Sees("200 accounts")
			root.Proves()
		}
		root.Sees("200 invitations are on their way")

		for range 4 { // a hundred at a time
			o.Post.Collect()
		}
		links := map[string]string{}
		for _, m := range o.server.Mails() {
			if found := invitedLink.FindStringSubmatch(m.Body); found != nil {
				links[strings.Join(m.To, "")] = found[2]
			}
		}
		if len(links) != many {
			t.Fatalf("%d invitations came", len(links))
		}
		people := map[string]*servertest.Person{}
		for _, name := range names {
			p, ok := o.opens(links[name+"@example.org"])
			if !ok {
				t.Fatalf("%s is not let in:\n%s", name, p.Page)
			}
			p.EnrollPassword()
			p.EnrollApp()
			people[name] = p
			if _, again := o.opens(links[name+"@example.org"]); again {
				t.Fatalf("the invitation of %s is good twice", name)
			}
		}
		o.Later(2 * time.Minute)
		for i, name := range names {
			if i%40 != 0 { // five of them sign in; the others have what they have
				continue
			}
			p := o.Person()
			p.Get("/sign-in")
			if p.SignIn(name, people[name].Code()); !p.Inside() {
				t.Errorf("%s does not sign in", name)
			}
		}
		done := 0
		var invited pass.InviteePage
		o.does("pass.invitations", map[string]any{"state": pass.Done, "limit": 1000}, &invited)
		if done = len(invited.Invitations); done != many {
			t.Errorf("%d are done", done)
		}
		o.does("account.list", map[string]any{"state": "without-two-factors", "group": "staff", "limit": 500}, &page)
		if len(page.Accounts) != 0 {
			t.Errorf("%d have no two factors", len(page.Accounts))
		}
		t.Logf("%d people, from the file to two factors: %s", many, time.Since(began).Round(time.Second))
	})
}

package signin

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/pass"
	"countersign/internal/failure"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

var invitedLink = regexp.MustCompile(`http://localhost:\d+(/invited\?code=([A-Z2-9-]+))`)

// office is an installation with a mail server, and who administers it.
type office struct {
	*servertest.World
	Root *servertest.Clerk
	Post interface {
		Collect() []string
	}
	server *testbed.MailServer
}

func newOffice(t *testing.T, dsn string) *office {
	t.Helper()
	w := servertest.NewWorldFrom(t, server.Settings{Database: dsn, Mails: true}, "http://localhost", nil)
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	post := w.PostOffice()
	return &office{w, w.Clerk(), post, post.Server}
}

func (o *office) does(action string, in map[string]any, out any) {
	o.T.Helper()
	if err := o.Root.Do(o.T.Context(), action, in, out); err != nil {
		o.T.Fatalf("%s %v: %v", action, in, err)
	}
}

func (o *office) refused(reason, action string, in map[string]any) {
	o.T.Helper()
	if err := o.Root.Do(o.T.Context(), action, in, nil); failure.ReasonOf(err) != reason {
		o.T.Errorf("%s %v is answered %v (%q), want %q", action, in, err, failure.ReasonOf(err), reason)
	}
}

// mailed is the path and the code of the newest invitation that came to an address.
func (o *office) mailed(address string) (path, code string) {
	o.T.Helper()
	o.Post.Collect()
	all := o.server.Mails()
	for i := len(all) - 1; i >= 0; i-- {
		if m := invitedLink.FindStringSubmatch(all[i].Body); m != nil && strings.Join(all[i].To, "") == address {
			return m[1], m[2]
		}
	}
	o.T.Fatalf("no invitation came to %s", address)
	return "", ""
}

// is fails where an account's invitation is in another state.
func (o *office) is(name, state string) {
	o.T.Helper()
	var page pass.InviteePage
	o.does("pass.invitations", nil, &page)
	for _, one := range page.Invitations {
		if one.Account == name {
			if one.State != state {
				o.T.Errorf("the invitation of %s is %s, want %s", name, one.State, state)
			}
			return
		}
	}
	if state != "" {
		o.T.Errorf("%s has no invitation", name)
	}
}

// opens presses the button of an invitation in a new browser, and reports whether it gave a
// pass.
func (o *office) opens(code string) (*servertest.Person, bool) {
	o.T.Helper()
	p := o.Person()
	p.Get("/invited")
	p.Post("/invited", "code", code)
	return p, strings.Contains(p.Page, "Set up how you sign in")
}

// The promise: an invitation by mail gives a pass to who presses its button: not to programs
// that follow the link, not when it has served, has run out, was ended or replaced, not to
// somebody who is suspended or privileged by then; and its code is in no row and no entry.
func TestInvitationByMail(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		o := newOffice(t, dsn)
		for _, name := range []string{"grace", "heidi", "ivan"} {
			o.does("account.create", map[string]any{"name": name, "mail": name + "@example.org"}, nil)
		}
		o.does("pass.invite", map[string]any{"account": "grace", "also": []string{"heidi", "ivan"}, "note": "new here"}, nil)
		path, code := o.mailed("grace@example.org")
		o.codeIsNowhere(code)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for range 3 { // a scanner of mail
				req, err := http.NewRequestWithContext(t.Context(), method, o.Base+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := o.Person().Client.Do(req)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("%s is answered %v, %v", method, resp, err)
				}
				resp.Body.Close()
			}
		}
		o.is("grace", pass.Invited)

		p := o.Person()
		p.Get(path)
		p.Sees("Welcome, ")
		p.Post("/invited", "code", code)
		p.Sees("Set up how you sign in")
		o.is("grace", pass.Opened)
		twin, ok := o.opens(strings.ToLower(code)) // in another browser, typed
		if !ok {
			t.Errorf("an invitation that has not served gives no other pass:\n%s", twin.Page)
		}
		if p.Get("/account"); strings.Contains(p.Page, "Set up how you sign in") {
			t.Error("the browser that opened it first goes on beside the second")
		}
		twin.EnrollPassword()
		o.is("grace", pass.Done)
		if late, ok := o.opens(code); ok || !strings.Contains(html.UnescapeString(late.Page), "That invitation was used") {
			t.Errorf("a used invitation is good again:\n%s", late.Page)
		}
		o.refused("set-up-already", "pass.invite", map[string]any{"account": "grace"})

		_, old := o.mailed("heidi@example.org")
		o.does("pass.invite", map[string]any{"account": "heidi"}, nil)
		_, newest := o.mailed("heidi@example.org")
		if _, ok := o.opens(old); ok || old == newest {
			t.Error("an invitation that was replaced is good")
		}
		o.does("account.suspend", map[string]any{"name": "heidi"}, nil)
		if _, ok := o.opens(newest); ok {
			t.Error("a suspended account is let in")
		}
		o.does("account.resume", map[string]any{"name": "heidi", "reason": "back"}, nil)
		if _, ok := o.opens(newest); ok {
			t.Error("an invitation from before the account was suspended is good")
		}
		o.does("pass.invite", map[string]any{"account": "heidi"}, nil)
		_, newest = o.mailed("heidi@example.org")
		o.does("pass.uninvite", map[string]any{"account": "heidi", "reason": "not yet"}, nil)
		if _, ok := o.opens(newest); ok {
			t.Error("an invitation that was ended is good")
		}
		o.does("pass.invite", map[string]any{"account": "heidi"}, nil)
		_, newest = o.mailed("heidi@example.org")
		o.Join("heidi", "helpdesk")
		if _, ok := o.opens(newest); ok {
			t.Error("somebody who became privileged comes in by mail")
		}

		_, code = o.mailed("ivan@example.org")
		o.does("account.set-mail", map[string]any{"name": "ivan", "mail": "other@example.org", "reason": "a test"}, nil)
		if _, ok := o.opens(code); ok {
			t.Error("an invitation at an address that is no longer theirs is good")
		}
		o.does("pass.invite", map[string]any{"account": "ivan"}, nil)
		_, code = o.mailed("other@example.org")
		o.Later(24*time.Hour + time.Minute)
		if _, ok := o.opens(code); ok {
			t.Error("an invitation is good after a day")
		}
		o.is("ivan", pass.Expired)
		if n := o.Events("invitation.opened"); n != 2 {
			t.Errorf("%d openings are in the log", n)
		}
	})
}

// codeIsNowhere fails where the code of an invitation stands in a row or an entry.
func (o *office) codeIsNowhere(code string) {
	o.T.Helper()
	for _, query := range []string{`select count(*) from notice where body like $1 or fill like $1 or subject like $1`, `select count(*) from audit_entry where cast(body as text) like $1`} {
		var n int
		if err := o.DB.QueryRow(o.T.Context(), query, "%"+code+"%").Scan(&n); err != nil {
			o.T.Logf("%s: %v", query, err)
		}
		if n > 0 {
			o.T.Errorf("the code is in a row: %s", query)
		}
	}
}

// The promise: nobody is invited who must have a pass by hand, no address is flooded, several
// are invited together or not at all, and where no mail is sent it is said.
func TestWhoIsInvited(t *testing.T) {
	o := newOffice(t, "")
	for _, name := range []string{"grace", "heidi", "ivan"} {
		o.does("account.create", map[string]any{"name": name, "mail": map[string]string{"grace": "grace@example.org", "heidi": "heidi@example.org"}[name]}, nil)
	}
	o.does("account.set-mail", map[string]any{"name": "operator", "mail": "root@example.org", "reason": "mine"}, nil)
	o.refused("own-pass", "pass.invite", map[string]any{"account": "operator"})
	o.Join("heidi", "helpdesk")
	o.refused("privileged-invitation", "pass.invite", map[string]any{"account": "grace", "also": []string{"heidi"}})
	o.refused("privileged-invitation", "pass.letter", map[string]any{"account": "heidi"})
	for _, in := range []map[string]any{{"account": "grace", "also": []string{"ivan"}}, {"account": "grace", "also": []string{"GRACE"}}, {"account": "grace", "also": []string{"nobody"}},
		{"account": "grace", "hours": 169}, {"account": "grace", "hours": -1}} {
		if err := o.Root.Do(t.Context(), "pass.invite", in, nil); err == nil {
			t.Errorf("%v is done", in)
		}
	}
	o.is("grace", "")
	for range 5 {
		o.does("pass.invite", map[string]any{"account": "grace"}, nil)
	}
	o.refused("too-many-mails", "pass.invite", map[string]any{"account": "grace"})
	o.Later(25 * time.Hour)
	o.does("pass.invite", map[string]any{"account": "grace"}, nil)

	var letters pass.Letters
	o.does("pass.letter", map[string]any{"account": "grace", "also": []string{"ivan"}, "note": "by hand"}, &letters)
	if len(letters.Letters) != 2 || !strings.HasSuffix(letters.Where, "/invited") {
		t.Fatalf("letters: %+v", letters)
	}
	o.Later(6 * 24 * time.Hour)
	p, ok := o.opens(strings.ReplaceAll(letters.Letters[1].Code, "-", " "))
	if !ok {
		t.Fatalf("a letter does not let in:\n%s", p.Page)
	}
	p.EnrollPassword()
	p.EnrollApp()
	o.is("ivan", pass.Done)

	w := servertest.NewWorld(t)
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	root := w.Clerk()
	if err := root.Do(t.Context(), "account.create", map[string]any{"name": "grace", "mail": "grace@example.org"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := root.Do(t.Context(), "pass.invite", map[string]any{"account": "grace"}, nil); err == nil || !strings.Contains(failure.Public(err), "No mail is sent here") {
		t.Errorf("without a mail server: %v", err)
	}
}

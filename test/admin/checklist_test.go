package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/admin/checklist"
	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
	"countersign/internal/virtualauth"
)

// ready is a world whose mail server can be changed while it runs.
type ready struct {
	*servertest.World
	root   *servertest.Person
	server *testbed.MailServer
	mail   atomic.Pointer[config.Mail]
}

func newReady(t *testing.T, dsn string) *ready {
	t.Helper()
	r := &ready{server: testbed.NewMailServer(t)}
	r.mail.Store(&config.Mail{})
	r.World = servertest.NewWorldFrom(t, server.Settings{Database: dsn, Mails: true, Mail: func() config.Mail { return *r.mail.Load() }}, "http://localhost", nil)
	secret := r.Administrator("root").Secret
	r.root = r.Person()
	r.root.Comes("root", secret)
	return r
}

var (
	doneItem = regexp.MustCompile(`<li class="done">\s*<div class="top"><h3>.*<span class="unseen">Done: </span>([^<]*)</h3>`)
	anyItem  = regexp.MustCompile(`<div class="top"><h3>`)
)

// done are the items that are done, as the page says.
func (r *ready) done() string {
	r.T.Helper()
	r.root.Get("/console/checklist")
	r.root.Sees("Each item is read from what is there")
	var out []string
	for _, m := range doneItem.FindAllStringSubmatch(r.root.Page, -1) {
		out = append(out, m[1])
	}
	if n := len(anyItem.FindAllString(r.root.Page, -1)); n != 5 {
		r.T.Errorf("%d items", n)
	}
	return strings.Join(out, ", ")
}

func (r *ready) is(want string) {
	r.T.Helper()
	if got := r.done(); got != want {
		r.T.Errorf("done is %q, and should be %q", got, want)
	}
}

// The promise: each item of the checklist is what is there at that moment, on both databases: it
// is done when it is so, and no more when it is not so any more.
func TestTheChecklistIsWhatIsThere(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := newReady(t, dsn)
		r.root.Get("/console")
		r.root.Sees("Until all is ready")
		r.root.Sees("0 of 5 done")
		r.root.Sees("Mail is off")
		r.is("")

		key := &virtualauth.Key{}
		r.root.Post("/account/do", "action", "authenticator.enroll", "object", "passkey", "back", "checklist")
		if strings.Contains(r.root.Page, "<h1>Approve</h1>") {
			r.root.Proves()
		}
		answer, err := key.Create(r.Base, r.root.PasskeyOptions())
		if err != nil {
			t.Fatal(err)
		}
		r.root.Post("/account/setup", "authenticator", "passkey", "data", string(answer), "back", "checklist")
		r.root.Sees("Added: ")
		r.root.Sees("1 of 5 done")
		r.is("A second key of your own")

		r.mail.Store(&config.Mail{Server: r.server.Addr, From: "mfa@example.org"})
		r.root.Post("/console/checklist/test-mail")
		r.root.Sees("no mail address")
		r.Address("root", "root@example.org")
		r.server.Says = map[string]string{"RCPT": "550 5.1.1 no such box"}
		r.root.Post("/console/checklist/test-mail")
		r.root.Sees("550 5.1.1 no such box")
		r.is("A second key of your own")
		r.server.Says = nil
		r.root.Post("/console/checklist/test-mail")
		r.root.Sees("accepted the mail to root@example.org")
		if m := r.server.Mails(); len(m) != 1 || strings.Join(m[0].To, " ") != "root@example.org" {
			t.Errorf("%d mails came", len(m))
		}
		r.is("A second key of your own, A test mail")
		r.mail.Store(&config.Mail{Server: r.server.Addr, From: "other@example.org"})
		r.is("A second key of your own")
		r.mail.Store(&config.Mail{Server: r.server.Addr, From: "mfa@example.org"})

		r.EnrollCodes("grace")
		r.is("A second key of your own, A test mail, People")
		r.Promote("grace")
		r.is("A second key of your own, A second administrator, A test mail")
		r.Suspend("grace")
		r.is("A second key of your own, A test mail")
		r.root.Get("/console")
		r.root.Sees("grace cannot administer yet")
		r.EnrollCodes("linus")
		r.Promote("linus")
		r.EnrollCodes("ada")
		r.is("A second key of your own, A second administrator, A test mail, People")

		r.Protect("wiki", map[string]any{"hosts": []string{"wiki.test"}})
		r.root.Get("/console")
		r.root.Sees("Nothing was heard yet from wiki")
		r.is("A second key of your own, A second administrator, A test mail, People")
	})
}

// An application counts as soon as its proxy asked, and after a restart by the sign-ins of the log.
func TestAnApplicationThatAskedIsDone(t *testing.T) {
	r := newReady(t, "")
	r.Protect("wiki", map[string]any{"hosts": []string{"wiki.test"}})
	r.is("")
	err := r.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		return tx.Record(audit.Entry{Event: "signin.granted", Outcome: audit.OK, Application: "wiki", Action: "signin"})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.is("A first application")
}

// The promise: looking changes nothing, and nobody but administrators puts the list away, brings
// it back or has a mail sent; each of these is in the log.
func TestWhoTouchesTheChecklist(t *testing.T) {
	r := newReady(t, "")
	r.mail.Store(&config.Mail{Server: r.server.Addr, From: "mfa@example.org"})
	r.Address("root", "root@example.org")
	rows := func() string {
		var n, entries int
		if err := r.DB.QueryRow(t.Context(), `select count(*), (select count(*) from audit_entry) from checklist`).Scan(&n, &entries); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(n, " rows, ", entries, " entries")
	}
	before := rows()
	for _, path := range []string{"/console", "/console/checklist", "/console/checklist/test-mail", "/console/checklist/put-away", "/console/checklist/put-away/approved", "/console/checklist/bring-back"} {
		r.root.Get(path)
	}
	if now := rows(); now != before {
		t.Errorf("who looked left %s, and there were %s", now, before)
	}
	helga := r.EnrollCodes("helga")
	r.Join("helga", "helpdesk")
	eve := r.EnrollCodes("eve")
	r.Later(time.Minute)
	nobody := r.Person()
	for name, secret := range map[string][]byte{"helga": helga.Secret, "eve": eve.Secret, "": nil} {
		p := nobody
		if name != "" {
			p = r.Person()
			p.Comes(name, secret)
		} else {
			p.Get("/sign-in")
		}
		for _, path := range []string{"test-mail", "put-away", "bring-back"} {
			if p.Get("/sign-in"); name != "" {
				p.Get("/account")
			}
			if p.Post("/console/checklist/" + path); p.Status == http.StatusOK && !strings.Contains(p.Page, "Sign in") {
				t.Errorf("%q did %s: %d", name, path, p.Status)
			}
		}
		if p.Get("/console/checklist"); strings.Contains(p.Page, "A second administrator") {
			t.Errorf("%q sees the list", name)
		}
	}
	if now := rows(); !strings.HasPrefix(now, "0 rows") || len(r.server.Mails()) != 0 || r.Events("checklist.put-away")+r.Events("mail.tested") != 0 {
		t.Errorf("there are %s, and %d mails came", now, len(r.server.Mails()))
	}

	r.Later(6 * time.Minute)
	r.root.Get("/console")
	r.root.Post("/console/checklist/put-away")
	r.root.Sees("<h1>Approve</h1>")
	r.root.Proves()
	r.root.Sees("The checklist was put away")
	if r.root.Get("/console"); strings.Contains(r.root.Page, "Until all is ready") {
		t.Error("the overview shows it")
	}
	r.root.Sees(`href="/console/checklist"`)
	if r.root.Get("/console/checklist"); !strings.Contains(r.root.Page, "It was put away") || r.Events("checklist.put-away") != 1 {
		t.Error("it is not put away")
	}
	r.root.Does("/console/checklist/bring-back")
	r.root.Get("/console")
	r.root.Sees("Until all is ready")
	if r.root.Get("/console/checklist"); strings.Contains(r.root.Page, "It was put away") || r.Events("checklist.brought-back") != 1 {
		t.Error("it is not back")
	}
}

// The command line shows the same list.
func TestTheChecklistOnTheCommandLine(t *testing.T) {
	r := newReady(t, "")
	sh := r.Shell()
	r.Later(time.Minute)
	sh.Login(r.Person(), "root", r.root.Code())
	out, complaint, ok := sh.Run("", "checklist", "--json")
	var l checklist.List
	if err := json.Unmarshal([]byte(out), &l); !ok || err != nil || len(l.Items) != 5 || l.Items[0].Item != "second-key" {
		t.Fatalf("%s %s %v", out, complaint, err)
	}
	out, _, _ = sh.Run("", "checklist")
	for _, i := range l.Items {
		if !strings.Contains(out, i.Title) || !strings.Contains(out, i.Says[:20]) {
			t.Errorf("nothing says %q:\n%s", i.Title, out)
		}
	}
	if _, complaint, ok := sh.Run("", "checklist", "test-mail"); ok || !strings.Contains(complaint, "no mail address") {
		t.Errorf("a mail to nobody: %s", complaint)
	}
}

package signin

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/account"
	"countersign/internal/admin/pass"
	"countersign/internal/admin/policy"
	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// temps is an office with people and a service whose accounts end after forty minutes, each with
// something that would be good for longer.
type temps struct {
	*servertest.World
	t       *testing.T
	root    *servertest.Clerk
	ada     *servertest.Person // with a password and codes
	vpn     servertest.Equipment
	browser *servertest.Person
	session string
	shell   string // the secret of a command line's session
	key     string // of robot
	link    string // of bob's pass
}

func newTemps(t *testing.T, dsn string) *temps {
	w := servertest.NewWorldOn(t, dsn)
	m := &temps{World: w, t: t, vpn: w.Equipment(), ada: w.EnrollCodes("ada")}
	m.root = w.Clerk()
	servertest.PlantApplication(w, application.Application{Name: "site", Kind: "web", Tier: application.Standard, Protocol: "forward-auth"}, map[string]any{"hosts": []string{"site.test"}})
	for _, in := range []map[string]any{{"name": "bob", "ends": "40m"}, {"name": "robot", "kind": "service", "ends": "40m"}} {
		m.does("account.create", in, nil)
	}
	m.does("account.set-end", map[string]any{"name": "ada", "ends": "40m", "reason": "a contractor"}, nil)
	var err error
	if m.key, err = m.root.Key("account.list"); err != nil {
		t.Fatal(err)
	}
	w.Later(25 * time.Minute)
	var p pass.Pass
	m.does("pass.issue", map[string]any{"account": "bob"}, &p)
	m.link = p.Link
	w.Later(time.Minute)
	m.browser = w.Person()
	m.browser.Comes("ada", m.ada.Secret)
	w.Later(time.Minute)
	m.session = w.SignedIn(m.ada)
	w.Later(time.Minute)
	if m.shell, err = w.Sessions.StartAt(t.Context(), w.Begin(servertest.Line("ada", servertest.Passphrase, m.ada.Code())).Grant, session.CommandLine, ""); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *temps) does(action string, in, out any) {
	m.t.Helper()
	if err := m.root.Do(m.t.Context(), action, in, out); err != nil {
		m.t.Fatalf("%s: %v", action, err)
	}
}

// site is what a request to the application behind a proxy comes to with ada's session.
func (m *temps) site() signin.Step {
	m.t.Helper()
	s, err := m.Engine.Check(context.Background(), signin.Request{Application: "site", Session: m.session, Protocol: "forward-auth", Medium: prompt.Browser, Method: "GET", Path: "/"})
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// gets is all that the accounts are given now.
func (m *temps) gets() map[string]bool {
	m.t.Helper()
	got := map[string]bool{"forward-auth": m.site().State == signin.Granted}
	m.browser.Get("/account")
	got["the session"] = strings.Contains(m.browser.Page, "Where you are signed in")
	got["the key"] = servertest.ByKey(m.World, m.key, servertest.Command(m.t, "account.list", nil)).State == signin.Granted
	status, _ := servertest.Raw(m.t, strings.TrimPrefix(m.Base, "http://"), "GET", "/api/v1/session", "Authorization: Bearer "+m.shell)
	got["the command line"] = status == http.StatusOK
	m.Later(time.Minute)
	got["RADIUS"] = m.Begin(servertest.Line("ada", servertest.Passphrase, m.ada.Code())).State == signin.Granted
	got["RADIUS on the wire"] = strings.Contains(m.vpn.Ask("ada", servertest.Passphrase, ""), "Access-Challenge")
	m.Later(time.Minute)
	p := m.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	if servertest.TokenField.MatchString(p.Page) {
		p.Post("/sign-in", "authenticator", "totp", "text", m.ada.Code())
	}
	got["a sign-in"] = strings.Contains(p.Page, "Where you are signed in")
	return got
}

// The promise: from the moment at which an account ends it gets nothing, whatever it shows and
// whatever stood before, by a clock alone: nobody changes anything, and no server is told. A
// later end makes it an account again, and nothing that stood before comes back with it.
func TestAnAccountEndsByItself(t *testing.T) {
	t.Parallel()
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		m := newTemps(t, dsn)
		for what, is := range m.gets() {
			if !is {
				t.Fatalf("before the end: not %s", what)
			}
		}
		var one account.Detail
		m.does("account.show", map[string]any{"name": "ada"}, &one)
		if one.Ended || one.Ends.IsZero() || len(one.Sessions) == 0 {
			t.Errorf("before the end: %+v", one)
		}
		m.site() // remembered for half a minute from here
		m.Later(one.Ends.Sub(m.Now()) - time.Second)
		if s := m.site(); s.State != signin.Granted {
			t.Fatalf("a second before: %v %s", s.State, s.Reason)
		}
		m.Later(time.Second)
		switch s := m.site(); {
		case s.State == signin.Granted:
			t.Error("a yes from before the end is remembered")
		case s.State != signin.Ask || s.Reason != "no-session":
			t.Errorf("nobody else can sign in where the session was: %v %s", s.State, s.Reason)
		}
		bob := m.Person()
		if servertest.Follows(bob, m.link); servertest.Limited(bob) {
			t.Error("a pass let in after the end")
		}
		for what, is := range m.gets() {
			if is {
				t.Errorf("after the end: %s", what)
			}
		}
		m.explained()
		m.again()
	})
}

// explained is that everybody is told why, in the log and by whoever asks policy.
func (m *temps) explained() {
	m.t.Helper()
	said, err := m.DB.AuditLog().Entries(m.t.Context(), store.Filter{Event: "signin.refused", Newest: true, Limit: 9})
	if err != nil || len(said) == 0 || said[0].Reason != "ended" {
		m.t.Errorf("the log: %+v %v", said, err)
	}
	var x policy.Explanation
	m.does("policy.explain", map[string]any{"account": "ada", "application": "vpn", "protocol": "radius"}, &x)
	if x.Possible || x.Reason != "ended" {
		m.t.Errorf("explained: %+v", x)
	}
	var page account.Page
	m.does("account.list", map[string]any{"state": "ended"}, &page)
	names := ""
	for _, a := range page.Accounts {
		names += a.Name + " "
	}
	if names != "ada bob robot " || !page.Accounts[0].Ended {
		m.t.Errorf("listed as ended: %q", names)
	}
	var one account.Detail
	m.does("account.show", map[string]any{"name": "ada"}, &one)
	if !one.Ended || one.State != directory.Active || len(one.Sessions) != 0 {
		m.t.Errorf("shown: %+v", one)
	}
	if m.browser.Get("/account"); m.browser.Status != http.StatusOK || !strings.Contains(m.browser.Page, `name="name"`) {
		m.t.Errorf("whoever sits there now cannot sign in: %d", m.browser.Status)
	}
}

// again has an administrator give ada and bob another end.
func (m *temps) again() {
	m.t.Helper()
	ctx := m.t.Context()
	for action, in := range map[string]map[string]any{
		"account.resume": {"name": "ada", "reason": "back"}, "pass.issue": {"account": "bob"},
		"key.issue": {"account": "robot", "actions": []string{"account.list"}, "networks": []string{"127.0.0.0/8"}},
	} {
		if err := m.root.Do(ctx, action, in, nil); err == nil {
			m.t.Errorf("%s did something for who has ended", action)
		}
	}
	for name, ends := range map[string]string{"ada": "never", "bob": "24h"} {
		m.does("account.set-end", map[string]any{"name": name, "ends": ends, "reason": "goes on"}, nil)
	}
	if s := m.site(); s.State == signin.Granted {
		m.t.Error("a session of before the end stands again")
	}
	if m.browser.Get("/account"); strings.Contains(m.browser.Page, "Where you are signed in") {
		m.t.Error("a browser's session of before the end stands again")
	}
	bob := m.Person()
	if servertest.Follows(bob, m.link); servertest.Limited(bob) {
		m.t.Error("a pass of before the end let in")
	}
	m.Later(time.Minute)
	if s := m.Begin(servertest.Line("ada", servertest.Passphrase, m.ada.Code())); s.State != signin.Granted {
		m.t.Errorf("with no end any more: %v %s", s.State, s.Reason)
	}
}

// The promise: when an account ends is nobody's to say for themselves, and an automation key
// says it of nobody who is privileged.
func TestWhoSaysWhenAnAccountEnds(t *testing.T) {
	t.Parallel()
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada", "bob")[0]
	ctx := t.Context()
	if err := ada.Do(ctx, "account.create", map[string]any{"name": "robot", "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, ends string
		ok         bool
	}{{"ada", "24h", false}, {"ada", "never", false}, {"robot", "", false}, {"robot", "59s", false}, {"bob", "24h", true}, {"bob", "never", true}} {
		if err := ada.Do(ctx, "account.set-end", map[string]any{"name": c.name, "ends": c.ends, "reason": "a test"}, nil); (err == nil) != c.ok {
			t.Errorf("%s to %q: %v", c.name, c.ends, err)
		}
	}
	if err := ada.Do(ctx, "account.create", map[string]any{"name": "temp", "ends": "59s"}, nil); err == nil {
		t.Error("an account was made that ends at once")
	}
	key, err := ada.Key("account.set-end")
	if err != nil {
		t.Fatal(err)
	}
	if err := ada.Do(ctx, "account.create", map[string]any{"name": "carl"}, nil); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{"bob": false, "robot": false, "carl": true} {
		cmd := servertest.Prepared(w, "account.set-end", map[string]any{"name": name, "ends": "24h"})
		step := servertest.ByKey(w, key, cmd)
		if step.State != signin.Granted {
			t.Fatal(step.State, step.Reason)
		}
		if _, err := w.Admin.Do(ctx, step.Grant, cmd); (err == nil) != ok {
			t.Errorf("by a key, of %s: %v", name, err)
		}
	}
	if text := servertest.Prepared(w, "account.set-end", map[string]any{"name": "BOB", "ends": "24h", "reason": "leaves"}).Object(); text != "person bob ends 24h after this: leaves" {
		t.Errorf("the text that is approved: %q", text)
	}
}

// The promise: nobody who writes to the database has an account end later, or not at all.
func TestAnEndThatSomebodyMoved(t *testing.T) {
	t.Parallel()
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
			t.Fatal(err)
		}
		people := map[string]*servertest.Person{}
		for name := range movedEnds {
			people[name] = w.EnrollCodes(name)
			servertest.Edit(w, name, func(a *directory.Account) { a.Ends = w.Now().Add(time.Hour) })
		}
		for name, moved := range movedEnds {
			w.Later(time.Minute)
			if s := w.Begin(servertest.Line(name, servertest.Passphrase, people[name].Code())); s.State != signin.Granted {
				t.Fatal(s.State, s.Reason)
			}
			storetest.Change(t, w.DB, func(tx *store.Tx) error {
				_, err := tx.Exec(t.Context(), "update account set ends = "+moved+" where name = '"+name+"'")
				return err
			})
		}
		w.Later(time.Hour)
		for name, moved := range movedEnds {
			if s, err := w.Engine.Begin(t.Context(), servertest.Line(name, servertest.Passphrase, people[name].Code())); err == nil && s.State == signin.Granted {
				t.Errorf("%s was believed", moved)
			}
		}
		if !t.Failed() {
			w.Until("there is an alarm for each", func() bool { return w.Events(store.TamperedEvent) == len(movedEnds) })
		}
	})
}

var movedEnds = map[string]string{"ada": "0", "bob": "ends + 36000000000", "carl": "ends - 1"}

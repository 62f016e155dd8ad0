package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/coverage"
	"countersign/internal/admin/overview"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/incident"
	"countersign/internal/policy"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store/storetest"
	"countersign/internal/virtualauth"
)

// newestSession is the secret of the session that a browser has.
func newestSession(p *servertest.Person) string {
	p.W.T.Helper()
	base, err := url.Parse(p.W.Base)
	if err != nil {
		p.W.T.Fatal(err)
	}
	for _, c := range p.Client.Jar.Cookies(base) {
		if c.Name == session.Cookie(false) {
			return c.Value
		}
	}
	p.W.T.Fatal("signed in without a session")
	return ""
}

const nobodyLeft = "obody could administer"

// codesAnd is the policy for administrators with codes, without its tests, and with
// one rule more.
func codesAnd(rule string) string {
	body, _, _ := strings.Cut(string(policy.DefaultForCodes()), "\ntests:")
	return body + "\n" + rule
}

// denying are policies by which nobody could administer, wherever they are.
var denying = []string{
	"rules:\n  - name: nobody\n    deny: closed\n",
	codesAnd("  - name: not us\n    when: account.privileged\n    deny: closed\n"),
	codesAnd("  - name: keys only\n    when: 'action == \"policy.change\"'\n    require: phishing-resistant\n"),
}

// The promise: the last administrator cannot be taken away, by whatever command, and
// whoever is about to approve it is told before.
func TestLastAdministratorStays(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	if err := ada.Do(t.Context(), "group.create", map[string]any{"name": "outside"}, nil); err != nil {
		t.Fatal(err)
	}
	w.SetPolicy(codesAnd("  - name: outside\n    when: '\"outside\" in account.groups'\n    deny: outside\n"))
	var own []directory.Credential
	for _, c := range servertest.AuthenticatorsOf(w, "ada") {
		if c.Status == directory.CredentialActive {
			own = append(own, c)
		}
	}
	if len(own) != 2 {
		t.Fatalf("ada has %d ways to sign in", len(own))
	}
	ways := map[string]admin.Command{
		"out of the group":                servertest.Command(t, "group.member.remove", map[string]any{"group": "administrators", "account": "ada"}),
		"into a group that policy denies": servertest.Command(t, "group.member.add", map[string]any{"group": "outside", "account": "ada"}),
		"her password":                    servertest.Command(t, "authenticator.revoke", map[string]any{"account": "ada", "id": own[0].ID}),
		"her app":                         servertest.Command(t, "authenticator.revoke", map[string]any{"account": "ada", "id": own[1].ID}),
	}
	for i, body := range denying {
		ways[fmt.Sprintf("policy %d", i)] = servertest.Command(t, "policy.change", map[string]any{"body": body, "base": servertest.PolicyVersion(w)})
	}
	try := func(t *testing.T, by *servertest.Clerk, cmd admin.Command, refused bool) {
		t.Helper()
		if err := w.Admin.Preflight(t.Context(), cmd); (err != nil && strings.Contains(failure.Public(err), nobodyLeft)) != refused {
			t.Errorf("before it is approved: %v", err)
		}
		g, err := by.Grant(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.Admin.Do(t.Context(), g, cmd); (err != nil && failure.ClassOf(err) == failure.Refused && strings.Contains(failure.Public(err), nobodyLeft)) != refused {
			t.Errorf("when it was approved: %v", err)
		}
	}
	for name, cmd := range ways {
		t.Run(name, func(t *testing.T) { try(t, ada, cmd, true) })
	}
	// A second administrator who cannot sign in, or is asleep, does not help.
	idle(w, "eve")
	w.Promote("eve")
	t.Run("beside one without authenticators", func(t *testing.T) { try(t, ada, ways["out of the group"], true) })
	bob := &servertest.Clerk{W: w, Name: "bob", Person: w.Administrator("bob")}
	w.SetPolicy(string(policy.DefaultForCodes()))
	w.Suspend("bob")
	t.Run("beside one who is suspended", func(t *testing.T) { try(t, ada, ways["out of the group"], true) })
	if err := ada.Do(t.Context(), "account.resume", map[string]any{"name": "bob"}, nil); err != nil {
		t.Fatal(err)
	}
	// With one who can, she may go: it is no trap.
	t.Run("beside one who can", func(t *testing.T) { try(t, ada, ways["out of the group"], false) })
	t.Run("and then he stays", func(t *testing.T) {
		try(t, bob, servertest.Command(t, "group.member.remove", map[string]any{"group": "administrators", "account": "bob"}), true)
	})
}

// idle is an account with nothing to sign in with.
func idle(w *servertest.World, name string) {
	w.T.Helper()
	if _, err := w.Setup.Plant(context.Background(), name, ""); err != nil {
		w.T.Fatal(err)
	}
}

// The promise: of two administrators who take away each other at the same moment, one
// is left, and so is one of two who each leave by themselves.
func TestTwoAdministratorsAtOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		clerks := servertest.OfficeOf(w, "ada", "bob")
		for round := range 4 {
			for _, name := range []string{"ada", "bob"} {
				if !servertest.Administers(w, name) {
					w.Promote(name)
				}
			}
			victims := [][2]string{{"bob", "ada"}, {"ada", "bob"}}[round%2]
			var cmds []admin.Command
			var grants []signin.Grant
			for i, by := range clerks {
				cmd := servertest.Command(t, "group.member.remove", map[string]any{"group": "administrators", "account": victims[i]})
				g, err := by.Grant(t.Context(), cmd)
				if err != nil {
					t.Fatal(err)
				}
				cmds, grants = append(cmds, cmd), append(grants, g)
			}
			var all sync.WaitGroup
			errs := make([]error, 2)
			for i := range cmds {
				all.Go(func() { _, errs[i] = w.Admin.Do(context.Background(), grants[i], cmds[i]) })
			}
			all.Wait()
			left := 0
			for _, name := range []string{"ada", "bob"} {
				if servertest.Administers(w, name) {
					left++
				}
			}
			if left != 1 || (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("round %d: %d administrators are left: %v", round, left, errs)
			}
		}
	})
}

// The promise: the sole administrator does not remove, in the portal, the passkey
// without which policy lets nobody administer; and saying "this was not me" leaves
// them able to administer, and at risk.
func TestSoleAdministratorKeepsThePasskey(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	key := &virtualauth.Key{}
	browser := w.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	browser.AddPasskey(key)
	w.Promote("ada")
	w.Later(25 * time.Hour)
	browser.Get("/sign-in")
	browser.UsePasskey(key)
	browser.Sees("Where you are signed in")
	var id int64
	for _, c := range servertest.AuthenticatorsOf(w, "ada") {
		if c.Kind == "passkey" {
			id = int64(c.ID)
		}
	}
	step := w.Check(newestSession(browser), enrollment.Remove, strconv.FormatInt(id, 10))
	if step.State != signin.Granted {
		t.Fatalf("%v %s", step.State, step.Reason)
	}
	if err := w.Enrolled.Changes.Remove(t.Context(), step.Grant, assurance.CredentialID(id)); err == nil || !strings.Contains(failure.Public(err), nobodyLeft) {
		t.Errorf("the sole administrator removed the passkey: %v", err)
	}
	// The page says so before anything is pressed or proved.
	browser.Post("/account/do", "action", enrollment.Remove, "object", strconv.FormatInt(id, 10))
	browser.Sees(nobodyLeft)
	if servertest.Pressed.MatchString(browser.Page) {
		t.Error("there is a button for what would be refused")
	}
}

// The promise: "this was not me" of a sole administrator with a password and codes
// ends every other session and puts the account at risk, and leaves the password,
// without which nobody could administer; with a second administrator it goes.
func TestSoleAdministratorReports(t *testing.T) {
	w := servertest.NewWorld(t)
	clerks := servertest.OfficeOf(w, "ada")
	report := func(by *servertest.Clerk) {
		t.Helper()
		w.Later(time.Minute)
		if err := by.SignIn(); err != nil {
			t.Fatal(err)
		}
		step := w.Check(by.Secret, incident.Report, "1")
		if step.State != signin.Granted {
			t.Fatalf("%v %s", step.State, step.Reason)
		}
		if _, err := w.Incidents.Report(t.Context(), step.Grant, 1); err != nil {
			t.Fatal(err)
		}
	}
	report(clerks[0])
	if s := servertest.StatusOf(w, "ada", "password"); s != directory.CredentialActive {
		t.Errorf("the sole administrator's password is %s", s)
	}
	if d, err := w.Accounts.Find(t.Context(), w.DB, "ada"); err != nil || d.Risk.IsZero() {
		t.Errorf("and is not at risk (%v)", err)
	}
	report(&servertest.Clerk{W: w, Name: "bob", Person: w.Administrator("bob")})
	if s := servertest.StatusOf(w, "bob", "password"); s != directory.CredentialDisabled {
		t.Errorf("beside another, the password is %s", s)
	}
}

// The promise: a sole administrator is named by the overview and by coverage, and is
// told in time, by mail, once a day, before the account goes dormant and nobody is
// left who could wake it.
func TestSoleAdministratorIsTold(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	w.Address("ada", "ada@example.org")
	look := func(by *servertest.Clerk) (o overview.Overview) {
		t.Helper()
		if err := by.Do(t.Context(), "overview.show", nil, &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	caveat := func() bool {
		t.Helper()
		var c coverage.Coverage
		if err := ada.Do(t.Context(), "coverage.show", nil, &c); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(b), "ada alone can administer")
	}
	if o := look(ada); o.Able != 1 || !strings.Contains(o.Few, "ada alone") || o.Falling || !caveat() {
		t.Errorf("the overview or coverage does not name the sole administrator: %+v, %v", o, caveat())
	}
	w.Later(time.Minute)
	browser := w.Person()
	browser.Comes("ada", ada.Person.Secret)
	browser.Get("/console")
	browser.Sees("ada alone can administer Countersign")
	warned := func() int {
		t.Helper()
		if err := w.Administrators.Warn(t.Context()); err != nil {
			t.Fatal(err)
		}
		var mails int
		if err := w.DB.QueryRow(t.Context(), `select count(*) from notice where address = $1 and subject = $2`, "ada@example.org", "Sign in, or nobody can administer Countersign any more").Scan(&mails); err != nil {
			t.Fatal(err)
		}
		return mails
	}
	if n := warned(); n != 0 {
		t.Errorf("%d warnings on the first day", n)
	}
	w.Later(21 * 24 * time.Hour)
	if n, again := warned(), warned(); n != 1 || again != 1 {
		t.Errorf("%d and %d warnings nine days before", n, again)
	}
	w.Later(24 * time.Hour)
	if n := warned(); n != 2 || w.Events("alarm.administrator-going-dormant") != 2 {
		t.Errorf("%d warnings a day later", n)
	}
	if o := look(ada); o.Falling { // she signed in for it
		t.Error("going dormant after a sign-in")
	}
	w.Administrator("bob")
	if o := look(ada); o.Able != 2 || o.Few != "" || caveat() {
		t.Errorf("with two: %+v", o)
	}
}

// The promise: if all who can administer have an end, they are told in time that signing in
// does not help, once a day each, and the overview says until when.
func TestEndingAdministratorsAreTold(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada", "bob")[0]
	w.Address("ada", "ada@example.org")
	w.Address("bob", "bob@example.org")
	warned := func() (mails int) {
		t.Helper()
		if err := w.Administrators.Warn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.DB.QueryRow(t.Context(), `select count(*) from notice where subject = $1`, "Nobody can administer Countersign once your account has ended").Scan(&mails); err != nil {
			t.Fatal(err)
		}
		return mails
	}
	ends := w.Now().Add(5 * 24 * time.Hour)
	servertest.Edit(w, "ada", func(a *directory.Account) { a.Ends = ends })
	if n := warned(); n != 0 {
		t.Errorf("%d are told, and one stays", n)
	}
	servertest.Edit(w, "bob", func(a *directory.Account) { a.Ends = ends })
	if n, again := warned(), warned(); n != 2 || again != 2 || w.Events("alarm.administrator-ending") != 2 || w.Events("alarm.administrator-going-dormant") != 0 {
		t.Errorf("%d and %d are told", n, again)
	}
	w.Later(24 * time.Hour)
	if n := warned(); n != 4 {
		t.Errorf("%d a day later", n)
	}
	w.Suspend("bob")
	var o overview.Overview
	if err := ada.Do(t.Context(), "overview.show", nil, &o); err != nil {
		t.Fatal(err)
	}
	if want := "ada alone can administer Countersign (until " + ends.UTC().Format(time.DateOnly) + ", when their account ends)"; !o.Falling || !strings.HasPrefix(o.Few, want) {
		t.Errorf("the overview: %+v", o)
	}
}

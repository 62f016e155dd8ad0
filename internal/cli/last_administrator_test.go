package cli

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
	"countersign/internal/admin/nouns"
	"countersign/internal/admin/overview"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/incident"
	"countersign/internal/policy"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/softkey"
	"countersign/internal/store/storetest"
)

// command is a command of admin with its fields.
func command(t testing.TB, action string, in map[string]any) admin.Command {
	t.Helper()
	s, ok := nouns.Commands().Find(action)
	if !ok {
		t.Fatalf("no command %s", action)
	}
	cmd := s.New()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, cmd); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// office is a world with a VPN and clerks who administer it with a password and codes.
func (w *world) officeOf(names ...string) []*clerk {
	w.t.Helper()
	if err := w.PlantApplications(context.Background(), "wiki.test", drillSecret); err != nil {
		w.t.Fatal(err)
	}
	var out []*clerk
	for _, name := range names {
		out = append(out, &clerk{w: w, name: name, person: w.administrator(name)})
	}
	return out
}

// session is the secret of the session that a browser has.
func (p *person) session() string {
	p.w.t.Helper()
	base, err := url.Parse(p.w.base)
	if err != nil {
		p.w.t.Fatal(err)
	}
	for _, c := range p.client.Jar.Cookies(base) {
		if c.Name == session.Cookie(false) {
			return c.Value
		}
	}
	p.w.t.Fatal("signed in without a session")
	return ""
}

const nobodyLeft = "obody could administer"

// codesAnd is the policy for administrators with codes, without its tests, and with
// one rule more.
func codesAnd(rule string) string {
	body, _, _ := strings.Cut(string(policy.DefaultForCodes()), "\ntests:")
	return body + "\n" + rule
}

// policyVersion is the version in force.
func (w *world) policyVersion() int64 {
	w.t.Helper()
	d, err := w.Rules.Latest(context.Background(), w.DB)
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Version
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
	w := newWorld(t)
	ada := w.officeOf("ada")[0]
	if err := ada.Do(t.Context(), "group.create", map[string]any{"name": "outside"}, nil); err != nil {
		t.Fatal(err)
	}
	w.setPolicy(codesAnd("  - name: outside\n    when: '\"outside\" in account.groups'\n    deny: outside\n"))
	var own []directory.Credential
	for _, c := range w.authenticatorsOf("ada") {
		if c.Status == directory.CredentialActive {
			own = append(own, c)
		}
	}
	if len(own) != 2 {
		t.Fatalf("ada has %d ways to sign in", len(own))
	}
	ways := map[string]admin.Command{
		"out of the group":                command(t, "group.member.remove", map[string]any{"group": "administrators", "account": "ada"}),
		"into a group that policy denies": command(t, "group.member.add", map[string]any{"group": "outside", "account": "ada"}),
		"her password":                    command(t, "authenticator.revoke", map[string]any{"account": "ada", "id": own[0].ID}),
		"her app":                         command(t, "authenticator.revoke", map[string]any{"account": "ada", "id": own[1].ID}),
	}
	for i, body := range denying {
		ways[fmt.Sprintf("policy %d", i)] = command(t, "policy.change", map[string]any{"body": body, "base": w.policyVersion()})
	}
	try := func(t *testing.T, by *clerk, cmd admin.Command, refused bool) {
		t.Helper()
		if err := w.Admin.Sound(t.Context(), cmd); (err != nil && strings.Contains(failure.Public(err), nobodyLeft)) != refused {
			t.Errorf("before it is approved: %v", err)
		}
		g, err := by.grant(t.Context(), cmd)
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
	w.idle("eve")
	w.promote("eve")
	t.Run("beside one without authenticators", func(t *testing.T) { try(t, ada, ways["out of the group"], true) })
	bob := &clerk{w: w, name: "bob", person: w.administrator("bob")}
	w.setPolicy(string(policy.DefaultForCodes()))
	w.suspend("bob")
	t.Run("beside one who is suspended", func(t *testing.T) { try(t, ada, ways["out of the group"], true) })
	if err := ada.Do(t.Context(), "account.resume", map[string]any{"name": "bob"}, nil); err != nil {
		t.Fatal(err)
	}
	// With one who can, she may go: it is no trap.
	t.Run("beside one who can", func(t *testing.T) { try(t, ada, ways["out of the group"], false) })
	t.Run("and then he stays", func(t *testing.T) {
		try(t, bob, command(t, "group.member.remove", map[string]any{"group": "administrators", "account": "bob"}), true)
	})
}

// idle is an account with nothing to sign in with.
func (w *world) idle(name string) {
	w.t.Helper()
	if _, err := w.Setup.Plant(context.Background(), name, ""); err != nil {
		w.t.Fatal(err)
	}
}

// The promise: of two administrators who take away each other at the same moment, one
// is left, and so is one of two who each leave by themselves.
func TestTwoAdministratorsAtOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := newWorldOn(t, dsn)
		clerks := w.officeOf("ada", "bob")
		for round := range 4 {
			for _, name := range []string{"ada", "bob"} {
				if !w.administers(name) {
					w.promote(name)
				}
			}
			victims := [][2]string{{"bob", "ada"}, {"ada", "bob"}}[round%2]
			var cmds []admin.Command
			var grants []signin.Grant
			for i, by := range clerks {
				cmd := command(t, "group.member.remove", map[string]any{"group": "administrators", "account": victims[i]})
				g, err := by.grant(t.Context(), cmd)
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
				if w.administers(name) {
					left++
				}
			}
			if left != 1 || (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("round %d: %d administrators are left: %v", round, left, errs)
			}
		}
	})
}

func (w *world) administers(name string) bool {
	w.t.Helper()
	d, err := w.Directory.Find(context.Background(), w.DB, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Administers()
}

// The promise: the sole administrator does not remove, in the portal, the passkey
// without which policy lets nobody administer; and saying "this was not me" leaves
// them able to administer, and at risk.
func TestSoleAdministratorKeepsThePasskey(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	key := &softkey.Key{}
	browser := w.person()
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	browser.addPasskey(key)
	w.promote("ada")
	w.later(25 * time.Hour)
	browser.get("/sign-in")
	browser.usePasskey(key)
	browser.sees("Where you are signed in")
	var id int64
	for _, c := range w.authenticatorsOf("ada") {
		if c.Kind == "passkey" {
			id = int64(c.ID)
		}
	}
	step := w.check(browser.session(), enrollment.Remove, strconv.FormatInt(id, 10))
	if step.State != signin.Granted {
		t.Fatalf("%v %s", step.State, step.Reason)
	}
	if err := w.Enrolled.Changes.Remove(t.Context(), step.Grant, assurance.CredentialID(id)); err == nil || !strings.Contains(failure.Public(err), nobodyLeft) {
		t.Errorf("the sole administrator removed the passkey: %v", err)
	}
	// The page says so before anything is pressed or proved.
	browser.post("/account/do", "action", enrollment.Remove, "object", strconv.FormatInt(id, 10))
	browser.sees(nobodyLeft)
	if pressed.MatchString(browser.page) {
		t.Error("there is a button for what would be refused")
	}
}

// statusOf is the state of an account's newest authenticator of a kind.
func (w *world) statusOf(name, kind string) (status string) {
	w.t.Helper()
	for _, c := range w.authenticatorsOf(name) {
		if c.Kind == kind {
			status = c.Status
		}
	}
	return status
}

// The promise: "this was not me" of a sole administrator with a password and codes
// ends every other session and puts the account at risk, and leaves the password,
// without which nobody could administer; with a second administrator it goes.
func TestSoleAdministratorReports(t *testing.T) {
	w := newWorld(t)
	clerks := w.officeOf("ada")
	report := func(by *clerk) {
		t.Helper()
		w.later(time.Minute)
		if err := by.signIn(); err != nil {
			t.Fatal(err)
		}
		step := w.check(by.secret, incident.Report, "1")
		if step.State != signin.Granted {
			t.Fatalf("%v %s", step.State, step.Reason)
		}
		if _, err := w.Incidents.Report(t.Context(), step.Grant, 1); err != nil {
			t.Fatal(err)
		}
	}
	report(clerks[0])
	if s := w.statusOf("ada", "password"); s != directory.CredentialActive {
		t.Errorf("the sole administrator's password is %s", s)
	}
	if d, err := w.Directory.Find(t.Context(), w.DB, "ada"); err != nil || d.Risk.IsZero() {
		t.Errorf("and is not at risk (%v)", err)
	}
	report(&clerk{w: w, name: "bob", person: w.administrator("bob")})
	if s := w.statusOf("bob", "password"); s != directory.CredentialDisabled {
		t.Errorf("beside another, the password is %s", s)
	}
}

// The promise: a sole administrator is named by the overview and by coverage, and is
// told in time, by mail, once a day, before the account goes dormant and nobody is
// left who could wake it.
func TestSoleAdministratorIsTold(t *testing.T) {
	w := newWorld(t)
	ada := w.officeOf("ada")[0]
	w.address("ada", "ada@example.org")
	look := func(by *clerk) (o overview.Overview) {
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
	w.later(time.Minute)
	browser := w.person()
	browser.comes("ada", ada.person.secret)
	browser.get("/console")
	browser.sees("ada alone can administer Countersign")
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
	w.later(21 * 24 * time.Hour)
	if n, again := warned(), warned(); n != 1 || again != 1 {
		t.Errorf("%d and %d warnings nine days before", n, again)
	}
	w.later(24 * time.Hour)
	if n := warned(); n != 2 || w.events("alarm.administrator-going-dormant") != 2 {
		t.Errorf("%d warnings a day later", n)
	}
	if o := look(ada); o.Falling { // she signed in for it
		t.Error("going dormant after a sign-in")
	}
	w.administrator("bob")
	if o := look(ada); o.Able != 2 || o.Few != "" || caveat() {
		t.Errorf("with two: %+v", o)
	}
}

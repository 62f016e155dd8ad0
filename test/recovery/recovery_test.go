package recovery

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/admin/nouns"
	"countersign/internal/admin/overview"
	recoveries "countersign/internal/admin/recovery"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/recovery"
	"countersign/internal/rootkey"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// confirms is a second person's word for a case whose browser shows this number.
func confirms(account string, c recoveries.Recovery, number string) map[string]any {
	return map[string]any{"account": account, "case": c.Number, "opener": c.Opener, "check": c.Check, "forgotten": c.Forgotten, "browser": number, "note": "seen at the gate"}
}

var confirmNumber = regexp.MustCompile(`aria-label="The number for an administrator">(\d{6})<`)

// numberToConfirm is what the page shows for a second person.
func numberToConfirm(p *servertest.Person) string {
	p.W.T.Helper()
	p.Get("/recovery")
	m := confirmNumber.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("no number for an administrator is shown (%d):\n%s", p.Status, p.Page)
	}
	return m[1]
}

// mustRefuse has somebody try what they may not.
func mustRefuse(t *testing.T, by *servertest.Clerk, reason, action string, in any) {
	t.Helper()
	err := by.Do(t.Context(), action, in, nil)
	if failure.ReasonOf(err) != reason {
		t.Errorf("%s: %s is answered %v (%q), want %q", by.Name, action, err, failure.ReasonOf(err), reason)
	}
}

// stopLink is the link in the newest mail that has one.
var stopLink = regexp.MustCompile(`http://localhost:\d+(/recovery/stop\?code=\S+)`)

func linkThatStops(d *servertest.HelpDesk) string {
	d.T.Helper()
	d.Post.Collect()
	mails := d.Post.Server.Mails()
	for i := len(mails) - 1; i >= 0; i-- {
		if m := stopLink.FindStringSubmatch(mails[i].Body); m != nil {
			return m[1]
		}
	}
	d.T.Fatal("no mail has a link that stops it")
	return ""
}

func codesOf(d *servertest.HelpDesk, name string) (out []string) {
	d.T.Helper()
	for _, c := range servertest.AuthenticatorsOf(d.World, name) {
		if c.Status == directory.CredentialActive {
			out = append(out, c.Kind)
		}
	}
	return out
}

// The promise, over both databases: who lost their phone reads a number to the help
// desk, waits, and sets up another in the browser that showed it, with the password
// that they still know; their addresses hear of it twice. No other browser gets
// anything, and nobody at the help desk ever sees a pass.
func TestRecovery(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		d := servertest.WithHelpDesk(t, dsn)
		browser, number := d.Asks("Bob")
		other, _ := d.Asks("bob")
		if got := d.Opens(d.Helga, "bob", number); got.Phase != recovery.Waiting || got.Opener != "helga" {
			t.Errorf("the case is %+v", got)
		}
		if got := d.Post.Collect(); len(got) != 2 || !strings.Contains(got[0], "bob@example.org: Somebody asks to get back into your account") || !strings.Contains(got[1], "bob@home.example") {
			t.Errorf("the owner is told %q", got)
		}
		browser.Get("/recovery")
		browser.Sees("A recovery is open for this browser")
		if strings.Contains(browser.Page, number) {
			t.Error("the number is still shown")
		}
		for _, early := range []*servertest.Person{browser, other, d.Person()} {
			if got := early.GoesOn(); got != http.StatusForbidden {
				t.Errorf("a browser goes on before its time: %d", got)
			}
		}
		d.Later(23*time.Hour + 59*time.Minute)
		if browser.GoesOn() != http.StatusForbidden {
			t.Errorf("a minute before its time the browser is answered %d", browser.Status)
		}
		if got := codesOf(d, "bob"); len(got) != 2 {
			t.Errorf("bob has %q before anything was handed over", got)
		}
		d.Later(2 * time.Minute)
		if other.GoesOn() != http.StatusForbidden {
			t.Error("another browser goes on")
		}
		browser.Get("/recovery")
		browser.Sees("Your password stays")
		browser.GoesOn()
		browser.Sees("Password")
		if browser.Inside() {
			t.Fatal("a recovery without the password lets in")
		}
		if got := d.Post.Collect(); len(got) != 2 || !strings.Contains(got[0], "A new way to sign in is being set up") {
			t.Errorf("the owner is told %q", got)
		}
		// He closes the page half-way and begins again in the same browser.
		browser.Get("/recovery")
		browser.GoesOn()
		browser.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
		browser.Sees("Set up how you sign in")
		browser.EnrollApp()
		browser.GoesOn()
		if browser.Status != http.StatusForbidden || len(codesOf(d, "bob")) != 2 {
			t.Errorf("the recovery is good for more: %d, %q", browser.Status, codesOf(d, "bob"))
		}
		d.Later(25 * time.Hour)
		thief := d.Person()
		thief.Get("/sign-in")
		thief.SignIn("bob", d.Bob.Code())
		if thief.Inside() {
			t.Error("the lost phone still signs in")
		}
		p := d.Person()
		p.Get("/sign-in")
		p.SignIn("bob", browser.Code())
		if !p.Inside() {
			t.Errorf("the new phone does not sign in:\n%s", p.Page)
		}
		for event, n := range map[string]int{"recovery.opened": 1, "recovery.collected": 2, "recovery.refused": 1} {
			if got := d.Events(event); got != n {
				t.Errorf("%s is %d times in the log, want %d", event, got, n)
			}
		}
	})
}

// The promise: nobody at the help desk can do more than bring ordinary people back:
// not for themselves, each other or administrators, not without saying how they made
// sure, and nothing else that administrators do. Who is taken off the help desk in
// the waiting time has vouched for nothing.
func TestHelpDeskInsider(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	hugo := d.EnrollCodes("hugo")
	d.Join("hugo", directory.Helpdesk)
	_, ofRoot := d.Asks("operator")
	_, ofHelga := d.Asks("helga")
	_, ofHugo := d.Asks("hugo")
	mustRefuse(t, d.Helga, "privileged", "recovery.open", servertest.Opens("operator", ofRoot))
	mustRefuse(t, d.Helga, "own-recovery", "recovery.open", servertest.Opens("helga", ofHelga))
	mustRefuse(t, d.Helga, "privileged", "recovery.open", servertest.Opens("hugo", ofHugo))
	mustRefuse(t, d.Root, "own-recovery", "recovery.open", servertest.Opens("operator", ofRoot))

	own, number := d.Asks("bob") // on her own computer
	for _, in := range []map[string]any{
		{"account": "bob", "browser": number, "check": "", "note": "ticket 4711"},
		{"account": "bob", "browser": number, "check": "codes", "note": "ticket 4711"},
		{"account": "bob", "browser": number, "check": "called-back", "note": " "},
		{"account": "bob", "browser": "000000", "check": "called-back", "note": "ticket 4711"},
		{"account": "bob", "browser": ofHugo, "check": "called-back", "note": "ticket 4711"},
	} {
		if err := d.Helga.Do(t.Context(), "recovery.open", in, nil); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%v is answered %v", in, err)
		}
	}
	for action, in := range map[string]any{
		"pass.issue": map[string]any{"account": "bob"}, "account.list": nil, "recovery.confirm": map[string]any{"account": "bob", "case": 1, "note": "me"},
		"authenticator.revoke": map[string]any{"account": "bob", "id": 1}, "group.member.add": map[string]any{"group": "administrators", "account": "helga"},
		"audit.search": nil, "policy.show": nil,
	} {
		s, _ := nouns.Commands().Find(action)
		cmd := s.New()
		if _, err := d.Helga.Grant(t.Context(), cmd); failure.ReasonOf(err) != "operator" {
			t.Errorf("helga may do %s %v: %v", action, in, err)
		}
	}
	d.Opens(d.Helga, "bob", number)
	if err := d.Helga.Do(t.Context(), "recovery.open", servertest.Opens("bob", number), nil); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a second case is answered %v", err)
	}
	var listed []recoveries.Recovery
	if err := d.Helga.Do(t.Context(), "recovery.list", nil, &listed); err != nil || len(listed) != 1 || listed[0].Account != "bob" {
		t.Errorf("helga sees %+v, %v", listed, err)
	}
	d.Later(25 * time.Hour)
	if err := d.Root.Do(t.Context(), "group.member.remove", map[string]any{"group": "helpdesk", "account": "helga"}, nil); err != nil {
		t.Fatal(err)
	}
	if own.GoesOn() != http.StatusForbidden || own.Inside() {
		t.Errorf("what she opened stands after she was taken off the help desk: %d", own.Status)
	}
	own.Get("/recovery")
	own.Sees("This recovery was stopped")
	if got := codesOf(d, "bob"); len(got) != 2 {
		t.Errorf("bob lost what he had: %q", got)
	}
	if hugo.Inside() {
		t.Log("hugo still has his session")
	}
}

// phase is how far an account's newest case is.
func phase(d *servertest.HelpDesk, account string) recovery.Phase {
	d.T.Helper()
	var all []recoveries.Recovery
	if err := d.Root.Do(d.T.Context(), "recovery.list", map[string]any{"account": account}, &all); err != nil || len(all) == 0 {
		d.T.Fatalf("%d recoveries, %v", len(all), err)
	}
	return all[0].Phase
}

// The promise: an owner who lost nothing stops a false recovery in each way that
// they have, and administrators are told who opened it.
func TestOwnerStopsARecovery(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	d.Address("operator", "root@example.org")
	ways := map[string]func(){
		"the link in the mail": func() {
			link := linkThatStops(d)
			robot := d.Person() // that follows every link in a mail
			robot.Get(link)
			reader := d.Person()
			reader.Get(link)
			_, code, _ := strings.Cut(link, "code=")
			reader.Post("/recovery/stop", "code", code)
			reader.Sees("It was stopped")
			if reader.Get(link); reader.Status == http.StatusOK {
				t.Error("the link is good twice")
			}
		},
		"the account page": func() {
			bob := d.Person()
			bob.Comes("bob", d.Bob.Secret)
			bob.Get("/account")
			bob.Sees("Somebody asks to get back into your account")
			bob.Post("/account/stop-recovery")
			bob.Sees("It was stopped")
		},
		"a sign-in elsewhere": func() {
			if s := d.Begin(servertest.Line("bob", servertest.Passphrase, d.Bob.Code())); s.Reason != "" {
				t.Fatalf("bob cannot sign in: %s", s.Reason)
			}
		},
		"this was not me": func() {
			bob := d.Person()
			bob.Comes("bob", d.Bob.Secret)
			bob.Get("/account/history")
			bob.Does("/account/do", "action", "report.not-me", "object", servertest.Last(t, servertest.Disowns, bob.Page))
			bob.Sees("Thank you")
		},
	}
	for _, name := range []string{"the link in the mail", "the account page", "a sign-in elsewhere", "this was not me"} { // the last takes his password away
		t.Run(name, func(t *testing.T) {
			mallory, number := d.Asks("bob")
			d.Opens(d.Helga, "bob", number)
			d.Later(time.Hour)
			d.Post.Collect()
			before := len(d.Post.Server.Mails())
			ways[name]()
			if at := phase(d, "bob"); (at == recovery.Stopped) == (name == "a sign-in elsewhere") { // that is found out when somebody comes for the pass
				t.Errorf("the recovery is %s at once", at)
			}
			d.Later(24 * time.Hour)
			mallory.GoesOn()
			if mallory.Status != http.StatusForbidden || mallory.Inside() {
				t.Errorf("the recovery went on: %d\n%s", mallory.Status, mallory.Page)
			}
			mallory.Get("/recovery")
			mallory.Sees("This recovery was stopped")
			d.Post.Collect()
			told := false
			for _, m := range d.Post.Server.Mails()[before:] {
				told = told || m.To[0] == "root@example.org" && (strings.Contains(m.Body, "helga") || name == "this was not me")
			}
			if want := name != "a sign-in elsewhere"; told != want {
				t.Errorf("administrators were told: %t, want %t", told, want)
			}
		})
	}
	if got := d.Events("recovery.collected"); got != 0 {
		t.Errorf("%d passes were handed over", got)
	}
}

// The promise: nobody replaces both factors alone, or where nobody can be told: it
// takes an administrator who did not open the case, and then nobody waits.
func TestRecoveryByASecondPerson(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	d.EnrollCodes("carol") // without an address
	browser, number := d.Asks("bob")
	all := servertest.Opens("bob", number)
	all["forgotten"] = true
	var c recoveries.Recovery
	if err := d.Root.Do(t.Context(), "recovery.open", all, &c); err != nil || c.Phase != recovery.Unsure {
		t.Fatalf("the case is %+v, %v", c, err)
	}
	var o overview.Overview
	if err := d.Root.Do(t.Context(), "overview.show", nil, &o); err != nil || o.Recoveries != 1 || o.Unconfirmed != 1 {
		t.Errorf("the overview counts %d, %d to confirm, %v", o.Recoveries, o.Unconfirmed, err)
	}
	d.Later(48 * time.Hour)
	if browser.GoesOn() != http.StatusForbidden {
		t.Error("time alone was enough to replace both factors")
	}
	browser.Get("/recovery")
	browser.Sees("An administrator has to confirm it")
	confirm := confirms("bob", c, numberToConfirm(browser))
	mustRefuse(t, d.Root, "second-person", "recovery.confirm", confirm)
	second := &servertest.Clerk{W: d.World, Name: "rita", Person: d.Administrator("rita")}
	if err := second.Do(t.Context(), "recovery.confirm", confirm, &c); err != nil || c.Phase != recovery.Ready || c.Confirmed != "rita" {
		t.Fatalf("it is confirmed as %+v, %v", c, err)
	}
	if err := second.Do(t.Context(), "recovery.confirm", confirm, nil); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a second confirmation is answered %v", err)
	}
	browser.Get("/recovery")
	browser.Sees("Everything that you signed in with until now is switched off")
	browser.GoesOn()
	browser.Sees("Set up how you sign in")
	if got := codesOf(d, "bob"); len(got) != 0 {
		t.Errorf("bob still has %q", got)
	}
	browser.Post("/account/do", "action", "authenticator.enroll", "object", "password")
	browser.Post("/account/setup", "authenticator", "password", "text", "another long passphrase of his")
	browser.Sees("Added: Password")
	browser.EnrollApp()

	_, number = d.Asks("carol")
	if c = d.Opens(d.Helga, "carol", number); c.Phase != recovery.Unsure {
		t.Errorf("a case of which nobody can be told is %s", c.Phase)
	}
	if err := d.Helga.Do(t.Context(), "recovery.stop", map[string]any{"account": "carol", "reason": "she found it"}, nil); err != nil {
		t.Error(err)
	}
	if err := d.Helga.Do(t.Context(), "recovery.stop", map[string]any{"account": "carol", "reason": "again"}, nil); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("stopping what is over is answered %v", err)
	}
}

// The promise: one person does not open recoveries without end.
func TestRecoveriesOfOnePerson(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	stop := map[string]any{"account": "bob", "reason": "another try"}
	for i := range 51 {
		d.Later(31 * time.Minute / 4) // the numbers of before run out
		_, s, err := d.Recoveries.Requests.Begin(t.Context(), "bob", netip.MustParseAddr("192.0.2.7"))
		if err != nil {
			t.Fatal(err)
		}
		if i == 50 {
			mustRefuse(t, d.Helga, "too-many-recoveries", "recovery.open", servertest.Opens("bob", s.Number))
			continue
		}
		d.Opens(d.Helga, "bob", s.Number)
		if err := d.Helga.Do(t.Context(), "recovery.stop", stop, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// The promise: the page says the same to everybody, whatever is typed, and one
// address cannot fill the list of numbers.
func TestRecoveryPageTellsNothing(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	blank := func(name string) string {
		p, number := d.Asks(name)
		return strings.ReplaceAll(p.Page, number, "000000")
	}
	known := blank("bob")
	for _, name := range []string{"nobody", "operator", "", strings.Repeat("x", 400), "bob@example.org", "<b>"} {
		if got := blank(name); len(got) != len(known) {
			t.Errorf("%q is answered otherwise:\n%s", name, got)
		}
	}
	p := d.Person()
	p.Get("/recovery")
	for range 25 { // after seven
		p.Get("/sign-in")
		p.Post("/recovery", "name", "bob")
	}
	if p.Status != http.StatusForbidden {
		t.Errorf("one number too many for one address is answered %d", p.Status)
	}
	if got := d.Events("recovery.opened"); got != 0 {
		t.Error("a page opened a case")
	}
	d.Later(31 * time.Minute)
	late, number := d.Asks("bob")
	d.Later(31 * time.Minute)
	if err := d.Helga.Do(t.Context(), "recovery.open", servertest.Opens("bob", number), nil); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("a number of half an hour ago is answered %v", err)
	}
	late.Get("/recovery")
	late.Sees("has run out")
}

// The promise: of two servers that are asked at once, again and again, one opens a
// case; no more passes are handed over than a case gives, and one is good.
func TestRecoveryOnTwoServers(t *testing.T) {
	dsn := storetest.StartPostgres(t).DSN
	d := servertest.WithHelpDesk(t, dsn)
	root, err := rootkey.Find(d.Folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERSIGN_ROOT_KEY", root.Text())
	b := servertest.NewWorldFrom(t, server.Settings{Database: dsn, Mails: true}, "http://localhost", nil)
	browser, number := d.Asks("bob")
	b.Skew.Store(d.Skew.Load())

	servers := []*servertest.World{d.World, b}
	atOnce := func(n int, do func(w *servertest.World) error) (good int) {
		t.Helper()
		errs := make([]error, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { errs[i] = do(servers[i%2]) })
		}
		all.Wait()
		for _, err := range errs {
			switch failure.ClassOf(err) {
			case failure.Refused, failure.Conflict, failure.Invalid:
			default:
				if err != nil {
					t.Errorf("a breakdown: %v", err)
				}
			}
			if err == nil {
				good++
			}
		}
		return good
	}
	open := func(w *servertest.World) error {
		return w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
			ctx := context.Background()
			helga, err := w.Accounts.Find(ctx, tx, "helga")
			if err != nil {
				return err
			}
			bob, err := w.Accounts.Find(ctx, tx, "bob")
			if err != nil {
				return err
			}
			if _, err = w.Recoveries.Openings.OpenTx(ctx, tx, helga, recovery.Opening{Account: bob, Number: number, Check: "in-person", Note: "ticket 1"}); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test.opened", Outcome: audit.OK})
		})
	}
	if got := atOnce(8, open); got != 1 {
		t.Errorf("%d cases were opened for one number", got)
	}
	d.Later(25 * time.Hour)
	b.Skew.Store(d.Skew.Load())
	secret := servertest.Bound(browser)
	passes := make(chan [2]string, 12)
	got := atOnce(12, func(w *servertest.World) error {
		name, pass, err := w.Recoveries.Passes.Collect(context.Background(), secret, "192.0.2.1")
		if err == nil {
			passes <- [2]string{name, pass}
		}
		return err
	})
	close(passes)
	if got == 0 || got > 3 || d.Events("recovery.collected") != got {
		t.Errorf("%d passes were handed over, %d are in the log", got, d.Events("recovery.collected"))
	}
	good := 0
	for p := range passes {
		s, err := b.Engine.Begin(t.Context(), signin.Request{Application: signin.Self, Action: "authenticator.enroll", Object: "first authenticators", Name: p[0],
			Opening: []prompt.Answer{{Authenticator: "accesspass", Text: p[1]}, {Authenticator: "password", Text: servertest.Passphrase}}, Protocol: "browser", Medium: prompt.Browser})
		if err != nil {
			t.Fatal(err)
		}
		if s.State == signin.Granted {
			good++
		}
	}
	if good > 1 {
		t.Errorf("%d passes of one case are good", good)
	}
}

// The promise: whoever writes to the database from outside shortens no waiting
// time, binds no browser and confirms nothing.
func TestRecoveryIsNotWrittenByOthers(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	_, number := d.Asks("bob")
	mallory, theirs := d.Asks("mallory")
	write := func(statement string, args ...any) {
		t.Helper()
		err := d.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
			tx.Record(audit.Entry{Event: "test.tampered", Outcome: audit.OK})
			_, err := tx.Exec(t.Context(), statement, args...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	bob, err := d.Accounts.Find(t.Context(), d.DB, "bob")
	if err != nil {
		t.Fatal(err)
	}
	write(`update recovery_request set account = $1 where number = $2`, int64(bob.ID), theirs)
	if err := d.Helga.Do(t.Context(), "recovery.open", servertest.Opens("bob", theirs), nil); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("a browser that was moved to another account is answered %v", err)
	}
	d.Opens(d.Helga, "bob", number)
	for _, statement := range []string{
		`update recovery set secret = $1`, `update recovery set due = 0`, `update recovery set confirmer = 1`,
	} {
		var args []any
		if strings.Contains(statement, "$1") {
			h := sha256.Sum256([]byte("recovery\x00" + servertest.Bound(mallory)))
			args = []any{h[:]}
		}
		write(statement, args...)
		if name, _, err := d.Recoveries.Passes.Collect(t.Context(), servertest.Bound(mallory), ""); err == nil {
			t.Errorf("after %q a pass for %s is handed over", statement, name)
		}
	}
}

// The promise: without a waiting time coverage says so, until there is one.
func TestRecoveryWithoutWaitingIsAGap(t *testing.T) {
	var none time.Duration
	for wait, want := range map[*time.Duration]bool{&none: true, nil: false} {
		d := servertest.WithHelpDeskFrom(t, server.Settings{Wait: wait, Mails: true})
		var data attack.Data
		if err := d.Root.Do(t.Context(), "coverage.show", nil, &data); err != nil {
			t.Fatal(err)
		}
		named := slices.ContainsFunc(data.Exceptions, func(e attack.ExceptionData) bool { return strings.Contains(e.What, "recovery.wait is 0") && e.InForce })
		if named != want {
			t.Errorf("with a waiting time of %v coverage names it: %t", wait, named)
		}
		browser, number := d.Asks("bob")
		c := d.Opens(d.Helga, "bob", number)
		if got := c.Phase == recovery.Ready; got != want {
			t.Errorf("the case is %s at once", c.Phase)
		}
		if ok := browser.GoesOn() == http.StatusOK; ok != want {
			t.Errorf("the browser goes on at once: %t", ok)
		}
	}
	over := 8 * 24 * time.Hour
	if _, err := recovery.New(recovery.Parts{Wait: over}); err == nil {
		t.Error("a waiting time of more than a week is taken")
	}
}

// The promise: the help desk works on one page of its own, and on the command line.
func TestHelpDeskPages(t *testing.T) {
	d := servertest.WithHelpDesk(t, "")
	d.SetPolicy(string(policy.DefaultForCodes()))
	helga := d.Person()
	helga.Comes("helga", d.Helga.Person.Secret)
	helga.Get("/account")
	helga.Sees(`href="/console/recoveries"`)
	helga.Get("/console/recoveries")
	helga.Sees("Somebody calls")
	if strings.Contains(helga.Page, "/console/accounts") {
		t.Error("the help desk is shown the administrators' pages")
	}
	for _, path := range []string{"/console", "/console/accounts", "/console/audit", "/console/commands"} {
		if helga.Get(path); helga.Status != http.StatusForbidden {
			t.Errorf("%s is answered %d", path, helga.Status)
		}
		helga.Get("/console/recoveries")
	}
	browser, number := d.Asks("bob")
	helga.Does("/console/new-recovery", "account", "bob", "browser", "", "check", "", "note", "")
	helga.Sees("Type the six digits that they read out.")
	helga.Does("/console/new-recovery", "account", "bob", "browser", "12", "check", "video", "note", "ticket <i>9")
	helga.Sees("No browser shows that number for this account now.")
	helga.Does("/console/new-recovery", "account", "bob", "browser", number, "check", "video", "note", "ticket <i>9")
	helga.Sees("The recovery was opened")
	helga.Sees("seen on video, with a photo identity card")
	helga.Sees("ticket <i>9")
	if strings.Contains(helga.Page, "Confirm as the second person") {
		t.Error("the help desk is offered to confirm")
	}
	helga.Does("/console/recoveries/bob/confirm", "browser", numberToConfirm(browser), "note", "me")
	if helga.Status == http.StatusOK && strings.Contains(helga.Page, "It was confirmed") {
		t.Error("the help desk confirmed its own case")
	}
	root := d.Person()
	root.Comes("operator", d.Root.Person.Secret)
	root.Get("/console/recoveries/bob")
	hidden := regexp.MustCompile(`name="(case|opener|check)" value="([^"]*)"`).FindAllStringSubmatch(root.Page, -1)
	if len(hidden) != 3 {
		t.Fatalf("the form does not say what it is about:\n%s", root.Page)
	}
	root.Does("/console/recoveries/bob/confirm", "case", hidden[0][2], "opener", hidden[1][2], "check", hidden[2][2], "browser", numberToConfirm(browser), "note", "called him as well")
	root.Sees("they can go on now")
	browser.Get("/recovery")
	browser.Sees("You can set up how you sign in from now on.")
	root.Does("/console/recoveries/bob/stop", "reason", "he found it")
	root.Sees("The recovery was stopped.")
	root.Get("/console/recoveries")
	root.Sees("stopped")

	shell := d.Shell()
	d.Later(time.Minute)
	shell.Login(d.Person(), "helga", d.Helga.Person.Code())
	d.Later(10 * time.Minute) // what she proved then is no longer fresh
	_, number = d.Asks("bob")
	out, complaint, ok := shell.Run("", "recovery", "open", "bob", "--browser", number, "--note", "ticket 12")
	if ok || !strings.Contains(complaint, "--check") {
		t.Errorf("without a check: %s %s", out, complaint)
	}
	c := shell.Start("recovery", "open", "bob", "--browser", number, "--check", "in-person", "--note", "ticket 12")
	by := d.Person()
	d.Later(time.Minute)
	by.Approves(c.Page, "whose browser shows "+number, "helga", d.Helga.Person.Code())
	if out, complaint, ok = c.End(); !ok || !strings.Contains(out, "waiting") {
		t.Errorf("%s %s", out, complaint)
	}
}

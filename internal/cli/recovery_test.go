package cli

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/netip"
	"net/url"
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
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// helpDesk is an installation with a help desk, and bob, who lost his phone.
type helpDesk struct {
	*world
	post *postOffice
	// helga helps people back in, root administers.
	helga, root *clerk
	bob         *person // with what he had
}

func withHelpDesk(t *testing.T, dsn string) *helpDesk {
	t.Helper()
	return withHelpDeskFrom(t, server.Settings{Database: dsn, Mails: true})
}

func withHelpDeskFrom(t *testing.T, s server.Settings) *helpDesk {
	t.Helper()
	w := newWorldFrom(t, s, "http://localhost", nil)
	if err := w.PlantApplications(t.Context(), "wiki.test", drillSecret); err != nil {
		t.Fatal(err)
	}
	d := &helpDesk{world: w, bob: w.enrollCodes("bob"), root: w.clerk(), helga: &clerk{w: w, name: "helga", person: w.enrollCodes("helga")}}
	w.join("helga", directory.Helpdesk)
	w.address("bob", "bob@example.org")
	w.address("bob", "bob@home.example")
	d.post = w.postOffice()
	d.post.collect()
	return d
}

var shownNumber = regexp.MustCompile(`aria-label="The number">(\d{6})<`)

// asks opens the page on a new browser, and reads the number there.
func (d *helpDesk) asks(name string) (*person, string) {
	d.t.Helper()
	p := d.person()
	p.get("/sign-in")
	p.sees("I lost what I sign in with")
	p.get("/recovery")
	p.post("/recovery", "name", name)
	m := shownNumber.FindStringSubmatch(p.page)
	if m == nil {
		d.t.Fatalf("no number is shown (%d):\n%s", p.status, p.page)
	}
	return p, m[1]
}

// goesOn presses the button, whether or not the page shows it, and returns the
// status.
func (p *person) goesOn() int {
	p.w.t.Helper()
	p.get("/sign-in") // a page with a form on it
	p.post("/recovery/go-on")
	return p.status
}

func opens(account, number string) map[string]any {
	return map[string]any{"account": account, "browser": number, "check": "called-back", "note": "ticket 4711"}
}

func (d *helpDesk) opens(by *clerk, account, number string) recoveries.Recovery {
	d.t.Helper()
	var out recoveries.Recovery
	if err := by.Do(d.t.Context(), "recovery.open", opens(account, number), &out); err != nil {
		d.t.Fatalf("%s cannot open a recovery: %v", by.name, err)
	}
	return out
}

// confirms is a second person's word for a case whose browser shows this number.
func confirms(account string, c recoveries.Recovery, number string) map[string]any {
	return map[string]any{"account": account, "case": c.Number, "opener": c.Opener, "check": c.Check, "forgotten": c.Forgotten, "browser": number, "note": "seen at the gate"}
}

var confirmNumber = regexp.MustCompile(`aria-label="The number for an administrator">(\d{6})<`)

// confirmNumber is what the page shows for a second person.
func (p *person) confirmNumber() string {
	p.w.t.Helper()
	p.get("/recovery")
	m := confirmNumber.FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatalf("no number for an administrator is shown (%d):\n%s", p.status, p.page)
	}
	return m[1]
}

// mustRefuse has somebody try what they may not.
func mustRefuse(t *testing.T, by *clerk, reason, action string, in any) {
	t.Helper()
	err := by.Do(t.Context(), action, in, nil)
	if failure.ReasonOf(err) != reason {
		t.Errorf("%s: %s is answered %v (%q), want %q", by.name, action, err, failure.ReasonOf(err), reason)
	}
}

// stopLink is the link in the newest mail that has one.
var stopLink = regexp.MustCompile(`http://localhost:\d+(/recovery/stop\?code=\S+)`)

func (d *helpDesk) stopLink() string {
	d.t.Helper()
	d.post.collect()
	mails := d.post.server.Mails()
	for i := len(mails) - 1; i >= 0; i-- {
		if m := stopLink.FindStringSubmatch(mails[i].Body); m != nil {
			return m[1]
		}
	}
	d.t.Fatal("no mail has a link that stops it")
	return ""
}

func (d *helpDesk) codesOf(name string) (out []string) {
	d.t.Helper()
	for _, c := range d.authenticatorsOf(name) {
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
		d := withHelpDesk(t, dsn)
		browser, number := d.asks("Bob")
		other, _ := d.asks("bob")
		if got := d.opens(d.helga, "bob", number); got.Phase != recovery.Waiting || got.Opener != "helga" {
			t.Errorf("the case is %+v", got)
		}
		if got := d.post.collect(); len(got) != 2 || !strings.Contains(got[0], "bob@example.org: Somebody asks to get back into your account") || !strings.Contains(got[1], "bob@home.example") {
			t.Errorf("the owner is told %q", got)
		}
		browser.get("/recovery")
		browser.sees("A recovery is open for this browser")
		if strings.Contains(browser.page, number) {
			t.Error("the number is still shown")
		}
		for _, early := range []*person{browser, other, d.person()} {
			if got := early.goesOn(); got != http.StatusForbidden {
				t.Errorf("a browser goes on before its time: %d", got)
			}
		}
		d.later(23*time.Hour + 59*time.Minute)
		if browser.goesOn() != http.StatusForbidden {
			t.Errorf("a minute before its time the browser is answered %d", browser.status)
		}
		if got := d.codesOf("bob"); len(got) != 2 {
			t.Errorf("bob has %q before anything was handed over", got)
		}
		d.later(2 * time.Minute)
		if other.goesOn() != http.StatusForbidden {
			t.Error("another browser goes on")
		}
		browser.get("/recovery")
		browser.sees("Your password stays")
		browser.goesOn()
		browser.sees("Password")
		if browser.inside() {
			t.Fatal("a recovery without the password lets in")
		}
		if got := d.post.collect(); len(got) != 2 || !strings.Contains(got[0], "A new way to sign in is being set up") {
			t.Errorf("the owner is told %q", got)
		}
		// He closes the page half-way and begins again in the same browser.
		browser.get("/recovery")
		browser.goesOn()
		browser.post("/sign-in", "authenticator", "password", "text", passphrase)
		browser.sees("Set up how you sign in")
		browser.enrollApp()
		browser.goesOn()
		if browser.status != http.StatusForbidden || len(d.codesOf("bob")) != 2 {
			t.Errorf("the recovery is good for more: %d, %q", browser.status, d.codesOf("bob"))
		}
		d.later(25 * time.Hour)
		thief := d.person()
		thief.get("/sign-in")
		thief.signIn("bob", d.bob.code())
		if thief.inside() {
			t.Error("the lost phone still signs in")
		}
		p := d.person()
		p.get("/sign-in")
		p.signIn("bob", browser.code())
		if !p.inside() {
			t.Errorf("the new phone does not sign in:\n%s", p.page)
		}
		for event, n := range map[string]int{"recovery.opened": 1, "recovery.collected": 2, "recovery.refused": 1} {
			if got := d.events(event); got != n {
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
	d := withHelpDesk(t, "")
	hugo := d.enrollCodes("hugo")
	d.join("hugo", directory.Helpdesk)
	_, ofRoot := d.asks("operator")
	_, ofHelga := d.asks("helga")
	_, ofHugo := d.asks("hugo")
	mustRefuse(t, d.helga, "privileged", "recovery.open", opens("operator", ofRoot))
	mustRefuse(t, d.helga, "own-recovery", "recovery.open", opens("helga", ofHelga))
	mustRefuse(t, d.helga, "privileged", "recovery.open", opens("hugo", ofHugo))
	mustRefuse(t, d.root, "own-recovery", "recovery.open", opens("operator", ofRoot))

	own, number := d.asks("bob") // on her own computer
	for _, in := range []map[string]any{
		{"account": "bob", "browser": number, "check": "", "note": "ticket 4711"},
		{"account": "bob", "browser": number, "check": "codes", "note": "ticket 4711"},
		{"account": "bob", "browser": number, "check": "called-back", "note": " "},
		{"account": "bob", "browser": "000000", "check": "called-back", "note": "ticket 4711"},
		{"account": "bob", "browser": ofHugo, "check": "called-back", "note": "ticket 4711"},
	} {
		if err := d.helga.Do(t.Context(), "recovery.open", in, nil); failure.ClassOf(err) != failure.Invalid {
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
		if _, err := d.helga.grant(t.Context(), cmd); failure.ReasonOf(err) != "operator" {
			t.Errorf("helga may do %s %v: %v", action, in, err)
		}
	}
	d.opens(d.helga, "bob", number)
	if err := d.helga.Do(t.Context(), "recovery.open", opens("bob", number), nil); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a second case is answered %v", err)
	}
	var listed []recoveries.Recovery
	if err := d.helga.Do(t.Context(), "recovery.list", nil, &listed); err != nil || len(listed) != 1 || listed[0].Account != "bob" {
		t.Errorf("helga sees %+v, %v", listed, err)
	}
	d.later(25 * time.Hour)
	if err := d.root.Do(t.Context(), "group.member.remove", map[string]any{"group": "helpdesk", "account": "helga"}, nil); err != nil {
		t.Fatal(err)
	}
	if own.goesOn() != http.StatusForbidden || own.inside() {
		t.Errorf("what she opened stands after she was taken off the help desk: %d", own.status)
	}
	own.get("/recovery")
	own.sees("This recovery was stopped")
	if got := d.codesOf("bob"); len(got) != 2 {
		t.Errorf("bob lost what he had: %q", got)
	}
	if hugo.inside() {
		t.Log("hugo still has his session")
	}
}

// phase is how far an account's newest case is.
func (d *helpDesk) phase(account string) recovery.Phase {
	d.t.Helper()
	var all []recoveries.Recovery
	if err := d.root.Do(d.t.Context(), "recovery.list", map[string]any{"account": account}, &all); err != nil || len(all) == 0 {
		d.t.Fatalf("%d recoveries, %v", len(all), err)
	}
	return all[0].Phase
}

// The promise: an owner who lost nothing stops a false recovery in each way that
// they have, and administrators are told who opened it.
func TestOwnerStopsARecovery(t *testing.T) {
	d := withHelpDesk(t, "")
	d.address("operator", "root@example.org")
	ways := map[string]func(){
		"the link in the mail": func() {
			link := d.stopLink()
			robot := d.person() // that follows every link in a mail
			robot.get(link)
			reader := d.person()
			reader.get(link)
			_, code, _ := strings.Cut(link, "code=")
			reader.post("/recovery/stop", "code", code)
			reader.sees("It was stopped")
			if reader.get(link); reader.status == http.StatusOK {
				t.Error("the link is good twice")
			}
		},
		"the account page": func() {
			bob := d.person()
			bob.comes("bob", d.bob.secret)
			bob.get("/account")
			bob.sees("Somebody asks to get back into your account")
			bob.post("/account/stop-recovery")
			bob.sees("It was stopped")
		},
		"a sign-in elsewhere": func() {
			if s := d.begin(line("bob", passphrase, d.bob.code())); s.Reason != "" {
				t.Fatalf("bob cannot sign in: %s", s.Reason)
			}
		},
		"this was not me": func() {
			bob := d.person()
			bob.comes("bob", d.bob.secret)
			bob.get("/account/history")
			bob.does("/account/do", "action", "report.not-me", "object", last(t, disowns, bob.page))
			bob.sees("Thank you")
		},
	}
	for _, name := range []string{"the link in the mail", "the account page", "a sign-in elsewhere", "this was not me"} { // the last takes his password away
		t.Run(name, func(t *testing.T) {
			mallory, number := d.asks("bob")
			d.opens(d.helga, "bob", number)
			d.later(time.Hour)
			d.post.collect()
			before := len(d.post.server.Mails())
			ways[name]()
			if at := d.phase("bob"); (at == recovery.Stopped) == (name == "a sign-in elsewhere") { // that is found out when somebody comes for the pass
				t.Errorf("the recovery is %s at once", at)
			}
			d.later(24 * time.Hour)
			mallory.goesOn()
			if mallory.status != http.StatusForbidden || mallory.inside() {
				t.Errorf("the recovery went on: %d\n%s", mallory.status, mallory.page)
			}
			mallory.get("/recovery")
			mallory.sees("This recovery was stopped")
			d.post.collect()
			told := false
			for _, m := range d.post.server.Mails()[before:] {
				told = told || m.To[0] == "root@example.org" && (strings.Contains(m.Body, "helga") || name == "this was not me")
			}
			if want := name != "a sign-in elsewhere"; told != want {
				t.Errorf("administrators were told: %t, want %t", told, want)
			}
		})
	}
	if got := d.events("recovery.collected"); got != 0 {
		t.Errorf("%d passes were handed over", got)
	}
}

// The promise: nobody replaces both factors alone, or where nobody can be told: it
// takes an administrator who did not open the case, and then nobody waits.
func TestRecoveryByASecondPerson(t *testing.T) {
	d := withHelpDesk(t, "")
	d.enrollCodes("carol") // without an address
	browser, number := d.asks("bob")
	all := opens("bob", number)
	all["forgotten"] = true
	var c recoveries.Recovery
	if err := d.root.Do(t.Context(), "recovery.open", all, &c); err != nil || c.Phase != recovery.Unsure {
		t.Fatalf("the case is %+v, %v", c, err)
	}
	var o overview.Overview
	if err := d.root.Do(t.Context(), "overview.show", nil, &o); err != nil || o.Recoveries != 1 || o.Unconfirmed != 1 {
		t.Errorf("the overview counts %d, %d to confirm, %v", o.Recoveries, o.Unconfirmed, err)
	}
	d.later(48 * time.Hour)
	if browser.goesOn() != http.StatusForbidden {
		t.Error("time alone was enough to replace both factors")
	}
	browser.get("/recovery")
	browser.sees("An administrator has to confirm it")
	confirm := confirms("bob", c, browser.confirmNumber())
	mustRefuse(t, d.root, "second-person", "recovery.confirm", confirm)
	second := &clerk{w: d.world, name: "rita", person: d.administrator("rita")}
	if err := second.Do(t.Context(), "recovery.confirm", confirm, &c); err != nil || c.Phase != recovery.Ready || c.Confirmed != "rita" {
		t.Fatalf("it is confirmed as %+v, %v", c, err)
	}
	if err := second.Do(t.Context(), "recovery.confirm", confirm, nil); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a second confirmation is answered %v", err)
	}
	browser.get("/recovery")
	browser.sees("Everything that you signed in with until now is switched off")
	browser.goesOn()
	browser.sees("Set up how you sign in")
	if got := d.codesOf("bob"); len(got) != 0 {
		t.Errorf("bob still has %q", got)
	}
	browser.post("/account/do", "action", "authenticator.enroll", "object", "password")
	browser.post("/account/setup", "authenticator", "password", "text", "another long passphrase of his")
	browser.sees("Added: Password")
	browser.enrollApp()

	_, number = d.asks("carol")
	if c = d.opens(d.helga, "carol", number); c.Phase != recovery.Unsure {
		t.Errorf("a case of which nobody can be told is %s", c.Phase)
	}
	if err := d.helga.Do(t.Context(), "recovery.stop", map[string]any{"account": "carol", "reason": "she found it"}, nil); err != nil {
		t.Error(err)
	}
	if err := d.helga.Do(t.Context(), "recovery.stop", map[string]any{"account": "carol", "reason": "again"}, nil); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("stopping what is over is answered %v", err)
	}
}

// The promise: one person does not open recoveries without end.
func TestRecoveriesOfOnePerson(t *testing.T) {
	d := withHelpDesk(t, "")
	stop := map[string]any{"account": "bob", "reason": "another try"}
	for i := range 51 {
		d.later(31 * time.Minute / 4) // the numbers of before run out
		_, s, err := d.Recoveries.Requests.Begin(t.Context(), "bob", netip.MustParseAddr("192.0.2.7"))
		if err != nil {
			t.Fatal(err)
		}
		if i == 50 {
			mustRefuse(t, d.helga, "too-many-recoveries", "recovery.open", opens("bob", s.Number))
			continue
		}
		d.opens(d.helga, "bob", s.Number)
		if err := d.helga.Do(t.Context(), "recovery.stop", stop, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// The promise: the page says the same to everybody, whatever is typed, and one
// address cannot fill the list of numbers.
func TestRecoveryPageTellsNothing(t *testing.T) {
	d := withHelpDesk(t, "")
	blank := func(name string) string {
		p, number := d.asks(name)
		return strings.ReplaceAll(p.page, number, "000000")
	}
	known := blank("bob")
	for _, name := range []string{"nobody", "operator", "", strings.Repeat("x", 400), "bob@example.org", "<b>"} {
		if got := blank(name); len(got) != len(known) {
			t.Errorf("%q is answered otherwise:\n%s", name, got)
		}
	}
	p := d.person()
	p.get("/recovery")
	for range 25 { // after seven
		p.get("/sign-in")
		p.post("/recovery", "name", "bob")
	}
	if p.status != http.StatusForbidden {
		t.Errorf("one number too many for one address is answered %d", p.status)
	}
	if got := d.events("recovery.opened"); got != 0 {
		t.Error("a page opened a case")
	}
	d.later(31 * time.Minute)
	late, number := d.asks("bob")
	d.later(31 * time.Minute)
	if err := d.helga.Do(t.Context(), "recovery.open", opens("bob", number), nil); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("a number of half an hour ago is answered %v", err)
	}
	late.get("/recovery")
	late.sees("has run out")
}

// bound is what a browser holds that is bound to a recovery.
func (p *person) bound() string {
	p.w.t.Helper()
	base, err := url.Parse(p.w.base)
	if err != nil {
		p.w.t.Fatal(err)
	}
	for _, c := range p.client.Jar.Cookies(base) {
		if c.Name == "countersign-recovery" {
			return c.Value
		}
	}
	p.w.t.Fatal("the browser is bound to nothing")
	return ""
}

// The promise: of two servers that are asked at once, again and again, one opens a
// case; no more passes are handed over than a case gives, and one is good.
func TestRecoveryOnTwoServers(t *testing.T) {
	dsn := storetest.StartPostgres(t).DSN
	d := withHelpDesk(t, dsn)
	root, err := rootkey.Find(d.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERSIGN_ROOT_KEY", root.Text())
	b := newWorldFrom(t, server.Settings{Database: dsn, Mails: true}, "http://localhost", nil)
	browser, number := d.asks("bob")
	b.skew.Store(d.skew.Load())

	servers := []*world{d.world, b}
	atOnce := func(n int, do func(w *world) error) (good int) {
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
	open := func(w *world) error {
		return w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
			ctx := context.Background()
			helga, err := w.Directory.Find(ctx, tx, "helga")
			if err != nil {
				return err
			}
			bob, err := w.Directory.Find(ctx, tx, "bob")
			if err != nil {
				return err
			}
			if _, err = w.Recoveries.Openings.OpenIn(ctx, tx, helga, recovery.Opening{Account: bob, Number: number, Check: "in-person", Note: "ticket 1"}); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test.opened", Outcome: audit.OK})
		})
	}
	if got := atOnce(8, open); got != 1 {
		t.Errorf("%d cases were opened for one number", got)
	}
	d.later(25 * time.Hour)
	b.skew.Store(d.skew.Load())
	secret := browser.bound()
	passes := make(chan [2]string, 12)
	got := atOnce(12, func(w *world) error {
		name, pass, err := w.Recoveries.Passes.Collect(context.Background(), secret, "192.0.2.1")
		if err == nil {
			passes <- [2]string{name, pass}
		}
		return err
	})
	close(passes)
	if got == 0 || got > 3 || d.events("recovery.collected") != got {
		t.Errorf("%d passes were handed over, %d are in the log", got, d.events("recovery.collected"))
	}
	good := 0
	for p := range passes {
		s, err := b.Engine.Begin(t.Context(), signin.Request{Application: signin.Self, Action: "authenticator.enroll", Object: "first authenticators", Name: p[0],
			Opening: []prompt.Answer{{Authenticator: "accesspass", Text: p[1]}, {Authenticator: "password", Text: passphrase}}, Protocol: "browser", Medium: prompt.Browser})
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

// The promise: whoever writes to the database behind our back shortens no waiting
// time, binds no browser and confirms nothing.
func TestRecoveryIsNotWrittenByOthers(t *testing.T) {
	d := withHelpDesk(t, "")
	_, number := d.asks("bob")
	mallory, theirs := d.asks("mallory")
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
	bob, err := d.Directory.Find(t.Context(), d.DB, "bob")
	if err != nil {
		t.Fatal(err)
	}
	write(`update recovery_request set account = $1 where number = $2`, int64(bob.ID), theirs)
	if err := d.helga.Do(t.Context(), "recovery.open", opens("bob", theirs), nil); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("a browser that was moved to another account is answered %v", err)
	}
	d.opens(d.helga, "bob", number)
	for _, statement := range []string{
		`update recovery set secret = $1`, `update recovery set due = 0`, `update recovery set confirmer = 1`,
	} {
		var args []any
		if strings.Contains(statement, "$1") {
			h := sha256.Sum256([]byte("recovery\x00" + mallory.bound()))
			args = []any{h[:]}
		}
		write(statement, args...)
		if name, _, err := d.Recoveries.Passes.Collect(t.Context(), mallory.bound(), ""); err == nil {
			t.Errorf("after %q a pass for %s is handed over", statement, name)
		}
	}
}

// The promise: without a waiting time coverage says so, until there is one.
func TestRecoveryWithoutWaitingIsAGap(t *testing.T) {
	var none time.Duration
	for wait, want := range map[*time.Duration]bool{&none: true, nil: false} {
		d := withHelpDeskFrom(t, server.Settings{Wait: wait, Mails: true})
		var data attack.Data
		if err := d.root.Do(t.Context(), "coverage.show", nil, &data); err != nil {
			t.Fatal(err)
		}
		named := slices.ContainsFunc(data.Exceptions, func(e attack.ExceptionData) bool { return strings.Contains(e.What, "recovery.wait is 0") && e.InForce })
		if named != want {
			t.Errorf("with a waiting time of %v coverage names it: %t", wait, named)
		}
		browser, number := d.asks("bob")
		c := d.opens(d.helga, "bob", number)
		if got := c.Phase == recovery.Ready; got != want {
			t.Errorf("the case is %s at once", c.Phase)
		}
		if ok := browser.goesOn() == http.StatusOK; ok != want {
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
	d := withHelpDesk(t, "")
	d.setPolicy(string(policy.DefaultForCodes()))
	helga := d.person()
	helga.comes("helga", d.helga.person.secret)
	helga.get("/account")
	helga.sees(`href="/console/recoveries"`)
	helga.get("/console/recoveries")
	helga.sees("Somebody calls")
	if strings.Contains(helga.page, "/console/accounts") {
		t.Error("the help desk is shown the administrators' pages")
	}
	for _, path := range []string{"/console", "/console/accounts", "/console/audit", "/console/commands"} {
		if helga.get(path); helga.status != http.StatusForbidden {
			t.Errorf("%s is answered %d", path, helga.status)
		}
		helga.get("/console/recoveries")
	}
	browser, number := d.asks("bob")
	helga.does("/console/new-recovery", "account", "bob", "browser", "", "check", "", "note", "")
	helga.sees("Type the six digits that they read out.")
	helga.does("/console/new-recovery", "account", "bob", "browser", "12", "check", "video", "note", "ticket <i>9")
	helga.sees("No browser shows that number for this account now.")
	helga.does("/console/new-recovery", "account", "bob", "browser", number, "check", "video", "note", "ticket <i>9")
	helga.sees("The recovery was opened")
	helga.sees("seen on video, with a photo identity card")
	helga.sees("ticket <i>9")
	if strings.Contains(helga.page, "Confirm as the second person") {
		t.Error("the help desk is offered to confirm")
	}
	helga.does("/console/recoveries/bob/confirm", "browser", browser.confirmNumber(), "note", "me")
	if helga.status == http.StatusOK && strings.Contains(helga.page, "It was confirmed") {
		t.Error("the help desk confirmed its own case")
	}
	root := d.person()
	root.comes("operator", d.root.person.secret)
	root.get("/console/recoveries/bob")
	hidden := regexp.MustCompile(`name="(case|opener|check)" value="([^"]*)"`).FindAllStringSubmatch(root.page, -1)
	if len(hidden) != 3 {
		t.Fatalf("the form does not say what it is about:\n%s", root.page)
	}
	root.does("/console/recoveries/bob/confirm", "case", hidden[0][2], "opener", hidden[1][2], "check", hidden[2][2], "browser", browser.confirmNumber(), "note", "called him as well")
	root.sees("they can go on now")
	browser.get("/recovery")
	browser.sees("You can set up how you sign in from now on.")
	root.does("/console/recoveries/bob/stop", "reason", "he found it")
	root.sees("The recovery was stopped.")
	root.get("/console/recoveries")
	root.sees("stopped")

	shell := d.shell()
	d.later(time.Minute)
	shell.login(d.person(), "helga", d.helga.person.code())
	d.later(10 * time.Minute) // what she proved then is no longer fresh
	_, number = d.asks("bob")
	out, complaint, ok := shell.run("", "recovery", "open", "bob", "--browser", number, "--note", "ticket 12")
	if ok || !strings.Contains(complaint, "--check") {
		t.Errorf("without a check: %s %s", out, complaint)
	}
	c := shell.start("recovery", "open", "bob", "--browser", number, "--check", "in-person", "--note", "ticket 12")
	by := d.person()
	d.later(time.Minute)
	by.approves(c.page, "whose browser shows "+number, "helga", d.helga.person.code())
	if out, complaint, ok = c.end(); !ok || !strings.Contains(out, "waiting") {
		t.Errorf("%s %s", out, complaint)
	}
}

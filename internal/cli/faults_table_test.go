package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"html"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/authenticator/otp"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/recovery"
	"countersign/internal/server"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// house is a world whose database can be broken, statement by statement, with
// people in it.
type house struct {
	*world
	*storetest.Faults
	ada, root *person
	recovery  []string // ada's recovery codes that are not used
	mark      int64    // the log's size when the step began
}

func newHouse(t *testing.T, dsn string) *house { return newHouseIn(t, dsn, t.TempDir()) }

func newHouseIn(t *testing.T, dsn, folder string) *house {
	t.Helper()
	under := dsn
	if under == "" {
		under = filepath.Join(folder, "countersign.db")
	}
	f := storetest.NewFaults(t, under)
	var none time.Duration // for the recoveries of these stories
	h := &house{Faults: f, world: newWorldFrom(t, server.Settings{Folder: folder, Database: dsn, Driver: f.Driver, Wait: &none, Mails: true}, "http://localhost", nil)}
	h.ada, h.root = h.enrollCodes("ada"), h.administrator("root")
	if _, err := h.Setup.Plant(context.Background(), "helga", ""); err != nil {
		t.Fatal(err)
	}
	h.join("helga", directory.Helpdesk)
	h.equipment()
	return h
}

// visitor is a fresh browser that is signed in as a person.
func (h *house) visitor(name string, who *person) *person {
	h.t.Helper()
	p := h.person()
	p.comes(name, who.secret)
	p.sees("Where you are signed in")
	return p
}

// atSecondFactor is a browser in which ada's password was accepted.
func (h *house) atSecondFactor() *person {
	h.t.Helper()
	p := h.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	p.sees("Code from your authenticator app")
	return p
}

// inside reports whether the browser has a session that the server still knows.
func (p *person) inside() bool {
	p.w.t.Helper()
	p.get("/account")
	return strings.Contains(p.page, "Where you are signed in")
}

var recoveryCodes = regexp.MustCompile(`<li><code>([0-9A-Z-]+)</code>`)

// recoveryCode is one that nobody used; there are always more.
func (h *house) recoveryCode() string {
	h.t.Helper()
	if len(h.recovery) == 0 {
		p := h.visitor("ada", h.ada)
		p.post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
		for _, m := range recoveryCodes.FindAllStringSubmatch(p.page, -1) {
			h.recovery = append(h.recovery, m[1])
		}
		p.post("/account/setup", "authenticator", "recoverycode", "text", h.recovery[0]) // and with that it is used
		h.recovery = h.recovery[1:]
		p.sees("Added: Recovery codes")
	}
	code := h.recovery[len(h.recovery)-1]
	h.recovery = h.recovery[:len(h.recovery)-1]
	return code
}

// number asks the database for one number.
func (h *house) number(query string) (n int) {
	h.t.Helper()
	if err := h.DB.QueryRow(context.Background(), query).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// ledger sets what is there against what the log says about it. A difference
// stays what it was at the beginning, whatever breaks.
type ledger struct {
	spent, sessions, ended, credentials, passes, policies, suspended       int // rows
	grants, once, started, endings, enrolled, handed, changes, suspensions int // entries; once are codes and passes that were accepted
}

// numbered waits until the log has all that was written.
func (h *house) numbered() {
	h.t.Helper()
	if _, err := h.DB.Checkpoint(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) ledger() ledger {
	h.t.Helper()
	h.numbered()
	l := ledger{
		spent: h.number(`select count(*) from spent`), sessions: h.number(`select count(*) from session`),
		ended: h.number(`select count(*) from session where ended > 0`), credentials: h.number(`select count(*) from credential where kind <> 'accesspass'`),
		passes:   h.number(`select count(*) from credential where kind = 'accesspass'`),
		policies: h.number(`select count(*) from policy`), suspended: h.number(`select count(*) from account where state = 'suspended'`),
	}
	for event, n := range map[string]*int{"signin.granted": &l.grants, "session.started": &l.started, "session.ended": &l.endings,
		"credential.enrolled": &l.enrolled, "recovery.collected": &l.handed, "policy.changed": &l.changes, "account.suspended": &l.suspensions} {
		*n = len(h.written(event))
	}
	for _, en := range h.written("evidence.accepted") {
		if en.Detail["authenticator"] != "password" {
			l.once++
		}
	}
	return l
}

// written are the entries of an event since the step began.
func (h *house) written(event string) []audit.Entry {
	h.t.Helper()
	all, err := h.DB.AuditLog().Entries(context.Background(), store.Filter{From: h.mark, Event: event, Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// balanced fails where something is there without its entry, or the entry
// without it, or more was granted than may be.
func (h *house) balanced(step string, was, is ledger, most int) {
	h.t.Helper()
	for _, c := range []struct {
		what          string
		rows, entries int
	}{
		{"sessions", is.sessions - was.sessions, is.started - was.started},
		{"ended sessions", is.ended - was.ended, is.endings - was.endings},
		{"authenticators", is.credentials - was.credentials, is.enrolled - was.enrolled},
		{"passes", is.passes - was.passes, is.handed - was.handed},
		{"policies", is.policies - was.policies, is.changes - was.changes},
		{"suspended accounts", is.suspended - was.suspended, is.suspensions - was.suspensions},
	} {
		if c.rows != c.entries {
			h.t.Errorf("%s: %d new %s and %d entries of them", step, c.rows, c.what, c.entries)
		}
	}
	if is.spent-was.spent > is.once-was.once+is.enrolled-was.enrolled { // what confirms an enrollment is used by it
		h.t.Errorf("%s: a code was spent without an entry", step)
	}
	if is.grants-was.grants > most {
		h.t.Errorf("%s: granted %d times", step, is.grants-was.grants)
	}
	if is.started-was.started > is.grants-was.grants {
		h.t.Errorf("%s: a session began without a grant", step)
	}
}

// recovering is a browser for which somebody opened a recovery, without a waiting
// time.
func (h *house) recovering() *person {
	h.t.Helper()
	ctx := context.Background()
	name := "lost-" + strings.ToLower(rand.Text())
	if _, err := h.Setup.Plant(ctx, name, ""); err != nil {
		h.t.Fatal(err)
	}
	h.address(name, name+"@example.org")
	p := h.person()
	p.get("/recovery")
	p.post("/recovery", "name", name)
	number := shownNumber.FindStringSubmatch(p.page)
	if number == nil {
		h.t.Fatalf("no number is shown:\n%s", p.page)
	}
	h.vouches("helga", name, func(tx *store.Tx, helga, lost directory.Account) error {
		_, err := h.Recoveries.Openings.OpenIn(ctx, tx, helga, recovery.Opening{Account: lost, Number: number[1], Check: "in-person", Note: "ticket 1"})
		return err
	})
	standing, err := h.Recoveries.Requests.Look(ctx, p.bound())
	if err != nil {
		h.t.Fatal(err)
	}
	c := standing.Case
	h.vouches("root", name, func(tx *store.Tx, root, lost directory.Account) error {
		_, err := h.Recoveries.Confirmations.ConfirmIn(ctx, tx, root, lost, recovery.Confirmation{Case: c.ID, Opener: c.Opener, Check: c.Check, All: c.Forgotten, Number: standing.Confirm, Note: "ticket 1"})
		return err
	})
	return p
}

// vouches has somebody say something of somebody else, in a change of its own.
func (h *house) vouches(by, about string, say func(tx *store.Tx, by, about directory.Account) error) {
	h.t.Helper()
	ctx := context.Background()
	err := h.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		who, err := h.Directory.Find(ctx, tx, by)
		if err != nil {
			return err
		}
		whom, err := h.Directory.Find(ctx, tx, about)
		if err != nil {
			return err
		}
		if err := say(tx, who, whom); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.vouched", Outcome: audit.OK})
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// act is something that a person does and that writes.
type act struct {
	name string
	// once says that what is shown for it is good once: a code, a pass.
	once bool
	// more is what doing it again may be granted beside: another pass of the same
	// recovery.
	more int
	// ready prepares it while nothing is broken. What it returns does it, and
	// does it again with the same code, and reports whether it was confirmed.
	ready func(h *house) func() (confirmed bool)
}

var acts = []act{
	{name: "RADIUS", once: true, ready: func(h *house) func() bool {
		r := line("ada", passphrase, h.ada.code())
		return func() bool {
			s, err := h.Engine.Begin(context.Background(), r)
			return err == nil && s.State == signin.Granted
		}
	}},
	{name: "password in a browser", ready: func(h *house) func() bool {
		return func() bool {
			p := h.person()
			p.get("/sign-in")
			if !strings.Contains(p.page, "form-token") {
				return false
			}
			p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
			return strings.Contains(p.page, "Code from your authenticator app")
		}
	}},
	{name: "code in a browser", once: true, ready: func(h *house) func() bool {
		code, first, second := h.ada.code(), h.atSecondFactor(), h.atSecondFactor()
		return func() bool {
			p := first
			first = second
			p.post("/sign-in", "authenticator", "totp", "text", code)
			return p.inside()
		}
	}},
	{name: "recovery code", once: true, ready: func(h *house) func() bool {
		code := h.recoveryCode()
		first, second := h.atSecondFactor(), h.atSecondFactor()
		return func() bool {
			p := first
			first = second
			p.post("/sign-in", "authenticator", "recoverycode", "text", code)
			return p.inside()
		}
	}},
	{name: "welcome pass", once: true, ready: func(h *house) func() bool {
		pass, err := h.Setup.Plant(context.Background(), "new-"+strings.ToLower(rand.Text()), "")
		if err != nil {
			h.t.Fatal(err)
		}
		_, code, _ := strings.Cut(pass.Link, "code=")
		return func() bool {
			p := h.person()
			p.get(pass.Link)
			p.post("/welcome", "code", code)
			return strings.Contains(p.page, "Set up how you sign in")
		}
	}},
	{name: "the pass of a recovery", more: 1, ready: func(h *house) func() bool {
		h.later(20 * time.Minute) // the help desk opens fifty in a day
		p := h.recovering()
		return func() bool {
			if p.get("/recovery"); !tokenField.MatchString(p.page) {
				return false
			}
			p.post("/recovery/go-on")
			return strings.Contains(p.page, "Set up how you sign in")
		}
	}},
	{name: "enrolling", ready: func(h *house) func() bool {
		p := h.visitor("ada", h.ada)
		return func() bool {
			if p.get("/account"); !tokenField.MatchString(p.page) {
				return false
			}
			p.post("/account/do", "action", "authenticator.enroll", "object", "hotp")
			m := secretField.FindStringSubmatch(p.page)
			if m == nil {
				return false
			}
			k := &token{}
			k.key.Digits, k.key.Secret = 6, p.shownSecret()
			k.key.Algorithm = otp.SHA1
			p.post("/account/setup", "authenticator", "hotp", "text", k.press())
			return strings.Contains(p.page, "Added: Code token")
		}
	}},
	{name: "signing out", ready: func(h *house) func() bool {
		p := h.visitor("ada", h.ada)
		address, err := url.Parse(h.base)
		if err != nil {
			h.t.Fatal(err)
		}
		var secret string
		for _, c := range p.client.Jar.Cookies(address) {
			if c.Name == session.Cookie(false) {
				secret = c.Value
			}
		}
		page := p.page
		return func() bool {
			p.page = page
			p.post("/sign-out")
			confirmed := p.status == 200
			if _, err := h.Sessions.Standing(context.Background(), secret); confirmed && err == nil {
				h.t.Error("a session outlived a sign-out that was confirmed")
			}
			return confirmed
		}
	}},
	{name: "raising a session and changing the policy", once: true, ready: func(h *house) func() bool {
		body := "# " + rand.Text() + "\n" + string(policy.DefaultForCodes())
		return h.approving("/console/policy/edit", "/console/policy/save", "body", body)
	}},
	{name: "suspending an account", once: true, ready: func(h *house) func() bool {
		name := "leaver-" + strings.ToLower(rand.Text())
		if _, err := h.Setup.Plant(context.Background(), name, ""); err != nil {
			h.t.Fatal(err)
		}
		page := "/console/accounts/" + name
		return h.approving(page, page+"/suspend", "reason", "left the company")
	}},
}

// approving is an administrator's change up to its last code; the second time
// is all of it anew, with the same code. It is confirmed when the change is
// there to be seen.
func (h *house) approving(page, path string, form ...string) func() bool {
	p := h.visitor("root", h.root)
	h.later(10 * time.Minute)
	code := p.code()
	ask := func() bool {
		if p.get(page); !tokenField.MatchString(p.page) {
			return false
		}
		if p.post(path, form...); !strings.Contains(p.page, "<h1>Approve</h1>") {
			return false
		}
		p.post("/sign-in", "authenticator", "password", "text", passphrase)
		return tokenField.MatchString(p.page)
	}
	if !ask() {
		h.t.Fatalf("no approval is asked for:\n%s", p.page)
	}
	asked := true
	return func() bool {
		if asked || ask() {
			p.post("/sign-in", "authenticator", "totp", "text", code)
		}
		asked = false
		p.get(page)
		return strings.Contains(html.UnescapeString(p.page), strings.TrimPrefix(form[1], "# ")[:16])
	}
}

// breaking is one way to break statements: the n-th of some.
type breaking struct {
	name string
	arm  func(f *storetest.Faults, n int)
}

// bounded breaks each write before it runs, and has the answer of each commit
// lost. Whatever else breaks after it ran is rolled back with its transaction,
// as if the next statement had broken.
var bounded = []breaking{
	{"before write", func(f *storetest.Faults, n int) { f.ArmWrites(n, storetest.Before) }},
	{"after commit", func(f *storetest.Faults, n int) { f.ArmAt("commit", n, storetest.After) }},
}

// The promise: whichever write of whatever a person does breaks, before it ran
// or with its answer lost, there is nothing without its entry, what was
// confirmed is there, no code and no pass is accepted twice, and all of it works
// again right after.
func TestEveryWriteOfTheEngineMayBreak(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	for _, a := range acts {
		t.Run(a.name, func(t *testing.T) { h.breakEvery(t, a, bounded) })
	}
}

func (h *house) breakEvery(t *testing.T, a act, ways []breaking) {
	whole := h.t
	h.t = t
	defer func() { h.t = whole }()
	for _, way := range ways {
		broke := 0
		for h.breakOnce(t, a, way, broke) {
			broke++
		}
		t.Logf("%s: %d broke", way.name, broke)
		if broke == 0 {
			t.Errorf("%s: nothing broke", way.name)
		}
	}
	report, err := h.DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v, %v", report, err)
	}
}

// breakOnce does an act while its n-th statement breaks, and again; false means
// that it has no n-th.
func (h *house) breakOnce(t *testing.T, a act, way breaking, n int) bool {
	step := fmt.Sprintf("%s %d", way.name, n)
	h.later(10 * time.Minute) // a new code, and no budget worn out by what follows
	do := a.ready(h)
	h.numbered()
	h.mark = int64(h.number(`select size from audit_tree`))
	was := h.ledger()
	way.arm(h.Faults, n)
	confirmed := do()
	fired := h.Disarm()
	is := h.ledger()
	h.balanced(step, was, is, 1)
	if !fired && !confirmed {
		t.Fatalf("%s: refused although nothing broke", step)
	}
	if confirmed && a.once && is.once == was.once {
		t.Errorf("%s: confirmed and not in the log", step)
	}
	again := do()
	end := h.ledger()
	switch {
	case a.once && is.once > was.once && end.once > is.once:
		t.Errorf("%s: accepted twice", step)
	case !confirmed && is.once == was.once && !again:
		t.Errorf("%s: nothing was accepted, and it does not work right after", step)
	}
	h.balanced(step+", again", was, end, 1+a.more)
	return fired
}

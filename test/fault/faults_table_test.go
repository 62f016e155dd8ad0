package fault

import (
	"context"
	"crypto/rand"
	"fmt"
	"html"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/authenticator/otp"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func newHouse(t *testing.T, dsn string) *servertest.House { return newHouseIn(t, dsn, t.TempDir()) }

func newHouseIn(t *testing.T, dsn, folder string) *servertest.House {
	t.Helper()
	under := dsn
	if under == "" {
		under = filepath.Join(folder, "countersign.db")
	}
	f := storetest.NewFaults(t, under)
	var none time.Duration // for the recoveries of these stories
	h := &servertest.House{Faults: f, World: servertest.NewWorldFrom(t, server.Settings{Folder: folder, Database: dsn, Driver: f.Driver, Wait: &none, Mails: true}, "http://localhost", nil)}
	h.Ada, h.Root = h.EnrollCodes("ada"), h.Administrator("root")
	if _, err := h.Setup.Plant(context.Background(), "helga", ""); err != nil {
		t.Fatal(err)
	}
	h.Join("helga", directory.Helpdesk)
	h.Equipment()
	return h
}

// unusedRecoveryCode is one that nobody used; there are always more.
func unusedRecoveryCode(h *servertest.House) string {
	h.T.Helper()
	if len(h.Recovery) == 0 {
		p := h.Visitor("ada", h.Ada)
		p.Post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
		for _, m := range servertest.RecoveryCodes.FindAllStringSubmatch(p.Page, -1) {
			h.Recovery = append(h.Recovery, m[1])
		}
		p.Post("/account/setup", "authenticator", "recoverycode", "text", h.Recovery[0]) // and with that it is used
		h.Recovery = h.Recovery[1:]
		p.Sees("Added: Recovery codes")
	}
	code := h.Recovery[len(h.Recovery)-1]
	h.Recovery = h.Recovery[:len(h.Recovery)-1]
	return code
}

// ledger sets what is there against what the log says about it. A difference
// stays what it was at the beginning, whatever breaks.
type ledger struct {
	spent, sessions, ended, credentials, passes, policies, suspended       int // rows
	grants, once, started, endings, enrolled, handed, changes, suspensions int // entries; once are codes and passes that were accepted
}

func takeLedger(h *servertest.House) ledger {
	h.T.Helper()
	h.Numbered()
	l := ledger{
		spent: h.Number(`select count(*) from spent`), sessions: h.Number(`select count(*) from session`),
		ended: h.Number(`select count(*) from session where ended > 0`), credentials: h.Number(`select count(*) from credential where kind <> 'accesspass'`),
		passes:   h.Number(`select count(*) from credential where kind = 'accesspass'`),
		policies: h.Number(`select count(*) from policy`), suspended: h.Number(`select count(*) from account where state = 'suspended'`),
	}
	for event, n := range map[string]*int{"signin.granted": &l.grants, "session.started": &l.started, "session.ended": &l.endings,
		"credential.enrolled": &l.enrolled, "recovery.collected": &l.handed, "policy.changed": &l.changes, "account.suspended": &l.suspensions} {
		*n = len(written(h, event))
	}
	for _, en := range written(h, "evidence.accepted") {
		if en.Detail["authenticator"] != "password" {
			l.once++
		}
	}
	return l
}

// written are the entries of an event since the step began.
func written(h *servertest.House, event string) []audit.Entry {
	h.T.Helper()
	all, err := h.DB.AuditLog().Entries(context.Background(), store.Filter{From: h.Mark, Event: event, Limit: 1000})
	if err != nil {
		h.T.Fatal(err)
	}
	return all
}

// balanced fails where something is there without its entry, or the entry
// without it, or more was granted than may be.
func balanced(h *servertest.House, step string, was, is ledger, most int) {
	h.T.Helper()
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
			h.T.Errorf("%s: %d new %s and %d entries of them", step, c.rows, c.what, c.entries)
		}
	}
	if is.spent-was.spent > is.once-was.once+is.enrolled-was.enrolled { // what confirms an enrollment is used by it
		h.T.Errorf("%s: a code was spent without an entry", step)
	}
	if is.grants-was.grants > most {
		h.T.Errorf("%s: granted %d times", step, is.grants-was.grants)
	}
	if is.started-was.started > is.grants-was.grants {
		h.T.Errorf("%s: a session began without a grant", step)
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
	ready func(h *servertest.House) func() (confirmed bool)
}

var acts = []act{
	{name: "RADIUS", once: true, ready: func(h *servertest.House) func() bool {
		r := servertest.Line("ada", servertest.Passphrase, h.Ada.Code())
		return func() bool {
			s, err := h.Engine.Begin(context.Background(), r)
			return err == nil && s.State == signin.Granted
		}
	}},
	{name: "password in a browser", ready: func(h *servertest.House) func() bool {
		return func() bool {
			p := h.Person()
			p.Get("/sign-in")
			if !strings.Contains(p.Page, "form-token") {
				return false
			}
			p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
			return strings.Contains(p.Page, "Code from your authenticator app")
		}
	}},
	{name: "code in a browser", once: true, ready: func(h *servertest.House) func() bool {
		code, first, second := h.Ada.Code(), h.AtSecondFactor(), h.AtSecondFactor()
		return func() bool {
			p := first
			first = second
			p.Post("/sign-in", "authenticator", "totp", "text", code)
			return p.Inside()
		}
	}},
	{name: "recovery code", once: true, ready: func(h *servertest.House) func() bool {
		code := unusedRecoveryCode(h)
		first, second := h.AtSecondFactor(), h.AtSecondFactor()
		return func() bool {
			p := first
			first = second
			p.Post("/sign-in", "authenticator", "recoverycode", "text", code)
			return p.Inside()
		}
	}},
	{name: "welcome pass", once: true, ready: func(h *servertest.House) func() bool {
		pass, err := h.Setup.Plant(context.Background(), "new-"+strings.ToLower(rand.Text()), "")
		if err != nil {
			h.T.Fatal(err)
		}
		_, code, _ := strings.Cut(pass.Link, "code=")
		return func() bool {
			p := h.Person()
			p.Get(pass.Link)
			p.Post("/welcome", "code", code)
			return strings.Contains(p.Page, "Set up how you sign in")
		}
	}},
	{name: "the pass of a recovery", more: 1, ready: func(h *servertest.House) func() bool {
		h.Later(20 * time.Minute) // the help desk opens fifty in a day
		p := h.Recovering()
		return func() bool {
			if p.Get("/recovery"); !servertest.TokenField.MatchString(p.Page) {
				return false
			}
			p.Post("/recovery/go-on")
			return strings.Contains(p.Page, "Set up how you sign in")
		}
	}},
	{name: "enrolling", ready: func(h *servertest.House) func() bool {
		p := h.Visitor("ada", h.Ada)
		return func() bool {
			if p.Get("/account"); !servertest.TokenField.MatchString(p.Page) {
				return false
			}
			p.Post("/account/do", "action", "authenticator.enroll", "object", "hotp")
			m := servertest.SecretField.FindStringSubmatch(p.Page)
			if m == nil {
				return false
			}
			k := &servertest.Token{}
			k.Key.Digits, k.Key.Secret = 6, p.ShownSecret()
			k.Key.Algorithm = otp.SHA1
			p.Post("/account/setup", "authenticator", "hotp", "text", k.Press())
			return strings.Contains(p.Page, "Added: Code token")
		}
	}},
	{name: "signing out", ready: func(h *servertest.House) func() bool {
		p := h.Visitor("ada", h.Ada)
		address, err := url.Parse(h.Base)
		if err != nil {
			h.T.Fatal(err)
		}
		var secret string
		for _, c := range p.Client.Jar.Cookies(address) {
			if c.Name == session.Cookie(false) {
				secret = c.Value
			}
		}
		page := p.Page
		return func() bool {
			p.Page = page
			p.Post("/sign-out")
			confirmed := p.Status == 200
			if _, err := h.Sessions.Active(context.Background(), secret); confirmed && err == nil {
				h.T.Error("a session outlived a sign-out that was confirmed")
			}
			return confirmed
		}
	}},
	{name: "raising a session and changing the policy", once: true, ready: func(h *servertest.House) func() bool {
		body := "# " + rand.Text() + "\n" + string(policy.DefaultForCodes())
		return approving(h, "/console/policy/edit", "/console/policy/save", "body", body)
	}},
	{name: "suspending an account", once: true, ready: func(h *servertest.House) func() bool {
		name := "leaver-" + strings.ToLower(rand.Text())
		if _, err := h.Setup.Plant(context.Background(), name, ""); err != nil {
			h.T.Fatal(err)
		}
		page := "/console/accounts/" + name
		return approving(h, page, page+"/suspend", "reason", "left the company")
	}},
}

// approving is an administrator's change up to its last code; the second time
// is all of it anew, with the same code. It is confirmed when the change is
// there to be seen.
func approving(h *servertest.House, page, path string, form ...string) func() bool {
	p := h.Visitor("root", h.Root)
	h.Later(10 * time.Minute)
	code := p.Code()
	ask := func() bool {
		if p.Get(page); !servertest.TokenField.MatchString(p.Page) {
			return false
		}
		if p.Post(path, form...); !strings.Contains(p.Page, "<h1>Approve</h1>") {
			return false
		}
		p.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
		return servertest.TokenField.MatchString(p.Page)
	}
	if !ask() {
		h.T.Fatalf("no approval is asked for:\n%s", p.Page)
	}
	asked := true
	return func() bool {
		if asked || ask() {
			p.Post("/sign-in", "authenticator", "totp", "text", code)
		}
		asked = false
		p.Get(page)
		return strings.Contains(html.UnescapeString(p.Page), strings.TrimPrefix(form[1], "# ")[:16])
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
		t.Run(a.name, func(t *testing.T) { breakEvery(h, t, a, bounded) })
	}
}

func breakEvery(h *servertest.House, t *testing.T, a act, ways []breaking) {
	whole := h.T
	h.T = t
	defer func() { h.T = whole }()
	for _, way := range ways {
		broke := 0
		for breakOnce(h, t, a, way, broke) {
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
func breakOnce(h *servertest.House, t *testing.T, a act, way breaking, n int) bool {
	step := fmt.Sprintf("%s %d", way.name, n)
	h.Later(10 * time.Minute) // a new code, and no budget worn out by what follows
	do := a.ready(h)
	h.Numbered()
	h.Mark = int64(h.Number(`select size from audit_tree`))
	was := takeLedger(h)
	way.arm(h.Faults, n)
	confirmed := do()
	fired := h.Disarm()
	is := takeLedger(h)
	balanced(h, step, was, is, 1)
	if !fired && !confirmed {
		t.Fatalf("%s: refused although nothing broke", step)
	}
	if confirmed && a.once && is.once == was.once {
		t.Errorf("%s: confirmed and not in the log", step)
	}
	again := do()
	end := takeLedger(h)
	switch {
	case a.once && is.once > was.once && end.once > is.once:
		t.Errorf("%s: accepted twice", step)
	case !confirmed && is.once == was.once && !again:
		t.Errorf("%s: nothing was accepted, and it does not work right after", step)
	}
	balanced(h, step+", again", was, end, 1+a.more)
	return fired
}

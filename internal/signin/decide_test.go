package signin

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/text"
)

// moment is when everything here is decided.
var moment = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// table is what the matters of this file have in common.
type table struct {
	setting setting
	strict  *policy.Policy // of the rules below
}

// these rules are the least that a real policy has.
const theseRules = `networks:
  elsewhere: [203.0.113.0/24]
rules:
  - {name: codes, when: 'action == "account.recover"', require: recovery-codes}
  - {name: service, when: 'account.kind == "service"', require: automation-key}
  - {name: new, when: 'account.new && action == "authenticator.enroll"', require: access-pass}
  - {name: people, when: '!(account.kind == "service") && !(account.new && action == "authenticator.enroll") && action != "account.recover" && !(application.name == "wiki" && method == "GET")', require: two-factors}
  - {name: read, when: 'application.name == "wiki" && method == "GET"', require: one-factor}
  - {name: no sms in the core, when: 'application.tier == "control-plane"', refuse: [smscode]}
  - {name: not at risk, when: 'account.at_risk', deny: at risk}
  - {name: not from there, when: 'source in networks.elsewhere', deny: not from there}
`

func newTable(t testing.TB) *table {
	t.Helper()
	kinds := everyKind(t)
	p := Parts{Authenticators: kinds, Reading: reads, Helping: helps}
	var err error
	if p.Limits, err = p.Limits.Check(); err != nil {
		t.Fatal(err)
	}
	tab := &table{setting: *newJudge(p, nil).setting}
	if tab.strict, err = policy.Compile([]byte(theseRules), vocabulary(kinds)); err != nil {
		t.Fatal(err)
	}
	return tab
}

// matterOf is a sign-in of ada to the wiki, in a browser, who has shown nothing yet.
func (tab *table) matterOf() *matter {
	return &matter{setting: &tab.setting, policy: tab.strict, now: moment, somebody: true,
		Request:     Request{Application: "wiki", Action: SignIn, Name: "ada", Source: home, Protocol: "browser", Medium: prompt.Browser},
		application: application.Application{Name: "wiki", Kind: "wiki", Tier: application.Standard, Protocol: "forward-auth"},
		account:     directory.Account{ID: 7, Name: "ada", Kind: directory.Person, State: directory.Active, Created: moment.Add(-90 * day), Used: moment.Add(-day)},
		credentials: []directory.Credential{},
	}
}

var (
	pass8  = directory.Credential{ID: 8, Account: 7, Kind: "accesspass", Traits: assurance.Vouched, Status: directory.CredentialActive, Created: moment.Add(-time.Hour)}
	strong = assurance.Held | assurance.PhishingResistant | assurance.UserVerified
	long   = moment.Add(-60 * day)
	of     = map[string]directory.Credential{
		"password":     {ID: 1, Account: 7, Kind: "password", Traits: assurance.Known, Status: directory.CredentialActive, Created: long},
		"totp":         {ID: 2, Account: 7, Kind: "totp", Traits: assurance.Held, Status: directory.CredentialActive, Created: long},
		"passkey":      {ID: 3, Account: 7, Kind: "passkey", Traits: strong, Status: directory.CredentialActive, Created: long},
		"push":         {ID: 4, Account: 7, Kind: "push", Traits: assurance.Held | assurance.UserVerified, Status: directory.CredentialActive, Created: long},
		"smscode":      {ID: 5, Account: 7, Kind: "smscode", Traits: assurance.Held | assurance.Restricted, Status: directory.CredentialActive, Created: long},
		"recoverycode": {ID: 6, Account: 7, Kind: "recoverycode", Traits: assurance.Held | assurance.Recovery, Status: directory.CredentialActive, Created: long},
		"mailcode":     {ID: 9, Account: 7, Kind: "mailcode", Traits: assurance.Mailed, Status: directory.CredentialActive, Created: long},
		"apikey":       {ID: 10, Account: 7, Kind: "apikey", Traits: assurance.Delegated, Status: directory.CredentialActive, Created: long},
		"hotp":         {ID: 11, Account: 7, Kind: "hotp", Traits: assurance.Held | assurance.Known, Status: directory.CredentialActive, Created: long},
		"accesspass":   pass8,
	}
)

// has gives the account authenticators.
func (m *matter) has(kinds ...string) *matter {
	for _, k := range kinds {
		m.credentials = append(m.credentials, of[k])
	}
	return m
}

// with changes the authenticator of a kind.
func (m *matter) with(kind string, f func(c *directory.Credential)) *matter {
	m.credentials = slices.Clone(m.credentials)
	for i := range m.credentials {
		if m.credentials[i].Kind == kind {
			f(&m.credentials[i])
		}
	}
	return m
}

// ev is what an authenticator of a kind shows, a minute ago.
func ev(kind string) assurance.Evidence {
	c := of[kind]
	return assurance.Evidence{Account: 7, Kind: kind, Credential: c.ID, Traits: c.Traits, Time: moment.Add(-time.Minute), Channel: "browser"}
}

func (m *matter) shows(kinds ...string) *matter {
	for _, k := range kinds {
		m.shown = append(m.shown, ev(k))
	}
	return m
}

func (m *matter) holds(kinds ...string) *matter {
	for _, k := range kinds {
		m.held = append(m.held, ev(k))
	}
	return m
}

// does is another act, in Countersign itself.
func (m *matter) does(action, object string) *matter {
	m.Application, m.application, m.Action, m.Object = Self, ourselves(), action, object
	return m
}

func (m *matter) but(f func(m *matter)) *matter { f(m); return m }

func (m *matter) by(medium prompt.Medium) *matter { m.Medium = medium; return m }

// outcome is a decision in one line: granted by what, asks for what, or why not.
func outcome(d decision) string {
	switch d.state {
	case Granted:
		return "yes: " + strings.Join(shows(d.evidence), " ")
	case Ask:
		return "asks: " + strings.Join(d.kinds, " ")
	}
	return "no: " + d.reason
}

// What is decided, case by case, and why it is so. Whoever inverts a condition in
// decide.go, requirement.go, counting.go or candidates.go finds one of these.
func TestDecide(t *testing.T) {
	tab := newTable(t)
	m := tab.matterOf
	quarantined := func(c *directory.Credential) { c.Quarantine = moment.Add(time.Hour) }
	status := func(s string) func(*directory.Credential) {
		return func(c *directory.Credential) { c.Status = s }
	}
	usedUp := func(at time.Time) func(*directory.Credential) {
		return func(c *directory.Credential) { c.Status, c.Used = directory.CredentialUsedUp, at }
	}
	sinceThePass := func(c *directory.Credential) { c.Created = moment.Add(-time.Minute) }
	evidence := func(m *matter, f func(ev *assurance.Evidence)) *matter {
		for i := range m.shown {
			f(&m.shown[i])
		}
		for i := range m.held {
			f(&m.held[i])
		}
		return m
	}
	admin := func(m *matter) { m.account.Groups, m.account.Privileged = []string{directory.Administrators}, true }
	helper := func(m *matter) { m.account.Groups, m.account.Privileged = []string{directory.Helpdesk}, true }
	service := func(m *matter) { m.account.Kind = directory.Service }
	core := func(m *matter) {
		m.Application, m.application.Name, m.application.Tier = "core", "core", application.ControlPlane
	}
	reading := func(m *matter) { m.Method = "GET" }
	vouching := func(m *matter) { m.application.Vouches = application.VouchesPassword }
	passes, err := policy.Compile([]byte("rules:\n  - {name: all, require: access-pass}\n"), vocabulary(everyKind(t)))
	if err != nil {
		t.Fatal(err)
	}
	byPass := func(m *matter) { m.policy = passes }
	line, single := prompt.Line|prompt.Display, prompt.Single
	for _, c := range []struct {
		why  string
		m    *matter
		want string
	}{
		// Who it is.
		{"nobody yet is asked what everybody is", m().but(func(m *matter) { m.somebody = false }), "asks: passkey certificate password accesspass"},
		{"without a name too, in a browser", m().but(func(m *matter) { m.somebody, m.Name = false, "" }), "asks: passkey certificate password accesspass"},
		{"a line asks for a password alone", m().but(func(m *matter) { m.somebody = false }).by(line), "asks: password"},
		{"and for nothing without a name", m().but(func(m *matter) { m.somebody, m.Name = false, "" }).by(line), "no: nothing-to-ask"},
		{"one line has no second", m().but(func(m *matter) { m.somebody = false }).by(single), "no: nothing-to-ask"},
		{"nor has silence", m().but(func(m *matter) { m.somebody = false }).by(prompt.Silence), "no: nothing-to-ask"},
		{"getting back in asks for a saved code first", m().but(func(m *matter) { m.somebody = false }).does(Recover, "r"), "asks: recoverycode"},
		{"but not without a name", m().but(func(m *matter) { m.somebody, m.Name = false, "" }).does(Recover, "r"), "no: nothing-to-ask"},
		{"nor on a line", m().but(func(m *matter) { m.somebody = false }).does(Recover, "r").by(line), "no: nothing-to-ask"},
		{"an account that is gone", m().has("passkey").shows("passkey").but(func(m *matter) { m.account = directory.Account{} }), "no: no-account"},
		{"a suspended one", m().has("passkey").shows("passkey").but(func(m *matter) { m.account.State = directory.Suspended }), "no: suspended"},
		{"one of no known state", m().has("passkey").shows("passkey").but(func(m *matter) { m.account.State = "odd" }), "no: suspended"},
		{"one that ended just now", m().has("passkey").shows("passkey").but(func(m *matter) { m.account.Ends = moment }), "no: ended"},
		{"one that ended and was unused for a year", m().has("passkey").shows("passkey").but(func(m *matter) { m.account.Ends, m.account.Used = moment.Add(-300*day), moment.Add(-365*day) }), "no: ended"},
		{"one that ends next", m().has("passkey").shows("passkey").but(func(m *matter) { m.account.Ends = moment.Add(1) }), "yes: passkey"},
		{"one unused for a month and more", m().has("passkey").shows("passkey").but(func(m *matter) { m.account.Used = moment.Add(-30*day - 1) }), "no: dormant"},
		{"one unused for a month", m().has("passkey").shows("passkey").but(func(m *matter) { m.account.Used = moment.Add(-30 * day) }), "yes: passkey"},
		{"one at risk, by policy", m().has("passkey").shows("passkey").but(func(m *matter) { m.account.Risk = moment }), "no: policy: at risk"},
		{"from where policy denies", m().has("passkey").shows("passkey").but(func(m *matter) { m.Source = netip.MustParseAddr("::ffff:203.0.113.9") }), "no: policy: not from there"},
		{"without a policy", m().has("passkey").shows("passkey").but(func(m *matter) { m.policy = nil }), "no: policy: no policy"},

		// What is enough.
		{"nothing shown", m().has("password", "totp"), "asks: password totp"},
		{"a password alone", m().has("password", "totp").shows("password"), "asks: totp"},
		{"a code alone", m().has("password", "totp").shows("totp"), "asks: password"},
		{"both", m().has("password", "totp").shows("password", "totp"), "yes: password totp"},
		{"one in the session, one now", m().has("password", "totp").holds("password").shows("totp"), "yes: password totp"},
		{"a passkey", m().has("passkey").shows("passkey"), "yes: passkey"},
		{"what a rule lets in with one", m().has("password", "totp").shows("password").but(reading), "yes: password"},
		{"a client's wish raises", m().has("password", "totp", "passkey").shows("password", "totp").but(func(m *matter) { r := assurance.Phishing(); m.Raise = &r }), "asks: passkey approval"},
		{"and never lowers", m().has("password", "totp").shows("password").but(func(m *matter) { r := assurance.OneFactor(); m.Raise = &r }), "asks: totp"},
		{"a client's wish for freshness", evidence(m().has("password", "totp").holds("password", "totp").but(func(m *matter) { r := assurance.OneFactor().Within(time.Minute); m.Raise = &r }), func(ev *assurance.Evidence) { ev.Time = moment.Add(-time.Hour) }), "asks: password totp"},
		{"a client's wish that all is shown anew", m().has("password", "totp").holds("password", "totp").but(func(m *matter) { m.Since = moment.Add(time.Second) }), "asks: password totp"},
		{"what was shown since counts", m().has("password", "totp").holds("password").shows("totp").but(func(m *matter) { m.Since = moment.Add(-time.Hour) }), "yes: password totp"},
		{"what cannot be shown any more is not asked for", m().has("password").shows("password"), "no: nothing-enrolled"},
		{"nothing enrolled", m(), "no: nothing-enrolled"},

		// Whose it is.
		{"somebody else's", evidence(m().has("passkey").shows("passkey"), func(ev *assurance.Evidence) { ev.Account = 8 }), "asks: passkey approval"},
		{"somebody else's, held", evidence(m().has("passkey").holds("passkey"), func(ev *assurance.Evidence) { ev.Account = 8 }), "asks: passkey"},
		{"of an authenticator that is not there", evidence(m().has("passkey").shows("passkey"), func(ev *assurance.Evidence) { ev.Credential = 99 }), "asks: passkey approval"},
		{"of one of another kind", evidence(m().has("password", "totp").shows("password", "totp"), func(ev *assurance.Evidence) { ev.Kind = "hotp" }), "asks: password totp"},
		{"of a kind that is unknown", evidence(m().has("passkey").shows("passkey").with("passkey", func(c *directory.Credential) { c.Kind = "odd" }), func(ev *assurance.Evidence) { ev.Kind = "odd" }), "asks: approval"},
		{"held, of a kind that is unknown", evidence(m().has("passkey").holds("passkey").with("passkey", func(c *directory.Credential) { c.Kind = "odd" }), func(ev *assurance.Evidence) { ev.Kind = "odd" }), "no: nothing-enrolled"},
		{"elsewhere, of a kind that is unknown", evidence(m().has("passkey").shows("passkey").with("passkey", func(c *directory.Credential) { c.Kind = "odd" }), func(ev *assurance.Evidence) { ev.Kind, ev.OutOfBand = "odd", true }), "asks: approval"},

		// Whether its cause stands.
		{"switched off since", m().has("password", "totp").shows("password", "totp").with("totp", status(directory.CredentialDisabled)), "no: nothing-enrolled"},
		{"revoked since", m().has("password", "totp").holds("password", "totp").with("password", status(directory.CredentialRevoked)), "no: nothing-enrolled"},
		{"of no known state", m().has("passkey").holds("passkey").with("passkey", status("odd")), "no: nothing-enrolled"},
		{"used up by this very showing", m().has("password", "recoverycode").shows("password", "recoverycode").with("recoverycode", usedUp(moment.Add(-time.Minute))), "yes: password recoverycode"},
		{"used up by a later one", m().has("password", "recoverycode").holds("password", "recoverycode").with("recoverycode", usedUp(moment)), "no: nothing-enrolled"},
		{"used up, and somebody else's", evidence(m().has("password", "recoverycode").shows("password", "recoverycode").with("recoverycode", usedUp(moment.Add(-time.Hour))), func(ev *assurance.Evidence) { ev.Account = 3 }), "no: nothing-enrolled"},
		{"stale", evidence(m().has("passkey").shows("passkey"), func(ev *assurance.Evidence) { ev.Until = moment }), "asks: passkey approval"},
		{"not yet stale", evidence(m().has("passkey").shows("passkey"), func(ev *assurance.Evidence) { ev.Until = moment.Add(1) }), "yes: passkey"},
		{"a PIN that is replaced since", m().has("hotp").shows("hotp").with("hotp", func(c *directory.Credential) { c.Traits = assurance.Held }), "no: nothing-enrolled"},
		{"a PIN that is there", m().has("hotp").shows("hotp"), "yes: hotp"},
		{"a PIN of another device", m().has("hotp", "totp").shows("hotp").with("hotp", func(c *directory.Credential) { c.Traits = assurance.Held }).with("totp", func(c *directory.Credential) { c.Traits |= assurance.Known }), "asks: totp"},

		// Of what policy refuses nothing counts and nothing is asked.
		{"a code by SMS where policy takes it", m().has("password", "smscode").shows("password", "smscode"), "yes: password smscode"},
		{"and where it does not", m().has("password", "smscode").shows("password", "smscode").but(core), "no: nothing-enrolled"},
		{"nor is it asked for", m().has("password", "smscode", "totp").shows("password").but(core), "asks: totp"},

		// Quarantine.
		{"a new code opens an ordinary application", m().has("password", "totp").with("totp", quarantined).shows("password", "totp"), "yes: password totp"},
		{"and no core one", m().has("password", "totp").with("totp", quarantined).shows("password", "totp").but(core), "no: nothing-enrolled"},
		{"at the end of quarantine it does", m().has("password", "totp").with("totp", func(c *directory.Credential) { c.Quarantine = moment }).shows("password", "totp").but(core), "yes: password totp"},
		{"nor an application's act", m().has("password", "totp").with("totp", quarantined).shows("password", "totp").but(func(m *matter) { m.Action = "policy.change" }), "no: nothing-enrolled"},
		{"nor administration", m().has("password", "totp").with("totp", quarantined).shows("password", "totp").but(admin).does("account.create", "bob"), "no: nothing-enrolled"},
		{"its owner may say that it was not them with a new password", m().has("password", "totp").with("password", quarantined).shows("password", "totp").does("report.not-me", "3"), "yes: password totp"},
		{"an administrator administers nothing with it", m().has("password", "totp").with("password", quarantined).shows("password", "totp").but(admin).does("account.create", "bob"), "no: nothing-enrolled"},
		{"a new code is not enough for that", m().has("password", "totp").with("totp", quarantined).shows("password", "totp").does("report.not-me", "3"), "no: nothing-enrolled"},
		{"nor a new token with a PIN", m().has("hotp").with("hotp", quarantined).shows("hotp").does("report.not-me", "3"), "no: nothing-enrolled"},
		{"nor a new password for another's act", m().has("password", "totp").with("password", quarantined).shows("password", "totp").but(func(m *matter) { m.Action = "report.not-me" }), "no: nothing-enrolled"},
		{"nobody gets back in by an address of today", m().has("recoverycode", "mailcode").with("mailcode", quarantined).shows("recoverycode", "mailcode").does(Recover, "r"), "no: nothing-enrolled"},

		// For which act it was shown.
		{"for this act", evidence(m().has("passkey").shows("passkey").but(admin).does("account.create", "bob"), func(ev *assurance.Evidence) { ev.Act = "account.create bob" }), "yes: passkey"},
		{"for another of the kind", evidence(m().has("passkey").shows("passkey").but(admin).does("account.create", "eve"), func(ev *assurance.Evidence) { ev.Act = "account.create bob" }), "asks: passkey approval"},
		{"for another", evidence(m().has("passkey").holds("passkey").but(admin).does("policy.change", "bob"), func(ev *assurance.Evidence) { ev.Act = "account.create bob" }), "asks: passkey"},
		{"an act's for signing in", evidence(m().has("passkey").holds("passkey"), func(ev *assurance.Evidence) { ev.Act = "account.create bob" }), "asks: passkey"},
		{"an act's for an application's of the same name", evidence(m().has("passkey").holds("passkey").but(func(m *matter) { m.Action, m.Object = "account.create", "bob" }), func(ev *assurance.Evidence) { ev.Act = "account.create bob" }), "asks: passkey"},
		{"an act's for looking", evidence(m().has("passkey").holds("passkey").but(admin).does("account.list", "all"), func(ev *assurance.Evidence) { ev.Act = "account.list all" }), "asks: passkey"},
		{"an act's at a terminal", evidence(m().has("passkey").holds("passkey").does(CommandLine, "x"), func(ev *assurance.Evidence) { ev.Act = CommandLine + " x" }), "asks: passkey"},
		{"a sign-in's for an act", m().has("passkey").holds("passkey").but(admin).does("account.create", "bob"), "yes: passkey"},

		// Who may ask at all.
		{"somebody administers nothing", m().has("passkey").shows("passkey").does("account.create", "bob"), "no: not-administrator"},
		{"nor looks", m().has("passkey").shows("passkey").does("account.list", ""), "no: not-administrator"},
		{"an administrator does", m().has("passkey").shows("passkey").but(admin).does("account.create", "bob"), "yes: passkey"},
		{"the help desk helps", m().has("passkey").shows("passkey").but(helper).does("recovery.open", "bob"), "yes: passkey"},
		{"and does nothing else", m().has("passkey").shows("passkey").but(helper).does("account.create", "bob"), "no: not-administrator"},
		{"a group that has its name and no power does not", m().has("passkey").shows("passkey").but(helper).but(func(m *matter) { m.account.Privileged = false }).does("recovery.open", "bob"), "no: not-administrator"},
		{"an application's act of that name is its own", m().has("passkey").shows("passkey").but(func(m *matter) { m.Action = "account.create" }), "yes: passkey"},
		{"what cannot be shown whole is approved by nobody", m().has("passkey").shows("passkey").but(admin).does("account.create", "bob\n\n\nand eve"), "no: not-shown-whole"},
		{"nor what is too long", m().has("passkey").shows("passkey").but(admin).does("account.create", strings.Repeat("x", text.Longest+1)), "no: not-shown-whole"},
		{"as long as may be", m().has("passkey").shows("passkey").but(admin).does("account.create", strings.Repeat("x", text.Longest)), "yes: passkey"},

		// Keys.
		{"a key with its command", m().has("apikey").shows("apikey").but(service).does("account.list", "").by(prompt.API).but(func(m *matter) { m.delegated = true }), "yes: apikey"},
		{"a key without a command", m().has("apikey").shows("apikey").but(service).by(prompt.API), "no: cannot-ask-here"},
		{"a key in a browser", m().has("apikey").shows("apikey").but(service), "no: nothing-enrolled"},
		{"a key in a session", m().has("apikey").holds("apikey").but(service), "no: nothing-enrolled"},
		{"a password with a command that a key serves", m().has("password").shows("password").but(service).but(reading).does("account.list", "").by(prompt.API).but(func(m *matter) { m.delegated = true }), "no: cannot-ask-here"},

		// What a medium can carry.
		{"a passkey on a line", m().has("passkey").shows("passkey").by(prompt.Line), "no: nothing-enrolled"},
		{"a passkey elsewhere, with a number", evidence(m().has("password", "passkey").shows("passkey").by(line), func(ev *assurance.Evidence) { ev.OutOfBand = true }), "yes: passkey"},
		{"a passkey elsewhere, without one", evidence(m().has("password", "passkey").shows("passkey").by(prompt.Line), func(ev *assurance.Evidence) { ev.OutOfBand = true }), "no: nothing-enrolled"},
		{"an app on a line with a number", m().has("password", "push").shows("push").by(line), "yes: push"},
		{"an app on one without", m().has("password", "push").shows("push").by(prompt.Line), "no: nothing-enrolled"},
		{"one line cannot be asked again", m().has("password", "totp").shows("password").by(single), "no: cannot-ask-here"},

		// What is asked for.
		{"best first", m().has("totp", "passkey", "password"), "asks: passkey password totp"},
		{"what leads nowhere is not asked for", m().has("password", "recoverycode", "mailcode").shows("password"), "asks: recoverycode"},
		{"an approval elsewhere, once something was shown", m().has("password", "push").shows("password"), "asks: approval"},
		{"before that something is asked for behind which it comes", m().has("password", "push"), "asks: password"},
		{"also of who set them up with a pass just now", m().has("accesspass", "password", "push").with("accesspass", usedUp(moment.Add(-time.Minute))).holds("accesspass"), "asks: password"},
		{"which is shown again where only the rest has grown old", evidence(m().has("password", "push").holds("password", "push").but(func(m *matter) { r := assurance.Need(assurance.Held).Within(time.Minute); m.Raise = &r }), func(ev *assurance.Evidence) { ev.Time = moment.Add(-time.Hour) }), "asks: password"},
		{"an app alone stands behind nothing", m().has("push"), "no: nothing-enrolled"},
		{"nor behind a code by mail, which is none of the person's", m().has("push", "mailcode"), "no: nothing-enrolled"},
		{"nor where no number can be shown", m().has("password", "push").by(prompt.Line), "no: nothing-enrolled"},
		{"nor while it is new", m().has("password", "push").with("push", quarantined), "no: nothing-enrolled"},
		{"with a passkey beside", m().has("password", "passkey").shows("password"), "asks: passkey approval"},
		{"on a line only the approval", m().has("password", "passkey").shows("password").by(line), "asks: approval"},
		{"on one that shows no number nothing", m().has("password", "passkey").shows("password").by(prompt.Line), "no: nothing-enrolled"},
		{"a new app approves nothing", m().has("password", "push").with("push", quarantined).shows("password"), "no: nothing-enrolled"},
		{"at the end of quarantine it does", m().has("password", "push").with("push", func(c *directory.Credential) { c.Quarantine = moment }).shows("password"), "asks: approval"},
		{"a code is no approval", m().has("password", "totp").shows("password"), "asks: totp"},
		{"a held key that is no passkey either", m().has("password", "totp").with("totp", func(c *directory.Credential) { c.Traits = assurance.PhishingResistant }).shows("password"), "no: nothing-enrolled"},
		{"where phishing must be resisted the passkey is needed here", m().has("password", "passkey", "push").shows("password").but(func(m *matter) { r := assurance.Phishing(); m.Raise = &r }), "asks: passkey approval"},
		{"an approval is not approved elsewhere", m().has("password", "passkey", "push").shows("password").does(Approve, "request 3"), "asks: passkey"},

		// What the engine demands beside policy.
		{"approving takes a passkey of just now", m().has("password", "totp", "passkey").shows("password", "totp").does(Approve, "request 3"), "asks: passkey"},
		{"that is here", m().has("password", "passkey").holds("passkey").does(Approve, "request 3"), "yes: passkey"},
		{"and fresh", evidence(m().has("password", "passkey").holds("passkey").does(Approve, "request 3"), func(ev *assurance.Evidence) { ev.Time = moment.Add(-approval.Fresh - 1) }), "asks: passkey password"},
		{"an application's approving is its own", m().has("password", "totp").shows("password", "totp").but(func(m *matter) { m.Action = Approve }), "yes: password totp"},
		{"getting back in takes both codes", m().has("recoverycode", "mailcode").shows("recoverycode").does(Recover, "r"), "asks: mailcode"},
		{"of this attempt", evidence(m().has("recoverycode", "mailcode").shows("recoverycode", "mailcode").does(Recover, "r"), func(ev *assurance.Evidence) { ev.Time = moment.Add(-time.Hour) }), "asks: recoverycode mailcode"},
		{"an application's getting back in is its own", evidence(m().has("recoverycode", "mailcode").shows("recoverycode", "mailcode").but(func(m *matter) { m.Action = Recover }), func(ev *assurance.Evidence) { ev.Time = moment.Add(-time.Hour) }), "yes: mailcode recoverycode"},
		{"both do", m().has("recoverycode", "mailcode").shows("recoverycode", "mailcode").does(Recover, "r"), "yes: mailcode recoverycode"},
		{"a passkey does not, whatever policy says", m().has("passkey").shows("passkey").does(Recover, "r"), "no: nothing-enrolled"},
		{"a second factor is changed by both", m().has("password", "totp").shows("password").does("authenticator.enroll", "totp"), "asks: totp"},
		{"by who has a passkey with that", m().has("password", "totp", "passkey").shows("password", "totp").does("authenticator.remove", "2"), "asks: passkey approval"},
		{"so is a PIN", m().has("password", "totp", "passkey").shows("password", "totp").does("authenticator.pin", "2"), "asks: passkey approval"},
		{"and what is added", m().has("password", "totp", "passkey").shows("password", "totp").does("authenticator.enroll", "hotp"), "asks: passkey approval"},
		{"and it is enough", m().has("password", "totp", "passkey").shows("passkey").does("authenticator.pin", "2"), "yes: passkey"},
		{"renaming does not take it", m().has("password", "totp", "passkey").shows("password", "totp").does("authenticator.rename", "2"), "yes: password totp"},
		{"a new account sets up with a pass", m().has("accesspass").shows("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", SettingUp), "yes: accesspass"},
		{"its pass is good for the rest", m().has("accesspass").holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "totp"), "yes: accesspass"},
		{"and opens nothing", m().has("accesspass").holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))), "no: nothing-enrolled"},
		{"a pass that is replaced is good for nothing", m().has("accesspass").holds("accesspass").with("accesspass", status(directory.CredentialRevoked)).does("authenticator.enroll", "totp"), "no: nothing-enrolled"},
		{"a pass does not stand in for the password", m().has("accesspass", "password").holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "totp"), "asks: password"},
		{"beside it the pass does", m().has("accesspass", "password").holds("accesspass").shows("password").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "totp"), "yes: accesspass password"},
		{"where a password was switched off it takes a second person", m().has("accesspass", "password").holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).with("password", status(directory.CredentialDisabled)).does("authenticator.enroll", "totp"), "no: second-person"},
		{"a password of the same set-up is not asked for yet", m().has("accesspass", "password").with("password", sinceThePass).holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "totp"), "yes: accesspass"},
		{"with a second factor it is", m().has("accesspass", "password", "totp").with("password", sinceThePass).with("totp", sinceThePass).holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "hotp"), "asks: password totp"},
		{"a pass alone for who has a passkey", m().has("accesspass", "passkey").holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "totp"), "asks: passkey"},
		{"a passkey of the same set-up, where policy takes the pass, sets up the rest with it", m().has("accesspass", "passkey").with("passkey", sinceThePass).holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "totp").but(byPass), "yes: accesspass"},
		{"with a password beside it that is asked for as well", m().has("accesspass", "passkey", "password").with("passkey", sinceThePass).with("password", sinceThePass).holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "totp").but(byPass), "asks: passkey password"},
		{"who lost a passkey is asked for their app beside the pass", m().has("accesspass", "passkey", "totp").with("passkey", status(directory.CredentialDisabled)).holds("accesspass").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "passkey").but(byPass), "asks: totp"},
		{"beside that it does", m().has("accesspass", "passkey", "totp").with("passkey", status(directory.CredentialDisabled)).holds("accesspass").shows("totp").with("accesspass", usedUp(moment.Add(-time.Minute))).does("authenticator.enroll", "passkey").but(byPass), "yes: accesspass totp"},

		// What an application vouches for.
		{"an application that checks the password itself", m().has("totp").shows("totp").but(vouching).by(line), "yes: totp vouched-password"},
		{"vouches for nothing alone", m().has("totp").but(vouching).by(line), "no: nothing-enrolled"},
		{"nor beside a session", m().has("passkey").holds("passkey").but(vouching), "yes: passkey"},
		{"and one that does not, for nothing", m().has("totp").shows("totp").by(line), "no: nothing-enrolled"},
	} {
		if got := outcome(decide(c.m)); got != c.want {
			t.Errorf("%s: %s; want %s", c.why, got, c.want)
		}
	}
}

// Nothing of what is in no table grants: over some hundred combinations of who, what,
// with which authenticators in which state, and what was shown, a yes is given exactly
// where these few lines say so.
func TestDecideCombinations(t *testing.T) {
	tab := newTable(t)
	states := map[string]func(*directory.Credential){
		"active":      func(*directory.Credential) {},
		"disabled":    func(c *directory.Credential) { c.Status = directory.CredentialDisabled },
		"revoked":     func(c *directory.Credential) { c.Status = directory.CredentialRevoked },
		"used up":     func(c *directory.Credential) { c.Status, c.Used = directory.CredentialUsedUp, moment.Add(-time.Minute) },
		"used up now": func(c *directory.Credential) { c.Status, c.Used = directory.CredentialUsedUp, moment },
		"quarantined": func(c *directory.Credential) { c.Quarantine = moment.Add(time.Hour) },
	}
	n, yes := 0, 0
	for state, put := range states {
		for _, shown := range [][]string{{}, {"password"}, {"totp"}, {"password", "totp"}, {"passkey"}, {"smscode", "password"}} {
			for _, act := range []string{"wiki", "core", "own", "look", "administer"} {
				for _, role := range []string{"person", "administrator", "suspended"} {
					for _, where := range []string{"held", "shown"} {
						m := tab.matterOf().has("password", "totp", "passkey", "smscode")
						m.with("totp", put).with("passkey", put).with("smscode", put)
						if where == "held" {
							m.holds(shown...)
						} else {
							m.shows(shown...)
						}
						switch act {
						case "core":
							m.Application, m.application.Name, m.application.Tier = "core", "core", application.ControlPlane
						case "own":
							m.does("authenticator.rename", "2")
						case "look":
							m.does("account.list", "")
						case "administer":
							m.does("account.create", "bob")
						}
						switch role {
						case "administrator":
							m.account.Groups, m.account.Privileged = []string{directory.Administrators}, true
						case "suspended":
							m.account.State = directory.Suspended
						}
						counts := state == "active" || state == "used up" || state == "quarantined" && act == "wiki"
						two := len(shown) == 2 || len(shown) == 1 && shown[0] == "passkey"
						sms := slices.Contains(shown, "smscode")
						may := role == "administrator" || role == "person" && act != "look" && act != "administer"
						want := counts && two && may && !(sms && act == "core")
						d := decide(m)
						if got := d.state == Granted; got != want {
							t.Errorf("%s, %s %v, %s, %s: %s", state, where, shown, act, role, outcome(d))
						}
						if n++; d.state == Granted {
							yes++
						}
					}
				}
			}
		}
	}
	if n < 500 || yes < 50 {
		t.Errorf("%d combinations, %d of them granted", n, yes)
	}
}

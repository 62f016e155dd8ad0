package signin

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// Who has shown something and is refused reads which factor is missing, why what they have is
// not it, and how they get it. Who has shown nothing reads nothing of it.
func TestWhoIsRefusedReadsWhatIsMissing(t *testing.T) {
	tab := newTable(t)
	m := tab.matterOf
	quarantined := func(c *directory.Credential) { c.Quarantine = moment.Add(time.Hour) }
	off := func(c *directory.Credential) { c.Status = directory.CredentialDisabled }
	admin := func(m *matter) { m.account.Groups, m.account.Privileged = []string{directory.Administrators}, true }
	core := func(m *matter) {
		m.Application, m.application.Name, m.application.Tier = "core", "core", "control-plane"
	}
	raised := func(r assurance.Requirement) func(m *matter) { return func(m *matter) { m.Raise = &r } }
	const until = "after 29 November 2026, 13:00 UTC."
	for _, c := range []struct {
		why string
		m   *matter
		say []string
	}{
		{"no second factor", m().has("password").shows("password"), []string{"needs something that you hold", mendByPass}},
		{"no password", m().has("totp").shows("totp"), []string{"needs a password.", mendByPass}},
		{"nothing at all", m(), []string{"needs a password and something that you hold, or a passkey.", mendByPass}},
		{"one for a client's wish, who can add it", m().has("password", "totp").shows("password", "totp").but(raised(assurance.Phishing())), []string{"needs a passkey or security key.", mendByAdding}},
		{"a key that cannot be copied", m().has("passkey").shows("passkey").but(raised(assurance.Hardware())), []string{"whose key cannot leave it.", mendByAdding}},
		{"an administrator's that is new", m().has("passkey").with("passkey", quarantined).shows("passkey").but(admin).does("account.create", "bob"), []string{"Yours is new (your passkey)", until, mendByWaiting}},
		{"one that is new, elsewhere", m().has("password", "push").with("push", quarantined).shows("password").but(func(m *matter) { m.now = m.now.In(time.FixedZone("JST", 9*3600)) }), []string{"after 29 November 2026, 22:00 JST."}},
		{"a new one for the core", m().has("password", "totp").with("totp", quarantined).shows("password", "totp").but(core), []string{"Yours is new (your authenticator app)", until}},
		{"a new app", m().has("password", "push").with("push", quarantined).shows("password"), []string{"Yours is new (your approval on a phone)", until}},
		{"one that is switched off", m().has("password", "totp").with("password", off).shows("totp"), []string{"needs a password. Yours is switched off: your password."}},
		{"one that the rules refuse", m().has("password", "smscode").shows("password").but(core), []string{"do not accept what you have of it: your code by SMS."}},
		{"a passkey where lines are typed", m().has("password", "passkey").shows("password").by(prompt.Line), []string{"cannot be used this way: your passkey", mendElsewhere}},
		{"a service", m().has("apikey").holds("apikey").but(func(m *matter) { m.account.Kind = directory.Service }), []string{"needs an automation key.", mendByKey}},
		{"codes of a recovery", m().has("recoverycode").shows("recoverycode").does(Recover, "r"), []string{"also needs a code by mail", "Call your help desk."}},
		{"one line that cannot be asked again", m().has("password").shows("password").by(prompt.Single), nil},
		{"somebody who is asked", m().has("password", "totp").shows("password"), nil},
		{"somebody who is let in", m().has("passkey").shows("passkey"), nil},
		{"a stranger", m().but(func(m *matter) { m.somebody = false }), nil},
		{"somebody who may not", m().has("passkey").shows("passkey").does("account.create", "bob"), nil},
	} {
		said := lacking(c.m, decide(c.m)).String()
		if len(c.say) == 0 && said != "" {
			t.Errorf("%s is told %q", c.why, said)
		}
		for _, want := range c.say {
			if !strings.Contains(said, want) {
				t.Errorf("%s is told %q, and not %q", c.why, said, want)
			}
		}
	}
}

// What somebody has set up is enough, or is half of it, and it is known what makes it whole.
func TestOutlook(t *testing.T) {
	tab := newTable(t)
	kinds := []string{"passkey", "password", "push", "totp", "hotp", "recoverycode", "mailcode"}
	strict := assurance.Phishing()
	for _, c := range []struct {
		why             string
		m               *matter
		ready, begun    bool
		completes, help string
	}{
		{"nothing", tab.matterOf(), false, false, "passkey", "passkey password totp hotp recoverycode"},
		{"a pass is nothing", tab.matterOf().has("accesspass"), false, false, "passkey", "passkey password totp hotp recoverycode"},
		{"a password", tab.matterOf().has("password"), false, true, "passkey push totp hotp recoverycode", "passkey push totp hotp recoverycode"},
		{"codes", tab.matterOf().has("totp"), false, true, "passkey password", "passkey password"},
		{"an app alone", tab.matterOf().has("push"), false, true, "passkey password", "passkey password"},
		{"a token with a PIN", tab.matterOf().has("hotp"), true, false, "", ""},
		{"both", tab.matterOf().has("password", "totp"), true, false, "", ""},
		{"a password and an app", tab.matterOf().has("password", "push"), true, false, "", ""},
		{"a passkey", tab.matterOf().has("passkey"), true, false, "", ""},
		{"a password and codes that are switched off", tab.matterOf().has("password", "totp").with("totp", func(c *directory.Credential) { c.Status = directory.CredentialDisabled }), false, true, "passkey push totp hotp recoverycode", "passkey push totp hotp recoverycode"},
		{"a new app", tab.matterOf().has("password", "push").with("push", func(c *directory.Credential) { c.Quarantine = moment.Add(time.Hour) }), false, true, "passkey push totp hotp recoverycode", "passkey push totp hotp recoverycode"},
		{"where phishing is resisted, codes help nobody", tab.matterOf().has("password", "totp").but(func(m *matter) { m.Raise = &strict }), false, false, "passkey", "passkey"},
	} {
		o := outlookOf(c.m.but(func(m *matter) { m.Application, m.application = Self, ourselves() }), kinds)
		list := func(of map[string]bool) string {
			var out []string
			for _, k := range kinds {
				if of[k] && !o.Ready {
					out = append(out, k)
				}
			}
			return strings.Join(out, " ")
		}
		if o.Ready != c.ready || o.Begun != c.begun || list(o.Completes) != c.completes || list(o.Helps) != c.help {
			t.Errorf("%s: ready %t, begun %t, completed by %q, helped by %q", c.why, o.Ready, o.Begun, list(o.Completes), list(o.Helps))
		}
	}
}

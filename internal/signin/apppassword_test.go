package signin

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/authenticator/apppassword"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// appPassword gives somebody an app password for one service.
func appPassword(r *rig, of directory.Account, app, service string) (string, directory.Credential) {
	r.t.Helper()
	text, e, err := apppassword.Issue(apppassword.Terms{Application: app, Service: service})
	if err != nil {
		r.t.Fatal(err)
	}
	return text, r.give(of, apppassword.Kind, e)
}

// withMail is a rig in which ada has a password and an app, and app passwords are accepted.
func withMail(t *testing.T) (*rig, directory.Account) {
	r, ada, _ := withAda(t)
	r.rules("rules: [{name: a, when: 'action == \"app-password\"', require: app-password}, {name: b, when: 'action != \"app-password\"', require: two-factors}]")
	return r, ada
}

// shows asks about an app password as an application does.
func (r *rig) shows(app, service, name, text string, from netip.Addr) Step {
	r.t.Helper()
	s, err := r.CheckKey(r.t.Context(), Request{Application: app, Object: service, Name: name, Protocol: "radius", Source: from}, apppassword.Kind, text)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// The promise: an app password is good for its owner, at the service that it was made for and
// nowhere else, while policy accepts it there and its owner is let in at all.
func TestAnAppPasswordServesItsServiceAlone(t *testing.T) {
	r, ada := withMail(t)
	r.account(directory.NewAccount{Name: "bob"})
	text, row := appPassword(r, ada, "wiki", "imap")
	if s := r.shows("wiki", "imap", "ada", text, home); s.State != Granted || s.Grant.Name() != "ada" || s.Grant.Application() != "wiki" || s.Grant.Action() != AppPassword {
		t.Fatalf("%+v", s)
	}
	other, _ := appPassword(r, ada, "wiki", "pop3")
	for _, k := range []struct{ app, service, name, text, why string }{
		{"wiki", "pop3", "ada", text, "other-service"}, {"wiki", "", "ada", text, "other-service"}, {"vpn", "imap", "ada", text, "other-service"}, {Self, "imap", "ada", text, "other-service"},
		{"wiki", "imap", "ada", other, "other-service"}, {"wiki", "imap", "bob", text, "other-account"}, {"wiki", "imap", "nobody", text, "other-account"}, {"wiki", "imap", "", text, "other-account"},
		{"wiki", "imap", "ada", "", "malformed"}, {"wiki", "imap", "ada", "correct horse battery staple", "malformed"}, {"wiki", "imap", "ada", strings.Repeat("a", 34), "unknown-key"},
	} {
		r.is(k.why, r.shows(k.app, k.service, k.name, k.text, home), Denied, k.why)
	}
	if key, err := r.CheckKey(t.Context(), Request{Application: "wiki", Protocol: "forward-auth", Source: home, Name: "ada", Object: "imap", Method: "GET", Path: "/"}, "apikey", text); err != nil || key.State != Denied {
		t.Errorf("as an automation key: %+v, %v", key, err)
	}
	r.alter(row, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	r.is("revoked", r.shows("wiki", "imap", "ada", text, home), Denied, directory.CredentialRevoked)
	r.alter(row, func(c *directory.Credential) { c.Status = directory.CredentialActive })
	r.change(func(tx *store.Tx) error {
		a, err := r.people.Get(t.Context(), tx, ada.ID)
		if err != nil {
			return err
		}
		a.State = directory.Suspended
		tx.Announce(directory.Topic(ada.ID))
		return r.people.Update(t.Context(), tx, a)
	})
	r.is("suspended", r.shows("wiki", "imap", "ada", text, home), Denied, "suspended")
}

// A service has no app password, whatever its row says.
func TestNoServiceHasAnAppPassword(t *testing.T) {
	r, _ := withMail(t)
	robot := r.account(directory.NewAccount{Name: "robot", Kind: directory.Service})
	text, _ := appPassword(r, robot, "wiki", "imap")
	r.is("a service", r.shows("wiki", "imap", "robot", text, home), Denied, "not-a-person")
}

// An app password is an answer to no question: not alone, not beside another factor, on no medium.
func TestAnAppPasswordIsNoFactor(t *testing.T) {
	r, ada := withMail(t)
	text, _ := appPassword(r, ada, "wiki", "imap")
	for _, medium := range []prompt.Medium{prompt.Browser, prompt.Line, prompt.Single, prompt.API, prompt.Line | prompt.Single | prompt.Display | prompt.Silence} {
		for _, as := range []string{apppassword.Kind, "password", "totp", AnyCode, ""} {
			s, err := r.Begin(t.Context(), Request{Application: "wiki", Name: "ada", Protocol: "radius", Source: home, Medium: medium, Opening: []prompt.Answer{{Authenticator: as, Text: text}}})
			if err != nil || s.State == Granted {
				t.Errorf("%v as %q: %+v, %v", medium, as, s, err)
			}
			for _, p := range s.Prompts {
				if p.Authenticator == apppassword.Kind {
					t.Errorf("%v: it is asked for", medium)
				}
			}
		}
	}
	if all := r.events("alarm.factor-missing"); len(all) != 0 {
		t.Errorf("it was right somewhere: %+v", all)
	}
}

// Policy says whether an app password is enough, application by application and person by person.
func TestPolicyForbidsAppPasswords(t *testing.T) {
	const allowed = "rules: [{name: a, when: 'action == \"app-password\" && application.name == \"wiki\"', require: app-password}, {name: b, when: 'action != \"app-password\"', require: two-factors}]"
	for body, why := range map[string]string{
		"rules: [{name: a, when: 'true', require: two-factors}]":                         "nothing-enrolled",
		"rules: [{name: a, when: 'action != \"app-password\"', require: two-factors}]":   "policy: no rule",
		"rules: [{name: a, when: 'true', require: app-password, refuse: [apppassword]}]": "cannot-ask-here",
		"rules: [{name: a, when: 'true', deny: no mail here}]":                           "policy: no mail here",
		allowed: "",
	} {
		r, ada := withMail(t)
		text, _ := appPassword(r, ada, "wiki", "imap")
		elsewhere, _ := appPassword(r, ada, "vpn", "imap")
		r.rules(body)
		s := r.shows("wiki", "imap", "ada", text, home)
		if (s.State == Granted) != (why == "") || s.State != Granted && why != "nothing-enrolled" && s.Reason != why {
			t.Errorf("%s: %v %q", body, s.State, s.Reason)
		}
		if body == allowed {
			r.is("another application", r.shows("vpn", "imap", "ada", elsewhere, home), Denied, "policy: no rule")
		}
	}
}

// The first use and each new network are told to the owner and written down, once; its use is
// remembered so that a device that asks all the time leaves few entries.
func TestANewPlaceOfAnAppPasswordIsTold(t *testing.T) {
	r, ada := withMail(t)
	text, row := appPassword(r, ada, "wiki", "imap")
	away := netip.MustParseAddr("198.51.100.7")
	before := len(r.events("signin.granted"))
	for range 10 {
		r.shows("wiki", "imap", "ada", text, home)
	}
	if n := len(r.events("signin.granted")) - before; n != 1 {
		t.Errorf("%d entries of ten uses", n)
	}
	for range 3 {
		r.shows("wiki", "imap", "ada", text, away)
		r.clock.Later(time.Minute)
		r.shows("wiki", "imap", "ada", text, home)
	}
	all := r.events("credential.new-place")
	if len(all) != 2 || all[0].Reason+all[1].Reason != "first-use" {
		t.Errorf("%+v", all)
	}
	if got := r.mails(ada, "Your app password was used for the first time") + r.mails(ada, "Your app password was used from a new address"); got != 2 {
		t.Errorf("%d mails", got)
	}
	if c, err := r.credentials.Get(t.Context(), r.db, ada.ID, row.ID); err != nil || c.Used.IsZero() {
		t.Errorf("its use is not kept: %v", err)
	}
}

// Making an app password takes two factors that were shown just now; a pass is not enough.
func TestMakingAnAppPasswordTakesTwoFreshFactors(t *testing.T) {
	m := &matter{setting: &setting{}, now: time.Now(), Request: Request{Application: Self, Action: "authenticator.enroll", Object: MakingAppPassword("mail", "imap", "phone")}}
	need := m.engineRequirement()
	if need == nil || !need.Implies(assurance.TwoFactors().Within(approval.Fresh)) {
		t.Errorf("%v", need)
	}
	m.Object = "totp"
	if need = m.engineRequirement(); need.Implies(assurance.TwoFactors().Within(approval.Fresh)) {
		t.Error("every enrollment takes two fresh factors")
	}
}

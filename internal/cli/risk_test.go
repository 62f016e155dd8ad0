package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/account"
	"countersign/internal/admin/policy"
	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/softkey"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// withGate is a RADIUS application of which the equipment checks the password itself,
// so that switching ours off does not close it.
func (w *world) withGate() {
	w.t.Helper()
	w.plantApplication(application.Application{Name: "gate", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Vouches: application.VouchesPassword},
		map[string]any{"mode": "code-only", "clients": []any{map[string]any{"name": "gate", "networks": []string{"127.0.0.50/32"}, "secret": drillSecret}}})
}

// atGate types a code where the equipment has checked the password.
func (w *world) atGate(p *person) signin.State {
	w.t.Helper()
	return w.begin(signin.Request{Application: "gate", Name: "ada", Protocol: "radius", Medium: prompt.Single, Partner: "gate", CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: p.code()}}}).State
}

// disowns has the owner of the app say that what waits is not theirs.
func (p *phone) disowns() {
	p.w.t.Helper()
	p.w.begin(display("ada", passphrase))
	if _, refused := p.call("disown"); refused != "" {
		p.w.t.Fatal(refused)
	}
}

// The promise: whoever said that a sign-in was not theirs is at risk: elsewhere only
// what cannot be phished lets them in, also where we do not check the password, until
// they have set a new one, or another person ends it. Nobody ends their own.
func TestAccountAtRisk(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := newWorldOn(t, dsn)
		ada, root := w.enrollCodes("ada"), w.clerk()
		if err := w.PlantApplications(t.Context(), "wiki.test", drillSecret); err != nil {
			t.Fatal(err)
		}
		w.withGate()
		device := w.withPhone(ada)
		w.later(time.Minute)
		key := &softkey.Key{}
		browser := w.person()
		browser.get("/sign-in")
		browser.signIn("ada", ada.code())
		browser.addPasskey(key)
		w.later(25 * time.Hour)
		if got := w.atGate(ada); got != signin.Granted {
			t.Fatalf("before: %s", got)
		}
		device.disowns()
		w.later(time.Minute)
		if got := w.atGate(ada); got != signin.Denied {
			t.Errorf("at risk the gate answers %s", got)
		}
		var shown account.Detail
		if err := root.Do(t.Context(), "account.show", map[string]any{"name": "ada"}, &shown); err != nil || shown.AtRisk.IsZero() {
			t.Errorf("shown as at risk since %v, %v", shown.AtRisk, err)
		}
		var listed account.Page
		if err := root.Do(t.Context(), "account.list", map[string]any{"state": "at-risk"}, &listed); err != nil || len(listed.Accounts) != 1 || listed.Accounts[0].Name != "ada" {
			t.Errorf("listed: %+v, %v", listed, err)
		}
		w.later(time.Minute)
		console := w.person()
		console.comes("operator", root.person.secret)
		console.get("/console")
		console.sees("<b>1</b> at risk")

		// The passkey opens what is hers, and a new password ends it.
		owner := w.person()
		owner.get("/sign-in")
		owner.usePasskey(key)
		if !owner.inside() {
			t.Fatalf("the passkey does not let her in:\n%s", owner.page)
		}
		owner.post("/account/do", "action", "authenticator.enroll", "object", "password")
		owner.post("/account/setup", "authenticator", "password", "text", "another "+passphrase)
		owner.sees("Added: ")
		w.later(time.Minute)
		if got := w.atGate(ada); got != signin.Granted {
			t.Errorf("with a new password the gate answers %s", got)
		}
		if err := root.Do(t.Context(), "account.clear-risk", map[string]any{"name": "ada", "reason": "again"}, nil); failure.ClassOf(err) != failure.Conflict {
			t.Errorf("it is ended twice: %v", err)
		}

		// Without a password to set, another person ends it.
		w.raiseRisk("ada", "operator")
		if err := root.Do(t.Context(), "account.clear-risk", map[string]any{"name": "operator", "reason": "it was me"}, nil); failure.ClassOf(err) != failure.Refused {
			t.Errorf("she ends her own: %v", err)
		}
		w.later(time.Minute)
		if got := w.atGate(ada); got != signin.Denied {
			t.Errorf("at risk again the gate answers %s", got)
		}
		console.get("/console/accounts/ada")
		console.sees("its owner said that a sign-in was not theirs")
		w.later(time.Minute)
		console.does("/console/accounts/ada/clear-risk", "reason", "called her")
		console.sees("at risk no more")
		w.later(time.Minute)
		if got := w.atGate(ada); got != signin.Granted {
			t.Errorf("after it was ended the gate answers %s", got)
		}
	})
}

// raiseRisk puts accounts at risk without more.
func (w *world) raiseRisk(names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.edit(name, func(a *directory.Account) { a.Risk = w.now().Truncate(time.Microsecond) })
	}
}

// edit changes an account's own row.
func (w *world) edit(name string, change func(*directory.Account)) {
	w.t.Helper()
	ctx := w.t.(*testing.T).Context()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		a, err := w.Directory.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		change(&a)
		if err := w.Directory.Update(ctx, tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.account", Outcome: audit.OK})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// The promise: whoever writes to the database ends nobody's risk.
func TestRiskIsNotTakenAway(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	w.withGate()
	w.raiseRisk("ada")
	err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		tx.Record(audit.Entry{Event: "test.tampered", Outcome: audit.OK})
		_, err := tx.Exec(t.Context(), `update account set risk = 0 where name = 'ada'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Engine.Begin(t.Context(), signin.Request{Application: "gate", Name: "ada", Protocol: "radius", Medium: prompt.Single, Partner: "gate", CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: ada.code()}}})
	if err == nil || s.State == signin.Granted {
		t.Errorf("a row that was changed is believed: %s, %v", s.State, err)
	}
}

// The promise: whoever has a policy of before is told which rules a new installation
// has that it has not, with their text, on the page and on the command line.
func TestPolicyOfBeforeIsTold(t *testing.T) {
	w := newWorld(t)
	root := w.clerk()
	if err := w.PlantApplications(t.Context(), "wiki.test", drillSecret); err != nil {
		t.Fatal(err)
	}
	ask := func() policy.Document {
		t.Helper()
		var d policy.Document
		if err := root.Do(t.Context(), "policy.show", nil, &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := ask(); len(d.Lacks) != 0 {
		t.Errorf("the policy of this installation lacks %+v", d.Lacks)
	}
	w.setPolicy("rules:\n  - name: everybody\n    when: '!(account.new && action == \"authenticator.enroll\")'\n    require: two-factors\n" +
		"  - name: first authenticator\n    when: account.new && action == \"authenticator.enroll\"\n    require: access-pass\n")
	d := ask()
	i := slices.IndexFunc(d.Lacks, func(r policy.Rule) bool { return r.Name == "at risk" })
	if i < 0 || !strings.Contains(d.Lacks[i].Text, "account.at_risk") || slices.ContainsFunc(d.Lacks, func(r policy.Rule) bool { return r.Name == "everybody" }) {
		t.Errorf("it lacks %+v", d.Lacks)
	}
	w.later(time.Minute)
	console := w.person()
	console.comes("operator", root.person.secret)
	console.get("/console/policy")
	console.sees("rules that this policy has not")
	console.sees("require: [phishing-resistant]")
}

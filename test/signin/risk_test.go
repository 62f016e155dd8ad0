package signin

import (
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/account"
	"countersign/internal/admin/policy"
	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/virtualauth"
)

// withGate is a RADIUS application of which the equipment checks the password itself,
// so that switching ours off does not close it.
func withGate(w *servertest.World) {
	w.T.Helper()
	servertest.PlantApplication(w, application.Application{Name: "gate", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Vouches: application.VouchesPassword},
		map[string]any{"mode": "code-only", "clients": []any{map[string]any{"name": "gate", "networks": []string{"127.0.0.50/32"}, "secret": servertest.DrillSecret}}})
}

// atGate types a code where the equipment has checked the password.
func atGate(w *servertest.World, p *servertest.Person) signin.State {
	w.T.Helper()
	return w.Begin(signin.Request{Application: "gate", Name: "ada", Protocol: "radius", Medium: prompt.Single, Partner: "gate", CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: p.Code()}}}).State
}

// saysNotMe has the owner of the app say that what waits is not theirs.
func saysNotMe(p *servertest.Phone) {
	p.W.T.Helper()
	p.W.Begin(servertest.Display("ada", servertest.Passphrase))
	if _, refused := p.Call("disown"); refused != "" {
		p.W.T.Fatal(refused)
	}
}

// The promise: whoever said that a sign-in was not theirs is at risk: elsewhere only
// what cannot be phished lets them in, also where we do not check the password, until
// they have set a new one, or another person ends it. Nobody ends their own.
func TestAccountAtRisk(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada, root := w.EnrollCodes("ada"), w.Clerk()
		if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
			t.Fatal(err)
		}
		withGate(w)
		device := servertest.WithPhone(w, ada)
		w.Later(time.Minute)
		key := &virtualauth.Key{}
		browser := w.Person()
		browser.Get("/sign-in")
		browser.SignIn("ada", ada.Code())
		browser.AddPasskey(key)
		w.Later(25 * time.Hour)
		if got := atGate(w, ada); got != signin.Granted {
			t.Fatalf("before: %s", got)
		}
		saysNotMe(device)
		w.Later(time.Minute)
		if got := atGate(w, ada); got != signin.Denied {
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
		w.Later(time.Minute)
		console := w.Person()
		console.Comes("operator", root.Person.Secret)
		console.Get("/console")
		console.Sees("<b>1</b> at risk")

		// The passkey opens what is hers, and a new password ends it.
		owner := w.Person()
		owner.Get("/sign-in")
		owner.UsePasskey(key)
		if !owner.Inside() {
			t.Fatalf("the passkey does not let her in:\n%s", owner.Page)
		}
		owner.Post("/account/do", "action", "authenticator.enroll", "object", "password")
		owner.Post("/account/setup", "authenticator", "password", "text", "another "+servertest.Passphrase)
		owner.Sees("Added: ")
		w.Later(time.Minute)
		if got := atGate(w, ada); got != signin.Granted {
			t.Errorf("with a new password the gate answers %s", got)
		}
		if err := root.Do(t.Context(), "account.clear-risk", map[string]any{"name": "ada", "reason": "again"}, nil); failure.ClassOf(err) != failure.Conflict {
			t.Errorf("it is ended twice: %v", err)
		}

		// Without a password to set, another person ends it.
		servertest.RaiseRisk(w, "ada", "operator")
		if err := root.Do(t.Context(), "account.clear-risk", map[string]any{"name": "operator", "reason": "it was me"}, nil); failure.ClassOf(err) != failure.Refused {
			t.Errorf("she ends her own: %v", err)
		}
		w.Later(time.Minute)
		if got := atGate(w, ada); got != signin.Denied {
			t.Errorf("at risk again the gate answers %s", got)
		}
		console.Get("/console/accounts/ada")
		console.Sees("its owner said that a sign-in was not theirs")
		w.Later(time.Minute)
		console.Does("/console/accounts/ada/clear-risk", "reason", "called her")
		console.Sees("at risk no more")
		w.Later(time.Minute)
		if got := atGate(w, ada); got != signin.Granted {
			t.Errorf("after it was ended the gate answers %s", got)
		}
	})
}

// The promise: whoever writes to the database ends nobody's risk.
func TestRiskIsNotTakenAway(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	withGate(w)
	servertest.RaiseRisk(w, "ada")
	err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		tx.Record(audit.Entry{Event: "test.tampered", Outcome: audit.OK})
		_, err := tx.Exec(t.Context(), `update account set risk = 0 where name = 'ada'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Engine.Begin(t.Context(), signin.Request{Application: "gate", Name: "ada", Protocol: "radius", Medium: prompt.Single, Partner: "gate", CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: ada.Code()}}})
	if err == nil || s.State == signin.Granted {
		t.Errorf("a row that was changed is believed: %s, %v", s.State, err)
	}
}

// The promise: whoever has a policy of before is told which rules a new installation
// has that it has not, with their text, on the page and on the command line.
func TestPolicyOfBeforeIsTold(t *testing.T) {
	w := servertest.NewWorld(t)
	root := w.Clerk()
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
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
	w.SetPolicy("rules:\n  - name: everybody\n    when: '!(account.new && action == \"authenticator.enroll\")'\n    require: two-factors\n" +
		"  - name: first authenticator\n    when: account.new && action == \"authenticator.enroll\"\n    require: access-pass\n")
	d := ask()
	i := slices.IndexFunc(d.Lacks, func(r policy.Rule) bool { return r.Name == "at risk" })
	if i < 0 || !strings.Contains(d.Lacks[i].Text, "account.at_risk") || slices.ContainsFunc(d.Lacks, func(r policy.Rule) bool { return r.Name == "everybody" }) {
		t.Errorf("it lacks %+v", d.Lacks)
	}
	w.Later(time.Minute)
	console := w.Person()
	console.Comes("operator", root.Person.Secret)
	console.Get("/console/policy")
	console.Sees("rules that this policy has not")
	console.Sees("require: [phishing-resistant]")
}

package partner

import (
	"strings"
	"testing"
	"time"

	report "countersign/internal/admin/partner"
	"countersign/internal/directory"
	"countersign/internal/failure"
	delegated "countersign/internal/partner"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// The promise: a delegation is in force when two of our administrators approved it, and not before;
// neither a program nor who asked is the second. Then its person does what was delegated, about those
// whom it reaches, and nothing else, and the log says as whose person.
func TestTwoApproveADelegation(t *testing.T) {
	h := build(t)
	h.settles()
	var d delegated.Delegation
	h.does(h.root, "partner.delegate", map[string]any{"partner": "acme", "account": "eve", "actions": []string{"account.suspend", "account.show"}, "until": "24h"}, &d)
	h.comes()
	if step, _ := h.may("account.show", map[string]any{"name": "bob"}); step.State == signin.Granted {
		t.Error("a delegation that waits is in force")
	}
	if err := h.root.Do(t.Context(), "partner.approve", map[string]any{"number": d.Number}, nil); failure.ReasonOf(err) != "second-person" {
		t.Errorf("who asked approves alone: %v", err)
	}
	h.does(h.second, "partner.approve", map[string]any{"number": d.Number}, &d)
	if d.Approved.Name != "second" || d.Asked.Name != "root" {
		t.Errorf("%+v", d)
	}
	if err := h.second.Do(t.Context(), "partner.approve", map[string]any{"number": d.Number}, nil); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("approved twice: %v", err)
	}
	h.comes() // what was begun as our own person has ended
	if step, err := h.may("account.suspend", map[string]any{"name": "bob"}); step.State != signin.Granted || err != nil {
		t.Fatalf("%s %s, %v", step.State, step.Reason, err)
	}
	all, err := h.w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "account.suspended", Newest: true, Limit: 1})
	if err != nil || len(all) != 1 || all[0].Detail["of-partner"] != "acme" || all[0].Actor.Name != "eve" {
		t.Errorf("%+v, %v", all, err)
	}
	for what, try := range map[string]struct {
		action string
		in     map[string]any
	}{
		"another action":           {"account.resume", map[string]any{"name": "bob"}},
		"another partner's admin":  {"partner.delegate", map[string]any{"partner": "acme", "account": "bob", "actions": []string{"account.show"}, "until": "1h"}},
		"her own second approval":  {"partner.approve", map[string]any{"number": d.Number}},
		"a partner":                {"partner.create", map[string]any{"name": "more", "title": "More"}},
		"herself an administrator": {"group.member.add", map[string]any{"group": "administrators", "account": "eve"}},
		"the policy":               {"policy.show", map[string]any{}},
	} {
		if step, _ := h.may(try.action, try.in); step.State != signin.Denied || step.Reason != "outside-delegation" {
			t.Errorf("%s: %s %s", what, step.State, step.Reason)
		}
	}
	// What is delegated reaches nobody who is privileged, no partner's people, and nobody in their shadow.
	for what, in := range map[string]map[string]any{
		"an administrator": {"name": "root"}, "herself": {"name": "eve"}, "nobody": {"name": "nobody"}, "an administrator beside bob": {"name": "bob", "also": []string{"second"}},
	} {
		if step, err := h.may("account.suspend", in); step.State != signin.Granted || failure.ReasonOf(err) != "outside-delegation" {
			t.Errorf("%s: %s, %v", what, step.State, err)
		}
	}
	if a, err := h.w.Accounts.Find(t.Context(), h.w.DB, "second"); err != nil || a.State != directory.Active {
		t.Error("an administrator was suspended by a partner's person", err)
	}
}

// The promise: what the partner's identity provider says of second factors, true or not, is no factor
// here: a factor of our own is asked for, also where a rule would take theirs.
func TestThePartnersWordIsNoFactor(t *testing.T) {
	h := build(t)
	h.settles()
	h.delegates(map[string]any{"until": "20d"})
	h.links()
	h.visits()
	h.eve.Sees("passkey")
	if strings.Contains(h.eve.Page, "Where you are signed in") {
		t.Fatal("the partner's two factors were enough")
	}
	h.eve.UsePasskey(h.key)
	h.eve.Sees("Where you are signed in")
	// A rule that takes the other organisation's second factor takes it of nobody who administers.
	h.w.SetPolicy(strings.ReplaceAll(servertest.OneFactor, "require: one-factor", "require: two-factors-elsewhere"))
	h.visits()
	if strings.Contains(h.eve.Page, "Where you are signed in") {
		t.Error("a rule made the partner's word a factor")
	}
	h.eve.UsePasskey(h.key)
	h.eve.Sees("Where you are signed in")
}

// The promise: a delegation that has ended or is over grants nothing from that moment on, neither by a
// session nor by a sign-in, and everybody concerned is told.
func TestADelegationEnds(t *testing.T) {
	h := build(t)
	h.settles()
	h.delegates(map[string]any{"until": "1h", "applications": []string{"wiki"}})
	h.comes()
	if step, err := h.may("account.show", map[string]any{"name": "bob"}); step.State != signin.Granted || err != nil {
		t.Fatalf("%s %s, %v", step.State, step.Reason, err)
	}
	h.w.Later(time.Hour)
	if step, _ := h.may("account.show", map[string]any{"name": "bob"}); step.State == signin.Granted {
		t.Error("a session outlives the delegation")
	}
	h.comes()
	if strings.Contains(h.eve.Page, "Where you are signed in") {
		t.Error("she signs in after it")
	}
	for range 2 {
		if err := h.w.Delegations.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.w.Events("partner.delegation-over"); n != 1 {
		t.Errorf("told %d times", n)
	}
	// An administrator who gives the account a later end gives the delegation none.
	if err := h.root.Do(t.Context(), "account.set-end", map[string]any{"name": "eve", "ends": "never"}, nil); failure.ReasonOf(err) != "partner" {
		t.Errorf("%v", err)
	}
	servertest.Edit(h.w, "eve", func(a *directory.Account) { a.Ends = time.Time{} })
	h.comes()
	if strings.Contains(h.eve.Page, "Where you are signed in") {
		t.Error("the engine looks at the account's end alone")
	}
	// Delegated anew, she is back, until it is ended.
	d := h.delegates(nil)
	h.comes()
	h.eve.Sees("Where you are signed in")
	h.does(h.second, "partner.end", map[string]any{"number": d.Number, "reason": "left"}, nil)
	if step, _ := h.may("account.show", map[string]any{"name": "bob"}); step.State == signin.Granted {
		t.Error("it was ended")
	}
	var out report.Reported
	h.does(h.root, "partner.report", map[string]any{}, &out)
	if len(out.Delegations) != 2 || out.Standing != 0 || out.Delegations[0].State != delegated.Ended || out.Delegations[1].State != delegated.Over {
		t.Errorf("%+v", out)
	}
}

// The promise: a delegation grants nothing before it begins, but the setting up of factors; it reaches
// nobody outside of its groups, and no application but its own.
func TestADelegationHasItsLimits(t *testing.T) {
	h := build(t)
	h.settles()
	h.does(h.root, "group.create", map[string]any{"name": "branch"}, nil)
	h.does(h.root, "group.member.add", map[string]any{"group": "branch", "account": "bob"}, nil)
	h.does(h.root, "account.create", map[string]any{"name": "carl"}, nil)
	in := map[string]any{"actions": []string{"session.end"}, "groups": []string{"branch"}, "applications": []string{"wiki"}, "from": h.w.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339), "until": "8h"}
	h.delegates(in)
	h.comes()
	h.eve.Sees("Where you are signed in")
	if step, _ := h.may("session.end", map[string]any{"account": "bob"}); step.State != signin.Denied || step.Reason != "delegation-not-begun" {
		t.Errorf("before it begins: %s %s", step.State, step.Reason)
	}
	h.w.Later(2*time.Hour + time.Minute)
	h.comes()
	if step, err := h.may("session.end", map[string]any{"account": "bob"}); step.State != signin.Granted || err != nil {
		t.Fatalf("%s %s, %v", step.State, step.Reason, err)
	}
	if step, err := h.may("session.end", map[string]any{"account": "carl"}); step.State != signin.Granted || failure.ReasonOf(err) != "outside-delegation" {
		t.Errorf("outside of the group: %s, %v", step.State, err)
	}
	at := func(app string) signin.Step {
		step, err := h.w.Engine.Check(t.Context(), signin.Request{Application: app, Session: h.eve.Held(), Protocol: "browser", Medium: prompt.Browser})
		if err != nil {
			t.Fatal(err)
		}
		return step
	}
	if step := at("vpn"); step.State != signin.Denied || step.Reason != "outside-delegation" {
		t.Errorf("another application: %s %s", step.State, step.Reason)
	}
	if step := at("wiki"); step.State != signin.Granted {
		t.Errorf("her own application: %s %s", step.State, step.Reason)
	}
	if err := h.root.Do(t.Context(), "partner.delegate", map[string]any{"partner": "acme", "account": "eve", "actions": []string{"account.list"}, "groups": []string{"branch"}, "until": "8h"}, nil); failure.ReasonOf(err) != "not-delegable" {
		t.Errorf("a group limits what is about nobody: %v", err)
	}
	if err := h.root.Do(t.Context(), "partner.delegate", map[string]any{"partner": "acme", "account": "eve", "actions": []string{"account.show"}, "until": "91d"}, nil); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("longer than the limit: %v", err)
	}
}

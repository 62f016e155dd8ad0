package admin

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"countersign/internal/admin"
	applications "countersign/internal/admin/application"
	admingroup "countersign/internal/admin/group"
	"countersign/internal/admin/policy"
	"countersign/internal/application"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store/storetest"
)

func mentioning(group, app string) string {
	return fmt.Sprintf("rules:\n  - {name: all, require: two-factors}\n  - {name: some, when: '\"%s\" in account.groups || application.name == \"%s\"', deny: some}\n", group, app)
}

// The attack: a policy is saved in the moment in which a group or an application that it
// names is removed. The promise: one of the two is refused, on either engine and however
// many do so at once; no document is in force that nobody checked.
func TestPolicyAndWhatItNamesAreChangedOneByOne(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ctx := t.Context()
		if err := w.PlantApplications(ctx, "wiki.test", servertest.DrillSecret); err != nil {
			t.Fatal(err)
		}
		o := w.Clerk()
		for round := range 12 {
			group, app := fmt.Sprintf("team-%d", round), fmt.Sprintf("app-%d", round)
			if err := o.Do(ctx, "group.create", map[string]any{"name": group}, nil); err != nil {
				t.Fatal(err)
			}
			servertest.PlantApplication(w, application.Application{Name: app, Kind: "web", Tier: application.Standard, Protocol: "forward-auth"}, map[string]any{"hosts": []string{app + ".test"}})
			commands := []admin.Command{&policy.Change{Body: mentioning(group, app), Base: servertest.PolicyVersion(w)}, &admingroup.Remove{Name: group}, &applications.Remove{Name: app}}
			grants := make([]signin.Grant, len(commands))
			for i, c := range commands {
				g, err := o.Grant(ctx, c)
				if err != nil {
					t.Fatal(err)
				}
				grants[i] = g
			}
			errs := make([]error, len(commands))
			start := make(chan struct{})
			var all sync.WaitGroup
			for i, c := range commands {
				all.Go(func() {
					<-start
					if round%3 == i { // so that each comes first sometimes
						_, errs[i] = w.Admin.Do(ctx, grants[i], c)
						return
					}
					time.Sleep(time.Duration(round) * 100 * time.Microsecond)
					_, errs[i] = w.Admin.Do(ctx, grants[i], c)
				})
			}
			close(start)
			all.Wait()
			saved, groupGone, appGone := errs[0] == nil, errs[1] == nil, errs[2] == nil
			if saved && (groupGone || appGone) {
				t.Errorf("round %d: saved, and what it names is removed: group %t, application %t", round, groupGone, appGone)
			}
			if !saved && !groupGone && !appGone {
				t.Errorf("round %d: nobody got anything done: %v", round, errs)
			}
			p, err := w.Rules.Current(ctx)
			if err != nil || len(p.Gone()) > 0 {
				t.Errorf("round %d: in force is what mentions %v, %v", round, p.Gone(), err)
			}
			if err := o.Do(ctx, "policy.change", map[string]any{"body": "rules:\n  - {name: all, require: two-factors}\n", "base": servertest.PolicyVersion(w)}, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The promise: a document in force that mentions what is gone, from before that was
// prevented, denies by its own rules only, on a server that starts with it as well, and
// an administrator finds out and saves another.
func TestADocumentThatMentionsWhatIsGone(t *testing.T) {
	w := servertest.NewWorld(t)
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	ada, o := w.EnrollCodes("ada"), w.Clerk()
	w.SetPolicy("rules:\n  - {name: all, require: two-factors}\n  - {name: lost, when: '\"lost\" in account.groups', deny: lost}\n  - {name: shop, when: 'application.name == \"shop\"', deny: closed}\n")
	secret := w.SignedIn(ada)
	if s := w.Check(secret, signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("whoever the rule is not about is refused: %s", s.Reason)
	}
	again := servertest.Reopen(w, w.Folder) // a server that has no document of before
	p, err := again.Rules.Current(t.Context())
	if err != nil || len(p.Gone()) != 2 {
		t.Errorf("a server that starts: %v, %v", p.Gone(), err)
	}
	var shown policy.Document
	if err := o.Do(t.Context(), "policy.show", map[string]any{}, &shown); err != nil || !slices.Contains(shown.Gone, `group "lost"`) {
		t.Errorf("policy show does not say it: %v, %v", shown.Gone, err)
	}
	if err := o.Do(t.Context(), "policy.change", map[string]any{"body": "rules:\n  - {name: all, require: two-factors}\n  - {name: still, when: '\"lost\" in account.groups', deny: lost}\n", "base": servertest.PolicyVersion(w)}, nil); err == nil {
		t.Error("a document that mentions what is gone is saved")
	}
	if err := o.Do(t.Context(), "policy.change", map[string]any{"body": "rules:\n  - {name: all, require: two-factors}\n", "base": servertest.PolicyVersion(w)}, nil); err != nil {
		t.Errorf("there is no way back: %v", err)
	}
}

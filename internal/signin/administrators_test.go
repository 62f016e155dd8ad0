package signin

import (
	"context"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/outbox"
	"countersign/internal/policy"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// withAdministrators is a rig with two who administer, each with a password and an app.
func withAdministrators(t *testing.T) (r *rig, root, ada directory.Account, roots, adas codes) {
	r = newRig(t, twoFactors)
	root, ada = r.person("root", directory.Administrators), r.person("ada", directory.Administrators)
	r.withPassword(root)
	r.withPassword(ada)
	return r, root, ada, r.withCodes(root), r.withCodes(ada)
}

// The last who can administer cannot be taken away, whatever it is that they lose, and
// one of two can.
func TestLastAdministrator(t *testing.T) {
	r, root, ada, roots, adas := withAdministrators(t)
	bob := r.person("bob")
	spares := func(l Loss) bool {
		t.Helper()
		err := r.SpareAdministration(t.Context(), r.DB, l)
		if err != nil && refused(err) != "last-administrator" {
			t.Fatal(err)
		}
		return err == nil
	}
	losses := map[string]Loss{
		"access":         Suspended(root.ID),
		"the group":      Regrouped(root.ID, directory.Administrators, ""),
		"the codes":      Without(root.ID, roots.ID, Everything),
		"what they show": Without(root.ID, roots.ID, assurance.Held),
	}
	for what, l := range losses {
		if !spares(l) {
			t.Errorf("of two one may not lose %s", what)
		}
	}
	r.alter(adas.Credential, func(c *directory.Credential) { c.Status = directory.CredentialDisabled })
	for what, l := range losses {
		if spares(l) {
			t.Errorf("the last may lose %s", what)
		}
	}
	for what, l := range map[string]Loss{
		"somebody else loses access":              Suspended(bob.ID),
		"who could not anyway loses access":       Suspended(ada.ID),
		"another authenticator is lost":           Without(root.ID, 9999, Everything),
		"a trait is lost that is not needed":      Without(root.ID, roots.ID, assurance.Restricted),
		"another group is left and one is joined": Regrouped(root.ID, "staff", directory.Helpdesk),
		"a group is joined that is there":         Regrouped(root.ID, "staff", directory.Administrators),
	} {
		if !spares(l) {
			t.Errorf("%s, and it is refused", what)
		}
	}
	// Inside a change as well, and with a pass instead of a second factor it is no better.
	r.give(ada, "accesspass", authenticator.Enrolled{Traits: assurance.Vouched, State: []byte("{}")})
	err := r.DB.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
		return r.SpareAdministration(t.Context(), tx, losses["access"])
	})
	if refused(err) != "last-administrator" {
		t.Errorf("inside a change: %v", err)
	}
	list, err := r.Administrators(t.Context(), r.DB)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, a := range list {
		if a.Able != (a.Name == "root") || a.Dormant.Sub(r.Now()) > 30*day || a.Dormant.Before(r.Now().Add(29*day)) {
			t.Errorf("%+v", a)
		}
	}
	r.clock.Later(31 * day)
	list, err = r.Administrators(t.Context(), r.DB)
	if err != nil || list[0].Able || list[1].Able {
		t.Errorf("dormant: %+v, %v", list, err)
	}
	if !spares(losses["access"]) {
		t.Error("who could not anyway is spared")
	}
}

// Whoever has an end is nobody to rely on after it: the last who has none cannot be given
// one, nor go while only such people are left; and those cannot all go either.
func TestLastAdministratorWithoutAnEnd(t *testing.T) {
	r, root, ada, roots, _ := withAdministrators(t)
	later := r.Now().Add(30 * day)
	ends := func(a directory.Account, at time.Time) {
		storetest.Change(t, r.DB, func(tx *store.Tx) error {
			now, err := r.Accounts.Get(t.Context(), tx, a.ID)
			if err != nil {
				return err
			}
			now.Ends = at
			return r.Accounts.Update(t.Context(), tx, now)
		})
	}
	check := func(what string, l Loss, spared bool) {
		t.Helper()
		if err := r.SpareAdministration(t.Context(), r.DB, l); (err == nil) == spared || err != nil && refused(err) != "last-administrator" {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("of two one has an end", Ending(ada.ID, later), false)
	ends(ada, later)
	check("the other as well", Ending(root.ID, later), true)
	check("the other is suspended", Suspended(root.ID), true)
	check("the other loses the codes", Without(root.ID, roots.ID, Everything), true)
	check("who has an end has a sooner one", Ending(ada.ID, later.Add(-day)), false)
	check("who has an end is suspended", Suspended(ada.ID), false)
	ends(root, later)
	check("of two who have an end one is suspended", Suspended(root.ID), false)
	check("of two who have an end one ends now", Ending(root.ID, r.Now()), false)
	ends(root, r.Now())
	check("the last who has not ended is suspended", Suspended(ada.ID), true)
	check("who has ended is suspended", Suspended(root.ID), false)
	list, err := r.Administrators(t.Context(), r.DB)
	if err != nil || len(list) != 2 || !list[0].Able || list[1].Able || !list[0].Ends.Equal(later) {
		t.Fatalf("%+v, %v", list, err)
	}
	if a := list[0]; a.EndsFirst() || !a.Until().Equal(a.Dormant) {
		t.Errorf("%+v", a)
	}
	ends(ada, r.Now().Add(day))
	if list, err = r.Administrators(t.Context(), r.DB); err != nil || !list[0].EndsFirst() || !list[0].Until().Equal(list[0].Ends) {
		t.Errorf("%+v, %v", list, err)
	}
}

// A policy that only lets those administer who have an end is none where others can.
func TestPolicyForThoseWhoEnd(t *testing.T) {
	r, root, _, _, _ := withAdministrators(t)
	storetest.Change(t, r.DB, func(tx *store.Tx) error {
		root.Ends = r.Now().Add(day)
		return r.Accounts.Update(t.Context(), tx, root)
	})
	known := vocabulary(r.order)
	for name, spared := range map[string]bool{"ada": true, "root": false} {
		p, err := policy.Compile([]byte("rules:\n  - {name: all, require: two-factors}\n  - {name: not, when: 'account.name == \""+name+"\"', deny: not}\n"), known)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SpareAdministrationBy(t.Context(), r.DB, p); (err != nil) != spared {
			t.Errorf("a policy against %s: %v", name, err)
		}
	}
}

// A policy by which nobody could administer is refused where somebody can.
func TestLastAdministratorByPolicy(t *testing.T) {
	r, _, _, _, _ := withAdministrators(t)
	for document, fine := range map[string]bool{
		twoFactors: true,
		anyFactor:  true,
		"rules:\n  - {name: all, require: phishing-resistant}\n":                                                                                               false,
		"rules:\n  - {name: all, require: two-factors}\n  - {name: no codes, when: account.privileged, refuse: [totp]}\n":                                      false,
		"rules:\n  - {name: all, require: two-factors}\n  - {name: no, when: 'action == \"policy.change\"', deny: no}\n":                                       false,
		"networks:\n  office: [10.0.0.0/8]\nrules:\n  - {name: all, require: two-factors}\n  - {name: here, when: '!(source in networks.office)', deny: no}\n": true,
	} {
		known := vocabulary(r.order)
		known.Groups = append(known.Groups, directory.Administrators)
		p, err := policy.Compile([]byte(document), known)
		if err != nil {
			t.Fatal(err)
		}
		err = r.SpareAdministrationBy(t.Context(), r.DB, p)
		if (err == nil) != fine {
			t.Errorf("%s: %v", document, err)
		}
		if err != nil && !strings.Contains(err.Error()+refused(err), "last-administrator") {
			t.Errorf("%v", err)
		}
	}
	many := []*administrator{}
	for _, n := range strings.Fields("a b c d e f g") {
		many = append(many, &administrator{account: directory.Account{Name: n}})
	}
	if got := names(many); got != "a, b, c, d, e and 2 more" {
		t.Errorf("%q", got)
	}
	if got := names(many[:2]); got != "a, b" {
		t.Errorf("%q", got)
	}
}

// An attempt that was abandoned after its password is told of when it is swept, once;
// one in which nothing was right leaves nothing.
func TestSweep(t *testing.T) {
	r, _, _ := withAda(t)
	r.begin(browses("wiki", "ada"))
	r.begin(browses("wiki", "ada", typed("password", secret)))
	r.clock.Later(time.Minute)
	if n, err := r.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("before its end: %d, %v", n, err)
	}
	r.clock.Later(time.Hour)
	n, err := r.Sweep(t.Context())
	if n < 1 || err != nil {
		t.Errorf("after it: %d, %v", n, err)
	}
	alarms := r.events("alarm.factor-missing")
	if len(alarms) != 1 || alarms[0].Reason != "abandoned" || alarms[0].AccountName != "ada" {
		t.Errorf("%+v", alarms)
	}
	if n, err := r.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
}

// What became of requests is counted by day, for one account and for all.
func TestPrompted(t *testing.T) {
	r, ada, _ := withAda(t)
	bob := r.person("bob")
	tally := func(ctx context.Context, tx *store.Tx, account assurance.AccountID, what string, now time.Time) error {
		_, err := tx.Exec(ctx, `insert into prompted (account, day, what, n) values ($1,$2,$3,1) on conflict (account, day, what) do update set n = prompted.n + 1`, int64(account), now.Unix()/86400, what)
		return err
	}
	r.change(func(tx *store.Tx) error {
		for _, w := range []string{"asked", "asked", "pushed", "approved", "refused", "disowned", "wrong", "closed"} {
			if err := tally(t.Context(), tx, ada.ID, w, r.Now()); err != nil {
				return err
			}
		}
		if err := tally(t.Context(), tx, ada.ID, "asked", r.Now().Add(-day)); err != nil {
			return err
		}
		return tally(t.Context(), tx, bob.ID, "asked", r.Now())
	})
	days, err := r.Approvals.Days(t.Context(), ada.ID, 2)
	want := approval.PromptStatistics{Asked: 2, Pushed: 1, Approved: 1, Refused: 1, Disowned: 1, Wrong: 1, Closed: 1}
	if err != nil || len(days) != 2 || days[1] != want || days[0] != (approval.PromptStatistics{Asked: 1}) || days[1].Unanswered() != 0 || days[0].Unanswered() != 1 {
		t.Errorf("%+v, %v", days, err)
	}
	if all, err := r.Approvals.Days(t.Context(), 0, 1); err != nil || len(all) != 1 || all[0].Asked != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	for _, n := range []int{0, 91} {
		if _, err := r.Approvals.Days(t.Context(), 0, n); err == nil {
			t.Errorf("%d days", n)
		}
	}
	if beset, err := r.Approvals.Beset(t.Context(), 1, 5); err != nil || len(beset) != 2 || beset[0].Account != ada.ID || beset[0].PromptStatistics != want || beset[1].Asked != 1 {
		t.Errorf("%+v, %v", beset, err)
	}
}

// Codes that are sent have a pause and budgets, for an account and for an address.
func TestSendingIsBounded(t *testing.T) {
	r, ada, _ := withAda(t)
	send := func(a directory.Account, source string) string {
		t.Helper()
		did := false
		r.change(func(tx *store.Tx) (err error) {
			s := outbox.Sending{Account: a.ID}
			s.Entry.Source = source
			did, err = r.Messages.Send(t.Context(), tx, s, authenticator.Message{To: "+4930123", Text: "x"})
			return err
		})
		if did {
			return ""
		}
		return r.last("code.not-sent").Reason
	}
	if why := send(ada, "192.0.2.7"); why != "" {
		t.Error(why)
	}
	if why := send(ada, "192.0.2.7"); why != "too-soon" {
		t.Error(why)
	}
	for range sendHourly - 1 {
		r.clock.Later(sendPause)
		if why := send(ada, "192.0.2.7"); why != "" {
			t.Error(why)
		}
	}
	r.clock.Later(sendPause)
	if why := send(ada, "192.0.2.7"); why != "account-budget" {
		t.Error(why)
	}
	for i := range sendSourced - sendHourly {
		if why := send(r.person("p"+string(rune('a'+i))), "192.0.2.7"); why != "" {
			t.Errorf("%d: %s", i, why)
		}
	}
	eve := r.person("eve")
	if why := send(eve, "192.0.2.7"); why != "source-budget" {
		t.Error(why)
	}
	if why := send(eve, "no address"); why != "" {
		t.Errorf("from nowhere: %s", why)
	}
	for n := sendHourly; n < sendDaily; n++ {
		r.clock.Later(time.Hour)
		if why := send(ada, ""); why != "" {
			t.Errorf("the %dth of the day: %s", n+1, why)
		}
	}
	r.clock.Later(2 * time.Hour)
	if why := send(ada, ""); why != "account-budget" {
		t.Errorf("the 21st: %s", why)
	}
	if n := len(r.events("code.not-sent")); n < 4 {
		t.Errorf("%d refusals in the log", n)
	}
}

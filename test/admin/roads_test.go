package admin

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/nouns"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/servertest"
)

// harmless says of each command why it takes nobody's power to administer. What is neither here
// nor among the roads of TestEveryRoadOfTheLastAdministrator fails it.
var harmless = map[string]string{
	"account.create": "makes somebody", "account.import": "leaves whoever is privileged as they are", "account.resume": "gives back", "account.open": "opens what wrong answers closed", "account.clear-risk": "ends a doubt",
	"account.rename": "keeps the account, its groups and what it has", "account.set-display": "a text", "account.set-mail": "an address", "account.set-external": "a client's word", "account.link": "a second factor for another party", "account.unlink": "a second factor for another party", "group.set-display": "a text", "group.set-external": "a client's word",
	"authenticator.assign": "adds", "certificate.assign": "adds", "token.assign": "adds", "token.resync": "keeps it", "token.stage": "stock", "token.preview": "stock", "token.import": "stock, and assigns to nobody who has not",
	"pass.issue": "adds a way, and never for oneself", "pass.invite": "adds a way", "pass.letter": "adds a way", "pass.uninvite": "takes a pass, which administers nothing",
	"key.issue": "a service's", "quiet.clear": "pushes only", "session.end": "they sign in again", "connection.end": "they sign in there again",
	"group.create": "adds", "application.set": "Countersign itself is none", "application.remove": "Countersign itself is none", "coverage.declare": "a statement", "coverage.withdraw": "a statement",
	"drill.record": "a report", "drill.begin": "a report", "audit.seen": "a mark", "checklist.put-away": "a mark", "checklist.bring-back": "a mark", "audit.checkpoint": "a signature", "rollover.announce": "a key for applications", "rollover.switch": "a key for applications", "rollover.retire": "a key for applications", "provisioning.set": "an application's people", "provisioning.mend": "an application's people", "provisioning.release": "an application's people", "provisioning.remove": "an application's people", "upstream.set": "no upstream is a way in for who administers", "upstream.accept-key": "as upstream.set", "upstream.link": "adds, and never to who administers", "upstream.unlink": "nobody who administers has a link that counts", "upstream.remove": "as upstream.unlink", "partner.create": "nobody of it gets anything", "partner.change": "a text", "partner.delegate": "waits for another", "partner.approve": "never to who administers", "partner.end": "nobody of a partner is counted among who administers", "partner.stop": "as partner.end", "partner.remove": "nobody is in it", "offline.issue": "a host's", "offline.reconcile": "a host's", "offline.revoke": "a host's",
	"stream.create": "tells others", "stream.update": "tells others", "stream.remove": "tells others", "stream.set-status": "tells others", "stream.add-subject": "tells others", "stream.remove-subject": "tells others", "stream.verify": "tells others", "stream.poll": "tells others",
	"source.create": "ends sessions, and they sign in again", "source.update": "the same", "source.renew": "a secret", "source.set-status": "ends no more, or sessions", "source.remove": "ends nothing more",
	"recovery.stop": "undoes a recovery; what its pass set up was set up in the place of what was switched off, under two people's word",
	"recovery.open": "nothing is switched off before its owner goes on in their own browser", "recovery.confirm": "the same",
}

// The promise: whoever administers alone is told of every road on which nobody could administer
// any more before they approve it, and it is refused once more when it is done. A command that is
// new is on this table, or fails it.
func TestEveryRoadOfTheLastAdministrator(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	var own []any
	for _, c := range servertest.AuthenticatorsOf(w, "ada") {
		if c.Status == directory.CredentialActive {
			own = append(own, c.ID)
		}
	}
	roads := map[string][]map[string]any{
		"authenticator.revoke": {{"account": "ada", "id": own[0]}, {"account": "ada", "id": own[1]}},
		"group.member.remove":  {{"group": "administrators", "account": "ada"}},
		"group.member.add":     nil, // TestLastAdministratorStays: a group that policy denies
		"group.remove":         {{"name": "administrators"}, {"name": "Administrators"}},
		"account.suspend":      {{"name": "ada", "reason": "left"}},
		"account.set-end":      {{"name": "ada", "ends": w.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)}},
		"account.remove":       {{"name": "ada"}},
		"policy.change":        {{"body": denying[0], "base": servertest.PolicyVersion(w)}, {"body": string(policy.Default()), "base": servertest.PolicyVersion(w)}},
		"token.lost":           nil, // test/token: TestSoleAdministratorKeepsTheToken
		"site.apply":           nil, // its policy is saved as that of policy.change, and it changes no members
		"token.return":         nil, "token.revoke": nil, "token.pin": nil,
	}
	for _, spec := range nouns.Commands() {
		cases, road := roads[spec.Action]
		_, known := harmless[spec.Action]
		if reads := spec.Reads; !reads && road == known {
			t.Errorf("%s: nobody has said whether it takes somebody's power to administer", spec.Action)
		}
		for _, in := range cases {
			cmd := servertest.Command(t, spec.Action, in)
			if err := w.Admin.Preflight(t.Context(), cmd); failure.ClassOf(err) != failure.Refused || !strings.Contains(failure.Public(err), "dminist") {
				t.Errorf("%s %v, before it is approved: %v", spec.Action, in, err)
			}
			g, err := ada.Grant(t.Context(), cmd)
			if err != nil {
				t.Errorf("%s %v: %v", spec.Action, in, err)
				continue
			}
			if _, err := w.Admin.Do(t.Context(), g, cmd); failure.ClassOf(err) != failure.Refused {
				t.Errorf("%s %v, which was approved: %v", spec.Action, in, err)
			}
		}
	}
	if !servertest.Administers(w, "ada") {
		t.Error("nobody administers any more")
	}
}

// The promise: whoever administers alone reads, before they set a new password, that it counts for
// administration only later and that nobody can administer until then; one of two reads the time
// alone, and who administers nothing reads neither.
func TestANewPasswordOfTheLastAdministrator(t *testing.T) {
	w := servertest.NewWorld(t)
	const last, later = "You are the last administrator", "for administration it counts from"
	w.Administrator("ada")
	bob := w.EnrollCodes("bob")
	offered := func(p *servertest.Person, name string) string {
		t.Helper()
		w.Later(time.Minute)
		b := w.Person()
		b.Get("/sign-in")
		b.SignIn(name, p.Code())
		b.Post("/account/do", "action", "authenticator.enroll", "object", "password")
		b.Sees("The same again")
		return b.Page
	}
	ada := servertest.OfficeOf(w, "eve")[0].Person
	w.Suspend("ada")
	if page := offered(ada, "eve"); !strings.Contains(page, last) {
		t.Errorf("the last one is not told:\n%s", page)
	}
	if page := offered(bob, "bob"); strings.Contains(page, last) || strings.Contains(page, later) {
		t.Errorf("who administers nothing is told of it:\n%s", page)
	}
	w.Promote("bob")
	if page := offered(bob, "bob"); strings.Contains(page, last) || !strings.Contains(page, later) {
		t.Errorf("one of two is told otherwise:\n%s", page)
	}
}

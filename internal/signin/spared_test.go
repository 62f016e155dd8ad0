package signin

import (
	"context"
	"errors"
	"strings"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

const (
	keysOnly   = "rules:\n  - {name: all, require: phishing-resistant}\n"
	notOutside = twoFactors + "  - {name: outside, when: '\"staff\" in account.groups', deny: outside}\n"
)

// loseWithin asks inside a change, as whoever approved it would have it done, and leaves
// nothing of that change.
func loseWithin(r *rig, before func(tx *store.Tx) error, l Loss) error {
	r.t.Helper()
	gone := errors.New("spared")
	err := r.DB.Change(r.t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if err := before(tx); err != nil {
			return err
		}
		if err := r.SpareAdministration(r.t.Context(), tx, l); err != nil {
			return err
		}
		return gone
	})
	if errors.Is(err, gone) {
		return nil
	}
	return err
}

func nothing(*store.Tx) error { return nil }

// Whatever takes away the one authenticator without which the last administrator could
// not administer is refused, with one sentence: before anybody approves it, and again
// inside the change.
func TestTheOnlyAuthenticatorOfTheLast(t *testing.T) {
	const known, held = assurance.Known, assurance.Held
	r := newRig(t, twoFactors)
	root := r.person("root", directory.Administrators)
	eve := r.person("eve", directory.Helpdesk) // who can sign in, and administers nothing
	r.withPassword(eve)
	r.withCodes(eve)
	own := map[string]directory.Credential{
		"password": r.withPassword(root),
		"hotp":     r.give(root, "hotp", authenticator.Enrolled{Traits: held, State: []byte("x")}),
		"passkey":  r.give(root, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")}),
	}
	for _, c := range []struct {
		name       string
		document   string
		password   bool
		kind       string
		traits     assurance.Trait
		loses      assurance.Trait
		state      string // of the authenticator, before
		wantRefuse bool
	}{
		{"a token beside a password", twoFactors, true, "hotp", held, Everything, directory.CredentialActive, true},
		{"a token with a PIN", twoFactors, false, "hotp", held | known, Everything, directory.CredentialActive, true},
		{"the PIN of a token that is all there is", twoFactors, false, "hotp", held | known, known, directory.CredentialActive, true},
		{"the PIN of a token beside a password", twoFactors, true, "hotp", held | known, known, directory.CredentialActive, false},
		{"a passkey that policy demands", keysOnly, true, "passkey", strong, Everything, directory.CredentialActive, true},
		{"what makes it resist phishing", keysOnly, true, "passkey", strong, assurance.PhishingResistant, directory.CredentialActive, true},
		{"a token that policy does not ask for", anyFactor, true, "hotp", held, Everything, directory.CredentialActive, false},
		{"a token that is switched off already", twoFactors, true, "hotp", held, Everything, directory.CredentialDisabled, false},
		{"a token that policy refuses", "rules:\n  - {name: all, require: two-factors, refuse: [hotp]}\n", true, "hotp", held, Everything, directory.CredentialActive, false},
	} {
		r.rules(c.document)
		one := own[c.kind]
		for kind, has := range own {
			r.alter(has, func(cr *directory.Credential) {
				switch {
				case kind == c.kind:
					cr.Status, cr.Traits = c.state, c.traits
				case kind == "password" && c.password:
					cr.Status = directory.CredentialActive
				default:
					cr.Status = directory.CredentialRevoked
				}
			})
		}
		l := Without(root.ID, one.ID, c.loses)
		for when, err := range map[string]error{
			"before it is approved": r.SpareAdministration(t.Context(), r.DB, l),
			"inside the change":     loseWithin(r, nothing, l),
		} {
			if (err != nil) != c.wantRefuse {
				t.Errorf("%s, %s: %v", c.name, when, err)
			}
			if err != nil && (refused(err) != "last-administrator" || !strings.HasPrefix(failure.Public(err), "After that, nobody could administer Countersign.")) {
				t.Errorf("%s, %s, is told %q (%v)", c.name, when, failure.Public(err), err)
			}
		}
		now, err := r.credentials.Get(t.Context(), r.DB, root.ID, one.ID)
		if err != nil || now.Traits != c.traits || now.Status != c.state {
			t.Errorf("%s: asking changed it: %+v, %v", c.name, now, err)
		}
	}
}

// Suspending the last who can administer is refused before anybody approves it, with
// what to do about it; nobody is last where nobody could administer anyway, and who
// administers nothing is not spared.
func TestSuspendingTheLast(t *testing.T) {
	r, root, ada, _, adas := withAdministrators(t)
	eve := r.person("eve", directory.Helpdesk)
	robot := r.account(directory.NewAccount{Name: "robot", Kind: directory.Service}, directory.Administrators)
	asked := func(a directory.Account) string {
		t.Helper()
		err := r.SpareAdministration(t.Context(), r.DB, Suspended(a.ID))
		if err != nil && failure.ClassOf(err) != failure.Refused {
			t.Fatal(err)
		}
		return failure.Public(err)
	}
	for _, a := range []directory.Account{root, ada, eve, robot} {
		if says := asked(a); refusedFor(says) {
			t.Errorf("one of two, or none of them: %s: %q", a.Name, says)
		}
	}
	r.alter(adas.Credential, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	for _, a := range []directory.Account{ada, eve, robot} {
		if says := asked(a); refusedFor(says) {
			t.Errorf("not the last: %s: %q", a.Name, says)
		}
	}
	if says := asked(root); says != "After that, nobody could administer Countersign. First make somebody else an administrator who can sign in as the policy requires of administrators." {
		t.Errorf("the last one: %q", says)
	}
	if d, err := r.people.Get(t.Context(), r.DB, root.ID); err != nil || d.State != directory.Active {
		t.Errorf("%+v, %v", d, err)
	}
}

func refusedFor(says string) bool { return strings.Contains(says, "obody could administer") }

// A group that policy denies takes the last administrator away when it is joined, and
// gives one back when it is left.
func TestGroupsThatPolicyDenies(t *testing.T) {
	r := newRig(t, notOutside)
	r.change(func(tx *store.Tx) error {
		_, err := r.Groups.Create(t.Context(), tx, "staff", "staff", false)
		return err
	})
	root := r.person("root", directory.Administrators)
	r.withPassword(root)
	r.withCodes(root)
	for name, l := range map[string]Loss{
		"joins":                     Regrouped(root.ID, "", "staff"),
		"joins, and leaves another": Regrouped(root.ID, "sales", "staff"),
	} {
		if err := r.SpareAdministration(t.Context(), r.DB, l); refused(err) != "last-administrator" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, l := range map[string]Loss{
		"joins what policy does not mention": Regrouped(root.ID, "", directory.Helpdesk),
		"joins nothing":                      Regrouped(root.ID, "", ""),
		"leaves what policy denies":          Regrouped(root.ID, "staff", ""),
	} {
		if err := r.SpareAdministration(t.Context(), r.DB, l); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ada := directory.Account{ID: root.ID, Groups: []string{"a", "staff"}}
	got, _ := Regrouped(root.ID, "a", "staff").Edit(ada, nil)
	if strings.Join(got.Groups, " ") != "staff" || strings.Join(ada.Groups, " ") != "a staff" {
		t.Errorf("%v of %v", got.Groups, ada.Groups)
	}
}

// A change is judged by the policy that it leaves: one that it has written itself, but
// for one that does not compile, or that nobody of us wrote.
func TestTheLastByThePolicyOfTheChange(t *testing.T) {
	r, root, ada, _, _ := withAdministrators(t)
	r.give(root, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")})
	saving := func(document string) func(tx *store.Tx) error {
		return func(tx *store.Tx) error {
			_, err := r.Rules.Save(t.Context(), tx, document, "test")
			return err
		}
	}
	for _, c := range []struct {
		name   string
		before func(tx *store.Tx) error
		who    directory.Account
		last   bool
	}{
		{"as it was", nothing, root, false},
		{"by one of two, with the same policy anew", saving(twoFactors), root, false},
		{"keys alone are good from now on", saving(keysOnly), root, true},
		{"and who has none is no loss", saving(keysOnly), ada, false},
		{"what does not compile is not in force", saving("rules: ["), root, false},
		{"what others wrote is not believed", func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `update policy set body = $1`, keysOnly)
			return err
		}, root, false},
	} {
		if err := loseWithin(r, c.before, Suspended(c.who.ID)); (err != nil) != c.last || err != nil && refused(err) != "last-administrator" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// By a row that somebody else wrote the last one is spared as before.
	r.change(func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `update policy set body = $1`, "rules:\n  - {name: all, deny: closed}\n")
		return err
	})
	if err := r.SpareAdministration(t.Context(), r.DB, Suspended(root.ID)); err != nil {
		t.Errorf("one of two, by the last good policy: %v", err)
	}
	if err := r.SpareAdministration(t.Context(), r.DB, Regrouped(ada.ID, directory.Administrators, "")); err != nil {
		t.Errorf("the other: %v", err)
	}
}

// The policy is compiled once for all who ask, and what keeps it from being compiled
// inside a change is no permission.
func TestThePolicyOfAChangeIsRead(t *testing.T) {
	r, root, _, _, _ := withAdministrators(t)
	asked, broken := 0, errors.New("the names cannot be read")
	known := r.Rules.known
	if _, err := r.Rules.Current(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Rules.known = func(ctx context.Context, from store.Reader) (policy.Known, error) {
		if asked++; asked > 1 {
			return policy.Known{}, broken
		}
		return known(ctx, from)
	}
	for range 3 {
		if err := loseWithin(r, nothing, Suspended(root.ID)); err != nil || asked != 0 {
			t.Errorf("%v; the names were read %d times", err, asked)
		}
	}
	save := func(tx *store.Tx) error {
		_, err := r.Rules.Save(t.Context(), tx, keysOnly, "test")
		return err
	}
	if err := loseWithin(r, save, Suspended(root.ID)); err != nil || asked != 1 {
		t.Errorf("%v; the names were read %d times", err, asked)
	}
	if err := loseWithin(r, save, Suspended(root.ID)); !errors.Is(err, broken) {
		t.Errorf("without the names: %v", err)
	}
	if err := r.DB.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if err := save(tx); err != nil {
			return err
		}
		p, err := r.PolicyTx(t.Context(), tx)
		if p != nil {
			t.Error("a policy that could not be compiled")
		}
		return err
	}); !errors.Is(err, broken) {
		t.Errorf("the policy of a change without the names: %v", err)
	}
}

// A change that takes a name away sees which names the policy mentions that is in force
// once it is done.
func TestPolicyInAChange(t *testing.T) {
	r, _, _, _, _ := withAdministrators(t)
	mentions := func(tx *store.Tx) string {
		t.Helper()
		p, err := r.PolicyTx(t.Context(), tx)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(p.Mentions().Groups, " ")
	}
	r.change(func(tx *store.Tx) error {
		if got := mentions(tx); got != "" {
			t.Errorf("before: %q", got)
		}
		if _, err := r.Rules.Save(t.Context(), tx, notOutside, "test"); err != nil {
			return err
		}
		if got := mentions(tx); got != "staff" {
			t.Errorf("in the change: %q", got)
		}
		return nil
	})
	r.change(func(tx *store.Tx) error {
		if got := mentions(tx); got != "staff" {
			t.Errorf("after: %q", got)
		}
		return nil
	})
}

// Only who could really sign in is counted: neither who has what this server does not
// know any more, as after the cards were taken out of its configuration, nor who has
// only what is answered elsewhere, before which something has to be shown here.
func TestWhoCannotBeginIsNoAdministrator(t *testing.T) {
	const app, held, known, saved = assurance.Held | assurance.UserVerified, assurance.Held, assurance.Known, assurance.Held | assurance.Recovery
	type has map[string]assurance.Trait
	people := []struct {
		name string
		has  has
		able string // by two factors, where passwords do not count, where passkeys do not
	}{
		{"card", has{"password": known, "certificate": strong}, "yes yes yes"},
		{"card-unknown", has{"password": known, "idcard": strong}, "no no no"},
		{"card-unknown-alone", has{"idcard": strong}, "no no no"},
		{"app-alone", has{"push": app}, "no no no"},
		{"app-and-codes", has{"push": app, "totp": held}, "no no no"},
		{"app-and-token", has{"push": app, "hotp": held}, "no no no"},
		{"app-and-saved-codes", has{"push": app, "recoverycode": saved}, "no no no"},
		{"app-and-pass", has{"push": app, "accesspass": assurance.Vouched}, "no no no"},
		{"app-and-unknown", has{"push": app, "pin": known}, "no no no"},
		{"app-and-password", has{"push": app, "password": known}, "yes yes yes"}, // which opens, though it may not count
		{"codes", has{"totp": held, "password": known}, "yes no yes"},
		{"passkey", has{"passkey": strong}, "yes yes no"},
		{"token-with-pin", has{"hotp": held | known}, "yes yes yes"},
		{"nothing", nil, "no no no"},
	}
	r := newRig(t, twoFactors)
	accounts := map[string]directory.Account{}
	for _, p := range people {
		accounts[p.name] = r.person(p.name, directory.Administrators)
		for kind, traits := range p.has {
			r.give(accounts[p.name], kind, authenticator.Enrolled{Traits: traits, State: []byte("x")})
		}
	}
	able := map[string]string{}
	for _, document := range []string{"", ", refuse: [password]", ", refuse: [passkey]"} {
		r.rules("rules:\n  - {name: all, require: two-factors" + document + "}\n")
		list, err := r.Administrators(t.Context(), r.DB)
		if err != nil || len(list) != len(people) {
			t.Fatalf("%d, %v", len(list), err)
		}
		for _, one := range list {
			word := map[bool]string{true: " yes", false: " no"}[one.Able]
			able[one.Name] += word
		}
	}
	var last directory.Account
	for _, p := range people {
		if got := strings.TrimSpace(able[p.name]); got != p.able {
			t.Errorf("%s can: %s; want %s", p.name, got, p.able)
		}
		if !strings.HasPrefix(p.able, "yes") {
			continue
		}
		if last.ID != 0 {
			r.change(func(tx *store.Tx) error {
				last.State = directory.Suspended
				return r.people.Update(t.Context(), tx, last)
			})
		}
		last = accounts[p.name]
	}
	// Beside all who cannot, the last who can is the last.
	r.rules(twoFactors)
	if err := r.SpareAdministration(t.Context(), r.DB, Suspended(last.ID)); refused(err) != "last-administrator" {
		t.Errorf("%s, the last who can: %v", last.Name, err)
	}
}

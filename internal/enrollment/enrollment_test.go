package enrollment

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
)

func reason(err error) string {
	switch {
	case err == nil:
		return ""
	case failure.ReasonOf(err) != "":
		return failure.ReasonOf(err)
	}
	return failure.ClassOf(err).String()
}

func answer(kind, text string) prompt.Answer { return prompt.Answer{Authenticator: kind, Text: text} }

// What somebody sets up takes a grant for exactly that, goes on in its own session, is
// told, and is in quarantine for who had two factors before, in every state of them.
func TestEnroll(t *testing.T) {
	for _, c := range []struct {
		name  string
		taken func(c *directory.Credential) // what became of his phone
		quiet bool                          // what is new is in quarantine
	}{
		{"two factors", func(*directory.Credential) {}, true},
		{"off by guesses", func(c *directory.Credential) { c.EndAt(began, directory.CredentialDisabled, directory.ByGuesses, 0) }, true},
		{"removed by another", func(c *directory.Credential) {
			c.EndAt(began, directory.CredentialRevoked, directory.ByAdministrator, 1)
		}, false},
		{"given up", func(c *directory.Credential) {
			c.EndAt(began, directory.CredentialRevoked, directory.BySureRecovery, 1)
		}, false},
	} {
		r := setUp(t)
		r.Person("bob", "password", "totp", "mailcode")
		session := r.Enters("bob", "password", "totp")
		g := r.Grant("bob", session, Enroll, "passkey")
		for _, kind := range []string{"accesspass", "nothing", strings.Repeat("x", 99)} {
			if _, err := r.Enrollments.Begin(t.Context(), g, kind); failure.ClassOf(err) != failure.Invalid {
				t.Errorf("%s is offered: %v", kind, err)
			}
		}
		if _, err := r.Enrollments.Begin(t.Context(), g, "smscode"); reason(err) != "other-action" {
			t.Errorf("a grant for another kind: %v", err)
		}
		r.change(func(tx *store.Tx) error {
			phone := r.Newest("bob")["totp"]
			c.taken(&phone)
			return r.Credentials.Update(t.Context(), tx, phone)
		})
		offer, err := r.Enrollments.Begin(t.Context(), g, "passkey")
		if err != nil || offer.Prompt.Label != "bob" || !offer.Expires.Equal(began.Add(codeLife)) {
			t.Fatalf("%+v, %v", offer, err)
		}
		if again, err := r.Enrollments.Resume(t.Context(), g, offer.Ticket); err != nil || again.Ticket != offer.Ticket || again.Prompt.Label != "bob" {
			t.Errorf("%+v, %v", again, err)
		}
		other := r.Grant("bob", r.Enters("bob", "password"), signin.SignIn, "")
		r.Person("carol", "password", "totp")
		carols := r.Grant("carol", r.Enters("carol", "password"), signin.SignIn, "")
		for name, g := range map[string]signin.Grant{"another session": other, "another account": carols} {
			if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "yes"), ""); reason(err) != "other-session" {
				t.Errorf("%s goes on: %v", name, err)
			}
			if _, err := r.Enrollments.Resume(t.Context(), g, offer.Ticket); reason(err) != "other-session" {
				t.Errorf("%s looks: %v", name, err)
			}
		}
		if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "no"), ""); reason(err) != "wrong" || failure.ClassOf(err) != failure.Invalid || r.events("credential.refused") != 1 {
			t.Errorf("a wrong answer: %v", err)
		}
		a, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "yes"), " my \n key\u202e ")
		if err != nil || a.Label != "my key" || a.Quarantine.Equal(began.Add(r.quarantine)) != c.quiet || a.Quarantine.IsZero() == c.quiet {
			t.Errorf("%s: %+v, %v", c.name, a, err)
		}
		if got := r.mails(); len(got) != 1 || got[0] != "bob@example.org: A new way to sign in was added to your account" || r.events("credential.enrolled") != 1 {
			t.Errorf("told %q", got)
		}
		if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "yes"), ""); err == nil {
			t.Error("an offer is good twice")
		}
	}
}

// An offer takes five answers, ten minutes, and an account that is neither suspended nor has ended.
func TestOfferEnds(t *testing.T) {
	r := setUp(t)
	r.Person("bob", "password", "totp")
	g := r.Grant("bob", r.Enters("bob", "password", "totp"), Enroll, "passkey")
	offer, err := r.Enrollments.Begin(t.Context(), g, "passkey")
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxTries + 1 {
		_, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "no"), "")
		if want := map[bool]string{true: "too-many-tries", false: "wrong"}[i == maxTries]; reason(err) != want {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	if offer, err = r.Enrollments.Begin(t.Context(), g, "passkey"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "again"), ""); !errors.Is(err, ErrAnother) {
		t.Errorf("another answer: %v", err)
	}
	if again, err := r.Enrollments.Resume(t.Context(), g, offer.Ticket); err != nil || again.Prompt.Label != "another" {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "again"), ""); failure.ClassOf(err) != failure.Invalid || errors.Is(err, ErrAnother) {
		t.Errorf("two codes at once are sent: %v", err)
	}
	edit := func(set func(a *directory.Account)) {
		r.change(func(tx *store.Tx) error {
			a := r.Account("bob")
			set(&a)
			return r.Accounts.Update(t.Context(), tx, a)
		})
	}
	suspend := func(state string) { edit(func(a *directory.Account) { a.State = state }) }
	suspend(directory.Suspended)
	if _, err := r.Enrollments.Begin(t.Context(), g, "passkey"); reason(err) != "suspended" {
		t.Errorf("suspended: %v", err)
	}
	if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "yes"), ""); reason(err) != "suspended" {
		t.Errorf("suspended meanwhile: %v", err)
	}
	suspend(directory.Active)
	edit(func(a *directory.Account) { a.Ends = r.now })
	if _, err := r.Enrollments.Begin(t.Context(), g, "passkey"); reason(err) != "ended" {
		t.Errorf("ended: %v", err)
	}
	if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "yes"), ""); reason(err) != "ended" {
		t.Errorf("ended meanwhile: %v", err)
	}
	edit(func(a *directory.Account) { a.Ends = time.Time{} })
	r.now = began.Add(codeLife)
	if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, answer("passkey", "yes"), ""); err == nil {
		t.Error("after ten minutes it is taken")
	}
}

// A new password takes the place of the one before, whatever became of that, and ends
// the risk; what is not one of a kind stays.
func TestReplaces(t *testing.T) {
	r := setUp(t)
	r.Person("bob", "password", "totp", "recoverycode")
	r.change(func(tx *store.Tx) error {
		bob, err := r.Accounts.Get(t.Context(), tx, r.Account("bob").ID)
		if err != nil {
			return err
		}
		bob.Risk = began
		if err := r.Accounts.Update(t.Context(), tx, bob); err != nil {
			return err
		}
		saved := r.Newest("bob")["recoverycode"]
		saved.EndAt(began, directory.CredentialUsedUp, "", 0)
		return r.Credentials.Update(t.Context(), tx, saved)
	})
	session := r.Enters("bob", "password", "totp")
	first := r.Newest("bob")
	for _, kind := range []string{"totp", "recoverycode", "password"} {
		offer, err := r.Enrollments.Begin(t.Context(), r.Grant("bob", session, Enroll, kind), kind)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Enrollments.Finish(t.Context(), r.Grant("bob", session, signin.SignIn, ""), offer.Ticket, answer(kind, "yes"), strings.Repeat("ä", 70)); err != nil {
			t.Fatal(err)
		}
		if risk := r.Account("bob").Risk; risk.IsZero() != (kind == "password") {
			t.Errorf("after a new %s at risk since %s", kind, risk)
		}
		if label := r.Newest("bob")[kind].Label; label != strings.Repeat("ä", 60) {
			t.Errorf("it is called %q", label)
		}
	}
	rows, err := r.Credentials.All(t.Context(), r.DB, r.Account("bob").ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range rows {
		switch c.ID {
		case first["password"].ID:
			if c.Status != directory.CredentialRevoked || c.End.Cause != directory.ByNewer {
				t.Errorf("the password of before is %s by %s", c.Status, c.End.Cause)
			}
		case first["totp"].ID:
			if c.Status != directory.CredentialActive {
				t.Error("a second phone took the place of the first")
			}
		case first["recoverycode"].ID:
			if c.Status != directory.CredentialRevoked || c.End.Cause != directory.ByNewer {
				t.Errorf("the codes of before are %s by %s", c.Status, c.End.Cause)
			}
		}
	}
	listed, err := r.List(t.Context(), r.Account("bob").ID)
	if err != nil || len(listed) != 4 || listed[0].Title != "A totp" || listed[0].PIN != "none" {
		t.Errorf("%+v, %v", listed, err)
	}
	if two, err := r.TwoFactors(t.Context(), r.Account("bob").ID); !two || err != nil {
		t.Error("two factors are none", err)
	}
	if two, err := r.TwoFactors(t.Context(), r.Account("root").ID); two || err != nil {
		t.Error("nothing is two factors", err)
	}
	all := r.Kinds()
	if len(all) != 7 || all[0].Restricted || !all[4].Restricted || all[4].Kind != "smscode" {
		t.Errorf("%+v", all)
	}
}

// Removing takes a grant for that one, and leaves two factors, and somebody who
// administers.
func TestRemove(t *testing.T) {
	r := setUp(t)
	r.Person("bob", "password", "totp", "passkey")
	r.Person("carol", "password", "totp")
	has := r.Newest("bob")
	id := func(kind string) string { return strconv.FormatInt(int64(has[kind].ID), 10) }
	session := r.Enters("bob", "passkey")
	g := r.Grant("bob", session, Remove, id("totp"))
	if err := r.Remove(t.Context(), g, has["password"].ID); reason(err) != "other-action" {
		t.Errorf("another than was approved: %v", err)
	}
	r.spare = failure.Refuse("last-administrator", "no")
	if _, err := r.Removable(t.Context(), r.Account("bob").ID, has["totp"].ID); reason(err) != "last-administrator" {
		t.Errorf("before it is proved: %v", err)
	}
	if err := r.Remove(t.Context(), g, has["totp"].ID); reason(err) != "last-administrator" {
		t.Errorf("the last administrator: %v", err)
	}
	r.spare = nil
	if err := r.Remove(t.Context(), g, has["totp"].ID); err != nil {
		t.Fatal(err)
	}
	if gone := r.Newest("bob")["totp"]; gone.Status != directory.CredentialRevoked || gone.End.Cause != directory.ByOwner || r.events("credential.removed") != 1 || len(r.mails()) != 1 {
		t.Errorf("%+v", gone)
	}
	if err := r.Remove(t.Context(), g, has["totp"].ID); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("twice: %v", err)
	}
	if err := r.Remove(t.Context(), r.Grant("bob", session, Remove, id("passkey")), has["passkey"].ID); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("the last: %v", err)
	}
	theirs := r.Newest("carol")["totp"].ID
	if err := r.Remove(t.Context(), r.Grant("bob", session, Remove, strconv.FormatInt(int64(theirs), 10)), theirs); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("somebody else's: %v", err)
	}
	rename := r.Grant("bob", session, Rename, id("passkey"))
	if err := r.Rename(t.Context(), rename, has["password"].ID, "x"); reason(err) != "other-action" {
		t.Errorf("another is renamed: %v", err)
	}
	for label, want := range map[string]string{"the \x1b red one": "the red one", " ": ""} {
		before := r.Newest("bob")["passkey"].Label
		if want == "" {
			want = before
		}
		if err := r.Rename(t.Context(), rename, has["passkey"].ID, label); err != nil || r.Newest("bob")["passkey"].Label != want {
			t.Errorf("%q: %q, %v", label, r.Newest("bob")["passkey"].Label, err)
		}
	}
	if err := r.Rename(t.Context(), r.Grant("bob", session, Rename, strconv.FormatInt(int64(theirs), 10)), theirs, "x"); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("somebody else's is renamed: %v", err)
	}
}

// A pass lives an hour, eight at most, and takes the place of the one before.
func TestPass(t *testing.T) {
	r := setUp(t)
	bob := r.Person("bob", "password")
	for _, c := range []struct{ asked, lives time.Duration }{{0, time.Hour}, {-1, time.Hour}, {time.Minute, time.Minute}, {signin.PassCeiling, signin.PassCeiling}, {signin.PassCeiling + 1, 0}} {
		var ends time.Time
		err := r.try(func(tx *store.Tx) (err error) {
			_, ends, err = r.Passes.IssueTx(t.Context(), tx, bob, c.asked)
			return err
		})
		if (err == nil) != (c.lives > 0) || err == nil && !ends.Equal(began.Add(c.lives)) {
			t.Errorf("%s: until %s, %v", c.asked, ends, err)
		}
	}
	active := 0
	rows, err := r.Credentials.All(t.Context(), r.DB, bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range rows {
		if c.Kind == "accesspass" && c.Status == directory.CredentialActive {
			active++
		}
		if c.Kind == "password" && c.Status != directory.CredentialActive {
			t.Error("a pass took the place of the password")
		}
	}
	if active != 1 {
		t.Errorf("%d passes are good", active)
	}
	r.change(func(tx *store.Tx) error {
		c, err := r.AssignTx(t.Context(), tx, bob, directory.Credential{Kind: "totp", Traits: assurance.Held, State: []byte("{}"), Assigned: 1})
		if err == nil && (!c.Quarantine.Equal(began.Add(r.quarantine)) || c.Assigned != 1) {
			t.Errorf("%+v", c)
		}
		return err
	})
	if _, err := r.Assignable("password", nil); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("what cannot be assigned: %v", err)
	}
}

// A PIN takes a grant for its token and the session that began it, twice the same; the
// other sessions end.
func TestPIN(t *testing.T) {
	r := setUp(t)
	r.Person("bob", "password", "totp")
	r.Person("carol", "password", "totp")
	has := r.Newest("bob")
	id := func(kind string) string { return strconv.FormatInt(int64(has[kind].ID), 10) }
	session, other := r.Enters("bob", "password", "totp"), r.Enters("bob", "password")
	g := r.Grant("bob", session, SetPIN, id("totp"))
	if _, err := r.PINs.Begin(t.Context(), g, has["password"].ID); reason(err) != "other-action" {
		t.Errorf("another token: %v", err)
	}
	if _, err := r.PINs.Begin(t.Context(), r.Grant("bob", session, SetPIN, id("password")), has["password"].ID); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("a password with a PIN: %v", err)
	}
	secret, err := r.PINs.Begin(t.Context(), g, has["totp"].ID)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := r.PINs.Resume(t.Context(), g, secret); err != nil || a.ID != has["totp"].ID {
		t.Errorf("%+v, %v", a, err)
	}
	elsewhere := r.Grant("bob", other, signin.SignIn, "")
	if _, err := r.PINs.Resume(t.Context(), elsewhere, secret); reason(err) != "other-session" {
		t.Errorf("another session looks: %v", err)
	}
	if err := r.PINs.Finish(t.Context(), elsewhere, secret, "246810", "246810"); reason(err) != "other-session" {
		t.Errorf("another session sets it: %v", err)
	}
	if err := r.PINs.Finish(t.Context(), g, secret, "246810", "246811"); reason(err) != "not-twice" {
		t.Errorf("two PINs: %v", err)
	}
	if err := r.PINs.Finish(t.Context(), g, secret, "1234", "1234"); reason(err) != "weak" {
		t.Errorf("a weak PIN: %v", err)
	}
	if err := r.PINs.Finish(t.Context(), g, secret, "246810", "246810"); err != nil {
		t.Fatal(err)
	}
	if c := r.Newest("bob")["totp"]; !c.Traits.Has(assurance.Known) || string(c.State) != "set" || r.events("credential.pin-set") != 1 || len(r.mails()) != 1 {
		t.Errorf("%+v", c)
	}
	if _, err := r.Sessions.Active(t.Context(), other); err == nil {
		t.Error("another session stands")
	}
	if _, err := r.Sessions.Active(t.Context(), session); err != nil {
		t.Error("the session that set it ended")
	}
	if err := r.PINs.Finish(t.Context(), g, secret, "246810", "246810"); err == nil {
		t.Error("it is set twice")
	}
	bob := r.Account("bob")
	given := func(kind string) (pin string, err error) {
		err = r.try(func(tx *store.Tx) error {
			c := r.Newest("bob")[kind]
			pin, err = r.PINs.GiveTx(t.Context(), tx, bob, &c)
			return err
		})
		return pin, err
	}
	cleared := func(kind string) error {
		return r.try(func(tx *store.Tx) error { c := r.Newest("bob")[kind]; return r.PINs.ClearTx(t.Context(), tx, bob, &c) })
	}
	if err := cleared("totp"); err != nil || string(r.Newest("bob")["totp"].State) != "{}" {
		t.Errorf("it is not taken away: %v", err)
	}
	if pin, err := given("totp"); err != nil || pin != "246810" || r.Newest("bob")["totp"].Traits.Has(assurance.Known) {
		t.Errorf("%q, %v", pin, err)
	}
	if err := cleared("totp"); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("one that is wanted is taken away: %v", err)
	}
	if _, err := given("password"); failure.ClassOf(err) != failure.Invalid {
		t.Error(err)
	}
	if err := cleared("password"); failure.ClassOf(err) != failure.Invalid {
		t.Error(err)
	}
	r.change(func(tx *store.Tx) error {
		c := r.Newest("bob")["totp"]
		return r.RevokeTx(t.Context(), tx, &c, directory.ByAdministrator, 5)
	})
	if c := r.Newest("bob")["totp"]; c.End.Whose != 5 || c.End.Cause != directory.ByAdministrator || !c.End.At.Equal(began) {
		t.Errorf("%+v", c.End)
	}
}

// A device is bound by a code that it signed, once, within its offer, and to the offer
// of whose code it is.
func TestBind(t *testing.T) {
	r := setUp(t)
	r.Person("bob", "password", "totp")
	session := r.Enters("bob", "password", "totp")
	g := r.Grant("bob", session, Enroll, "push")
	offer, err := r.Enrollments.Begin(t.Context(), g, "push")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, prompt.Answer{Data: []byte("signed by the browser")}, ""); reason(err) != "no-device" {
		t.Errorf("the browser speaks for the device: %v", err)
	}
	p, err := r.Enrollments.pending(t.Context(), g, offer.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	code := string(p.Memo)
	if _, err := r.Bind(t.Context(), "made up", []byte("signed made up"), "192.0.2.1"); failure.ClassOf(err) != failure.Refused {
		t.Errorf("a code that nobody made: %v", err)
	}
	if _, err := r.Bind(t.Context(), code, []byte("signed another"), "192.0.2.1"); reason(err) != "forged" {
		t.Errorf("a code that was not signed: %v", err)
	}
	if name, err := r.Bind(t.Context(), code, []byte("signed "+code), "192.0.2.1"); err != nil || name != "bob" {
		t.Errorf("%q, %v", name, err)
	}
	if _, err := r.Bind(t.Context(), code, []byte("signed "+code), "192.0.2.1"); failure.ClassOf(err) != failure.Refused {
		t.Errorf("twice: %v", err)
	}
	if r.events("binding.refused") == 0 {
		t.Error("a forged binding leaves no entry")
	}
	if r.Newest("bob")["push"].ID != 0 {
		t.Error("a device was bound without its owner")
	}
	a, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, prompt.Answer{}, "")
	if err != nil || a.Kind != "push" || a.Label != "app" {
		t.Errorf("%+v, %v", a, err)
	}
	next, err := r.Enrollments.Begin(t.Context(), g, "push")
	if err != nil {
		t.Fatal(err)
	}
	if p, err = r.Enrollments.pending(t.Context(), g, next.Ticket); err != nil {
		t.Fatal(err)
	}
	r.now = began.Add(codeLife)
	if _, err := r.Bind(t.Context(), string(p.Memo), []byte("signed "+string(p.Memo)), ""); failure.ClassOf(err) != failure.Refused {
		t.Errorf("after the offer: %v", err)
	}
}

// What is assigned is read by its kind, and a key has a name.
func TestHandedOver(t *testing.T) {
	r := setUp(t)
	if a, err := r.Assignable("certificate", []byte("card")); err != nil || a.Label != "card" {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := r.Assignable("certificate", []byte("x")); reason(err) != "no-card" || failure.ClassOf(err) != failure.Invalid {
		t.Errorf("no card: %v", err)
	}
	bob := r.Person("bob")
	fails := errors.New("no more random numbers")
	for label, want := range map[string]string{"": "Key", "backups": "backups"} {
		r.Keys.issue = func(KeyTerms) (string, authenticator.Enrolled, error) {
			return "text", authenticator.Enrolled{State: []byte("{}"), Traits: assurance.Delegated, Label: "Key"}, nil
		}
		r.change(func(tx *store.Tx) error {
			text, id, err := r.Keys.IssueTx(t.Context(), tx, bob, KeyTerms{Label: label})
			if err != nil || text != "text" || id == 0 {
				t.Errorf("%q, %d, %v", text, id, err)
			}
			return err
		})
		if got := r.Newest("bob")["apikey"].Label; got != want {
			t.Errorf("called %q, want %q", got, want)
		}
	}
	r.Keys.issue = func(KeyTerms) (string, authenticator.Enrolled, error) { return "", authenticator.Enrolled{}, fails }
	if err := r.try(func(tx *store.Tx) error { _, _, err := r.Keys.IssueTx(t.Context(), tx, bob, KeyTerms{}); return err }); !errors.Is(err, fails) {
		t.Error(err)
	}
	carol := r.Person("carol", "totp")
	r.change(func(tx *store.Tx) error {
		_, err := r.AssignTx(t.Context(), tx, carol, directory.Credential{Kind: "certificate", Handle: "one", Traits: assurance.Held, State: []byte("{}"), Assigned: 1})
		return err
	})
	before := len(r.mails())
	if err := r.try(func(tx *store.Tx) error {
		_, err := r.AssignTx(t.Context(), tx, carol, directory.Credential{Kind: "certificate", Handle: "one", Traits: assurance.Held, State: []byte("{}")})
		return err
	}); failure.ClassOf(err) != failure.Conflict || len(r.mails()) != before {
		t.Errorf("one card twice: %v", err)
	}
}

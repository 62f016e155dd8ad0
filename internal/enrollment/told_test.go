package enrollment

import (
	"strings"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// told are the mails that wait for somebody, as "subject: body".
func (r *rig) told(name string) (out []string) {
	r.T.Helper()
	rows, err := r.DB.Query(r.T.Context(), `select subject, body from notice where address = $1 order by id`, name+"@example.org")
	if err != nil {
		r.T.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var subject, body string
		if err := rows.Scan(&subject, &body); err != nil {
			r.T.Fatal(err)
		}
		out = append(out, subject+": "+body)
	}
	return out
}

// enrolled sets something up for bob in a session.
func (r *rig) enrolled(session, kind string) {
	r.T.Helper()
	g := r.Grant("bob", session, Enroll, kind)
	offer, err := r.Enrollments.Begin(r.T.Context(), g, kind)
	if err != nil {
		r.T.Fatal(err)
	}
	if _, err := r.Enrollments.Finish(r.T.Context(), g, offer.Ticket, answer(kind, "yes"), ""); err != nil {
		r.T.Fatal(err)
	}
}

// A mail to the owner says what happened: what can be used now, and for what.
func TestOwnersAreToldWhat(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(r *rig, bob directory.Account) error
		told    []string // the newest mail to bob has these
		not     string
	}{
		"set up": {func(r *rig, _ directory.Account) error {
			r.enrolled(r.Enters("bob", "password", "totp"), "passkey")
			return nil
		},
			[]string{"A new way to sign in was added", "can be used to sign in as bob."}, "recovery code"},
		"an address": {func(r *rig, _ directory.Account) error {
			r.enrolled(r.Enters("bob", "password", "totp"), "mailcode")
			return nil
		},
			[]string{"A new way to sign in was added", "from tomorrow on, beside a recovery code, to get back in as bob."}, "to sign in as"},
		"handed over": {func(r *rig, bob directory.Account) error {
			return r.try(func(tx *store.Tx) error {
				_, err := r.AssignTx(t.Context(), tx, bob, directory.Credential{Kind: "certificate", Label: "a card", Traits: assurance.Held, State: []byte("{}")})
				return err
			})
		}, []string{"was assigned to your account", `"a card" can now be used to sign in as bob.`}, "no longer"},
		"a PIN given": {func(r *rig, bob directory.Account) error {
			return r.try(func(tx *store.Tx) error {
				c := r.Newest("bob")["totp"]
				_, err := r.PINs.GiveTx(t.Context(), tx, bob, &c)
				return err
			})
		}, []string{"The PIN of one of your tokens was replaced", "until then it counts for nothing"}, "246810"},
		"a PIN taken away": {func(r *rig, bob directory.Account) error {
			return r.try(func(tx *store.Tx) error {
				c := r.Newest("bob")["totp"]
				return r.PINs.ClearTx(t.Context(), tx, bob, &c)
			})
		}, []string{"The PIN of one of your tokens was taken away", "Its codes alone are typed now to sign in as bob."}, "new PIN"},
	} {
		r := setUp(t)
		bob := r.Person("bob", "password", "totp")
		if err := c.happens(r, bob); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all := r.told("bob")
		if len(all) != 1 {
			t.Errorf("%s: told %q", name, all)
			continue
		}
		for _, want := range c.told {
			if !strings.Contains(all[0], want) {
				t.Errorf("%s: told %q, which has no %q", name, all[0], want)
			}
		}
		if strings.Contains(all[0], c.not) {
			t.Errorf("%s: told %q, which has %q", name, all[0], c.not)
		}
	}
}

// The entry of what was set up has what its kind says of it, and nothing where that says
// nothing.
func TestEntriesSayWhatWasSetUp(t *testing.T) {
	r := setUp(t)
	r.Person("bob", "password", "totp")
	session := r.Enters("bob", "password", "totp")
	r.enrolled(session, "passkey")
	g := r.Grant("bob", session, Enroll, "push")
	offer, err := r.Enrollments.Begin(t.Context(), g, "push")
	if err != nil {
		t.Fatal(err)
	}
	r.bound(offer, g)
	if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, prompt.Answer{}, ""); err != nil {
		t.Fatal(err)
	}
	all, err := r.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "credential.enrolled"})
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, en := range all {
		detail, there := en.Detail["detail"]
		if kind, _, _ := strings.Cut(en.Detail["authenticator"], "/"); there != (kind == "passkey") || there && detail != "first" {
			t.Errorf("%s: %q, %t", kind, detail, there)
		}
	}
}

// bound has a device propose itself for an offer.
func (r *rig) bound(offer Offer, g signin.Grant) {
	r.T.Helper()
	p, err := r.Enrollments.pending(r.T.Context(), g, offer.Ticket)
	if err != nil {
		r.T.Fatal(err)
	}
	code := string(p.Memo)
	if _, err := r.Bind(r.T.Context(), code, []byte("signed "+code), "192.0.2.1"); err != nil {
		r.T.Fatal(err)
	}
}

// A device that signed somebody's code wrongly is recorded for them at once, with where
// it was; codes that anybody makes up are counted, and are one entry.
func TestWhatIsNotBoundIsRecorded(t *testing.T) {
	r := setUp(t)
	bob := r.Person("bob", "password", "totp")
	g := r.Grant("bob", r.Enters("bob", "password", "totp"), Enroll, "push")
	offer, err := r.Enrollments.Begin(t.Context(), g, "push")
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Enrollments.pending(t.Context(), g, offer.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.Bind(t.Context(), "made up", []byte("signed made up"), "198.51.100.7"); failure.ClassOf(err) != failure.Refused {
			t.Fatal(err)
		}
	}
	if n := r.events("binding.refused"); n != 0 {
		t.Errorf("a code that is made up has %d entries before they are summed up", n)
	}
	if _, err := r.Bind(t.Context(), string(p.Memo), []byte("signed another"), "192.0.2.1"); reason(err) != "forged" {
		t.Fatal(err)
	}
	if err := r.strangers.SumUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := r.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "binding.refused"})
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, en := range all {
		switch en.Reason {
		case "forged":
			if en.Account != int64(bob.ID) || en.Source != "192.0.2.1" {
				t.Errorf("%+v", en)
			}
		case "unknown-code":
			if en.Account != 0 || en.Detail["count"] != "3" {
				t.Errorf("%+v", en)
			}
		default:
			t.Errorf("%+v", en)
		}
	}
}

// What a device proposed to one person is nobody else's, whatever code they hold.
func TestAProposalIsOfWhoseCodeItWas(t *testing.T) {
	r := setUp(t)
	bob, mallory := r.Person("bob", "password", "totp"), r.Person("mallory", "password", "totp")
	for _, owner := range []directory.Account{mallory, bob} {
		g := r.Grant("bob", r.Enters("bob", "password", "totp"), Enroll, "push")
		offer, err := r.Enrollments.Begin(t.Context(), g, "push")
		if err != nil {
			t.Fatal(err)
		}
		p, err := r.Enrollments.pending(t.Context(), g, offer.Ticket)
		if err != nil {
			t.Fatal(err)
		}
		code := string(p.Memo)
		if _, err := r.Tickets.Issue(t.Context(), ticket.Spec{Kind: boundTicket, Owner: int64(owner.ID), Payload: []byte("signed " + code), Lifetime: codeLife, Secret: code}); err != nil {
			t.Fatal(err)
		}
		want := ""
		if owner.ID != bob.ID {
			want = "no-device"
		}
		if _, err := r.Enrollments.Finish(t.Context(), g, offer.Ticket, prompt.Answer{}, ""); reason(err) != want {
			t.Errorf("a device that %s brought: %v", owner.Name, err)
		}
	}
}

// Whoever sets something up is reckoned with what they have of that kind and can use:
// it is what a browser is told not to make again.
func TestWhatSomebodyHasOfAKind(t *testing.T) {
	r := setUp(t)
	bob := r.Person("bob", "password", "passkey")
	r.change(func(tx *store.Tx) error {
		for _, label := range []string{"phone", "old phone", "lost phone"} {
			c, err := r.Credentials.Add(t.Context(), tx, directory.Credential{Account: bob.ID, Kind: "totp", Label: label, Traits: assurance.Held, State: []byte("{}")})
			if err != nil {
				return err
			}
			switch label {
			case "old phone":
				c.EndAt(began, directory.CredentialRevoked, directory.ByOwner, 0)
			case "lost phone":
				c.EndAt(began, directory.CredentialDisabled, directory.ByGuesses, 0)
			}
			if err := r.Credentials.Update(t.Context(), tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	session := r.Enters("bob", "passkey")
	for kind, want := range map[string]string{"totp": "phone", "passkey": "passkey", "smscode": ""} {
		offer, err := r.Enrollments.Begin(t.Context(), r.Grant("bob", session, Enroll, kind), kind)
		if err != nil || offer.Prompt.Hint != want {
			t.Errorf("%s: he has %q, %v, want %q", kind, offer.Prompt.Hint, err, want)
		}
	}
}

// All that somebody has of a kind goes when it is replaced, and all passes when they end.
func TestAllOfAKindGo(t *testing.T) {
	r := setUp(t)
	bob := r.Person("bob", "password", "password", "totp", "accesspass", "accesspass")
	r.enrolled(r.Enters("bob", "password", "totp"), "password")
	active := func(kind string) (n int) {
		rows, err := r.Credentials.All(t.Context(), r.DB, bob.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range rows {
			if c.Kind == kind && c.Status == directory.CredentialActive {
				n++
			}
		}
		return n
	}
	if n := active("password"); n != 1 {
		t.Errorf("%d passwords are good", n)
	}
	r.change(func(tx *store.Tx) error { return r.Passes.EndTx(t.Context(), tx, bob.ID) })
	if n := active("accesspass"); n != 0 {
		t.Errorf("%d passes are good after they were ended", n)
	}
}

package entra

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/virtualauth"
)

// The promise: whom Entra asks for a second factor signs in here as the account that an
// administrator linked, and Entra gets an answer that it accepts by its documentation: one class,
// one method, of what was shown here and nothing of the password.
func TestEntraAsksForASecondFactor(t *testing.T) {
	w, entra := newTenant(t, nil)
	ada := w.EnrollCodes("ada")
	link(w, "ada", strings.ToUpper(adaID))
	p := w.Person()
	entra.asks(p, adaID)
	p.Sees(`value="ada"`)
	signIn(p, "ada", ada.Code())
	answer, ok := got(p)
	if !ok {
		t.Fatalf("no answer:\n%s", p.Page)
	}
	says, err := entra.accepts(answer, adaID)
	if err != nil || !slices.Equal(says.AMR, []string{"otp"}) {
		t.Fatalf("%+v, %v", says, err)
	}
	en := servertest.LatestOf(w, "factor.told")
	if en.AccountName != "ada" || en.Application != "m365" || en.Detail["acr"] != "possessionorinherence" || en.Detail["amr"] != "otp" || en.Detail["client-request-id"] != "72826bb4-abb7-4221-b253-100f530b4b0a" {
		t.Errorf("the log says %+v", en)
	}
	// With the session alone nothing is answered: Entra asks for a factor now.
	w.Later(time.Minute)
	entra.asks(p, adaID)
	if _, ok := got(p); ok {
		t.Fatal("the session alone was a second factor")
	}
	p.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	follow(p)
	if answer, _ := got(p); answer == nil {
		t.Fatalf("no answer:\n%s", p.Page)
	} else if _, err := entra.accepts(answer, adaID); err != nil {
		t.Error(err)
	}
	if n := entra.fetched.Load(); n != 2 {
		t.Errorf("Microsoft was asked %d times for its keys", n)
	}
}

// Where the settings let the session count, nobody is asked who showed a second factor before.
func TestTheSessionCountsWhereSettingsSayIt(t *testing.T) {
	w, entra := newTenant(t, map[string]any{"evidence": "session"})
	ada := w.EnrollCodes("ada")
	link(w, "ada", adaID)
	p := w.Person()
	entra.asks(p, adaID)
	signIn(p, "ada", ada.Code())
	w.Later(time.Minute)
	entra.asks(p, adaID)
	answer, _ := got(p)
	if _, err := entra.accepts(answer, adaID); err != nil {
		t.Error(err)
	}
}

// A passkey is told as FIDO2 where Entra takes that, and by the next true word where it does not;
// where no word is true, or what is asked for is no kind of possession, Entra gets an error.
func TestTheMethodIsTrue(t *testing.T) {
	w, entra := newTenant(t, nil)
	ada, key := w.EnrollCodes("ada"), &virtualauth.Key{}
	link(w, "ada", adaID)
	p := w.Person()
	p.Get("/sign-in")
	p.SignIn("ada", ada.Code())
	p.AddPasskey(key)
	w.Later(25 * time.Hour)
	claims := func(acr, amr string) string {
		return `{"id_token":{"acr":{"essential":true,"values":[` + acr + `]},"amr":{"essential":true,"values":[` + amr + `]}}}`
	}
	for name, c := range map[string]struct{ claims, amr, reason string }{
		"all":                       {usualClaims, "fido", ""},
		"not FIDO2":                 {claims(`"possessionorinherence"`, `"otp","face","pop","hwk"`), "pop", ""},
		"the second class":          {claims(`"inherence","possessionorinherence"`, `"fido"`), "fido", ""},
		"a method of another kind":  {claims(`"possessionorinherence"`, `"otp","sms","tel"`), "", "no-such-method"},
		"biometrics":                {claims(`"possessionorinherence"`, `"face","fpt"`), "", "no-such-method"},
		"inherence alone":           {claims(`"inherence"`, `"fido"`), "", "no-such-class"},
		"what somebody knows":       {claims(`"knowledge","knowledgeorinherence"`, `"fido"`), "", "no-such-class"},
		"a class that nobody knows": {claims(`"possessionorinherence2"`, `"fido"`), "", "no-such-class"},
	} {
		p := w.Person()
		entra.asks(p, adaID, "claims", c.claims)
		if c.reason == "no-such-class" { // which nobody has to sign in for
			refused(p, "access_denied", c.reason)
			continue
		}
		p.UsePasskey(key)
		follow(p)
		if c.reason != "" {
			refused(p, "access_denied", c.reason)
			continue
		}
		answer, _ := got(p)
		if says, err := entra.accepts(answer, adaID); err != nil || !slices.Equal(says.AMR, []string{c.amr}) {
			t.Errorf("%s: %+v, %v", name, says, err)
		}
	}
}

// Who is provisioned by the tenant with their object ID is linked at first sight, where the
// settings name the client; from then on what the client says changes nothing.
func TestWhoIsProvisionedIsLinkedAtFirstSight(t *testing.T) {
	w, entra := newTenant(t, map[string]any{"provisioned_by": "entra-scim"})
	ada := w.EnrollCodes("ada")
	w.EnrollCodes("bob")
	knows := func(name, external string) {
		t.Helper()
		ctx := t.Context()
		err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
			client, err := w.Accounts.Find(ctx, tx, "entra-scim")
			if failure.ClassOf(err) == failure.NotFound {
				client, err = w.Accounts.Create(ctx, tx, directory.NewAccount{Name: "entra-scim", Kind: directory.Service})
			}
			if err != nil {
				return err
			}
			d, err := w.Accounts.Find(ctx, tx, name)
			if err == nil {
				_, err = w.Externals.Set(ctx, tx, directory.External{Client: client.ID, Kind: directory.ExternalUser, Subject: int64(d.ID)}, external)
			}
			return errors.Join(err, tx.Record(audit.Entry{Event: "test.known", Outcome: audit.OK}))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	knows("ada", adaID)
	p := w.Person()
	entra.asks(p, adaID)
	signIn(p, "ada", ada.Code())
	answer, _ := got(p)
	if _, err := entra.accepts(answer, adaID); err != nil {
		t.Fatal(err)
	}
	if en := servertest.LatestOf(w, "account.linked-by-rule"); en.AccountName != "ada" || en.Application != "m365" || en.Detail["identifier"] != tenantID+":"+adaID || en.Detail["client"] != "entra-scim" {
		t.Errorf("the log says %+v", en)
	}
	knows("ada", "")
	knows("bob", adaID) // the client is somebody else's by now
	p = w.Person()
	entra.asks(p, adaID)
	p.Sees(`value="ada"`)
	// Two of whom the client says the same are nobody.
	knows("ada", bobID)
	knows("bob", bobID)
	p = w.Person()
	entra.asks(p, bobID)
	p.Sees("More than one account here claims to be yours there.")
	refused(p, "access_denied", "linked-twice")
}

package upstream

import (
	"context"
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/servertest"
)

// The promise: somebody whom an administrator linked signs in first at their own organisation and
// then shows their own factor here, and is in. The request has all that RFC 9700 wants.
func TestAPersonComesByTheirOrganisation(t *testing.T) {
	w, ada, desk := office(t)
	partner := newProvider(w)
	register(desk, "partner", partner.settings(nil))
	if err := link(desk, "ada", "upstream-ada"); err != nil {
		t.Fatal(err)
	}
	p := w.Person()
	p.Get("/sign-in")
	p.Sees("Sign in at <bdi>Partner</bdi>")
	visits(p)
	p.Sees("Code from your authenticator app")
	if in(p) {
		t.Fatal("the organisation's word alone let somebody in")
	}
	comesIn(p, ada.Code())
	p.Sees("Where you are signed in")
	asked := partner.asked
	for key, want := range map[string]string{"response_type": "code", "client_id": clientID, "code_challenge_method": "S256", "redirect_uri": w.Base + "/sign-in/upstream/partner", "scope": "openid email", "max_age": "300"} {
		if asked.Get(key) != want {
			t.Errorf("%s is %q", key, asked.Get(key))
		}
	}
	for _, key := range []string{"state", "nonce", "code_challenge"} {
		if len(asked.Get(key)) < 43 {
			t.Errorf("%s is short", key)
		}
	}
	if n := w.Events("upstream.confirmed"); n != 1 {
		t.Errorf("%d confirmations", n)
	}
	// It is confirmed, and from now on something known beside her own.
	w.Later(24 * time.Hour)
	comesIn(p, ada.Code())
	if !in(p) {
		t.Error("she does not come in again")
	}
}

// The promise: whose name is of another organisation's domain is sent there, without a password;
// and whoever wants to can sign in here all the same.
func TestATypedNameKnowsItsHome(t *testing.T) {
	w, ada, desk := office(t)
	partner := newProvider(w)
	register(desk, "partner", partner.settings(map[string]any{"hidden": true}))
	if err := link(desk, "ada", "upstream-ada"); err != nil {
		t.Fatal(err)
	}
	p := w.Person()
	p.Get("/sign-in")
	if strings.Contains(p.Page, "Sign in at") {
		t.Error("a hidden one has a button")
	}
	for _, typed := range []string{"ada@partner.example", "  Nobody@Partner.Example "} {
		p.Get("/sign-in")
		p.Post("/sign-in", "name", typed, "authenticator", "password", "text", "")
		p.Sees("You sign in at <bdi>Partner</bdi>")
	}
	goes(p)
	if got := partner.asked.Get("login_hint"); got != "  Nobody@Partner.Example " && got != "Nobody@Partner.Example" {
		t.Errorf("the hint is %q", got)
	}
	p.Get("/sign-in?errand=own&here=yes")
	p.Post("/sign-in", "name", "ada@partner.example", "here", "yes", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	p.Sees("Where you are signed in")
}

// The promise: a rule links a person at their first sight by an address that the upstream verified,
// of a domain of its own, that is exactly the account's: and only once the owner has shown their
// own factor.
func TestARuleLinksByDomain(t *testing.T) {
	w, ada, desk := office(t)
	partner := newProvider(w)
	register(desk, "partner", partner.settings(map[string]any{"link": "domain"}))
	p := w.Person()
	comesIn(p, ada.Code())
	p.Sees("Where you are signed in")
	if all := links(w, "ada"); len(all) != 1 || all[0].Traits.String() != "known+foreign+asserted" {
		t.Fatalf("the links are %+v", all)
	}
	if w.Events("upstream.first-sight") != 1 || w.Events("upstream.confirmed") != 1 {
		t.Error("the link is not in the log")
	}
}

// The promise: whoever owns the upstream gets nothing of ours by it. He makes an account with the
// mail of one of ours, and says that he verified it (T1556.007).
func TestAnUpstreamsAdministratorGetsNothing(t *testing.T) {
	w, ada, desk := office(t)
	w.EnrollCodes("bob")
	mailOf(w, "bob", "bob@ours.example")
	w.EnrollCodes("chief")
	mailOf(w, "chief", "chief@partner.example")
	w.Promote("chief")
	partner := newProvider(w)
	register(desk, "partner", partner.settings(map[string]any{"link": "domain"}))
	for what, person := range map[string]map[string]any{
		"a mail of another domain":      {"sub": "evil-1", "email": "bob@ours.example", "email_verified": true},
		"a mail that is not verified":   {"sub": "evil-2", "email": "ada@partner.example", "email_verified": false},
		"a mail verified by a word":     {"sub": "evil-3", "email": "ada@partner.example", "email_verified": "true"},
		"a mail in other letters":       {"sub": "evil-4", "email": "Ada@partner.example", "email_verified": true},
		"two addresses in one":          {"sub": "evil-5", "email": "bob@ours.example@partner.example", "email_verified": true},
		"a domain that ends like it":    {"sub": "evil-6", "email": "ada@evil.partner.example", "email_verified": true},
		"a mail of an administrator":    {"sub": "evil-7", "email": "chief@partner.example", "email_verified": true},
		"no mail at all":                {"sub": "evil-8"},
		"a mail that nobody has":        {"sub": "evil-9", "email": "zoe@partner.example", "email_verified": true},
		"the name of one of ours as it": {"sub": "ada", "email": "", "preferred_username": "ada"},
	} {
		partner.person = person
		p := w.Person()
		visits(p)
		if strings.Contains(p.Page, "authenticator app") || in(p) {
			t.Errorf("%s was taken for somebody", what)
		}
	}
	for _, name := range []string{"ada", "bob", "chief"} {
		if n := len(links(w, name)); n != 0 {
			t.Errorf("%s has %d links", name, n)
		}
	}
	// With the very mail of one of its own people he is asked for a factor that he does not have.
	partner.person = map[string]any{"sub": "evil-10", "email": "ada@partner.example", "email_verified": true, "acr": "mfa", "amr": []string{"mfa", "hwk"}}
	p := w.Person()
	visits(p)
	p.Sees("Code from your authenticator app")
	p.Post("/sign-in", "authenticator", "totp", "text", "000000")
	if in(p) {
		t.Error("he is in")
	}
	if all := links(w, "ada"); len(all) != 1 || !strings.Contains(all[0].Traits.String(), "tentative") {
		t.Errorf("the links are %+v", all)
	}
	// Nor does what he began keep ada out, who comes later; and then it is over.
	partner.person = map[string]any{"sub": "upstream-ada", "email": "ada@partner.example", "email_verified": true}
	hers := w.Person()
	comesIn(hers, ada.Code())
	hers.Sees("Where you are signed in")
	partner.person = map[string]any{"sub": "evil-10", "email": "ada@partner.example", "email_verified": true}
	visits(p)
	if strings.Contains(p.Page, "authenticator app") {
		t.Error("he still speaks in ada's name")
	}
}

// The promise: a link is no way around: nobody who administers has one, an unconfirmed one lets
// nobody in where one factor is enough, and a pass beside one leads nowhere.
func TestALinkOfAnAdministratorIsNoFactor(t *testing.T) {
	w, ada, desk := office(t)
	w.EnrollCodes("chief")
	w.Promote("chief")
	partner := newProvider(w)
	register(desk, "partner", partner.settings(nil))
	if err := link(desk, "chief", "upstream-chief"); err == nil {
		t.Error("somebody who administers was linked")
	}
	if err := link(desk, "root", "upstream-root"); err == nil {
		t.Error("somebody linked themselves")
	}
	if err := link(desk, "ada", "upstream-ada"); err != nil {
		t.Fatal(err)
	}
	w.SetPolicy(servertest.OneFactor)
	p := w.Person()
	visits(p)
	if in(p) {
		t.Error("a link that nobody confirmed was a factor")
	}
	p = w.Person()
	comesIn(p, ada.Code())
	if !in(p) {
		t.Fatal("ada does not come in")
	}
	// Who comes to administer later has a link that counts no more.
	w.Promote("ada")
	other := w.Person()
	visits(other)
	if in(other) {
		t.Error("the link of somebody who administers counts")
	}
}

// The promise: the person's suspension here wins, and so does the end of a link and of the upstream.
func TestOurWordIsTheLast(t *testing.T) {
	w, ada, desk := office(t)
	partner := newProvider(w)
	register(desk, "partner", partner.settings(nil))
	if err := link(desk, "ada", "upstream-ada"); err != nil {
		t.Fatal(err)
	}
	p := w.Person()
	comesIn(p, ada.Code())
	p.Sees("Where you are signed in")
	ctx := context.Background()
	comesNoMore := func(what string) {
		t.Helper()
		w.Later(24 * time.Hour)
		stranger := w.Person()
		visits(stranger)
		if strings.Contains(stranger.Page, "authenticator app") || in(stranger) {
			t.Errorf("%s: she is still heard", what)
		}
	}
	servertest.Edit(w, "ada", func(a *directory.Account) { a.State = directory.Suspended })
	if in(p) {
		t.Error("her session outlived her suspension")
	}
	comesNoMore("suspended")
	servertest.Edit(w, "ada", func(a *directory.Account) { a.State = directory.Active })
	if err := desk.Do(ctx, "upstream.unlink", map[string]any{"name": "partner", "account": "ada"}, nil); err != nil {
		t.Fatal(err)
	}
	comesNoMore("unlinked")
	// The rule does not link again whom an administrator unlinked.
	if err := set(desk, "partner", versionOf(desk), partner.settings(map[string]any{"link": "domain"})); err != nil {
		t.Fatal(err)
	}
	comesNoMore("unlinked, with a rule")
	if err := desk.Do(ctx, "upstream.remove", map[string]any{"name": "partner"}, nil); err != nil {
		t.Fatal(err)
	}
	stranger := w.Person()
	stranger.Get("/sign-in")
	stranger.Post("/sign-in/upstream", "upstream", "partner")
	if goingOn.MatchString(stranger.Page) {
		t.Error("a removed one is gone to")
	}
}

func versionOf(desk *servertest.Clerk) int64 {
	var out struct{ Version int64 }
	if err := desk.Do(context.Background(), "upstream.show", map[string]any{"name": "partner"}, &out); err != nil {
		desk.W.T.Fatal(err)
	}
	return out.Version
}

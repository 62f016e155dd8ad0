package signin

import (
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// A link of a mail about guesses makes one browser its owner's: once, within its week,
// while there is such an account. Looking at where it leads, which programs do as well,
// uses nothing up; and no other ticket is one.
func TestALinkIsForOneBrowser(t *testing.T) {
	r := newRig(t, anyFactor)
	ada := r.person("ada")
	link := func(kind string, a directory.Account) (code string) {
		r.change(func(tx *store.Tx) (err error) {
			code, err = r.browsers.tickets.IssueTx(t.Context(), tx, ticket.Spec{Kind: kind, Owner: int64(a.ID), Lifetime: openingLife})
			return err
		})
		return code
	}
	accepts := func(code string) (string, error) {
		return r.Accept(t.Context(), code, Request{Application: Self, Action: SignIn, Protocol: "browser", Source: home})
	}
	code := link(openingKind, ada)
	for range 3 {
		if name, err := r.Invited(t.Context(), code); err != nil || name != "ada" {
			t.Fatalf("it is for %q, %v", name, err)
		}
	}
	if len(r.events("browser.known")) != 0 {
		t.Error("looking at it made a browser known")
	}
	browser, err := accepts(code)
	if err != nil || !r.throttle.Remembers(browser, ada.ID) {
		t.Fatalf("the browser is not known: %v", err)
	}
	if known := r.events("browser.known"); len(known) != 1 || known[0].AccountName != "ada" || known[0].Reason != "by-mail" {
		t.Errorf("the log says %+v", known)
	}
	gone := r.person("bob")
	late, bobs, other := link(openingKind, ada), link(openingKind, gone), link("something", ada)
	r.remove(gone, 0)
	after := link(openingKind, gone) // of a mail that was written while he was removed
	for what, code := range map[string]string{"used": code, "of a removed account": bobs, "of an account that was removed before": after, "of another kind": other, "made up": "x", "none": ""} {
		if _, err := r.Invited(t.Context(), code); refused(err) != "unknown-ticket" {
			t.Errorf("a link that is %s leads somewhere: %v", what, err)
		}
		if got, err := accepts(code); refused(err) != "unknown-ticket" || got != "" {
			t.Errorf("a link that is %s makes a browser known: %v", what, err)
		}
	}
	r.clock.Later(openingLife - time.Second)
	if _, err := r.Invited(t.Context(), late); err != nil {
		t.Errorf("within its week: %v", err)
	}
	r.clock.Later(time.Second)
	if _, err := accepts(late); refused(err) != "unknown-ticket" {
		t.Errorf("a week later: %v", err)
	}
	if len(r.events("browser.known")) != 1 {
		t.Errorf("%d browsers are known", len(r.events("browser.known")))
	}
}

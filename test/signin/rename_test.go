package signin

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// labels are the names of a person's authenticators, as kept.
func labels(w *servertest.World, name string) []string {
	w.T.Helper()
	a, err := w.Accounts.Find(context.Background(), w.DB, name)
	if err != nil {
		w.T.Fatal(err)
	}
	all, err := w.Enrolled.Listing.List(context.Background(), a.ID)
	if err != nil {
		w.T.Fatal(err)
	}
	var out []string
	for _, one := range all {
		if one.Kind != "accesspass" {
			out = append(out, one.Label)
		}
	}
	return out
}

func givesLabel(w *servertest.World, name, label string) {
	w.T.Helper()
	for _, l := range labels(w, name) {
		if l == label {
			return
		}
	}
	w.T.Errorf("%s has %q, and none is called %q", name, labels(w, name), label)
}

var renameLink = regexp.MustCompile(`/account/rename\?number=(\d+)`)

// signedInAgain signs a person in with password and code, in a new browser.
func signedInAgain(p *servertest.Person, name string) *servertest.Person {
	p.W.T.Helper()
	again := p.W.Person()
	again.Get("/sign-in")
	again.Post("/sign-in", "name", name, "authenticator", "password", "text", servertest.Passphrase)
	again.Post("/sign-in", "authenticator", "totp", "text", p.Code())
	again.Sees("Where you are signed in")
	return again
}

// The promise: people name their own authenticators and nobody else's, with a
// fresh proof, and a name is text and nothing more.
func TestRename(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := signedInAgain(w.EnrollCodes("ada"), "ada")
	number := renameLink.FindStringSubmatch(ada.Page)[1]

	ada.Get("/account/rename?number=" + number)
	ada.Post("/account/rename", "number", number, "label", "  <b>My\x00 first\u202e</b>\n key ")
	ada.Sees("It has its new name.")
	givesLabel(w, "ada", "<b>My first </b> key")
	if strings.Contains(ada.Page, "<b>My") {
		t.Error("a name is markup")
	}
	ada.Get("/account/rename?number=" + number)
	ada.Post("/account/rename", "number", number, "label", strings.Repeat("é", 200))
	givesLabel(w, "ada", strings.Repeat("é", 60))
	ada.Get("/account/rename?number=" + number)
	ada.Post("/account/rename", "number", number, "label", " \t ")
	givesLabel(w, "ada", strings.Repeat("é", 60))
	if n := w.Events("credential.renamed"); n != 3 {
		t.Errorf("%d entries in the log", n)
	}

	eve := signedInAgain(w.EnrollCodes("eve"), "eve")
	eve.Get("/account/rename?number=" + number)
	if eve.Status != 404 {
		t.Errorf("another person's authenticator is shown with status %d", eve.Status)
	}
	eve.Get("/account")
	for _, n := range []string{number, "0", "-1", "x", "", "99999999999999999999"} {
		eve.Post("/account/rename", "number", n, "label", "owned")
		if eve.Status == 200 {
			t.Errorf("number %q can be renamed by another person", n)
		}
		eve.Get("/account")
	}
	eve.Get("/account")
	eve.Post("/account/continue", "number", number)
	if eve.Status == 200 {
		t.Error("a name was given without anything that was posted")
	}
	stranger := w.Person()
	stranger.Get("/account/rename?number=" + number)
	stranger.Sees("Sign in")
	givesLabel(w, "ada", strings.Repeat("é", 60))
	if strings.Contains(strings.Join(append(labels(w, "ada"), labels(w, "eve")...), " "), "owned") {
		t.Error("somebody renamed what is not theirs")
	}
}

// The promise: half an hour later the name waits for a fresh proof and is not
// lost on the way. It also takes the pictures of these pages.
func TestRenameAfterAWhile(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	b := testbed.Chromium(t)
	b.Visit(w.Base + "/sign-in")
	servertest.Screenshot(b, "sign-in")
	b.Fill("#name", "ada")
	b.Fill("#text", servertest.Passphrase)
	b.Click("form:has(#name) button")
	b.Fill("#text-totp", "000000")
	b.Click("main form button")
	b.Wait("[role=alert]")
	servertest.Screenshot(b, "wrong-code")
	b.Fill("#text-totp", ada.Code())
	b.Click("main form button")
	b.WaitText("main", "This browser")

	w.Later(30 * time.Minute)
	b.Visit(w.Base + "/account")
	b.Click("li:has(form):nth-of-type(2) a[href^='/account/rename']")
	b.WaitText("h1", "Rename")
	servertest.Screenshot(b, "rename")
	b.Fill("#label", "Phone in the drawer")
	b.Click("main form button")
	b.WaitText("h1", "Approve")
	b.WaitText("main", "to “Phone in the drawer”")
	if strings.Contains(strings.Join(labels(w, "ada"), " "), "drawer") {
		t.Error("the name was given before the proof")
	}
	servertest.Screenshot(b, "prove-rename")
	b.Fill("#text-password", servertest.Passphrase)
	b.Click("form:has(#text-password) button")
	b.WaitGone("#text-password")
	b.Fill("#text-totp", ada.Code())
	b.Click("form:has(#text-totp) button")
	b.WaitText("main", "It has its new name.")
	givesLabel(w, "ada", "Phone in the drawer")
	servertest.Screenshot(b, "renamed")

	b.Visit(w.Base + "/account/history")
	b.WaitText("main", "Renamed: Phone in the drawer")
	b.WaitText("main", "Proved to rename a way to sign in with password and authenticator app")
	b.WaitText("main", "Refused at Countersign: what was typed was wrong")
	servertest.Screenshot(b, "history")
	b.Click("form[action='/sign-out'] button")
	b.WaitText("main", "You are signed out.")
	servertest.Screenshot(b, "signed-out")
	b.Visit(w.Base + "/account/rename?number=1")
	b.WaitText("h1", "Sign in")

	w.Suspend("ada")
	b.Fill("#name", "ada")
	b.Fill("#text", servertest.Passphrase)
	b.Click("form:has(#name) button")
	b.WaitText("h1", "Not signed in")
	servertest.Screenshot(b, "denied")
}

package cli

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// labels are the names of a person's authenticators, as kept.
func (w *world) labels(name string) []string {
	w.t.Helper()
	a, err := w.Directory.Find(context.Background(), w.DB, name)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := w.Enrolled.Listing.List(context.Background(), a.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, one := range all {
		if one.Kind != "accesspass" {
			out = append(out, one.Label)
		}
	}
	return out
}

func (w *world) named(name, label string) {
	w.t.Helper()
	for _, l := range w.labels(name) {
		if l == label {
			return
		}
	}
	w.t.Errorf("%s has %q, and none is called %q", name, w.labels(name), label)
}

// suspend suspends an account, as an administrator elsewhere would.
func (w *world) suspend(name string) {
	w.t.Helper()
	err := w.DB.Change(context.Background(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a, err := w.Directory.Find(context.Background(), tx, name)
		if err != nil {
			return err
		}
		a.State = directory.Suspended
		if err := w.Directory.Update(context.Background(), tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "account.suspended", Outcome: "ok", Account: int64(a.ID), AccountName: a.Name})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

var renameLink = regexp.MustCompile(`/account/rename\?number=(\d+)`)

// signedInAgain signs a person in with password and code, in a new browser.
func (p *person) signedInAgain(name string) *person {
	p.w.t.Helper()
	again := p.w.person()
	again.get("/sign-in")
	again.post("/sign-in", "name", name, "authenticator", "password", "text", passphrase)
	again.post("/sign-in", "authenticator", "totp", "text", p.code())
	again.sees("Where you are signed in")
	return again
}

// The promise: people name their own authenticators and nobody else's, with a
// fresh proof, and a name is text and nothing more.
func TestRename(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada").signedInAgain("ada")
	number := renameLink.FindStringSubmatch(ada.page)[1]

	ada.get("/account/rename?number=" + number)
	ada.post("/account/rename", "number", number, "label", "  <b>My\x00 first\u202e</b>\n key ")
	ada.sees("It has its new name.")
	w.named("ada", "<b>My first </b> key")
	if strings.Contains(ada.page, "<b>My") {
		t.Error("a name is markup")
	}
	ada.get("/account/rename?number=" + number)
	ada.post("/account/rename", "number", number, "label", strings.Repeat("é", 200))
	w.named("ada", strings.Repeat("é", 60))
	ada.get("/account/rename?number=" + number)
	ada.post("/account/rename", "number", number, "label", " \t ")
	w.named("ada", strings.Repeat("é", 60))
	if n := w.events("credential.renamed"); n != 3 {
		t.Errorf("%d entries in the log", n)
	}

	eve := w.enrollCodes("eve").signedInAgain("eve")
	eve.get("/account/rename?number=" + number)
	if eve.status != 404 {
		t.Errorf("another person's authenticator is shown with status %d", eve.status)
	}
	eve.get("/account")
	for _, n := range []string{number, "0", "-1", "x", "", "99999999999999999999"} {
		eve.post("/account/rename", "number", n, "label", "owned")
		if eve.status == 200 {
			t.Errorf("number %q can be renamed by another person", n)
		}
		eve.get("/account")
	}
	eve.get("/account")
	eve.post("/account/continue", "number", number)
	if eve.status == 200 {
		t.Error("a name was given without anything that was posted")
	}
	stranger := w.person()
	stranger.get("/account/rename?number=" + number)
	stranger.sees("Sign in")
	w.named("ada", strings.Repeat("é", 60))
	if strings.Contains(strings.Join(append(w.labels("ada"), w.labels("eve")...), " "), "owned") {
		t.Error("somebody renamed what is not theirs")
	}
}

// The promise: half an hour later the name waits for a fresh proof and is not
// lost on the way. It also takes the pictures of these pages.
func TestRenameAfterAWhile(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	b := testbed.Chromium(t)
	b.Visit(w.base + "/sign-in")
	screenshot(b, "sign-in")
	b.Fill("#name", "ada")
	b.Fill("#text", passphrase)
	b.Click("form:has(#name) button")
	b.Fill("#text-totp", "000000")
	b.Click("main form button")
	b.Wait("[role=alert]")
	screenshot(b, "wrong-code")
	b.Fill("#text-totp", ada.code())
	b.Click("main form button")
	b.WaitText("main", "This browser")

	w.later(30 * time.Minute)
	b.Visit(w.base + "/account")
	b.Click("li:has(form):nth-of-type(2) a[href^='/account/rename']")
	b.WaitText("h1", "Rename")
	screenshot(b, "rename")
	b.Fill("#label", "Phone in the drawer")
	b.Click("main form button")
	b.WaitText("h1", "Approve")
	b.WaitText("main", "to “Phone in the drawer”")
	if strings.Contains(strings.Join(w.labels("ada"), " "), "drawer") {
		t.Error("the name was given before the proof")
	}
	screenshot(b, "prove-rename")
	b.Fill("#text-password", passphrase)
	b.Click("form:has(#text-password) button")
	b.WaitGone("#text-password")
	b.Fill("#text-totp", ada.code())
	b.Click("form:has(#text-totp) button")
	b.WaitText("main", "It has its new name.")
	w.named("ada", "Phone in the drawer")
	screenshot(b, "renamed")

	b.Visit(w.base + "/account/history")
	b.WaitText("main", "Renamed: Phone in the drawer")
	b.WaitText("main", "Proved to rename a way to sign in with password and authenticator app")
	b.WaitText("main", "Refused at Countersign: what was typed was wrong")
	screenshot(b, "history")
	b.Click("form[action='/sign-out'] button")
	b.WaitText("main", "You are signed out.")
	screenshot(b, "signed-out")
	b.Visit(w.base + "/account/rename?number=1")
	b.WaitText("h1", "Sign in")

	w.suspend("ada")
	b.Fill("#name", "ada")
	b.Fill("#text", passphrase)
	b.Click("form:has(#name) button")
	b.WaitText("h1", "Not signed in")
	screenshot(b, "denied")
}

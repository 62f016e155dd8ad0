package cli

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/testbed"
)

// certificateFile is a card's certificate as whoever hands cards out has it.
func certificateFile(t testing.TB, card *tls.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "card.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: card.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The promise: a card works on the day it is handed over, without its owner's having
// to add it, and for nothing privileged before a day has passed; its owner is told.
// Nobody assigns one to themselves, and what is no card of ours is refused before
// anybody is asked to approve it.
func TestCardIsAssigned(t *testing.T) {
	c := newCardTable(t)
	root := c.administrator("root")
	desk := c.shell()
	desk.login(c.person(), "root", root.code())
	card := c.issue(t, "4711")
	file := certificateFile(t, card)

	desk.refuses("to themselves", "certificate", "assign", "root", file, "--note", "mine")
	desk.refuses("no account", "certificate", "assign", "nobody", file)
	foreign := testbed.NewAuthority(t, "Elsewhere", nil)
	key := testbed.NewKey(t)
	desk.refuses("not from an authority that is trusted here", "certificate", "assign", "ada", certificateFile(t, cardOf(foreign.Issue("ada", key.Public()), key)))
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("not a certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	desk.refuses("not one certificate in PEM", "certificate", "assign", "ada", junk)
	if n := c.events("certificate.assigned"); n != 0 {
		t.Fatalf("%d were assigned", n)
	}

	before := c.person()
	before.get("/sign-in")
	before.get(c.show(before.cardAt(), card))
	before.sees("That did not work")

	// Ada has two factors. Whoever handed her a card would come in as her, alone.
	desk.refuses("nobody gives somebody all of that alone", "certificate", "assign", "ada", file, "--note", "mine, in truth")
	for _, one := range c.authenticatorsOf("ada") {
		desk.does("authenticator", "revoke", "ada", strconv.FormatInt(int64(one.ID), 10))
	}
	desk.refuses("nobody gives somebody all of that alone", "certificate", "assign", "ada", file, "--note", "mine, in truth")

	desk.does("account", "create", "dora")
	desk.does("account", "create", "erin")
	desk.does("certificate", "assign", "dora", file, "--note", "handed over in person")
	desk.refuses("nobody gives somebody all of that alone", "certificate", "assign", "dora", file)
	desk.refuses("already", "certificate", "assign", "erin", file)
	if e := c.latestOf("certificate.assigned"); e.AccountName != "dora" || e.Actor.Name != "root" || !strings.Contains(e.Detail["certificate"], "CN=Staff Cards") || e.Detail["note"] != "handed over in person" {
		t.Errorf("the log says %+v", e)
	}

	p := c.person()
	p.get("/sign-in")
	p.get(c.show(p.cardAt(), card))
	p.sees("Where you are signed in")
	p.get("/account/history")
	p.sees("Assigned by root: 4711")
	p.get("/account")
	p.post("/account/do", "action", "authenticator.enroll", "object", "totp")
	if secretField.MatchString(p.page) {
		t.Error("a card that an administrator assigned a moment ago adds another authenticator")
	}
	c.later(25 * time.Hour)
	p = c.person()
	p.get("/sign-in")
	p.get(c.show(p.cardAt(), card))
	p.post("/account/do", "action", "authenticator.enroll", "object", "totp")
	p.shownSecret()
}

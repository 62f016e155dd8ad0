package web

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
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
	c := servertest.NewCardTable(t)
	root := c.Administrator("root")
	desk := c.Shell()
	desk.Login(c.Person(), "root", root.Code())
	card := c.Issue(t, "4711")
	file := certificateFile(t, card)

	desk.Refuses("to themselves", "certificate", "assign", file, "root", "--note", "mine")
	desk.Refuses("no account", "certificate", "assign", file, "nobody")
	foreign := testbed.NewAuthority(t, "Elsewhere", nil)
	key := testbed.NewKey(t)
	desk.Refuses("not from an authority that is trusted here", "certificate", "assign", certificateFile(t, servertest.CardOf(foreign.Issue("ada", key.Public()), key)), "ada")
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("not a certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	desk.Refuses("not one certificate in PEM", "certificate", "assign", junk, "ada")
	if n := c.Events("certificate.assigned"); n != 0 {
		t.Fatalf("%d were assigned", n)
	}

	before := c.Person()
	before.Get("/sign-in")
	before.Get(c.Show(servertest.CardAt(before), card))
	before.Sees("That did not work")

	// Ada has two factors. Whoever handed her a card would come in as her, alone.
	desk.Refuses("nobody gives somebody all of that alone", "certificate", "assign", file, "ada", "--note", "mine, in truth")
	for _, one := range servertest.AuthenticatorsOf(c.World, "ada") {
		desk.Does("authenticator", "revoke", "ada", strconv.FormatInt(int64(one.ID), 10))
	}
	desk.Refuses("nobody gives somebody all of that alone", "certificate", "assign", file, "ada", "--note", "mine, in truth")

	desk.Does("account", "create", "dora")
	desk.Does("account", "create", "erin")
	desk.Does("certificate", "assign", file, "dora", "--note", "handed over in person")
	desk.Refuses("nobody gives somebody all of that alone", "certificate", "assign", file, "dora")
	desk.Refuses("already", "certificate", "assign", file, "erin")
	if e := servertest.LatestOf(c.World, "certificate.assigned"); e.AccountName != "dora" || e.Actor.Name != "root" || !strings.Contains(e.Detail["certificate"], "CN=Staff Cards") || e.Detail["note"] != "handed over in person" {
		t.Errorf("the log says %+v", e)
	}

	p := c.Person()
	p.Get("/sign-in")
	p.Get(c.Show(servertest.CardAt(p), card))
	p.Sees("Where you are signed in")
	p.Get("/account/history")
	p.Sees("Assigned by root: 4711")
	p.Get("/account")
	p.Post("/account/do", "action", "authenticator.enroll", "object", "totp")
	if servertest.SecretField.MatchString(p.Page) {
		t.Error("a card that an administrator assigned a moment ago adds another authenticator")
	}
	c.Later(25 * time.Hour)
	p = c.Person()
	p.Get("/sign-in")
	p.Get(c.Show(servertest.CardAt(p), card))
	p.Post("/account/do", "action", "authenticator.enroll", "object", "totp")
	p.ShownSecret()
}

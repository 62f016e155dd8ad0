package cli

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/store"
	hardware "countersign/internal/token"
)

// The promise: an administrator finds a token by a part of its serial number, and
// does the whole of its life on pages; nobody else sees them.
func TestConsoleTokens(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	bob := w.enrollCodes("bob")
	fobs := []*fob{{t, "T<b>1", "", secretOf(20, 1), 6, 0, 0}, {t, "TZ-2", "", secretOf(20, 2), 6, 0, 0}}
	path := desk.file("T<b>1," + fobs[0].secret + "\nTZ-2," + fobs[1].secret + "\n")
	desk.does("token", "import", path, "--format", "oath-csv", "--commit")

	root := w.person()
	root.comes("root", w.administrator("root").secret)
	root.get("/console/tokens")
	root.sees("T<b>1")
	root.sees("in stock")
	root.sees("Imports")
	root.get("/console/tokens?q=Z-")
	if strings.Contains(root.page, "T&lt;b&gt;1") || !strings.Contains(root.page, "TZ-2") {
		t.Errorf("a search by a part finds\n%s", root.page)
	}
	root.get("/console/tokens?owner=nobody-at-all")
	root.sees("There is no account of that name.")

	const page = "/console/tokens/T%3Cb%3E1"
	root.does(page+"/assign", "account", "bob", "note", "met in person", "codes", fobs[0].press()+" "+fobs[0].press())
	root.sees("The token was assigned, and its owner told.")
	root.does(page+"/assign", "account", "bob")
	root.sees("not in stock; it is assigned")
	root.does(page+"/resync", "codes", fobs[0].press()+" "+fobs[0].press())
	root.sees("The token is right again.")
	root.does(page+"/lost", "reason", "left in a train")
	root.sees("The token is off.")
	root.does(page + "/return")
	root.sees("The token came back.")
	root.does(page+"/resync", "codes", fobs[0].press()+" "+fobs[0].press())
	root.sees("in stock")
	root.does(page + "/revoke")
	root.sees("The token is revoked, and its secret erased.")
	for event, n := range map[string]int{"token.assigned": 1, "token.lost": 1, "token.returned": 1, "token.revoked": 1, "token.resynchronised": 2} {
		if got := w.events(event); got != n {
			t.Errorf("%s is %d times in the log, want %d", event, got, n)
		}
	}
	if strings.Contains(root.page, fobs[0].secret) {
		t.Error("the page holds a secret")
	}
	stranger := w.person()
	stranger.comes("bob", bob.secret)
	for _, path := range []string{"/console/tokens", page} {
		if stranger.get(path); strings.Contains(stranger.page, "T&lt;b&gt;1") {
			t.Errorf("bob sees %s", path)
		}
	}
}

// plantTokens puts code tokens into stock, as an import does.
func (w *world) plantTokens(serials ...string) {
	w.t.Helper()
	err := w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		var tokens []hardware.Token
		for _, serial := range serials {
			e, err := new(hotp.Authenticator).Import(authenticator.Seed{Algorithm: string(otp.SHA1), Digits: 6, Secret: []byte(rand.Text()[:20])})
			if err != nil {
				return err
			}
			tokens = append(tokens, hardware.Token{Serial: serial, Manufacturer: "Feitian", Kind: hotp.Kind, Detail: "SHA1, 6 digits", Seed: e.State})
		}
		if err := w.Hardware.Add(context.Background(), tx, tokens); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "token.imported", Outcome: audit.OK, Detail: map[string]string{"count": "2", "digest": "b9a282462cf19535b8e821cd26109e01fa56cd3098faed5dfe0e21c53756d36a"}})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

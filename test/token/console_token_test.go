package token

import (
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// The promise: an administrator finds a token by a part of its serial number, and
// does the whole of its life on pages; nobody else sees them.
func TestConsoleTokens(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	bob := w.EnrollCodes("bob")
	fobs := []*servertest.Fob{{T: t, Serial: "T<b>1", Hash: "", Secret: servertest.SecretOf(20, 1), Digits: 6, Period: 0, Count: 0}, {T: t, Serial: "TZ-2", Hash: "", Secret: servertest.SecretOf(20, 2), Digits: 6, Period: 0, Count: 0}}
	path := desk.File("T<b>1," + fobs[0].Secret + "\nTZ-2," + fobs[1].Secret + "\n")
	desk.Does("token", "import", path, "--format", "oath-csv", "--commit")

	root := w.Person()
	root.Comes("root", w.Administrator("root").Secret)
	root.Get("/console/tokens")
	root.Sees("T<b>1")
	root.Sees("in stock")
	root.Sees("Imports")
	root.Get("/console/tokens?q=Z-")
	if strings.Contains(root.Page, "T&lt;b&gt;1") || !strings.Contains(root.Page, "TZ-2") {
		t.Errorf("a search by a part finds\n%s", root.Page)
	}
	root.Get("/console/tokens?owner=nobody-at-all")
	root.Sees("There is no account of that name.")

	const page = "/console/tokens/T%3Cb%3E1"
	root.Does(page+"/assign", "account", "bob", "note", "met in person", "codes", fobs[0].Press()+" "+fobs[0].Press())
	root.Sees("The token was assigned, and its owner told.")
	root.Does(page+"/assign", "account", "bob")
	root.Sees("not in stock; it is assigned")
	root.Does(page+"/resync", "codes", fobs[0].Press()+" "+fobs[0].Press())
	root.Sees("The token is right again.")
	root.Does(page+"/lost", "reason", "left in a train")
	root.Sees("The token is off.")
	root.Does(page + "/return")
	root.Sees("The token came back.")
	root.Does(page+"/resync", "codes", fobs[0].Press()+" "+fobs[0].Press())
	root.Sees("in stock")
	root.Does(page + "/revoke")
	root.Sees("The token is revoked, and its secret erased.")
	for event, n := range map[string]int{"token.assigned": 1, "token.lost": 1, "token.returned": 1, "token.revoked": 1, "token.resynchronised": 2} {
		if got := w.Events(event); got != n {
			t.Errorf("%s is %d times in the log, want %d", event, got, n)
		}
	}
	if strings.Contains(root.Page, fobs[0].Secret) {
		t.Error("the page holds a secret")
	}
	stranger := w.Person()
	stranger.Comes("bob", bob.Secret)
	for _, path := range []string{"/console/tokens", page} {
		if stranger.Get(path); strings.Contains(stranger.Page, "T&lt;b&gt;1") {
			t.Errorf("bob sees %s", path)
		}
	}
}

package cli

import (
	"fmt"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/store/storetest"
)

// The attack: whoever had a button token while it lay in stock has noted codes, and
// signs in with them as the one who gets it. The promise: whoever assigns it shows two
// of its codes, and what was noted before is dead; its owner signs in with the next.
func TestNotedInStock(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	f := &fob{t, "C-1", "", secretOf(20, 1), 6, 0, 0}
	desk.does("token", "import", desk.file("C-1,"+f.secret+",hotp,6\n"), "--format", "oath-csv", "--commit")
	w.welcomed("grace")
	noted := []string{f.press(), f.press(), f.press()}
	desk.refuses("Press the token twice", "token", "assign", "C-1", "grace")
	desk.refuses("not two codes", "token", "assign", "C-1", "grace", "--codes", "000000 000000")
	desk.does("token", "assign", "C-1", "grace", "--codes", f.press()+" "+f.press())
	vpn := w.equipment()
	for _, code := range noted {
		if vpn.signIn("grace", code) {
			t.Error("a code that was noted while the token lay in stock is good")
		}
	}
	if !vpn.signIn("grace", f.press()+" "+f.press()) { // two, after wrong answers
		t.Error("the token's next codes were refused")
	}
}

// The attack: a delivery has one secret under two serial numbers, and each of two
// people has the other's second factor. The promise: such files are refused, in one
// file and over several, whatever the kind and the counter, and after keys were replaced.
func TestOneSecretIsOneToken(t *testing.T) {
	for name, dsn := range map[string]string{"SQLite": "", "PostgreSQL": "yes"} {
		t.Run(name, func(t *testing.T) {
			var w *world
			if dsn == "" {
				w = newWorld(t)
			} else {
				w = newWorldOn(t, storetest.Postgres(t))
			}
			desk := w.tokenDesk()
			load := func(text string) []string {
				return []string{"token", "import", desk.file(text), "--format", "oath-csv", "--commit"}
			}
			one, other := secretOf(20, 1), secretOf(20, 2)
			desk.refuses("same secret", load(fmt.Sprintf("A,%s,hotp,6\nB,%s,totp,6,30\n", one, one))...)
			desk.does(load("A," + one + ",totp,6,30\n")...)
			desk.refuses("same secret", load("B,"+one+",hotp,8,7\n")...)
			if err := w.Keys.RotateDataKey(t.Context(), audit.System("test"), keyring.Token); err != nil {
				t.Fatal(err)
			}
			desk.refuses("secret of the token", load("B,"+one+",hotp,8,7\n")...)
			w.welcomed("grace")
			desk.does("token", "assign", "A", "grace")
			desk.refuses("secret of the token", load("B,"+one+",hotp,8,7\n")...)
			desk.does(load("B," + other + ",totp,6,30\n")...)
			desk.does("token", "revoke", "A")
			desk.does(load("A-again," + one + ",totp,6,30\n")...)
		})
	}
}

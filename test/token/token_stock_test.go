package token

import (
	"fmt"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// The attack: whoever had a button token while it lay in stock has noted codes, and
// signs in with them as the one who gets it. The promise: whoever assigns it shows two
// of its codes, and what was noted before is dead; its owner signs in with the next.
func TestNotedInStock(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	f := &servertest.Fob{T: t, Serial: "C-1", Hash: "", Secret: servertest.SecretOf(20, 1), Digits: 6, Period: 0, Count: 0}
	desk.Does("token", "import", desk.File("C-1,"+f.Secret+",hotp,6\n"), "--format", "oath-csv", "--commit")
	w.Welcomed("grace")
	noted := []string{f.Press(), f.Press(), f.Press()}
	desk.Refuses("Press the token twice", "token", "assign", "C-1", "grace")
	desk.Refuses("not two codes", "token", "assign", "C-1", "grace", "--codes", "000000 000000")
	desk.Does("token", "assign", "C-1", "grace", "--codes", f.Press()+" "+f.Press())
	vpn := w.Equipment()
	for _, code := range noted {
		if vpn.SignIn("grace", code) {
			t.Error("a code that was noted while the token lay in stock is good")
		}
	}
	if !vpn.SignIn("grace", f.Press()+" "+f.Press()) { // two, after wrong answers
		t.Error("the token's next codes were refused")
	}
}

// The attack: a delivery has one secret under two serial numbers, and each of two
// people has the other's second factor. The promise: such files are refused, in one
// file and over several, whatever the kind and the counter, and after keys were replaced.
func TestOneSecretIsOneToken(t *testing.T) {
	for name, dsn := range map[string]string{"SQLite": "", "PostgreSQL": "yes"} {
		t.Run(name, func(t *testing.T) {
			var w *servertest.World
			if dsn == "" {
				w = servertest.NewWorld(t)
			} else {
				w = servertest.NewWorldOn(t, storetest.Postgres(t))
			}
			desk := servertest.TokenDesk(w)
			load := func(text string) []string {
				return []string{"token", "import", desk.File(text), "--format", "oath-csv", "--commit"}
			}
			one, other := servertest.SecretOf(20, 1), servertest.SecretOf(20, 2)
			desk.Refuses("same secret", load(fmt.Sprintf("A,%s,hotp,6\nB,%s,totp,6,30\n", one, one))...)
			desk.Does(load("A," + one + ",totp,6,30\n")...)
			desk.Refuses("same secret", load("B,"+one+",hotp,8,7\n")...)
			if err := w.Keys.RotateDataKey(t.Context(), audit.System("test"), keyring.Token); err != nil {
				t.Fatal(err)
			}
			desk.Refuses("secret of the token", load("B,"+one+",hotp,8,7\n")...)
			w.Welcomed("grace")
			desk.Does("token", "assign", "A", "grace")
			desk.Refuses("secret of the token", load("B,"+one+",hotp,8,7\n")...)
			desk.Does(load("B," + other + ",totp,6,30\n")...)
			desk.Does("token", "revoke", "A")
			desk.Does(load("A-again," + one + ",totp,6,30\n")...)
		})
	}
}

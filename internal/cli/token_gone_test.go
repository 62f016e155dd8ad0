package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// The attack: somebody takes the authenticator that a token is out of the database, or
// alters it, and puts it back once an administrator has dealt with the token. The promise:
// the token can be switched off and revoked all the same, nobody is told that its owner's
// account is to blame, and what is put back opens nothing.
func TestATokenWhoseAuthenticatorIsGone(t *testing.T) {
	const theirs = ` where label = 'Token T-1'`
	for name, how := range map[string][]string{
		store.Missing: {`delete from credential` + theirs},
		store.Altered: {`update credential set traits = 'known'` + theirs},
	} {
		for _, end := range []string{"revoke", "lost", "by its number"} {
			t.Run(name+" "+end, func(t *testing.T) {
				w := newWorld(t)
				desk := w.tokenDesk()
				timed := &fob{t, "T-1", "sha256", secretOf(32, 0), 6, 30, 0}
				desk.does("token", "import", desk.file(fmt.Sprintf("T-1,%s,totp,6,30,sha256\n", timed.secret)), "--format", "oath-csv", "--commit")
				grace := w.welcomed("grace")
				other := grace.enrollToken()
				desk.does("token", "assign", "T-1", "grace")
				vpn := w.equipment()
				if !vpn.signIn("grace", timed.at(w.now())) {
					t.Fatal("the token's code was refused")
				}
				w.tampers(`create table aside as select * from credential` + theirs)
				w.tampers(how...)

				const says = "the token can only be revoked"
				desk.refuses(says, "token", "return", "T-1")
				desk.refuses(says, "token", "resync", "T-1", timed.at(w.now())+" "+timed.at(w.now()))
				desk.refuses(says, "token", "pin", "T-1")
				storetest.Alarmed(t, w.DB, "credential", "", name)
				if end == "by its number" {
					for _, c := range w.authenticatorsOf("grace") {
						if c.Lost() {
							desk.does("authenticator", "revoke", "grace", fmt.Sprint(c.ID))
						}
					}
				} else {
					desk.does("token", end, "T-1")
				}
				if end == "lost" {
					desk.refuses(says, "token", "return", "T-1")
				}

				w.tampers(`delete from credential where id in (select id from aside)`, `insert into credential select * from aside`, `drop table aside`)
				w.later(time.Minute)
				if vpn.signIn("grace", timed.at(w.now())) {
					t.Error("the token signs in again, once its row was put back")
				}
				storetest.Alarmed(t, w.DB, "credential", "", store.Older)
				if !vpn.signIn("grace", other.press()) {
					t.Error("the owner's other authenticator is refused")
				}
				for _, c := range w.authenticatorsOf("grace") {
					if c.Lost() && c.Status != directory.CredentialRevoked {
						t.Errorf("what is gone is %s", c.Status)
					}
				}
				if end != "revoke" {
					desk.does("token", "revoke", "T-1")
				}
				if out := desk.does("token", "list"); !strings.Contains(out, "revoked") {
					t.Errorf("the list says %s", out)
				}
				w.nothingOf(t, timed)
			})
		}
	}
}

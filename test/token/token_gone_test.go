package token

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/servertest"
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
				w := servertest.NewWorld(t)
				desk := servertest.TokenDesk(w)
				timed := &servertest.Fob{T: t, Serial: "T-1", Hash: "sha256", Secret: servertest.SecretOf(32, 0), Digits: 6, Period: 30, Count: 0}
				desk.Does("token", "import", desk.File(fmt.Sprintf("T-1,%s,totp,6,30,sha256\n", timed.Secret)), "--format", "oath-csv", "--commit")
				grace := w.Welcomed("grace")
				other := servertest.EnrollToken(grace)
				desk.Does("token", "assign", "T-1", "grace")
				vpn := w.Equipment()
				if !vpn.SignIn("grace", timed.At(w.Now())) {
					t.Fatal("the token's code was refused")
				}
				servertest.Tampers(w, `create table aside as select * from credential`+theirs)
				servertest.Tampers(w, how...)

				const says = "the token can only be revoked"
				desk.Refuses(says, "token", "return", "T-1")
				desk.Refuses(says, "token", "resync", "T-1", timed.At(w.Now())+" "+timed.At(w.Now()))
				desk.Refuses(says, "token", "pin", "T-1")
				storetest.Alarmed(t, w.DB, "credential", "", name)
				if end == "by its number" {
					for _, c := range servertest.AuthenticatorsOf(w, "grace") {
						if c.Lost() {
							desk.Does("authenticator", "revoke", "grace", fmt.Sprint(c.ID))
						}
					}
				} else {
					desk.Does("token", end, "T-1")
				}
				if end == "lost" {
					desk.Refuses(says, "token", "return", "T-1")
				}

				servertest.Tampers(w, `delete from credential where id in (select id from aside)`, `insert into credential select * from aside`, `drop table aside`)
				w.Later(time.Minute)
				if vpn.SignIn("grace", timed.At(w.Now())) {
					t.Error("the token signs in again, once its row was put back")
				}
				storetest.Alarmed(t, w.DB, "credential", "", store.Older)
				if !vpn.SignIn("grace", other.Press()) {
					t.Error("the owner's other authenticator is refused")
				}
				for _, c := range servertest.AuthenticatorsOf(w, "grace") {
					if c.Lost() && c.Status != directory.CredentialRevoked {
						t.Errorf("what is gone is %s", c.Status)
					}
				}
				if end != "revoke" {
					desk.Does("token", "revoke", "T-1")
				}
				if out := desk.Does("token", "list"); !strings.Contains(out, "revoked") {
					t.Errorf("the list says %s", out)
				}
				nothingOf(w, t, timed)
			})
		}
	}
}

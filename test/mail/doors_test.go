package mail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise, T1114.002: at no door of mail does a person's own password open anything, in any
// way in which the door's protocol can carry it.
func TestNoDoorTakesAPassword(t *testing.T) {
	p := setUp(t, nil)
	p.EnrollCodes("ada")
	for _, door := range p.doors {
		for _, way := range door.Passwords() {
			if in, said := p.types(door, way, "ada", servertest.Passphrase); in {
				t.Errorf("%s by %s is open to a password: %s", door.Name, way, said)
			}
		}
	}
}

// The promise: a token of a mail program opens the mailbox of whose it is, by both mechanisms, and
// nobody else's.
func TestATokenReadsMail(t *testing.T) {
	p := setUp(t, nil)
	ada := p.EnrollCodes("ada")
	token := p.program.token(signedIn(p.World, ada))
	for _, door := range p.doors {
		for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
			in, said := p.tries(door, mechanism, "ada", token)
			if open := !door.Open && door.Protocol != "sieve"; in != open { // filters want more, and no door without TLS takes anything
				t.Errorf("%s by %s: %v, %s", door.Name, mechanism, in, said)
			}
			if in, said := p.tries(door, mechanism, "bob", token); in {
				t.Errorf("%s by %s opens another mailbox: %s", door.Name, mechanism, said)
			}
		}
	}
}

// A door that cannot ask says so, and opens nothing: a program tries again later.
func TestAnOutageOfOursIsNoYes(t *testing.T) {
	p := setUp(t, nil)
	ada := p.EnrollCodes("ada")
	token := p.program.token(signedIn(p.World, ada))
	door := p.doors[2]
	if in, said := p.tries(door, "OAUTHBEARER", "ada", token); !in {
		t.Fatalf("it never opened: %s", said)
	}
	p.Stop()
	for _, door := range p.doors {
		if door.Open {
			continue
		}
		in, said := p.tries(door, "OAUTHBEARER", "ada", token)
		if in {
			t.Errorf("%s is open while nobody can be asked", door.Name)
		}
		// Debian 12's Postfix knows no answer but 535 when Dovecot says that it is for a time.
		if want := map[string]string{"imap": "UNAVAILABLE", "pop3": "SYS/TEMP", "sieve": "TRYLATER", "smtp": "535"}[door.Protocol]; !strings.Contains(said, want) {
			t.Errorf("%s does not say that it is for a time: %s", door.Name, said)
		}
	}
	if in, said := p.types(door, "PLAIN", "ada", "aaaa-aaaa"); in || !strings.Contains(said, "UNAVAILABLE") {
		t.Errorf("an app password: %v, %s", in, said)
	}
}

// A token is refused at every door that is of another program, that lacks the scope of mail, whose
// sign-in was too weak, that expired, or was given back, or whose owner signed out, was suspended
// or lost what they signed in with.
func TestTokensThatAreNotGood(t *testing.T) {
	p := setUp(t, nil)
	ada := p.EnrollCodes("ada")
	browser := signedIn(p.World, ada)
	wiki := newProgram(p.World, "wiki", "mail")
	imaps := p.doors[2]
	refused := func(what, token, reason string) {
		t.Helper()
		before := p.Events("client.token-refused")
		for _, door := range []testbed.MailDoor{p.doors[0], imaps, p.doors[3], p.doors[6]} {
			for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
				if in, said := p.tries(door, mechanism, "ada", token); in || strings.Contains(said, "UNAVAILABLE") {
					t.Errorf("%s at %s: %v, %s", what, door.Name, in, said)
				}
			}
		}
		if got := p.Events("client.token-refused"); got == before {
			t.Errorf("%s: the log has nothing of it", what)
		} else if e := p.last("client.token-refused"); e.Reason != reason || e.AccountName != "ada" || e.Application != "mail" {
			t.Errorf("%s: the log says %q of %s at %s", what, e.Reason, e.AccountName, e.Application)
		}
	}
	refused("of another program", wiki.token(browser), "other-client")
	p.program.scopes = "openid profile"
	refused("without the scope", p.program.token(browser), "no-scope")
	p.program.scopes = "openid profile mail"
	late := p.program.token(browser)
	p.Later(11 * time.Minute)
	refused("expired", late, "unknown-token")
	given := p.program.token(browser)
	p.program.post("/oidc/revoke", map[string][]string{"token": {given}})
	refused("given back", given, "unknown-token")
	good := p.program.token(browser)
	if in, said := p.tries(imaps, "OAUTHBEARER", "ada", good); !in {
		t.Fatalf("a good one: %s", said)
	}
	p.Suspend("ada")
	refused("of somebody suspended", good, "suspended")
}

// What the document has to be copied is what these tests ran.
func TestTheDocumentHasWhatWasTried(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), "docs", "mailboxes.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dovecot.conf", "dovecot-mail.conf", "dovecot-filters.conf", "dovecot.lua", "postfix.conf", "roundcube.conf", "roundcube-countersign.txt"} {
		if !strings.Contains(string(text), "\n"+strings.TrimRight(testbed.Example(t, name), "\n")+"\n```") {
			t.Errorf("docs/mailboxes.md has not %s as it is in deploy/examples", name)
		}
	}
}

// The promise, T1098.002: who comes to the filters of somebody's mail with a session of theirs is
// refused without a passkey, and its owner has a mail about it, one for many tries.
func TestOwnersAreTold(t *testing.T) {
	p := setUp(t, nil)
	ada := p.EnrollCodes("ada")
	office := p.PostOffice()
	p.Address("ada", "ada@example.org")
	token := p.program.token(signedIn(p.World, ada))
	if in, said := p.tries(p.doors[2], "OAUTHBEARER", "ada", token); !in {
		t.Fatalf("her mail: %s", said)
	}
	for range 3 {
		if in, said := p.tries(p.doors[8], "OAUTHBEARER", "ada", token); in {
			t.Fatalf("her filters: %s", said)
		}
	}
	office.Collect()
	var told []string
	for _, m := range office.Server.Mails() {
		if s := m.Header.Get("Subject"); strings.Contains(s, "mail") {
			told = append(told, s)
		}
	}
	if len(told) != 1 || told[0] != "Somebody tried to open The mail-filters as you, and was refused" {
		t.Errorf("ada was told %q", told)
	}
	if e := p.last("owner.told"); p.Events("owner.told") != 1 || e.AccountName != "ada" || e.Application != "mail-filters" || e.Reason == "opened" {
		t.Errorf("the log: %+v", e)
	}
	if in, said := p.types(p.doors[8], "PLAIN", "ada", servertest.Passphrase); in {
		t.Errorf("her filters by the password: %s", said)
	}
	if e := p.last("signin.refused"); e.Application != "mail-filters" || e.AccountName != "ada" {
		t.Errorf("the log of the password: %+v", e)
	}
}

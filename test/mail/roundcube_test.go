package mail

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

const roundcubeSecret = "the-secret-of-the-webmail-of-this-test"

// webmail puts Debian's Roundcube in front of a post.
func webmail(p *post) *testbed.Roundcube {
	p.T.Helper()
	r := testbed.NewRoundcube(p.T, p.server, p.submission, p.Base, roundcubeSecret, "")
	register(p.World, "roundcube", map[string]any{"client_id": "roundcube", "client_secret": roundcubeSecret, "redirect_uris": []string{r.Redirect}, "scopes": []string{"mail"}, "refresh": "session"})
	p.T.Cleanup(func() {
		if p.T.Failed() {
			said, _ := os.ReadFile(r.Errors)
			p.T.Logf("Roundcube says:\n%s\n%s\nDovecot says:\n%s", r.Log, said, p.server.Log)
		}
	})
	return r
}

// passwordIn types the right password on the sign-in page that a browser is at.
func passwordIn(b *testbed.Browser) {
	b.Fill("#name", "ada")
	b.Fill("#text", servertest.Passphrase)
	b.Click("form:has(#name) button")
	b.Wait("#text-totp")
}

// The promise, T1114: with the right password and no second factor, Debian's Roundcube opens no
// mailbox; its owner's sign-in opens it, and an administrator who ends the session closes it.
func TestRoundcube(t *testing.T) {
	p := setUp(t, nil)
	ada := p.EnrollCodes("ada")
	r := webmail(p)
	delivered(p, "ada", "The secret plan")
	owner := testbed.Chromium(t)

	thief := owner.Stranger()
	thief.Visit(r.Base + "/")
	thief.WaitText("h1", "Sign in")
	passwordIn(thief)
	thief.Fill("#text-totp", "000000")
	thief.Click("form:has(#text-totp) button")
	thief.Wait(".problem")
	shut(t, thief, r, "the password and a wrong code")
	// The form that Roundcube has of itself is not shown, and leads nowhere.
	said := testbed.Eval[string](thief, `fetch("./?_task=login", {method: "POST", body: new URLSearchParams({_task: "login", _action: "login", _token: rcmail.env.request_token, _user: "ada", _pass: "`+servertest.Passphrase+`"})}).then((r) => r.text())`)
	if strings.Contains(said, "messagelist") {
		t.Error("a password in its own form opens a mailbox")
	}
	shut(t, thief, r, "the password in Roundcube's own form")

	owner.Visit(r.Base + "/")
	owner.WaitText("h1", "Sign in")
	passwordIn(owner)
	owner.Fill("#text-totp", ada.Code())
	owner.Click("form:has(#text-totp) button")
	owner.WaitText("#messagelist", "The secret plan")
	if where := owner.Location(); !strings.HasPrefix(where, r.Base) || strings.Contains(where, "code=") {
		t.Errorf("the owner is at %s", where)
	}
	owner.Visit(r.Base + "/?_task=mail")
	owner.WaitText("#messagelist", "The secret plan")

	p.Later(time.Minute)
	root := servertest.OfficeOf(p.World, "root")[0]
	if err := root.Do(t.Context(), "session.end", map[string]any{"account": "ada", "reason": "a test"}, nil); err != nil {
		t.Fatal(err)
	}
	owner.Visit(r.Base + "/?_task=mail")
	owner.WaitText("body", "Mailbox is empty") // which is how Roundcube shows that it is not let in
	if said := testbed.Eval[string](owner, `fetch("./?_task=mail&_action=list&_mbox=INBOX&_refresh=1&_remote=1").then((r) => r.text())`); strings.Contains(said, "secret plan") {
		t.Error("the mailbox is open after its session was ended")
	}
}

// delivered puts a message into a mailbox.
func delivered(p *post, name, subject string) {
	p.T.Helper()
	at := filepath.Join(p.server.Mail, name, "Maildir")
	for _, folder := range []string{"cur", "tmp", "new"} {
		if err := os.MkdirAll(filepath.Join(at, folder), 0o777); err != nil {
			p.T.Fatal(err)
		}
	}
	file := filepath.Join(at, "new", "1700000000.1.localhost")
	if err := os.WriteFile(file, []byte("From: bob@example.org\r\nTo: "+name+"@example.org\r\nSubject: "+subject+"\r\nDate: Mon, 30 Nov 2026 12:00:00 +0000\r\n\r\nburn this\r\n"), 0o666); err != nil {
		p.T.Fatal(err)
	}
	if out, err := exec.Command("chown", "-R", "nobody:nogroup", filepath.Join(p.server.Mail, name)).CombinedOutput(); err != nil {
		p.T.Fatalf("%v: %s", err, out)
	}
}

// shut asks for the mailbox, where Roundcube must ask who comes.
func shut(t *testing.T, b *testbed.Browser, r *testbed.Roundcube, what string) {
	t.Helper()
	b.Visit(r.Base + "/?_task=mail")
	b.WaitText("body", "Login with Countersign")
	if b.Has("#messagelist") {
		t.Errorf("%s opens a mailbox", what)
	}
}

package radius

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// The promise: a PAM stack that asks us by RADIUS lets in with password and
// code, and not without, not with the code twice, not with us away.
func TestPAM(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	h := w.LoginHost(true)
	code := ada.Code()
	if in, said := h.LogIn("ada", servertest.Passphrase, "000000"); in || !strings.Contains(said, "Code from your authenticator app") {
		t.Errorf("a wrong code: %t\n%s", in, said)
	}
	if in, said := h.LogIn("ada", servertest.Passphrase, code); !in {
		t.Errorf("password and code: %s", said)
	}
	var all sync.WaitGroup
	for what, lines := range map[string][]string{
		"the code again": {servertest.Passphrase, code}, "the password alone": {servertest.Passphrase, ""}, "the password twice": {servertest.Passphrase, servertest.Passphrase},
		"a wrong password": {"wrong", code}, "nothing": {"", ""}, "both in one line": {servertest.Passphrase + code},
	} {
		all.Go(func() { // PAM waits after each refusal
			if in, said := h.LogIn("ada", lines...); in {
				t.Errorf("%s: %s", what, said)
			}
		})
	}
	all.Wait()
	if in, said := h.LogIn("nobody", servertest.Passphrase, code); in {
		t.Errorf("nobody: %s", said)
	}
	w.Later(time.Minute)
	h.Trust("another secret of that host")
	if in, said := h.LogIn("ada", servertest.Passphrase, ada.Code()); in {
		t.Errorf("another shared secret: %s", said)
	}
	h.Trust(servertest.PamSecret)
	w.Stop()
	if in, said := h.LogIn("ada", servertest.Passphrase, ada.Code()); in {
		t.Errorf("with Countersign stopped: %s", said)
	}
}

// The promise: equipment that sends no Message-Authenticator, as Debian's
// pam_radius 2.0, is not answered unless an exception says so, for a while.
func TestPAMWithoutException(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	h := w.LoginHost(false)
	if in, said := h.LogIn("ada", servertest.Passphrase, ada.Code()); in {
		t.Errorf("without Message-Authenticator and without exception: %s", said)
	}
	h = w.LoginHost(true)
	if in, said := h.LogIn("ada", servertest.Passphrase, ada.Code()); !in {
		t.Fatalf("with the exception: %s", said)
	}
	w.Later(29*24*time.Hour + time.Hour) // and ada is not yet dormant
	if in, said := h.LogIn("ada", servertest.Passphrase, ada.Code()); in {
		t.Errorf("after the exception's end: %s", said)
	}
}

// radtest is another client's way of asking, password and code in one go.
func TestRadtest(t *testing.T) {
	w := servertest.NewWorld(t)
	w.EnrollCodes("ada")
	w.LoginHost(true)
	host, port, _ := strings.Cut(w.Radius, ":")
	ask := func(password string) string {
		out, _ := exec.Command("radtest", "-x", "ada", password, host+":"+port, "0", servertest.PamSecret).CombinedOutput() // it exits 1 for what is no Accept
		return string(out)
	}
	if out := ask(servertest.Passphrase); !strings.Contains(out, "Access-Challenge") {
		t.Errorf("the password:\n%s", out)
	}
	if out := ask("wrong"); strings.Contains(out, "Received Access-Accept") || !strings.Contains(out, "Access-Reject") {
		t.Errorf("a wrong password:\n%s", out)
	}
}

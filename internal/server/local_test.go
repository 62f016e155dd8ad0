package server_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/internal/config"
	"countersign/internal/directory"
	"countersign/internal/server"
	"countersign/internal/servertest"
)

// onMachine serves the world's local socket under a configuration that tests
// can change, and returns a shell that uses it.
func onMachine(w *servertest.World, file *config.File) *servertest.Shell {
	w.T.Helper()
	handler, err := w.LocalHandler(func() (config.File, error) { return *file, file.Check() }, slog.New(slog.NewTextHandler(w.T.Output(), nil)))
	if err != nil {
		w.T.Fatal(err)
	}
	l, err := server.ListenLocal(w.Folder)
	if err != nil {
		w.T.Fatal(err)
	}
	socket := &http.Server{Handler: handler}
	go socket.Serve(l)
	w.T.Cleanup(func() { socket.Close() })
	sh := w.Shell()
	sh.Env = []string{"COUNTERSIGN_SERVER=" + w.Folder}
	return sh
}

// The promise: whoever holds the machine gets a set-up link while there is no
// administrator, and afterwards nothing, unless the configuration opened
// recovery; then it is an alarm that every administrator hears of.
func TestLocalSocket(t *testing.T) {
	w := servertest.NewWorld(t)
	file := config.Default()
	sh := onMachine(w, &file)
	if out, complaint, ok := sh.Run("", "setup-link"); !ok || !strings.Contains(out, "/setup?code=") {
		t.Fatalf("%s%s", out, complaint)
	}
	ada := w.Administrator("ada")
	for _, args := range []string{"setup-link", "account list", "account create x", "recover ada --reason lost"} {
		if out, complaint, ok := sh.Run("", strings.Fields(args)...); ok {
			t.Errorf("the machine alone did %s: %s%s", args, out, complaint)
		}
	}
	file.LocalRecovery = config.LocalRecovery{Until: time.Now().Add(24 * time.Hour).Format(time.DateOnly), Reason: "the only administrator lost the key"}
	if out, complaint, ok := sh.Run("", "reload"); !ok || !strings.Contains(out, "local_recovery.until") {
		t.Fatalf("%s%s", out, complaint)
	}
	w.Later(time.Minute)
	before := w.Person()
	before.Comes("ada", ada.Secret)
	servertest.Edit(w, "ada", func(a *directory.Account) { a.Ends = w.Now() })
	w.EnrollCodes("bob")
	if _, complaint, ok := sh.Run("", "recover", "bob", "--reason", "lost"); ok || !strings.Contains(complaint, "not an administrator") {
		t.Errorf("for somebody who is none: %s", complaint)
	}
	out, complaint, ok := sh.Run("", "--json", "recover", "ada", "--reason", "lost the phone")
	if !ok {
		t.Fatalf("%s%s", out, complaint)
	}
	var pass struct{ Link string }
	if err := json.Unmarshal([]byte(out), &pass); err != nil || !strings.Contains(pass.Link, "/welcome?code=") {
		t.Errorf("%v in %s", err, out)
	}
	if w.Events("alarm.local-recovery") != 1 {
		t.Error("it is not an alarm in the log")
	}
	// Her account had ended: it is one again, and her session from before is none.
	d, err := w.Accounts.Find(t.Context(), w.DB, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if all, err := w.Sessions.List(t.Context(), d.ID); err != nil || len(all) != 0 {
		t.Errorf("a session of before the end stands again: %+v, %v", all, err)
	}
	if before.Get("/account"); before.Inside() {
		t.Error("a browser of before the end is signed in")
	}
	browser := w.Person()
	servertest.Follows(browser, pass.Link)
	browser.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	if !servertest.Limited(browser) {
		t.Errorf("the pass is nothing: %d", browser.Status)
	}
}

// Another user of the machine is not let in, whatever the file's mode.
func TestLocalSocketIsOurs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	w := servertest.NewWorld(t)
	file := config.Default()
	onMachine(w, &file)
	path := filepath.Join(w.Folder, server.SocketName)
	for at := path; len(at) > 4; at = filepath.Dir(at) {
		os.Chmod(at, 0o777) //nolint:errcheck // as far as the temporary folder goes
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	for _, c := range []struct {
		who *syscall.Credential
		ok  bool
	}{{nil, true}, {&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, false}} {
		curl := exec.Command("curl", "-sS", "-m", "5", "-X", "POST", "--unix-socket", path, "http://localhost/local/setup-link")
		curl.Dir, curl.SysProcAttr = "/", &syscall.SysProcAttr{Credential: c.who}
		out, err := curl.CombinedOutput()
		if got := err == nil && strings.Contains(string(out), "setup?code="); got != c.ok {
			t.Errorf("as %v: %s, %v", c.who, out, err)
		}
	}
}

// A second server on one data folder does not start; a dead one's socket is no
// obstacle.
func TestOneServerPerFolder(t *testing.T) {
	folder := t.TempDir()
	l, err := server.ListenLocal(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.ListenLocal(folder); err == nil {
		t.Error("two servers on one folder")
	}
	l.Close()
	if err := os.WriteFile(filepath.Join(folder, server.SocketName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := server.ListenLocal(folder)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

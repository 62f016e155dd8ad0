package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// keeper makes backups of a world with the real program.
type keeper struct {
	*servertest.Shell
	identity, recipient string
}

func newKeeper(w *servertest.World) *keeper {
	w.T.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		w.T.Fatal(err)
	}
	k := &keeper{Shell: w.Shell(), identity: filepath.Join(w.T.TempDir(), "key"), recipient: id.Recipient().String()}
	if err := os.WriteFile(k.identity, []byte(id.String()+"\n"), 0o600); err != nil {
		w.T.Fatal(err)
	}
	return k
}

func (k *keeper) backup(to string, more ...string) (string, bool) {
	out, complaint, ok := k.Run("", append([]string{"backup", "--data", k.W.Folder, "--to", to, "--recipient", k.recipient}, more...)...)
	return out + complaint, ok
}

func (k *keeper) restore(from, data string, more ...string) (string, bool) {
	if !slices.Contains(more, "--log-key") && !slices.Contains(more, "--any-installation") && !slices.Contains(more, "--") {
		more = append(more, "--log-key", k.W.Keys.LogKey())
	}
	more = slices.DeleteFunc(more, func(s string) bool { return s == "--" })
	out, complaint, ok := k.Run("", append([]string{"restore", "--from", from, "--data", data, "--identity", k.identity}, more...)...)
	return out + complaint, ok
}

// The promise: a backup that was taken while people sign in is restored whole;
// its log verifies, its people sign in, and what was used since is worthless.
func TestBackupAndRestore(t *testing.T) {
	w := servertest.NewWorld(t)
	w.Later(-4 * time.Minute) // restore goes by the real clock, and the codes here are ahead of it otherwise
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(t.Context(), "wiki.test", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	k := newKeeper(w)
	stop := make(chan struct{})
	var load sync.WaitGroup
	for i := range 4 {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					w.Begin(servertest.Line(fmt.Sprintf("somebody-%d-%d", i, n), "a wrong password", ""))
				}
			}
		})
	}
	secret := w.SignedIn(ada)
	file := filepath.Join(t.TempDir(), "b.age")
	said, ok := k.backup(file)
	close(stop)
	load.Wait()
	if !ok {
		t.Fatal(said)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if said, ok := k.backup(file); ok {
		t.Errorf("a backup was overwritten: %s", said)
	}
	if left, _ := filepath.Glob(filepath.Join(w.Folder, ".backup-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	w.Later(time.Minute)
	used := ada.Code() // after the backup
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, used)); s.State != signin.Granted {
		t.Fatal(s.State, s.Reason)
	}

	folder := filepath.Join(t.TempDir(), "restored")
	if said, ok := k.restore(file, folder); !ok {
		t.Fatal(said)
	}
	if said, ok := k.restore(file, folder); ok || !strings.Contains(said, "never overwrites") {
		t.Errorf("a restore over what is there: %s", said)
	}
	in := servertest.Reopen(w, folder)
	report, err := in.DB.AuditLog().Verify(t.Context())
	if err != nil || !report.OK() {
		t.Errorf("the restored log: %v %v", report.Faults, err)
	}
	restored, err := in.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "installation.restored", Limit: 10})
	if err != nil || len(restored) != 1 {
		t.Errorf("%d entries tell of it, %v", len(restored), err)
	}
	if s, err := in.Engine.Begin(t.Context(), servertest.Line("ada", servertest.Passphrase, used)); err != nil || s.State == signin.Granted {
		t.Errorf("a code that was used after the backup is good again: %v %v", s.State, err)
	}
	if _, err := in.Sessions.Active(t.Context(), secret); err == nil {
		t.Error("a session of before stands again")
	}
	w.Later(6 * time.Minute)
	if s, err := in.Engine.Begin(t.Context(), servertest.Line("ada", servertest.Passphrase, ada.Code())); err != nil || s.State != signin.Granted {
		t.Errorf("ada does not sign in to what was restored: %v %s %v", s.State, s.Reason, err)
	}
}

// A backup that was changed, cut short or is somebody else's restores nothing
// and leaves nothing behind.
func TestRestoreRefuses(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	k := newKeeper(w)
	dir := t.TempDir()
	file := filepath.Join(dir, "b.age")
	if said, ok := k.backup(file); !ok {
		t.Fatal(said)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte{}, whole...)
	flipped[len(flipped)/2] ^= 1
	stranger := newKeeper(w)
	for what, c := range map[string]struct {
		k    *keeper
		data []byte
	}{"flipped": {k, flipped}, "cut short": {k, whole[:len(whole)-100]}, "empty": {k, nil}, "of another": {stranger, whole}, "no backup": {k, []byte("hello")}} {
		bad := filepath.Join(dir, "bad")
		if err := os.WriteFile(bad, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		into := filepath.Join(dir, "into")
		said, ok := c.k.restore(bad, into)
		if ok || strings.Count(strings.TrimSpace(said), "\n") != 0 {
			t.Errorf("%s: %s", what, said)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".countersign-restore-*")); len(left) > 0 {
			t.Errorf("%s left over: %v", what, left)
		}
		if _, err := os.Stat(into); err == nil {
			t.Errorf("%s: something is in place", what)
		}
	}
}

// With a full disk there is one clear sentence, and nothing is left behind.
func TestBackupOnAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a small disk; run the tests with sudo")
	}
	w, _ := servertest.WithVPN(t)
	k := newKeeper(w)
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("no small disk can be made here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(small, 0) })
	said, ok := k.backup(filepath.Join(small, "b.age"))
	if ok || !strings.Contains(said, "the disk is full") {
		t.Errorf("%s", said)
	}
	if left, _ := os.ReadDir(small); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// Any age can open it: nothing of ours is needed to get at one's own data.
func TestBackupIsPlainAge(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	k := newKeeper(w)
	file := filepath.Join(t.TempDir(), "b.age")
	if said, ok := k.backup(file, "--without-root-key"); !ok || !strings.Contains(said, "without the root key") {
		t.Fatal(said)
	}
	cmd := exec.Command("age", "-d", "-i", k.identity, file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; deploy/test-packages.sh installs age", err)
	}
	n, _ := io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil || n < 4096 {
		t.Errorf("age reads %d bytes, %v", n, err)
	}
	if said, ok := k.restore(file, filepath.Join(t.TempDir(), "x")); ok || !strings.Contains(said, "--root-key") {
		t.Errorf("without its root key: %s", said)
	}
	if said, ok := k.restore(file, filepath.Join(t.TempDir(), "x"), "--root-key", filepath.Join(w.Folder, "root.key")); !ok {
		t.Error(said)
	}
}

// The attack: whoever can write where backups are kept puts their own installation's in
// the place of ours. The promise: a restore takes it only from somebody who says that any
// will do.
func TestRestoreOfAnotherInstallation(t *testing.T) {
	theirs, ours := servertest.NewWorld(t), servertest.NewWorld(t)
	theirs.EnrollCodes("eve")
	eve, k := newKeeper(theirs), newKeeper(ours)
	eve.recipient = k.recipient // a public key
	file := filepath.Join(t.TempDir(), "b.age")
	if said, ok := eve.backup(file); !ok {
		t.Fatal(said)
	}
	into := filepath.Join(t.TempDir(), "data")
	if said, ok := k.restore(file, into, "--"); ok || !strings.Contains(said, "--log-key") {
		t.Errorf("without a word: %s", said)
	}
	if said, ok := k.restore(file, into); ok || !strings.Contains(said, "another installation") {
		t.Errorf("with our log's key: %s", said)
	}
	if said, ok := k.restore(file, into, "--any-installation", "--log-key", ours.Keys.LogKey()); ok {
		t.Errorf("with both: %s", said)
	}
	if _, err := os.Stat(into); err == nil {
		t.Error("something was restored")
	}
	if said, ok := k.restore(file, into, "--any-installation"); !ok {
		t.Errorf("with the word: %s", said)
	}
}

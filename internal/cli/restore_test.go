package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"countersign/internal/backup"
	"countersign/internal/rootkey"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// forged is a backup of ours, as somebody makes it anew who can open it: with statements run
// on its database, and a manifest that describes what comes of that but for what it lies in.
func (k *keeper) forged(from string, lie func(*backup.Manifest), statements ...string) (file string) {
	t := k.W.T
	t.Helper()
	text, err := os.ReadFile(k.identity)
	if err != nil {
		t.Fatal(err)
	}
	with, err := age.ParseIdentities(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	path := filepath.Join(t.TempDir(), "db")
	db, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	m, root, err := backup.Read(in, with, db)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	if len(statements) > 0 {
		storetest.Intrude(t, path, append(statements, "pragma wal_checkpoint(truncate)")...)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(whole)
	m.Size, m.SHA256 = int64(len(whole)), hex.EncodeToString(sum[:])
	lie(&m)
	to, err := age.ParseX25519Recipient(k.recipient)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "forged.age")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := backup.Write(out, []age.Recipient{to}, backup.Contents{Manifest: m, RootKey: root, Database: strings.NewReader(string(whole))}); err != nil {
		t.Fatal(err)
	}
	return file
}

// The attack: whoever can open a backup, or makes one for a public key, changes what is in
// it. The promise: a restore takes only the database that the manifest describes, of the
// installation that it names, with a log in which every entry is as it was written; else it
// says which of these it is not, and nothing is in place.
func TestRestoreOfAForgedBackup(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	k := newKeeper(w)
	file := filepath.Join(t.TempDir(), "b.age")
	if said, ok := k.backup(file); !ok {
		t.Fatal(said)
	}
	honest := func(*backup.Manifest) {}
	const described, altered, another = "not the one that its manifest describes", "not as it was written", "of another installation"
	for what, c := range map[string]struct {
		lie        func(*backup.Manifest)
		statements []string
		says       string
	}{
		"nothing":                     {honest, nil, ""},
		"fewer entries are described": {func(m *backup.Manifest) { m.Entries-- }, nil, described},
		"another tree is described":   {func(m *backup.Manifest) { m.Root = strings.Repeat("0", len(m.Root)) }, nil, described},
		"another schema is described": {func(m *backup.Manifest) { m.Schema-- }, nil, described},
		"another log is named":        {func(m *backup.Manifest) { m.Log = "another+00000000+AQ" }, nil, another},
		"another file is described":   {func(m *backup.Manifest) { m.SHA256 = strings.Repeat("0", len(m.SHA256)) }, nil, "changed or is damaged"},
		"an entry is another":         {honest, []string{"update audit_entry set body = (select body from audit_entry where seq = 1) where seq = 2"}, altered},
		"an entry is gone":            {honest, []string{"delete from audit_entry where seq = 2"}, altered},
	} {
		into := filepath.Join(t.TempDir(), "data")
		said, ok := k.restore(k.forged(file, c.lie, c.statements...), into)
		if ok != (c.says == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: restored %v: %s", what, ok, said)
		}
		if _, err := os.Stat(into); (err == nil) != ok {
			t.Errorf("%s: in place: %v", what, err)
		}
	}
}

// The promise: a package makes an empty data folder for its own user, and a restore takes
// that place with the folder's owner, group and mode. A folder that somebody filled in the
// meantime is never overwritten.
func TestRestoreIntoAnEmptyFolder(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	k := newKeeper(w)
	file := filepath.Join(t.TempDir(), "b.age")
	if said, ok := k.backup(file); !ok {
		t.Fatal(said)
	}
	into := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(into, 0o750); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 4711, 4712
		if err := os.Chown(into, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if said, ok := k.restore(file, into); !ok {
		t.Fatal(said)
	}
	for _, name := range []string{"", server.DatabaseFile, rootkey.File} {
		info, err := os.Stat(filepath.Join(into, name))
		if err != nil {
			t.Fatal(err)
		}
		if who := info.Sys().(*syscall.Stat_t); int(who.Uid) != uid || int(who.Gid) != gid {
			t.Errorf("%q belongs to %d:%d, want %d:%d", name, who.Uid, who.Gid, uid, gid)
		}
		want := os.FileMode(0o600)
		if name == "" {
			want = 0o750
		}
		if info.Mode().Perm() != want {
			t.Errorf("%q has mode %v, want %v", name, info.Mode().Perm(), want)
		}
	}
}

// A folder in which somebody put a file while the restore worked is not replaced.
func TestPutInPlaceOfAFilledFolder(t *testing.T) {
	stage, into := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(into, "theirs"), []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := putInPlace(stage, into, nil); err == nil || !strings.Contains(err.Error(), "never overwrites") {
		t.Errorf("put in place: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(into, "theirs")); err != nil || string(b) != "theirs" {
		t.Errorf("their file: %q, %v", b, err)
	}
}

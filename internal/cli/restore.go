package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"filippo.io/age"

	"countersign/internal/backup"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/rootkey"
	"countersign/internal/server"
	"countersign/internal/store"
)

type restoreCommand struct {
	From           string   `required:"" placeholder:"FILE" help:"The backup." type:"path"`
	Data           string   `required:"" placeholder:"FOLDER" help:"The data folder to make. One with anything in it is refused." type:"path"`
	Identity       string   `placeholder:"FILE" help:"The private key that age-keygen wrote."`
	PassphraseFile string   `placeholder:"FILE" help:"A file whose first line is the passphrase, instead of a private key."`
	RootKey        string   `placeholder:"FILE" help:"The root key, for a backup that was made without it."`
	LogKey         string   `placeholder:"KEY" help:"The audit log's public key, as keys show prints it: refuses the backup of another installation. Demanded, or --any-installation."`
	Any            bool     `name:"any-installation" help:"Take the backup of whatever installation it is: for one of which nothing is left, not even its log's key."`
	Keep           []string `placeholder:"KIND" help:"Leave authenticators of this kind as they were, though answers used since the backup are good again: recoverycode, hotp, accesspass."`
}

func (c *restoreCommand) Run(ctx context.Context) error {
	with, err := c.identities()
	if err != nil {
		return err
	}
	if (c.LogKey == "") != c.Any {
		return errors.New("say whose backup it must be: with --log-key, the audit log's public key as \"countersign keys show\" prints it, or with --any-installation if nobody has that any more: whoever can put another file in the backup's place decides then who is an administrator")
	}
	if err := checkKeep(c.Keep); err != nil {
		return err
	}
	owner, err := free(c.Data)
	if err != nil {
		return err
	}
	stage, err := os.MkdirTemp(filepath.Dir(c.Data), ".countersign-restore-") // 0700
	if err != nil {
		return plainly("nothing was restored", err)
	}
	defer os.RemoveAll(stage)
	done, err := c.fill(ctx, stage, with)
	if err == nil {
		err = putInPlace(stage, c.Data, owner)
	}
	if err != nil {
		return plainly("nothing was restored", err)
	}
	fmt.Printf("%s is the installation as it was at %s, with %d entries in its audit log (%s).\n", c.Data, moment(done.manifest.Made), done.manifest.Entries, done.manifest.Log)
	done.rolledBack.print(os.Stdout)
	if !done.manifest.RootKey && c.RootKey == "" {
		fmt.Println("The root key is not in the folder: give it to the server the same way as now.")
	}
	return nil
}

func (c *restoreCommand) identities() ([]age.Identity, error) {
	switch {
	case (c.Identity == "") == (c.PassphraseFile == ""):
		return nil, errors.New("say how to open the backup, with --identity or --passphrase-file")
	case c.PassphraseFile != "":
		text, err := passphraseIn(c.PassphraseFile)
		if err != nil {
			return nil, err
		}
		id, err := age.NewScryptIdentity(text)
		return []age.Identity{id}, err
	}
	f, err := os.Open(c.Identity)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids, err := age.ParseIdentities(f)
	if err != nil {
		return nil, fmt.Errorf("%s holds no private key of age", c.Identity) // err may repeat some of it
	}
	return ids, nil
}

// free refuses a folder that holds anything, and returns who owns an empty one:
// an installed package has made it for its own user.
func free(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s exists and is no folder; a restore never overwrites", path)
	}
	names, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("%s is not empty; a restore never overwrites: move it away first", path)
	}
	return info, nil
}

// restored is what became of a backup.
type restored struct {
	manifest   backup.Manifest
	rolledBack rolledBack
}

// fill makes the installation in a folder of its own, verifies it, and makes
// what was used since the backup worthless.
func (c *restoreCommand) fill(ctx context.Context, stage string, with []age.Identity) (restored, error) {
	m, rootText, err := c.extract(ctx, filepath.Join(stage, server.DatabaseFile), with)
	if err != nil {
		return restored{}, err
	}
	root, err := c.root(stage, rootText)
	if err != nil {
		return restored{}, err
	}
	head, err := store.HeadOf(ctx, filepath.Join(stage, server.DatabaseFile))
	if err != nil {
		return restored{}, err
	}
	if head.Entries != m.Entries || head.Root != m.Root || head.Schema != m.Schema {
		return restored{}, failure.New(failure.Invalid, "the database in the backup is not the one that its manifest describes")
	}
	out := restored{manifest: m}
	out.rolledBack, err = c.verify(ctx, stage, root, m)
	return out, err
}

func (c *restoreCommand) extract(ctx context.Context, path string, with []age.Identity) (backup.Manifest, []byte, error) {
	in, err := os.Open(c.From)
	if err != nil {
		return backup.Manifest{}, nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return backup.Manifest{}, nil, err
	}
	db, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return backup.Manifest{}, nil, err
	}
	defer db.Close()
	bar := newProgress(os.Stderr)
	defer bar.clear()
	m, rootText, err := backup.Read(bar.reading(ctx, "decrypting", in, info.Size()), with, db)
	if err != nil {
		return m, nil, errors.Join(ctx.Err(), err)
	}
	return m, rootText, errors.Join(db.Sync(), db.Close())
}

// root finds the root key: in the backup, in the file that was named, or where a
// server would find it.
func (c *restoreCommand) root(stage string, text []byte) (keyring.Root, error) {
	if len(text) == 0 && c.RootKey == "" {
		found, err := rootkey.Find(stage)
		if errors.Is(err, fs.ErrNotExist) {
			return found.Root, failure.New(failure.Invalid, "the root key is not in this backup; name its file with --root-key")
		}
		return found.Root, err
	}
	if c.RootKey != "" {
		if len(text) > 0 {
			return keyring.Root{}, failure.New(failure.Invalid, "the backup holds its root key; leave --root-key out")
		}
		root, err := rootkey.Read(c.RootKey)
		if err != nil {
			return root, err
		}
		return root, rootkey.Write(filepath.Join(stage, rootkey.File), root)
	}
	root, err := keyring.ParseRoot(string(text))
	if err != nil {
		return root, err
	}
	return root, rootkey.Write(filepath.Join(stage, rootkey.File), root)
}

// verify opens the installation with its key, checks its whole log, and only
// then changes it.
func (c *restoreCommand) verify(ctx context.Context, stage string, root keyring.Root, m backup.Manifest) (rolledBack, error) {
	db, err := store.Open(ctx, store.Options{DSN: filepath.Join(stage, server.DatabaseFile), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return rolledBack{}, err
	}
	defer db.Close()
	bar := newProgress(os.Stderr)
	defer bar.clear()
	bar.say("verifying")
	keys, err := keyring.Open(ctx, db, root)
	switch {
	case errors.Is(err, keyring.ErrWrongRoot):
		return rolledBack{}, failure.New(failure.Invalid, "the root key is not this backup's")
	case err != nil:
		return rolledBack{}, err
	case keys.LogKey() != m.Log, c.LogKey != "" && keys.LogKey() != c.LogKey:
		return rolledBack{}, failure.New(failure.Invalid, "the backup is of another installation: its audit log's key is %s", keys.LogKey())
	}
	report, err := db.AuditLog().Verify(ctx)
	if err != nil {
		return rolledBack{}, err
	}
	if !report.OK() {
		return rolledBack{}, failure.New(failure.Invalid, "the audit log in the backup is not as it was written: %v", report.Faults[0])
	}
	bar.say("ending what was under way")
	r := &rollbackRecovery{db: db, keys: keys, keep: c.Keep, detail: map[string]string{"made": m.Made.Format(time.RFC3339), "root": m.Root, "version": m.Version}}
	out, err := r.run(ctx)
	return out, errors.Join(err, db.Close())
}

// putInPlace puts a finished folder in its place in one step, owned as the empty
// folder was that it replaces.
func putInPlace(stage, path string, owner fs.FileInfo) error {
	if err := inherit(stage, owner); err != nil {
		return err
	}
	if err := rootkey.SyncFolder(stage); err != nil {
		return err
	}
	if _, err := free(path); err != nil {
		return err
	}
	// rename(2) replaces an empty folder, and refuses one that somebody filled since.
	// os.Rename refuses each folder that exists.
	switch err := syscall.Rename(stage, path); {
	case errors.Is(err, syscall.EBUSY):
		return fmt.Errorf("%s is a mount point, which cannot be replaced: restore into a new folder inside it, and move the files up", path)
	case err != nil:
		return fmt.Errorf("%s cannot be put in place: %w", path, err)
	}
	return rootkey.SyncFolder(filepath.Dir(path))
}

// inherit gives a finished folder the mode, the owner and the group of the empty one,
// and its files the owner and the group.
func inherit(stage string, owner fs.FileInfo) error {
	if owner == nil {
		return nil
	}
	if err := os.Chmod(stage, owner.Mode().Perm()); err != nil {
		return err
	}
	who, ok := owner.Sys().(*syscall.Stat_t)
	if !ok || int(who.Uid) == os.Getuid() && int(who.Gid) == os.Getgid() {
		return nil
	}
	return filepath.WalkDir(stage, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(who.Uid), int(who.Gid))
	})
}

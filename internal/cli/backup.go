package cli

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"

	"countersign/internal/backup"
	"countersign/internal/failure"
	"countersign/internal/rootkey"
	"countersign/internal/server"
	"countersign/internal/store"
)

type backupCommand struct {
	place
	To             string   `required:"" type:"path" placeholder:"FILE" help:"The file to write; one that exists is refused."`
	Recipient      []string `placeholder:"age1..." help:"Who can restore it: a public key that age-keygen printed. May be given more than once."`
	RecipientsFile string   `placeholder:"FILE" help:"A file of recipients, one a line."`
	PassphraseFile string   `placeholder:"FILE" help:"Whoever knows this file's first line can restore it, instead of recipients."`
	WithoutRootKey bool     `help:"Leave the root key out. The backup is then of no use without a copy of it that you keep elsewhere, and whoever gets hold of the backup's key alone learns no secret."`
}

func (c *backupCommand) Run(ctx context.Context) error {
	to, err := c.recipients()
	if err != nil {
		return err
	}
	p, err := c.settle()
	if err != nil {
		return err
	}
	if p.Database != "" {
		return errors.New("this installation is on PostgreSQL: back it up with pg_dump --format=custom, and keep the root key with it; after pg_restore, and before any server starts, run countersign rollback-recovery")
	}
	if _, err := os.Lstat(c.To); err == nil {
		return fmt.Errorf("%s exists; a backup never overwrites", c.To)
	}
	db, keys, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	root, err := rootkey.Find(p.Data)
	if err != nil {
		return err
	}
	contents := backup.Contents{Manifest: backup.Manifest{Version: release(), Made: time.Now().UTC().Truncate(time.Second), Log: keys.LogKey()}}
	if !c.WithoutRootKey {
		contents.RootKey = []byte(root.Text())
	}
	m, err := writeBackup(ctx, db, p.Data, c.To, to, contents)
	if err != nil {
		return plainly("the backup was not made", err)
	}
	with := map[bool]string{true: "with the root key", false: "without the root key: keep a copy of that elsewhere"}[!c.WithoutRootKey]
	fmt.Printf("%s: %d entries in the audit log, root %s; %s\n", c.To, m.Entries, m.Root, with)
	return nil
}

// release is the version that this program is, for a manifest.
func release() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

// minPassphrase is the least length of a passphrase, in bytes: whoever has the
// file can guess as long as he likes.
const minPassphrase = 16

func (c *backupCommand) recipients() ([]age.Recipient, error) {
	if c.PassphraseFile != "" {
		if len(c.Recipient) > 0 || c.RecipientsFile != "" {
			return nil, errors.New("a backup is for recipients or for a passphrase, not both")
		}
		text, err := passphraseIn(c.PassphraseFile)
		if err != nil {
			return nil, err
		}
		if len(text) < minPassphrase {
			return nil, fmt.Errorf("the passphrase is shorter than %d characters; whoever has the backup can guess as long as he likes", minPassphrase)
		}
		r, err := age.NewScryptRecipient(text)
		return []age.Recipient{r}, err
	}
	var out []age.Recipient
	for _, text := range c.Recipient {
		one, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("--recipient %q is no public key of age", text)
		}
		out = append(out, one...)
	}
	if c.RecipientsFile != "" {
		f, err := os.Open(c.RecipientsFile)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		list, err := age.ParseRecipients(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.RecipientsFile, err)
		}
		out = append(out, list...)
	}
	if len(out) == 0 {
		return nil, errors.New("say who can restore it, with --recipient, --recipients-file or --passphrase-file: a backup is never left open")
	}
	return out, nil
}

// passphraseIn reads the first line of a file.
func passphraseIn(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", fmt.Errorf("%s holds no passphrase in its first line", path)
	}
	return line, nil
}

// writeBackup copies the database while it runs, into the data folder, where
// such rows already are, and encrypts the copy into a new file, which appears
// under its name when it is whole and on disk.
func writeBackup(ctx context.Context, db *store.DB, data, path string, to []age.Recipient, c backup.Contents) (backup.Manifest, error) {
	dir, err := os.MkdirTemp(data, ".backup-")
	if err != nil {
		return c.Manifest, err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, server.DatabaseFile)
	bar := newProgress(os.Stderr)
	defer bar.clear()
	bar.say("copying the database")
	if err := db.Backup(ctx, copied); err != nil {
		return c.Manifest, err
	}
	if err := describe(ctx, &c.Manifest, copied, bar); err != nil {
		return c.Manifest, err
	}
	f, err := os.Open(copied)
	if err != nil {
		return c.Manifest, err
	}
	defer f.Close()
	c.Database = bar.reading(ctx, "encrypting", f, c.Manifest.Size)
	return c.Manifest, writeWhole(path, func(w io.Writer) error { return backup.Write(w, to, c) })
}

// describe fills in what a manifest says of a copied database.
func describe(ctx context.Context, m *backup.Manifest, path string, bar *progress) error {
	head, err := store.HeadOf(ctx, path)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, bar.reading(ctx, "reading", f, info.Size())); err != nil {
		return err
	}
	m.Schema, m.Entries, m.Root = head.Schema, head.Entries, head.Root
	m.Size, m.SHA256 = info.Size(), hex.EncodeToString(sum.Sum(nil))
	return nil
}

// writeWhole writes a new private file that appears under its name only when it
// is whole and on disk.
func writeWhole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".countersign-") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	if err := write(out); err != nil {
		return err
	}
	if err := errors.Join(out.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename, fails where a file appeared
		return err
	}
	return rootkey.SyncFolder(filepath.Dir(path))
}

// plainly turns the errors that people meet with files into one clear sentence.
func plainly(what string, err error) error {
	var why string
	var classed *failure.Error
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), strings.Contains(err.Error(), "database or disk is full"):
		why = "the disk is full"
	case errors.Is(err, syscall.EFBIG):
		why = "the file would be larger than this system allows"
	case errors.Is(err, fs.ErrPermission):
		why = "this user may not write or read there: " + pathOf(err)
	case errors.Is(err, context.Canceled):
		why = "it was interrupted"
	case errors.As(err, &classed) && classed.Class == failure.Invalid:
		why = classed.Public
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
	return &failure.Error{Class: failure.Unavailable, Public: what + ": " + why}
}

func pathOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Path
	}
	return err.Error()
}

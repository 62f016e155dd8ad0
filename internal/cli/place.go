package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"

	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/keyring"
	"countersign/internal/rootkey"
	"countersign/internal/server"
	"countersign/internal/store"
)

// place says which installation a command is about, as serve says it: flags
// before the configuration file.
type place struct {
	Config   string `env:"COUNTERSIGN_CONFIG" help:"Configuration file that names the data folder and the database."`
	Data     string `env:"COUNTERSIGN_DATA" help:"Folder of the database and the root key (countersign-data)."`
	Database string `env:"COUNTERSIGN_DATABASE" help:"A postgres:// URL; SQLite in the data folder when empty."`
}

// settle fills in what the configuration file says.
func (p place) settle() (place, error) {
	file := config.Default()
	if p.Config != "" {
		var err error
		if file, err = config.Read(p.Config); err != nil {
			return p, err
		}
	}
	if p.Data == "" {
		p.Data = file.Data
	}
	if p.Database == "" {
		p.Database = file.Database
	}
	return p, nil
}

// dsn is the database, and an error if there is none: a command that looks must
// not make one.
func (p place) dsn() (string, error) {
	if p.Database != "" {
		if err := store.CheckURL(p.Database); err != nil {
			return "", fmt.Errorf("--database: %w", err)
		}
		return p.Database, nil
	}
	path := filepath.Join(p.Data, server.DatabaseFile)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no database in %s; name its folder with --data", p.Data)
	}
	return path, nil
}

// open opens an installation that exists, whether or not a server runs on it.
func (p place) open(ctx context.Context) (*store.DB, *keyring.Keyring, error) {
	return p.openAs(ctx, store.Options{})
}

// openBroken opens an installation whatever its audit log is like.
func (p place) openBroken(ctx context.Context) (*store.DB, *keyring.Keyring, error) {
	return p.openAs(ctx, store.Options{Broken: true})
}

func (p place) openAs(ctx context.Context, o store.Options) (*store.DB, *keyring.Keyring, error) {
	p, err := p.settle()
	if err != nil {
		return nil, nil, err
	}
	dsn, err := p.dsn()
	if err != nil {
		return nil, nil, err
	}
	o.DSN, o.Log = dsn, slog.New(slog.DiscardHandler)
	if o.Broken {
		o.Remember = filepath.Join(p.Data, server.RememberedFolder)
	}
	db, err := store.Open(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	root, err := rootkey.Find(p.Data)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no root key: neither in COUNTERSIGN_ROOT_KEY, nor as a credential, nor in %s", p.Data)
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	keys, err := rootkey.OpenKeys(ctx, db, root)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, keys, nil
}

// operator is whoever gives a command on this machine, for the audit log.
func operator() audit.Actor {
	name := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	return audit.Actor{Name: "operator " + name, Via: "command line"}
}

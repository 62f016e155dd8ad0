package store

import (
	"errors"
	"sync"
)

// keepers are what rooms keep outside the database, over restarts, in [Options.Remember].
type keepers struct {
	mu   sync.Mutex
	list []keeper
}

type keeper struct {
	name    string
	content func() []byte
}

// KeepOutside has what content returns kept outside the database, under a name: once a minute and
// when the database is closed. It returns what was kept under it before, which is nil where
// there is none or it does not bear our MAC. Without a folder nothing is kept. It is called
// after [DB.UseAuditKeys]; a server that is killed has kept what was so a minute ago.
func (db *DB) KeepOutside(name string, content func() []byte) ([]byte, error) {
	before, err := db.shelf.read(keptFile(name))
	if err != nil && !errors.Is(err, errShelf) {
		return nil, err
	}
	db.keepers.mu.Lock()
	defer db.keepers.mu.Unlock()
	db.keepers.list = append(db.keepers.list, keeper{name, content})
	return before, nil
}

func keptFile(name string) string { return "kept-" + name }

// keepAll writes what rooms keep.
func (db *DB) keepAll() error {
	db.keepers.mu.Lock()
	defer db.keepers.mu.Unlock()
	var all []error
	for _, k := range db.keepers.list {
		all = append(all, db.shelf.write(keptFile(k.name), k.content()))
	}
	return errors.Join(all...)
}

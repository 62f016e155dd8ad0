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

// KeepOutside stores the result of content in a file of this name outside the database,
// once a minute and when the database is closed. It returns what was stored before, or nil
// if there is none or its MAC is invalid. Without Options.Remember it stores nothing. It
// must be called after [DB.UseAuditKeys]. A server that is killed loses the last minute.
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

package store

import (
	"errors"
	"sync"
)

// keepers are the data that rooms store outside the database, in [Options.Remember], over
// restarts.
type keepers struct {
	shelf *shelf
	mu    sync.Mutex
	list  []keeper
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
	return db.keepers.add(name, content)
}

// add is [DB.KeepOutside].
func (k *keepers) add(name string, content func() []byte) ([]byte, error) {
	before, err := k.shelf.read(keptFile(name))
	if err != nil && !errors.Is(err, errShelf) {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, keeper{name, content})
	return before, nil
}

func keptFile(name string) string { return "kept-" + name }

// write writes the data of all rooms to disk.
func (k *keepers) write() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []error
	for _, one := range k.list {
		all = append(all, k.shelf.write(keptFile(one.name), one.content()))
	}
	return errors.Join(all...)
}

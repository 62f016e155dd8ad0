package store

import (
	"context"
	"runtime"
)

// WaitQueued waits until n requests wait for the SQLite writer.
func WaitQueued(db *DB, n int) {
	for len(db.engine.(*writer).queue) < n {
		runtime.Gosched()
	}
}

// Probe does at once what the store does every few seconds.
func Probe(db *DB) { db.probe(context.Background()) }

// Pragma reads a pragma on a connection opened as the writer's is.
func Pragma(db *DB, name string) (value string, err error) {
	pool, err := db.engine.(*writer).spare()
	if err != nil {
		return "", err
	}
	defer pool.Close()
	err = pool.QueryRow("pragma " + name).Scan(&value)
	return value, err
}

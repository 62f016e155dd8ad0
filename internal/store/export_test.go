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

package store

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
)

// A server that was away for so long that announcements may be gone forgets whatever it
// remembers, whether the time passed on its own clock or on the wall only.
func TestAServerThatWasAwayForgets(t *testing.T) {
	db, err := Open(context.Background(), Options{DSN: t.TempDir() + "/away.db", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	close(db.life.stop) // the feed is looked at by this test only
	db.life.wait.Wait()
	var missed atomic.Int64
	db.Feed().Subscribe(func(topic string) {
		if topic == Missed {
			missed.Add(1)
		}
	})
	db.feed.followed()
	if missed.Load() != 0 {
		t.Error("a server that was not away forgets")
	}
	db.feed.heard = db.feed.heard.Add(-feedKeep)
	still := db.Feed().Still(db.Feed().Place(), "account/1")
	db.feed.followed()
	if missed.Load() != 1 || still.Unchanged() {
		t.Error("a machine that slept remembers")
	}
	db.feed.start = db.feed.start.Add(-feedKeep)
	db.feed.followed()
	if missed.Load() != 2 {
		t.Error("a server that could not read remembers")
	}
}

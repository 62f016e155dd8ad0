package store_test

import (
	"sync"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"

	"github.com/jackc/pgx/v5"
)

// hearing collects what a database announces.
type hearing struct {
	mu    sync.Mutex
	heard map[string]int
}

func listen(db *store.DB) *hearing {
	h := &hearing{heard: make(map[string]int)}
	db.Feed().Subscribe(func(topic string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.heard[topic]++
	})
	return h
}

func (h *hearing) has(topic string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard[topic] > 0
}

func announce(t *testing.T, db *store.DB, topic string) {
	t.Helper()
	err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
		tx.Announce(topic)
		tx.Announce(topic)
		return tx.Record(entry(topic))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnnouncementsAreHeard(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		k := storetest.Keys(t)
		here := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
		there := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
		h, o := listen(here), listen(there)
		announce(t, here, "session/1")
		if !h.has("session/1") {
			t.Error("Change returned before this server had heard")
		}
		eventually(t, "the other server hears", func() bool { return o.has("session/1") })
		announce(t, there, "session/2")
		eventually(t, "the first server hears", func() bool { return h.has("session/2") })
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.heard["session/1"] != 1 {
			t.Errorf("its own announcement came %d times", h.heard["session/1"])
		}
		eventually(t, "both are fresh", func() bool { return here.Feed().Fresh() && there.Feed().Fresh() })
	})
}

// Numbers are given out before transactions commit, so a lower one may become
// visible after a higher one was heard.
func TestALateAnnouncementIsHeard(t *testing.T) {
	dsn := storetest.Postgres(t)
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
	h := listen(db)
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "insert into feed (topic, at) values ('late', 1)"); err != nil {
		t.Fatal(err)
	}
	announce(t, db, "early")
	if !h.has("early") || h.has("late") {
		t.Fatal(h.heard)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the late one is heard", func() bool { return h.has("late") })
}

// A server that cannot read the feed stops trusting its memory, and trusts it
// again once it has caught up.
func TestFeedGoesStaleWithTheServer(t *testing.T) {
	server := storetest.StartPostgres(t)
	db := storetest.OpenWith(t, store.Options{DSN: server.DSN}, storetest.Keys(t))
	eventually(t, "fresh", db.Feed().Fresh)
	if err := db.Condition().Health(ctx); err != nil {
		t.Error(err)
	}
	server.Kill()
	eventually(t, "stale", func() bool { return !db.Feed().Fresh() })
	if err := db.Condition().Health(ctx); err == nil {
		t.Error("healthy without a server")
	}
	if err := change(db, "a"); err == nil {
		t.Error("changed without a server")
	}
	server.Restart(t)
	eventually(t, "fresh again", db.Feed().Fresh)
	eventually(t, "changing again", func() bool { return change(db, "b") == nil })
	if err := db.Condition().Health(ctx); err != nil {
		t.Error(err)
	}
	verify(t, db)
}

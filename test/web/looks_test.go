package web

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/rootkey"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// The promise: a lock-out is known one second later, everywhere. Told without a clock: a
// server looks for what others announced every fifth of a second, one look after the
// other, and store holds it to that, and to believing nothing that it remembers when a
// second has passed without one. So another server has remembered a yes, for which it
// reads nothing any more and which would last for half a minute by a clock that stands
// still; and once two looks that began after the lock-out returned are over, the yes is
// gone, whatever was taken away.
func TestALockOutIsKnownAfterTheNextLook(t *testing.T) {
	dsn := storetest.StartPostgres(t).DSN
	a := servertest.NewWorldOn(t, dsn)
	ada := a.EnrollCodes("ada")
	servertest.Changed(a, func(ctx context.Context, tx *store.Tx, _ directory.Account) error {
		_, err := a.Groups.Create(ctx, tx, "barred", "Barred", false)
		return err
	})
	a.SetPolicy(servertest.WhoIsBarred)
	servertest.PlantApplication(a, application.Application{Name: "site", Kind: "web", Tier: application.Standard, Protocol: "forward-auth"}, map[string]any{"hosts": []string{"site.test"}})
	var secret atomic.Pointer[string]
	signIn := func() string { a.Later(time.Minute); return a.SignedIn(ada) }
	first := signIn()
	secret.Store(&first)

	root, err := rootkey.Find(a.Folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERSIGN_ROOT_KEY", root.Text())
	f := storetest.NewFaults(t, dsn)
	b := servertest.NewWorldFrom(t, server.Settings{Database: dsn, Driver: f.Driver}, "http://localhost", nil)
	var looks, reads atomic.Int64
	f.AroundReads(func(query string) {
		switch {
		case strings.Contains(query, "from feed where id >"):
			looks.Add(1)
		case !strings.Contains(query, "feed"):
			reads.Add(1)
		}
	})
	granted := func() bool {
		s, err := b.Engine.Check(context.Background(), signin.Request{Application: "site", Session: *secret.Load(), Protocol: "forward-auth", Medium: prompt.Browser, Method: "GET", Path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		return s.State == signin.Granted
	}
	for name, change := range servertest.WaysToTakeAway(signIn, &secret) {
		a.Later(31 * time.Second)
		b.Skew.Store(a.Skew.Load())
		b.Until("it is remembered before: "+name, func() bool {
			in, before := granted(), reads.Load()
			return in && granted() && reads.Load() == before
		})
		change.Do(a)
		after := looks.Load()
		// The third look that is begun from now on comes when the second is over.
		b.Until("it looked", func() bool { return looks.Load() >= after+3 })
		if granted() {
			t.Fatalf("%s: the other server has looked, and lets in from memory", name)
		}
		change.Undo(a)
	}
}

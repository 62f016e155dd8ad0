package signin

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
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

// The attack: whoever is asked about all the time, with whatever rhythm, is decided
// over while what they may is taken away. The promise: whatever point of reading,
// deciding and remembering a change falls into, the yes of before is not remembered
// beyond it: on this server nothing is after the change returned, on another what it
// heard of within a second. Nothing is promised of milliseconds here: what was
// remembered wrongly lasts for half a minute.
func TestNoYesIsOlderThanWhatRevokedIt(t *testing.T) {
	site := func(secret string) signin.Request {
		return signin.Request{Application: "site", Session: secret, Protocol: "forward-auth", Medium: prompt.Browser, Method: "GET", Path: "/"}
	}
	prepare := func(w *servertest.World) (func() string, map[string]servertest.TakingAway, *atomic.Pointer[string]) {
		ada := w.EnrollCodes("ada")
		servertest.Changed(w, func(ctx context.Context, tx *store.Tx, _ directory.Account) error {
			_, err := w.Groups.Create(ctx, tx, "barred", "Barred", false)
			return err
		})
		w.SetPolicy(servertest.WhoIsBarred)
		signIn := func() string { w.Later(time.Minute); return w.SignedIn(ada) }
		var secret atomic.Pointer[string]
		all := servertest.WaysToTakeAway(signIn, &secret)
		all["the application is another"].Undo(w)
		first := signIn()
		secret.Store(&first)
		return signIn, all, &secret
	}
	// through tries a change at every statement that a check runs on one server, made by
	// another or the same; ended says that from now on nobody may be let in.
	through := func(t *testing.T, by, at *servertest.World, f *storetest.Faults, all map[string]servertest.TakingAway, secret *atomic.Pointer[string], ended func(check func() signin.State) bool) {
		granted := func() signin.State {
			s, err := at.Engine.Check(context.Background(), site(*secret.Load()))
			if err != nil {
				t.Fatal(err)
			}
			return s.State
		}
		for name, change := range all {
			for point := 0; ; point++ {
				// Forgotten, so that it is read anew; and known again on both servers.
				fresh := func() bool {
					at.Skew.Add(int64(31 * time.Second))
					by.Skew.Store(at.Skew.Load())
					return granted() == signin.Granted
				}
				at.Until("she is let in before: "+name, fresh)
				at.Skew.Add(int64(31 * time.Second))
				by.Skew.Store(at.Skew.Load())
				n, done := 0, false
				f.AroundReads(func(query string) {
					if strings.Contains(query, "feed") {
						return
					}
					if n++; n-1 == point && !done {
						done = true
						f.AroundReads(nil)
						change.Do(by)
					}
				})
				granted()
				f.AroundReads(nil)
				if !done {
					change.Do(by) // after the last statement
				}
				if !ended(granted) {
					t.Errorf("%s, at statement %d: a yes of before is remembered", name, point)
				}
				change.Undo(by)
				if !done {
					if point < 3 {
						t.Errorf("%s: a check that is not remembered reads only %d times", name, point)
					}
					break
				}
			}
		}
	}
	t.Run("one server", func(t *testing.T) {
		folder := t.TempDir()
		f := storetest.NewFaults(t, filepath.Join(folder, "countersign.db"))
		w := servertest.NewWorldFrom(t, server.Settings{Folder: folder, Driver: f.Driver}, "http://localhost", nil)
		_, all, secret := prepare(w)
		through(t, w, w, f, all, secret, func(check func() signin.State) bool { return check() != signin.Granted })
	})
	t.Run("two servers on PostgreSQL", func(t *testing.T) {
		dsn := storetest.StartPostgres(t).DSN
		a := servertest.NewWorldOn(t, dsn)
		_, all, secret := prepare(a)
		root, err := rootkey.Find(a.Folder)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("COUNTERSIGN_ROOT_KEY", root.Text())
		f := storetest.NewFaults(t, dsn)
		b := servertest.NewWorldFrom(t, server.Settings{Database: dsn, Driver: f.Driver}, "http://localhost", nil)
		b.Skew.Store(a.Skew.Load())
		through(t, a, b, f, all, secret, func(check func() signin.State) bool {
			ended := false
			for range 400 { // eight seconds and more, of the clock on the wall: the memory's own does not move
				if ended = check() != signin.Granted; ended {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			return ended
		})
	})
}

// The attack: browsers that ask without a pause, so that a yes is always on its way into
// the memory. The promise: from the moment in which a lock-out returned nobody is let in,
// every time; and the owner is, as soon as it is taken back.
func TestNoRhythmOutlivesALockOut(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	w.SetPolicy(servertest.WhoIsBarred)
	servertest.PlantApplication(w, application.Application{Name: "site", Kind: "web", Tier: application.Standard, Protocol: "forward-auth"}, map[string]any{"hosts": []string{"site.test"}})
	secret := w.SignedIn(ada)
	ask := func() signin.State {
		s, err := w.Engine.Check(context.Background(), signin.Request{Application: "site", Session: secret, Protocol: "forward-auth", Medium: prompt.Browser, Method: "GET", Path: "/"})
		if err != nil {
			return signin.Denied
		}
		return s.State
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					ask()
				}
			}
		})
	}
	set := func(risk time.Time) {
		servertest.Changed(w, func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
			ada.Risk = risk
			return w.Accounts.Update(ctx, tx, ada)
		})
	}
	through, out := 0, 0
	for range 150 {
		set(w.Now().Truncate(time.Microsecond))
		for range 3 {
			if ask() == signin.Granted {
				through++
				break
			}
		}
		set(time.Time{})
		if ask() != signin.Granted {
			out++
		}
	}
	close(stop)
	all.Wait()
	if through > 0 || out > 0 {
		t.Errorf("of 150 lock-outs %d let somebody in, and the owner was kept out after %d", through, out)
	}
}

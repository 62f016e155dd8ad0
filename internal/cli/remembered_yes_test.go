package cli

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/rootkey"
	"countersign/internal/server"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// changed changes something in the directory, as another administrator would.
func (w *world) changed(f func(ctx context.Context, tx *store.Tx, ada directory.Account) error) {
	w.t.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		a, err := w.Directory.Find(ctx, tx, "ada")
		if err != nil {
			return err
		}
		if err := f(ctx, tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.changed", Outcome: audit.OK})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

const whoIsBarred = `
rules:
  - name: everybody
    require: two-factors
  - name: barred
    when: '"barred" in account.groups || account.at_risk || application.tier == "control-plane"'
    deny: barred
`

// takingAway is a kind of change after which ada is not let in any more, and what
// puts it right again.
type takingAway struct {
	do, undo func(w *world)
}

func waysToTakeAway(signIn func() string, secret *atomic.Pointer[string]) map[string]takingAway {
	again := func(*world) { s := signIn(); secret.Store(&s) }
	member := func(add bool) func(*world) {
		return func(w *world) {
			w.changed(func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
				g, err := w.Groups.Find(ctx, tx, "barred")
				if err != nil {
					return err
				}
				if add {
					return w.Groups.AddMember(ctx, tx, g, ada)
				}
				return w.Groups.RemoveMember(ctx, tx, g, ada)
			})
		}
	}
	account := func(edit func(w *world, a *directory.Account)) func(*world) {
		return func(w *world) {
			w.changed(func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
				edit(w, &ada)
				return w.Directory.Update(ctx, tx, ada)
			})
		}
	}
	code := func(status string) func(*world) {
		return func(w *world) {
			w.changed(func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
				all, err := w.Credentials.All(ctx, tx, ada.ID)
				if err != nil {
					return err
				}
				for _, c := range all {
					if c.Traits.Has(assurance.Held) {
						c.Status = status
						if err := w.Credentials.Update(ctx, tx, c); err != nil {
							return err
						}
					}
				}
				return nil
			})
		}
	}
	site := func(tier string) func(*world) {
		return func(w *world) {
			w.plantApplication(application.Application{Name: "site", Kind: "web", Tier: tier, Protocol: "forward-auth"}, map[string]any{"hosts": []string{"site.test"}})
		}
	}
	return map[string]takingAway{
		"the session ends": {func(w *world) {
			w.changed(func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
				_, err := w.Endings.EndAllIn(ctx, tx, ada.ID, "")
				return err
			})
		}, again},
		"the account is suspended":       {account(func(_ *world, a *directory.Account) { a.State = directory.Suspended }), account(func(_ *world, a *directory.Account) { a.State = directory.Active })},
		"the account is at risk":         {account(func(w *world, a *directory.Account) { a.Risk = w.now().Truncate(time.Microsecond) }), account(func(_ *world, a *directory.Account) { a.Risk = time.Time{} })},
		"she joins a group":              {member(true), member(false)},
		"an authenticator is taken away": {code(directory.CredentialDisabled), code(directory.CredentialActive)},
		"the policy is another":          {func(w *world) { w.setPolicy(whoIsBarred + "  - name: nobody\n    deny: nobody\n") }, func(w *world) { w.setPolicy(whoIsBarred) }},
		"the application is another":     {site(application.ControlPlane), site(application.Standard)},
	}
}

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
	prepare := func(w *world) (func() string, map[string]takingAway, *atomic.Pointer[string]) {
		ada := w.enrollCodes("ada")
		w.changed(func(ctx context.Context, tx *store.Tx, _ directory.Account) error {
			_, err := w.Groups.Create(ctx, tx, "barred", "Barred", false)
			return err
		})
		w.setPolicy(whoIsBarred)
		signIn := func() string { w.later(time.Minute); return w.signedIn(ada) }
		var secret atomic.Pointer[string]
		all := waysToTakeAway(signIn, &secret)
		all["the application is another"].undo(w)
		first := signIn()
		secret.Store(&first)
		return signIn, all, &secret
	}
	// through tries a change at every statement that a check runs on one server, made by
	// another or the same; ended says that from now on nobody may be let in.
	through := func(t *testing.T, by, at *world, f *storetest.Faults, all map[string]takingAway, secret *atomic.Pointer[string], ended func(check func() signin.State) bool) {
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
					at.skew.Add(int64(31 * time.Second))
					by.skew.Store(at.skew.Load())
					return granted() == signin.Granted
				}
				at.until("she is let in before: "+name, fresh)
				at.skew.Add(int64(31 * time.Second))
				by.skew.Store(at.skew.Load())
				n, done := 0, false
				f.AroundReads(func(query string) {
					if strings.Contains(query, "feed") {
						return
					}
					if n++; n-1 == point && !done {
						done = true
						f.AroundReads(nil)
						change.do(by)
					}
				})
				granted()
				f.AroundReads(nil)
				if !done {
					change.do(by) // after the last statement
				}
				if !ended(granted) {
					t.Errorf("%s, at statement %d: a yes of before is remembered", name, point)
				}
				change.undo(by)
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
		w := newWorldFrom(t, server.Settings{Folder: folder, Driver: f.Driver}, "http://localhost", nil)
		_, all, secret := prepare(w)
		through(t, w, w, f, all, secret, func(check func() signin.State) bool { return check() != signin.Granted })
	})
	t.Run("two servers on PostgreSQL", func(t *testing.T) {
		dsn := storetest.StartPostgres(t).DSN
		a := newWorldOn(t, dsn)
		_, all, secret := prepare(a)
		root, err := rootkey.Find(a.folder)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("COUNTERSIGN_ROOT_KEY", root.Text())
		f := storetest.NewFaults(t, dsn)
		b := newWorldFrom(t, server.Settings{Database: dsn, Driver: f.Driver}, "http://localhost", nil)
		b.skew.Store(a.skew.Load())
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
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	w.setPolicy(whoIsBarred)
	w.plantApplication(application.Application{Name: "site", Kind: "web", Tier: application.Standard, Protocol: "forward-auth"}, map[string]any{"hosts": []string{"site.test"}})
	secret := w.signedIn(ada)
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
		w.changed(func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
			ada.Risk = risk
			return w.Directory.Update(ctx, tx, ada)
		})
	}
	through, out := 0, 0
	for range 150 {
		set(w.now().Truncate(time.Microsecond))
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

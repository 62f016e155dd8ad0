package servertest

import (
	"context"
	"sync/atomic"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Wears writes what was guessed wrong at a subject, as the engine does.
func Wears(w *World, tx *store.Tx, subject string, owner, count int64) error {
	since := store.Unix(w.Now())
	mac := w.Keys.MAC(keyring.Guess, keyring.NewFields().String("guess").String(subject).Int(owner).Int(count).Int(since).Int(0))
	_, err := tx.Exec(context.Background(), `insert into guess (subject, owner, count, since, mac) values ($1,$2,$3,$4,$5)
		on conflict (subject) do update set owner = excluded.owner, count = excluded.count, since = excluded.since, retry = 0, mac = excluded.mac`, subject, owner, count, since, mac)
	return err
}

// Changed changes something in the directory, as another administrator would.
func Changed(w *World, f func(ctx context.Context, tx *store.Tx, ada directory.Account) error) {
	w.T.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		a, err := w.Accounts.Find(ctx, tx, "ada")
		if err != nil {
			return err
		}
		if err := f(ctx, tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.changed", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

const WhoIsBarred = `
rules:
  - name: everybody
    require: two-factors
  - name: barred
    when: '"barred" in account.groups || account.at_risk || application.tier == "control-plane"'
    deny: barred
`

// TakingAway is a kind of change after which ada is not let in any more, and what
// puts it right again.
type TakingAway struct {
	Do, Undo func(w *World)
}

func WaysToTakeAway(signIn func() string, secret *atomic.Pointer[string]) map[string]TakingAway {
	again := func(*World) { s := signIn(); secret.Store(&s) }
	member := func(add bool) func(*World) {
		return func(w *World) {
			Changed(w, func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
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
	account := func(edit func(w *World, a *directory.Account)) func(*World) {
		return func(w *World) {
			Changed(w, func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
				edit(w, &ada)
				return w.Accounts.Update(ctx, tx, ada)
			})
		}
	}
	code := func(status string) func(*World) {
		return func(w *World) {
			Changed(w, func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
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
	site := func(tier string) func(*World) {
		return func(w *World) {
			PlantApplication(w, application.Application{Name: "site", Kind: "web", Tier: tier, Protocol: "forward-auth"}, map[string]any{"hosts": []string{"site.test"}})
		}
	}
	return map[string]TakingAway{
		"the session ends": {func(w *World) {
			Changed(w, func(ctx context.Context, tx *store.Tx, ada directory.Account) error {
				_, err := w.Endings.EndAllTx(ctx, tx, ada.ID, "")
				return err
			})
		}, again},
		"the account is suspended":       {account(func(_ *World, a *directory.Account) { a.State = directory.Suspended }), account(func(_ *World, a *directory.Account) { a.State = directory.Active })},
		"the account ends":               {account(func(w *World, a *directory.Account) { a.Ends = w.Now().Add(-time.Second) }), account(func(_ *World, a *directory.Account) { a.Ends = time.Time{} })},
		"the account is at risk":         {account(func(w *World, a *directory.Account) { a.Risk = w.Now().Truncate(time.Microsecond) }), account(func(_ *World, a *directory.Account) { a.Risk = time.Time{} })},
		"she joins a group":              {member(true), member(false)},
		"an authenticator is taken away": {code(directory.CredentialDisabled), code(directory.CredentialActive)},
		"the policy is another":          {func(w *World) { w.SetPolicy(WhoIsBarred + "  - name: nobody\n    deny: nobody\n") }, func(w *World) { w.SetPolicy(WhoIsBarred) }},
		"the application is another":     {site(application.ControlPlane), site(application.Standard)},
	}
}

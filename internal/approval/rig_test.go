package approval

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
)

var home = netip.MustParseAddr("192.0.2.7")

// bells is the room on a real database, without an engine: ada has an app, sign-ins wait for
// her, and the clock stands still.
type bells struct {
	Pieces
	t           testing.TB
	db          *store.DB
	credentials *directory.Credentials
	limits      throttle.Limits
	ada         directory.Account
	app         directory.Credential
	clock       *storetest.Watch
	told        []string // subjects of what owners were told
}

// ringing is an app whose state is where it can be woken, and which signs nothing.
type ringing struct{}

func (ringing) Describe() authenticator.Description {
	return authenticator.Description{Kind: "push", Title: "App"}
}
func (ringing) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{}, nil, nil
}
func (ringing) Check(context.Context, []authenticator.Credential, authenticator.Memo, prompt.Answer, time.Time) (authenticator.Result, error) {
	return authenticator.Wrong("wrong"), nil
}
func (ringing) Address(c authenticator.Credential) (authenticator.Address, bool) {
	return authenticator.Address{Endpoint: string(c.State)}, len(c.State) > 0
}
func (ringing) Move(_ authenticator.Credential, to authenticator.Address) ([]byte, error) {
	return []byte(to.Endpoint), nil
}
func (ringing) Scan(string) (json.RawMessage, error) { return nil, nil }

func withBells(t *testing.T) *bells {
	t.Helper()
	b := &bells{t: t, clock: storetest.NewWatch(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC))}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	db, keys := keyringtest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Now: b.clock.Now, Log: log}, keyring.NewRoot())
	limits, err := throttle.Limits{}.Check()
	if err != nil {
		t.Fatal(err)
	}
	guesses, err := throttle.New(db, keys, limits, b.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	parts := directory.Parts{DB: db, Keys: keys}
	people := directory.NewAccounts(parts)
	b.db, b.limits, b.credentials = db, limits, directory.NewCredentials(parts)
	b.Pieces, err = New(Parts{DB: db, Keys: keys, Accounts: people, Credentials: b.credentials, Throttle: guesses, Limits: limits, Kinds: map[string]authenticator.Authenticator{"push": ringing{}},
		ApproveAt: "login.test/account/approve", Tell: b.tell, SwitchOff: b.switchOff, Now: b.clock.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	b.change(func(tx *store.Tx) (err error) {
		b.ada, err = people.Create(t.Context(), tx, directory.NewAccount{Name: "ada"})
		return err
	})
	b.app = b.gives("https://push.test/ada")
	return b
}

// gives gives ada an app.
func (b *bells) gives(state string) (c directory.Credential) {
	b.t.Helper()
	b.change(func(tx *store.Tx) (err error) {
		c, err = b.credentials.Add(b.t.Context(), tx, directory.Credential{Account: b.ada.ID, Kind: "push", Label: "App", Handle: state, Traits: assurance.Held, State: []byte(state), Status: directory.CredentialActive})
		return err
	})
	return c
}

func (b *bells) tell(_ context.Context, _ *store.Tx, _ directory.Account, subject, _ language.Sentence) error {
	b.told = append(b.told, subject.String())
	return nil
}

// switchOff is the engine's.
func (b *bells) switchOff(ctx context.Context, tx *store.Tx, account directory.Account, id assurance.CredentialID) (c directory.Credential, was bool, err error) {
	c, err = b.credentials.Get(ctx, tx, account.ID, id)
	if err != nil || c.Status != directory.CredentialActive {
		return c, false, err
	}
	c.EndAt(b.clock.Now(), directory.CredentialDisabled, directory.ByGuesses, 0)
	return c, true, b.credentials.Update(ctx, tx, c)
}

// change writes as whatever room it is that writes.
func (b *bells) change(f func(tx *store.Tx) error) {
	b.t.Helper()
	storetest.Change(b.t, b.db, f)
}

// waits has a sign-in of ada's wait, for which her app is to be woken.
func (b *bells) waits() {
	b.t.Helper()
	b.change(func(tx *store.Tx) error {
		by := Asker{Account: b.ada.ID, Attempt: "a", Source: home, Deadline: b.clock.Now().Add(10 * time.Minute)}
		_, id, err := b.Requests.Open(b.t.Context(), tx, by, Waiting{Name: "ada", Application: "vpn", Source: home.String(), Protocol: "radius"})
		if err != nil {
			return err
		}
		return b.Pushes.Queue(b.t.Context(), tx, b.ada.ID, id)
	})
}

// due is the newest request to wake an app.
func (b *bells) due() queuedPush {
	b.t.Helper()
	rows, err := b.Pushes.wakes.read(b.t.Context(), b.db, `order by approval desc limit 1`)
	if err != nil || len(rows) != 1 {
		b.t.Fatal(len(rows), err)
	}
	return rows[0]
}

// today is what became of the requests to ada today.
func (b *bells) today() PromptStatistics {
	b.t.Helper()
	days, err := b.Approvals.Days(b.t.Context(), b.ada.ID, 1)
	if err != nil {
		b.t.Fatal(err)
	}
	return days[0]
}

// events counts entries of the log.
func (b *bells) events(event string) []audit.Entry {
	b.t.Helper()
	found, err := b.db.AuditLog().Entries(b.t.Context(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

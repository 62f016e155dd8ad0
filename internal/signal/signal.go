package signal

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/outside"
	"countersign/internal/session"
	"countersign/internal/signingkey"
	"countersign/internal/store"
)

// Parts are what signals work on.
type Parts struct {
	DB        *store.DB
	Keys      *keyring.Keyring
	Accounts  *directory.Accounts
	Roll      *directory.Roll
	Externals *directory.Externals
	Endings   *session.Endings
	Signing   *signingkey.Keys
	// Words is what CAEP calls a kind of authenticator.
	Words Words
	// Inside is what may be reached inside of the network, and CA the file of root certificates;
	// empty is those of the system.
	Inside    outside.Listed
	CA        string
	PublicURL *url.URL
	Now       func() time.Time
	Log       *slog.Logger
}

// Pieces are what is made of them.
type Pieces struct {
	Streams     *Streams
	Transmitter *Transmitter
	Sources     *Sources
	Hearing     *Hearing
	Keeper      *Keeper
}

// New makes the Pieces.
func New(p Parts) Pieces {
	all := newParties(p.DB, p.Keys)
	issuer := strings.TrimSuffix(p.PublicURL.String(), "/")
	streams := &Streams{parties: all, inside: p.Inside}
	sources := &Sources{parties: all, inside: p.Inside}
	w := &writer{db: p.DB, people: p.Accounts, signing: p.Signing, words: p.Words, issuer: issuer, host: p.PublicURL.Hostname(), now: p.Now}
	t := newTransmitter(p, streams, w)
	h := newHearing(p, sources)
	return Pieces{streams, t, sources, h, &Keeper{db: p.DB, people: p.Accounts, parties: all, streams: streams, transmitter: t, hearing: h, now: p.Now, log: p.Log}}
}

// Keeper keeps house: it sends and asks while the server runs, looks at the rows, and forgets.
type Keeper struct {
	db          *store.DB
	people      *directory.Accounts
	parties     *parties
	streams     *Streams
	transmitter *Transmitter
	hearing     *Hearing
	now         func() time.Time
	log         *slog.Logger
	workers     sync.WaitGroup
}

// deliverEvery and askEvery are how often streams are looked at, and sources are polled.
const deliverEvery, askEvery = time.Second, 5 * time.Second

// Run sends and asks until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	k.workers.Go(func() { k.every(ctx, deliverEvery, "signals cannot be sent", k.transmitter.Deliver) })
	k.workers.Go(func() { k.every(ctx, askEvery, "signals cannot be asked for", k.hearing.Ask) })
}

// Wait waits for both to stop after the end of ctx.
func (k *Keeper) Wait() { k.workers.Wait() }

func (k *Keeper) every(ctx context.Context, pause time.Duration, wrong string, do func(context.Context) error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn(wrong, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Inspect reports rows that somebody else wrote or removed.
func (k *Keeper) Inspect(ctx context.Context) error {
	return errors.Join(k.parties.inspect(ctx), k.transmitter.positions.inspect(ctx))
}

// Forget takes an account out of all streams, inside the change that removes it, and writes down
// how receivers know it, so that they can be told that it is gone.
func (k *Keeper) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	all, err := k.parties.read(ctx, tx)
	if err != nil || len(all) == 0 {
		return err
	}
	var chosen []string
	streams := 0
	for _, p := range all {
		one, ok := p.stream()
		if !ok {
			continue
		}
		streams++
		if slices.Contains(one.Added, account) {
			chosen = append(chosen, one.ID)
		}
		if err := k.forget(ctx, tx, one, account); err != nil {
			return err
		}
	}
	if streams == 0 {
		return nil
	}
	d, err := k.people.Get(ctx, tx, account)
	if err != nil || d.Kind != directory.Person {
		return err
	}
	return tx.Record(audit.Entry{Event: FarewellEvent, Outcome: audit.OK, Account: int64(account), AccountName: d.Name, Application: audit.Self,
		Detail: map[string]string{"subject": signingkey.Subject(d.Handle), "mail": d.Mail, "streams": strings.Join(chosen, " ")}})
}

func (k *Keeper) forget(ctx context.Context, tx *store.Tx, one Stream, account assurance.AccountID) error {
	is := func(id assurance.AccountID) bool { return id == account }
	if !slices.ContainsFunc(one.Added, is) && !slices.ContainsFunc(one.Removed, is) && one.Receiver != account {
		return nil
	}
	one.Added, one.Removed = slices.DeleteFunc(one.Added, is), slices.DeleteFunc(one.Removed, is)
	if one.Receiver == account {
		one.Receiver = 0
	}
	return k.streams.Update(ctx, tx, one)
}

// Says is what an administrator is told of streams and sources that need them.
func (k *Keeper) Says(ctx context.Context) []string {
	all, err := k.streams.All(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, one := range all {
		if why := k.transmitter.Problem(one); why != "" && one.Status == Enabled {
			out = append(out, "The receiver of the stream "+one.Name+" takes no signals: "+why)
		} else if one.Status == Paused && one.Changes > 0 {
			out = append(out, "The stream "+one.Name+" is paused, and its receiver is told of nothing: "+one.Reason)
		}
	}
	return append(out, k.hearing.says(ctx)...)
}

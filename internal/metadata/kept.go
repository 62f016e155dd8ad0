// Package metadata reads what SAML parties say of themselves, from addresses that an administrator
// named, under pins of the keys that must sign it.
//
// It owns the table saml_metadata, with what was read last of each party, and when it is read again.
// What of it an application or an upstream is believed is protocol/saml's and upstream's; how strictly
// it is read is protocol/saml/message's. Its one invariant: what it returns was signed by a key that
// is pinned now, for the entity and from the address that are registered now, and is not over.
package metadata

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/protocol/saml/message"
	"countersign/internal/store"
)

const (
	table   = "saml_metadata"
	columns = `party, payload, version`
	// usual is how often metadata is read that does not ask for more, and soonest how often one can
	// ask for.
	usual, soonest = 24 * time.Hour, 10 * time.Minute
	// stale is for how long what was read is used that nobody could read anew, where it does not say
	// itself that it is over before.
	stale = 14 * 24 * time.Hour
)

// Read is what was read of a party.
type Read struct {
	message.Described
	// Source is a digest of where it was read and under which pins.
	Source string
	At     time.Time

	party   string
	version int64
}

// Over reports whether it must not be used any more.
func (d Read) Over(now time.Time) bool {
	return !d.Until.IsZero() && !now.Before(d.Until) || now.Sub(d.At) >= stale || d.At.After(now.Add(time.Hour))
}

// due is when it is to be read again: daily, or as often as it asks for, and well before it is over.
func (d Read) due() time.Time {
	every := usual
	if d.Keep > 0 {
		every = min(every, d.Keep)
	}
	if !d.Until.IsZero() {
		every = min(every, d.Until.Sub(d.At)/2)
	}
	return d.At.Add(max(every, soonest))
}

// digest stands for what an administrator registered. Other pins, another address or entity: what was
// read under the former ones is nothing.
func (s Source) digest() string {
	b, _ := json.Marshal([]any{s.Entity, s.URL, s.Pins}) // texts alone
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Kept keeps what was read. It is safe for concurrent use.
type Kept struct {
	db   *store.DB
	keys *keyring.Keyring
	now  func() time.Time
	log  *slog.Logger

	mu sync.Mutex
	// trouble is what went wrong with each party since it was read last, on this server.
	trouble map[string]trouble
	working sync.WaitGroup
}

type trouble struct {
	source, says string
	tries        int
	again        time.Time
}

// Parts are what a Kept is made of.
type Parts struct {
	DB   *store.DB
	Keys *keyring.Keyring
	Now  func() time.Time
	Log  *slog.Logger
}

// New makes a Kept.
func New(p Parts) *Kept {
	return &Kept{db: p.DB, keys: p.Keys, now: p.Now, log: p.Log, trouble: map[string]trouble{}}
}

// errNone is the failure of what was not read yet, and errOver that of what is over.
var (
	errNone = &failure.Error{Class: failure.Unavailable, Reason: "metadata-unread", Public: "The metadata of the other side was not read yet. Try again soon."}
	errOver = &failure.Error{Class: failure.Unavailable, Reason: "metadata-over", Public: "The metadata of the other side has expired, and could not be read anew."}
)

// Of returns what was read of a party, or an Unavailable failure.
func (k *Kept) Of(ctx context.Context, s Source) (Read, error) {
	d, err := k.read(ctx, k.db, s.Party)
	switch {
	case errors.Is(err, store.ErrNotFound) || errors.Is(err, errAltered) || err == nil && d.Source != s.digest():
		return Read{}, errNone
	case err != nil:
		return Read{}, err
	case d.Over(k.now()):
		return Read{}, errOver
	}
	return d, nil
}

// Problem says why the metadata of a party could not be read since it was read last, on this server;
// empty for nothing.
func (k *Kept) Problem(s Source) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t := k.trouble[s.Party]; t.source == s.digest() {
		return t.says
	}
	return ""
}

func aad(party string, version int64) keyring.AAD {
	return keyring.AAD{Table: table, Column: "payload", Row: version, Key: party}
}

var errAltered = errors.New("metadata: a row is not as it was left")

// read reads a row. One that we did not write, or that was put back, is reported, and is none.
func (k *Kept) read(ctx context.Context, r store.Reader, party string) (Read, error) {
	return k.scan(ctx, r.QueryRow(ctx, `select `+columns+` from saml_metadata where party = $1`, party))
}

func (k *Kept) scan(ctx context.Context, row interface{ Scan(...any) error }) (Read, error) {
	var d Read
	var sealed []byte
	if err := row.Scan(&d.party, &sealed, &d.version); err != nil {
		return d, err
	}
	plain, err := k.keys.Open(keyring.Upstream, aad(d.party, d.version), sealed)
	if err != nil || json.Unmarshal(plain, &d) != nil {
		k.db.Report(store.Finding{Table: table, Row: d.party, Wrong: store.Altered})
		return d, errAltered
	}
	if k.older(d) {
		if k.stands(ctx, d) {
			k.db.Report(store.Finding{Table: table, Row: d.party, Wrong: store.Older})
		}
		return d, errAltered
	}
	return d, nil
}

func (k *Kept) older(d Read) bool { return d.version < k.db.Newest(table, store.NumberOf(d.party)) }

// stands reports whether a row is older than the newest now: it may have been changed as it was read.
func (k *Kept) stands(ctx context.Context, d Read) bool {
	err := k.db.QueryRow(ctx, `select version from saml_metadata where party = $1`, d.party).Scan(&d.version)
	return err == nil && k.older(d)
}

// Inspect reports rows that are not as they were left. One that is gone is read anew.
func (k *Kept) Inspect(ctx context.Context) error {
	rows, err := k.db.Query(ctx, `select `+columns+` from saml_metadata order by party`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if _, err := k.scan(ctx, rows); err != nil && !errors.Is(err, errAltered) {
			return err
		}
	}
	return rows.Err()
}

// Refresh reads the metadata of a party now, and keeps it. The first key that signs for a party is
// learned; another one raises an alarm, and so does metadata that is not taken.
func (k *Kept) Refresh(ctx context.Context, s Source) (Read, error) {
	d, err := Fetch(ctx, s, k.now())
	if err != nil {
		return Read{}, errors.Join(err, k.failed(ctx, s, err))
	}
	now := Read{Described: d, Source: s.digest(), At: k.now().UTC().Truncate(time.Millisecond), party: s.Party}
	if err := k.keep(ctx, now); err != nil {
		k.pause(s, failure.Public(err)) // or it is asked again at once, for as long as nothing can be written
		return Read{}, err
	}
	k.mu.Lock()
	delete(k.trouble, s.Party)
	k.mu.Unlock()
	return now, nil
}

// failed notes what went wrong, and records it where it is not what went wrong before.
func (k *Kept) failed(ctx context.Context, s Source, cause error) error {
	if ctx.Err() != nil {
		return nil
	}
	says := failure.Public(cause)
	told := k.pause(s, says)
	if told {
		return nil
	}
	en := audit.Entry{Event: "alarm.metadata-refused", Outcome: audit.Refused, Reason: "metadata-refused", Detail: map[string]string{"party": s.Party, "says": says}}
	if failure.ClassOf(cause) == failure.Unavailable {
		en.Event, en.Reason = "metadata.unreachable", "metadata-unreachable"
	}
	return k.db.Change(ctx, audit.System("metadata"), func(tx *store.Tx) error { return tx.Record(en) })
}

// pause has a party asked again later, each time later, and reports whether the same was wrong with it
// before.
func (k *Kept) pause(s Source, says string) (told bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.trouble[s.Party]
	if t.source != s.digest() {
		t = trouble{source: s.digest()}
	}
	told = t.says == says
	k.trouble[s.Party] = trouble{source: t.source, says: says, tries: t.tries + 1, again: k.now().Add(min(time.Minute<<min(t.tries, 6), time.Hour))}
	return told
}

// keep writes what was read. What says the same as before is no change: only how long it holds is
// written anew.
func (k *Kept) keep(ctx context.Context, now Read) error {
	if was, err := k.read(ctx, k.db, now.party); err == nil && was.Source == now.Source && was.Meaning == now.Meaning {
		return k.hold(ctx, was, now)
	}
	return k.db.Change(ctx, audit.System("metadata"), func(tx *store.Tx) error {
		was, err := k.read(ctx, tx, now.party)
		if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, errAltered) {
			return err
		}
		before := err == nil && was.Source == now.Source
		if before && (was.Meaning == now.Meaning || was.At.After(now.At)) {
			tx.Unrecorded() // another server was first
			return nil
		}
		now.version = max(was.version, k.db.Newest(table, store.NumberOf(now.party)), 0) + 1
		if err := k.write(ctx, tx, now); err != nil {
			return err
		}
		return record(tx, was, now, before)
	})
}

// record tells the log of what was read: before says that there was something of the same source.
func record(tx *store.Tx, was, now Read, before bool) error {
	event := "metadata.read"
	if before {
		event = "metadata.changed"
		for _, key := range strangers(was, now) {
			if err := tx.Record(audit.Entry{Event: "alarm.metadata-key", Outcome: audit.OK, Detail: map[string]string{"party": now.party, "key": key}}); err != nil {
				return err
			}
		}
	}
	return tx.Record(audit.Entry{Event: event, Outcome: audit.OK, Detail: map[string]string{"party": now.party}})
}

// hold writes until when the same counts: the row stays of its version.
func (k *Kept) hold(ctx context.Context, was, now Read) error {
	plain, err := json.Marshal(now)
	if err != nil {
		return err
	}
	sealed := k.keys.Seal(keyring.Upstream, aad(was.party, was.version), plain)
	return k.db.Housekeep(ctx, "metadata.hold", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `update saml_metadata set payload = $2 where party = $1 and version = $3`, was.party, sealed, was.version)
		return err
	})
}

// strangers are the SHA-256 of the certificates that sign now, and did not before.
func strangers(was, now Read) (out []string) {
	for _, c := range now.Keys {
		if slices.Contains(was.Keys, c) {
			continue
		}
		der, _ := base64.StdEncoding.DecodeString(c) // what is none is believed by nobody
		sum := sha256.Sum256(der)
		out = append(out, hex.EncodeToString(sum[:]))
	}
	return out
}

func (k *Kept) write(ctx context.Context, tx *store.Tx, d Read) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return err
	}
	tx.Anchor(table, store.NumberOf(d.party), d.version)
	_, err = tx.Exec(ctx, `insert into saml_metadata (`+columns+`) values ($1,$2,$3)
		on conflict (party) do update set payload = excluded.payload, version = excluded.version`, d.party, k.keys.Seal(keyring.Upstream, aad(d.party, d.version), plain), d.version)
	return err
}

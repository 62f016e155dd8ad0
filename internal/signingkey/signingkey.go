// Package signingkey keeps the keys by which others verify what this installation says of
// people: the signatures of tokens.
//
// It owns the table signing_key: of each key its private half, sealed, and since when it
// signs. It signs nothing by itself and knows no format: a protocol asks for the key of an
// algorithm. Each key is published a while before it signs and a while after, so that whoever
// keeps a copy of the published keys is never surprised. Its neighbours are the protocols
// that issue tokens. Its one invariant: a key is ours, made here and once, or it is not used
// and not published.
package signingkey

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// The algorithms (RFC 7518 section 3.1).
const (
	ES256 = "ES256" // ECDSA on P-256; what everybody gets who does not ask otherwise
	RS256 = "RS256" // RSA of 3072 bits, for parties that know nothing newer
)

// Algorithms lists them.
func Algorithms() []string { return []string{ES256, RS256} }

const (
	// Announced is how long a key is published before it signs, because others keep the
	// published keys for a day or so, and Kept how long it is published after the last
	// signature: longer than any token lives.
	Announced, Kept = 48 * time.Hour, 48 * time.Hour
	// Signs is how long a key signs.
	Signs = 90 * 24 * time.Hour
)

const table, topic = "signing_key", "signing_key"

// Key is one key.
type Key struct {
	// ID is the key's name in what it signs (kid): letters, digits, - and _.
	ID string
	// Algorithm is [ES256] or [RS256].
	Algorithm string
	// Private is the key itself: it stays in this process.
	Private crypto.Signer
	Created time.Time
	// Starts is from when on it signs.
	Starts time.Time

	number int64 // of the row
}

// numbers are those of the rows.
var numbers = store.Numbers{Table: table, Highest: "signing_keys"}

// again finds out whether a row is there.
const again = `select 1 from signing_key where id = $1`

// Keys are all keys of an installation. It is safe for concurrent use.
type Keys struct {
	db    *store.DB
	keys  *keyring.Keyring
	now   func() time.Time
	gen   atomic.Uint64
	cache atomic.Pointer[cached]
	one   sync.Mutex // makes keys
}

type cached struct {
	gen uint64
	all []Key // ascending by Starts
}

// New makes Keys. None is made before one is asked for.
func New(db *store.DB, keys *keyring.Keyring, now func() time.Time) *Keys {
	k := &Keys{db: db, keys: keys, now: now}
	db.Feed().Subscribe(func(about string) {
		if about == topic || about == store.Missed {
			k.gen.Add(1)
		}
	})
	return k
}

// Signer returns the key that signs now by an algorithm, and makes the first one. An unknown
// algorithm is an Internal failure.
func (k *Keys) Signer(ctx context.Context, algorithm string) (Key, error) {
	if !slices.Contains(Algorithms(), algorithm) {
		return Key{}, failure.New(failure.Internal, "there is no key for the algorithm %q", algorithm)
	}
	all, err := k.all(ctx)
	if err != nil {
		return Key{}, err
	}
	if key, ok := signer(all, algorithm, k.now()); ok {
		return key, nil
	}
	if err := k.make(ctx, algorithm, 0); err != nil {
		return Key{}, err
	}
	if all, err = k.all(ctx); err != nil {
		return Key{}, err
	}
	if key, ok := signer(all, algorithm, k.now()); ok {
		return key, nil
	}
	return Key{}, failure.New(failure.Internal, "the key for %s that was made is not there", algorithm)
}

// signer is the youngest that signs already.
func signer(all []Key, algorithm string, now time.Time) (Key, bool) {
	for _, key := range slices.Backward(all) {
		if key.Algorithm == algorithm && !key.Starts.After(now) {
			return key, true
		}
	}
	return Key{}, false
}

// Published returns the keys that others are to know now: those that sign, that will, and that
// did so lately. It makes the first key of [ES256].
func (k *Keys) Published(ctx context.Context) ([]Key, error) {
	if _, err := k.Signer(ctx, ES256); err != nil {
		return nil, err
	}
	all, err := k.all(ctx)
	if err != nil {
		return nil, err
	}
	now := k.now()
	return slices.DeleteFunc(slices.Clone(all), func(key Key) bool { return over(all, key, now) }), nil
}

// over reports whether a key has signed for the last time so long ago that nobody needs it.
func over(all []Key, key Key, now time.Time) bool {
	for _, other := range all {
		if other.Algorithm == key.Algorithm && other.Starts.After(key.Starts) && now.Sub(other.Starts) > Kept {
			return true
		}
	}
	return false
}

// Keep rotates: it makes the next key of each algorithm in use when the present one has signed
// for [Signs], less the time for which it is announced, and removes those that are over.
func (k *Keys) Keep(ctx context.Context) error {
	all, err := k.all(ctx)
	if err != nil {
		return err
	}
	for _, algorithm := range Algorithms() {
		var newest Key
		for _, key := range all {
			if key.Algorithm == algorithm {
				newest = key
			}
		}
		if newest.ID != "" && k.now().Sub(newest.Starts) > Signs-Announced {
			if err := k.make(ctx, algorithm, Announced); err != nil {
				return err
			}
		}
	}
	return k.removeOld(ctx, all)
}

func (k *Keys) removeOld(ctx context.Context, all []Key) error {
	for _, key := range all {
		if !over(all, key, k.now()) {
			continue
		}
		err := k.db.Change(ctx, audit.System("keys"), func(tx *store.Tx) error {
			if err := k.remove(ctx, tx, key); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "key.signing-removed", Outcome: audit.OK, Detail: map[string]string{"key": key.ID, "algorithm": key.Algorithm}})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a key, inside a change that records it.
func (k *Keys) remove(ctx context.Context, tx *store.Tx, key Key) error {
	if _, err := tx.Exec(ctx, `delete from signing_key where id = $1`, key.number); err != nil {
		return err
	}
	tx.Anchor(table, key.number, store.Gone)
	tx.Announce(topic)
	return nil
}

// generate makes a private key.
func generate(algorithm string) (crypto.Signer, error) {
	if algorithm == RS256 {
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// make makes a key that signs after a while; one after the other, and not where another
// server has just made it.
func (k *Keys) make(ctx context.Context, algorithm string, after time.Duration) error {
	k.one.Lock()
	defer k.one.Unlock()
	fresh, err := generated(algorithm)
	if err != nil {
		return err
	}
	return k.db.Change(ctx, audit.System("keys"), func(tx *store.Tx) error {
		key := fresh.key
		key.Created = tx.Now().Truncate(time.Microsecond)
		key.Starts = key.Created.Add(after)
		all, err := k.read(ctx, tx)
		if err != nil {
			return err
		}
		if made(all, key) {
			tx.Unrecorded()
			return nil
		}
		if err := k.insert(ctx, tx, key, fresh.der); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "key.signing-made", Outcome: audit.OK,
			Detail: map[string]string{"key": key.ID, "algorithm": algorithm, "starts": key.Starts.UTC().Format(time.RFC3339)}})
	})
}

// Fresh is a key that was made and is not kept yet.
type Fresh struct {
	key Key
	der []byte
}

// generated makes a key, named by its public half.
func generated(algorithm string) (Fresh, error) {
	private, err := generate(algorithm)
	if err != nil {
		return Fresh{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Fresh{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return Fresh{}, err
	}
	sum := sha256.Sum256(public)
	return Fresh{Key{ID: base64.RawURLEncoding.EncodeToString(sum[:12]), Algorithm: algorithm}, der}, nil
}

// insert makes a row, and gives it a number that none had before. Every server hears of it.
func (k *Keys) insert(ctx context.Context, tx *store.Tx, key Key, der []byte) error {
	err := tx.QueryRow(ctx, `insert into signing_key (name, algorithm, payload, created, starts, mac) values ($1,$2,$3,$4,$5,$6) returning id`,
		key.ID, key.Algorithm, []byte{}, store.Unix(key.Created), store.Unix(key.Starts), []byte{}).Scan(&key.number)
	if err != nil {
		return err
	}
	if err := numbers.Fresh(k.db.View(), key.number); err != nil {
		return err
	}
	sealed := k.keys.Seal(keyring.Signing, key.place(), der)
	if _, err := tx.Exec(ctx, `update signing_key set payload = $2, mac = $3 where id = $1`, key.number, sealed, k.keys.MAC(keyring.Signing, key.fields(sealed))); err != nil {
		return err
	}
	numbers.Anchor(tx, key.number, 1)
	tx.Announce(topic)
	return nil
}

// made reports whether somebody else made the key that is to be made: one that signs already,
// or one that is announced.
func made(all []Key, key Key) bool {
	return slices.ContainsFunc(all, func(other Key) bool {
		return other.Algorithm == key.Algorithm && (key.Starts.Equal(key.Created) || other.Starts.After(key.Created))
	})
}

func (k Key) place() keyring.AAD {
	return keyring.AAD{Table: table, Column: "payload", Row: k.number, Key: k.ID}
}

func (k Key) fields(sealed []byte) *keyring.Fields {
	return keyring.NewFields().String(table).Int(k.number).String(k.ID).String(k.Algorithm).Bytes(sealed).Int(store.Unix(k.Created)).Int(store.Unix(k.Starts))
}

// all returns the keys, not older than the last change of which this server was told.
func (k *Keys) all(ctx context.Context) ([]Key, error) {
	gen := k.gen.Load()
	if c := k.cache.Load(); c != nil && c.gen == gen && k.db.Feed().Fresh() {
		return c.all, nil
	}
	all, err := k.read(ctx, k.db)
	if err != nil {
		return nil, err
	}
	k.cache.Store(&cached{gen, all})
	return all, nil
}

// read reads the keys that are as they were left. Others are reported, and are nobody's.
func (k *Keys) read(ctx context.Context, from store.Reader) ([]Key, error) {
	rows, err := from.Query(ctx, `select id, name, algorithm, payload, created, starts, mac from signing_key order by starts, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Key
	for rows.Next() {
		var key Key
		var sealed, mac []byte
		var created, starts int64
		if err := rows.Scan(&key.number, &key.ID, &key.Algorithm, &sealed, &created, &starts, &mac); err != nil {
			return nil, err
		}
		key.Created, key.Starts = store.Time(created), store.Time(starts)
		if wrong := k.open(&key, sealed, mac); wrong != "" {
			k.db.Report(store.Finding{Table: table, Row: strconv.FormatInt(key.number, 10), Wrong: wrong})
			continue
		}
		out = append(out, key)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// open opens a key, and says what is wrong with it.
func (k *Keys) open(key *Key, sealed, mac []byte) (wrong string) {
	if !k.keys.VerifyMAC(keyring.Signing, key.fields(sealed), mac) {
		return store.Altered
	}
	der, err := k.keys.Open(keyring.Signing, key.place(), sealed)
	if err != nil {
		return store.Altered
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return store.Altered
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return store.Altered
	}
	if k.db.Newest(table, key.number) == store.Gone {
		return store.Returned
	}
	key.Private = signer
	return ""
}

// Inspect reports keys that are not as they were left, and those that are gone.
func (k *Keys) Inspect(ctx context.Context) error {
	all, err := k.read(ctx, k.db)
	if err != nil {
		return err
	}
	there := make(map[int64]bool, len(all))
	for _, key := range all {
		there[key.number] = true
	}
	return numbers.ReportMissing(ctx, k.db.View(), 0, numbers.Given(k.db.View()), there, again)
}

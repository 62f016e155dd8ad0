// Package certkey keeps the private keys that others know by a certificate, which an
// administrator hands to them: those that sign SAML messages.
//
// It owns the table cert_key: one sealed row for each purpose, with the key that signs, the
// one that is announced to sign next, and the one that signed before. Nothing rolls over by
// itself, because those who were handed a certificate must be handed the next one first. It
// signs nothing: protocols do. Its one invariant: a key signs only after it could be
// announced, and a row that was put back from before a roll-over is not believed.
package certkey

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Algorithm is what keys of a purpose are.
type Algorithm string

// RSA is RSA with 3072 bits, which NIST SP 800-57 part 1 accepts beyond 2030.
const RSA Algorithm = "rsa-3072"

const bits = 3072

// Purpose is what keys sign. The zero value is none.
type Purpose struct {
	// Name is the stable word in the table and the audit log: "saml".
	Name      string
	Algorithm Algorithm
	// Says is what its keys sign, within a sentence: "SAML responses".
	Says string
}

// Key is a private key with what others know it by.
type Key struct {
	// ID names the public key: a hash of it, in base64url (22 characters).
	ID string
	// Signer is the private key.
	Signer crypto.Signer
	// Certificate is a self-signed certificate of it, in DER, for those who take no bare key.
	Certificate []byte
	// Created is when it was made.
	Created time.Time
}

// Set are the keys of one purpose. A field is nil where there is no such key.
type Set struct {
	// Now signs. Next is announced and will sign; Former signed before and is still announced.
	Now, Next, Former *Key
	// Changed is when a key was made, took over or was removed last.
	Changed time.Time

	names []byte // of pairwise names
}

// Pairwise is a name that stands for somebody at one audience and is another one at every
// other (SAML core, section 8.3.7): 43 characters, the same for good, also over roll-overs.
func (s Set) Pairwise(audience, somebody string) string {
	h := hmac.New(sha256.New, s.names)
	for _, part := range []string{audience, somebody} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(part))) // a hash takes everything
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Announced are all that others are to know, the one that signs first.
func (s Set) Announced() []*Key {
	var out []*Key
	for _, k := range []*Key{s.Now, s.Next, s.Former} {
		if k != nil {
			out = append(out, k)
		}
	}
	return out
}

// Parts are what Keys are made of.
type Parts struct {
	DB   *store.DB
	Keys *keyring.Keyring
	// Purposes are all that there are.
	Purposes []Purpose
	// Subject is the name in certificates: the host of our own pages.
	Subject string
	Now     func() time.Time
}

// Keys keeps the keys of all purposes. It is safe for concurrent use.
type Keys struct {
	db       *store.DB
	keys     *keyring.Keyring
	purposes []Purpose
	subject  string
	now      func() time.Time

	mu     sync.Mutex
	opened map[string]opened // by the name of the purpose
	making sync.Mutex
}

// opened is a set as its row was when it was read.
type opened struct {
	version int64
	Set
}

// New makes Keys. It makes no key yet: the first of a purpose is made when it is needed.
func New(p Parts) *Keys {
	return &Keys{db: p.DB, keys: p.Keys, purposes: p.Purposes, subject: p.Subject, now: p.Now, opened: map[string]opened{}}
}

// Purposes are all that there are.
func (k *Keys) Purposes() []Purpose { return k.purposes }

func (k *Keys) purpose(name string) (Purpose, error) {
	for _, p := range k.purposes {
		if p.Name == name {
			return p, nil
		}
	}
	return Purpose{}, failure.New(failure.NotFound, "Nothing is signed with keys named %q.", name)
}

const (
	table     = "cert_key"
	madeEvent = "key.cert-made"
	columns   = `purpose, payload, version`
)

// Of returns the keys of a purpose, and makes the first one where there is none. An unknown
// purpose is NotFound; a row that is not as it was left is an Internal failure and an alarm.
func (k *Keys) Of(ctx context.Context, purpose string) (Set, error) {
	p, err := k.purpose(purpose)
	if err != nil {
		return Set{}, err
	}
	set, _, err := k.read(ctx, k.db, p)
	if !errors.Is(err, store.ErrNotFound) {
		return set, err
	}
	k.making.Lock() // one key for many who ask first: making one is dear
	defer k.making.Unlock()
	if set, _, err = k.read(ctx, k.db, p); !errors.Is(err, store.ErrNotFound) {
		return set, err
	}
	if err := k.first(ctx, p); err != nil {
		return Set{}, err
	}
	set, _, err = k.read(ctx, k.db, p) // another server may have been first
	return set, err
}

// first makes the first key of a purpose.
func (k *Keys) first(ctx context.Context, p Purpose) error {
	version := int64(1)
	if old := k.db.Newest(table, store.NumberOf(p.Name)); old > 0 {
		k.db.Report(store.Finding{Table: table, Row: p.Name, Wrong: store.Missing})
		version = old + 1
	}
	fresh, err := k.make(p)
	if err != nil {
		return err
	}
	names := make([]byte, sha256.Size)
	rand.Read(names)
	return k.db.Change(ctx, audit.System("first use"), func(tx *store.Tx) error {
		var there int64
		if err := tx.QueryRow(ctx, again, p.Name).Scan(&there); !errors.Is(err, store.ErrNotFound) {
			tx.Unrecorded() // another server was first
			return err
		}
		sealed, err := k.seal(p, version, content{Now: fresh, Changed: store.Unix(tx.Now()), Names: names})
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into cert_key (`+columns+`) values ($1,$2,$3)`, p.Name, sealed, version); err != nil {
			return err
		}
		tx.Anchor(table, store.NumberOf(p.Name), version)
		return tx.Record(audit.Entry{Event: madeEvent, Outcome: audit.OK, Detail: map[string]string{"purpose": p.Name}})
	})
}

// make makes a key with its certificate.
func (k *Keys) make(p Purpose) (*stored, error) {
	signer, err := generate(p.Algorithm)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, err
	}
	now := k.now()
	certificate, err := selfSigned(signer, k.subject, now)
	if err != nil {
		return nil, err
	}
	return &stored{Private: private, Certificate: certificate, Created: store.Unix(now)}, nil
}

func generate(a Algorithm) (crypto.Signer, error) {
	if a == RSA {
		return rsa.GenerateKey(rand.Reader, bits)
	}
	return nil, fmt.Errorf("certkey: there is no algorithm %q", a)
}

// content is what is sealed of a purpose.
type content struct {
	Now, Next, Former *stored
	Changed           int64
	Names             []byte
}

// stored is a key as it is sealed: PKCS #8 and DER.
type stored struct {
	Private, Certificate []byte
	Created              int64
}

func aad(purpose string, version int64) keyring.AAD {
	return keyring.AAD{Table: table, Column: "payload", Row: version, Key: purpose}
}

func (k *Keys) seal(p Purpose, version int64, c content) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return k.keys.Seal(keyring.CertKey, aad(p.Name, version), plain), nil
}

var errAltered = errors.New("certkey: a row is not as it was left, so that nothing is signed")

const again = `select version from cert_key where purpose = $1`

// read reads a set. What was parsed of the same version before is not parsed again.
func (k *Keys) read(ctx context.Context, from store.Reader, p Purpose) (Set, content, error) {
	var name string
	var sealed []byte
	var version int64
	if err := from.QueryRow(ctx, `select `+columns+` from cert_key where purpose = $1`, p.Name).Scan(&name, &sealed, &version); err != nil {
		return Set{}, content{}, err
	}
	plain, err := k.keys.Open(keyring.CertKey, aad(p.Name, version), sealed)
	if err != nil {
		k.db.Report(store.Finding{Table: table, Row: p.Name, Wrong: store.Altered})
		return Set{}, content{}, errAltered
	}
	if newest := k.db.Newest(table, store.NumberOf(p.Name)); version < newest {
		if !k.stands(ctx, p, newest) {
			k.db.Report(store.Finding{Table: table, Row: p.Name, Wrong: store.Older})
		}
		return Set{}, content{}, errAltered
	}
	var c content
	if err := json.Unmarshal(plain, &c); err != nil || c.Now == nil || len(c.Names) == 0 {
		return Set{}, content{}, errors.Join(errAltered, err)
	}
	set, err := k.parsed(p, version, c)
	return set, c, err
}

// stands reports whether the row has the newest version by now: it was read just before.
func (k *Keys) stands(ctx context.Context, p Purpose, newest int64) bool {
	var now int64
	return k.db.QueryRow(ctx, again, p.Name).Scan(&now) == nil && now >= newest
}

func (k *Keys) parsed(p Purpose, version int64, c content) (Set, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if o, ok := k.opened[p.Name]; ok && o.version == version {
		return o.Set, nil
	}
	set := Set{Changed: store.Time(c.Changed), names: c.Names}
	for _, one := range []struct {
		from *stored
		to   **Key
	}{{c.Now, &set.Now}, {c.Next, &set.Next}, {c.Former, &set.Former}} {
		if one.from == nil {
			continue
		}
		key, err := one.from.parse()
		if err != nil {
			return Set{}, err
		}
		*one.to = key
	}
	k.opened[p.Name] = opened{version, set}
	return set, nil
}

func (s *stored) parse() (*Key, error) {
	private, err := x509.ParsePKCS8PrivateKey(s.Private)
	if err != nil {
		return nil, err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, errors.New("certkey: a key that does not sign")
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	return &Key{ID: base64.RawURLEncoding.EncodeToString(digest(public)[:16]), Signer: signer, Certificate: s.Certificate, Created: store.Time(s.Created)}, nil
}

// Inspect reports rows that are missing, altered, put back from before a roll-over, or copies.
func (k *Keys) Inspect(ctx context.Context) error {
	names, err := k.names(ctx)
	if err != nil {
		return err
	}
	for _, p := range k.purposes {
		if !slices.Contains(names, p.Name) && k.db.Newest(table, store.NumberOf(p.Name)) > 0 {
			k.db.Report(store.Finding{Table: table, Row: p.Name, Wrong: store.Missing})
		}
	}
	for _, name := range names {
		_, _, err := k.read(ctx, k.db, Purpose{Name: name})
		if err != nil && !errors.Is(err, errAltered) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// names are the purposes that have a row, ours or not.
func (k *Keys) names(ctx context.Context) ([]string, error) {
	rows, err := k.db.Query(ctx, `select purpose from cert_key order by purpose`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

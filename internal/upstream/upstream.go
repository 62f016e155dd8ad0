// Package upstream is people who sign in first at another organisation's identity provider.
//
// It owns the table upstream, with the settings of each provider and the keys that it has signed
// with; the visit there and back; and the links between its people and accounts. It does not own
// what a visit is worth, which is authenticator/upstream's and policy's, and decides about
// nobody: a visit ends in a sealed statement, which the engine is given as an answer. Its
// neighbours are web/challenge, which sends browsers, and admin/upstream. Its one invariant: of
// what a provider says nothing gets further than its own people, and nobody becomes one of them
// by its word alone.
package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/metadata"
	"countersign/internal/store"
	"countersign/internal/upstream/said"
)

// Protocols by which an upstream is asked.
const (
	OpenID = "oidc"
	SAML   = "saml"
)

// How a person of an upstream is linked to an account at their first sight.
const (
	// ByAdministrator links nobody by itself.
	ByAdministrator = "administrator"
	// ByDomain links whoever comes with an address that the upstream verified, of one of its own
	// domains, to the account that has exactly that address.
	ByDomain = "domain"
)

// Settings are those of an upstream.
type Settings struct {
	// Title is what people call it.
	Title string `json:"title"`
	// Protocol is OpenID or SAML.
	Protocol string `json:"protocol"`
	// Off says that nobody comes in by it.
	Off bool `json:"off,omitempty"`
	// Hidden says that the sign-in page has no button for it; who types a name of one of its
	// domains is sent there all the same.
	Hidden bool `json:"hidden,omitempty"`
	// Domains are its own mail domains. A name that is typed with one is its person's, and a rule
	// may link by one.
	Domains []string `json:"domains,omitempty"`
	// Link is ByAdministrator (the default) or ByDomain.
	Link string `json:"link,omitempty"`
	// Trust is what its word on second factors is worth, reject unless it is set, and Classes by
	// which words of its own.
	Trust   said.Trust `json:"trust,omitempty"`
	Classes []string   `json:"classes,omitempty"`
	// MaxAge is how long ago, in seconds, a person may have signed in there; 300 unless it is set,
	// at most a day.
	MaxAge int `json:"max_age,omitempty"`
	// Pinned says that a key which nobody accepted is refused, and not only an alarm.
	Pinned bool `json:"pinned_keys,omitempty"`
	// Inside are networks, addresses and names inside our own network that it may be fetched from.
	Inside []string `json:"inside,omitempty"`
	// Authority is the certificates, in PEM, by which its TLS is known; empty is those of the system.
	Authority string `json:"ca,omitempty"`

	// Issuer is the issuer identifier (OpenID) or the entity ID (SAML).
	Issuer string `json:"issuer"`
	// Client and Secret are what it calls us (OpenID).
	Client string `json:"client_id,omitempty"`
	Secret string `json:"client_secret,omitempty"`
	// Algorithms are those of ID tokens that are taken; ES256, RS256 and PS256 unless it is set.
	Algorithms []string `json:"algorithms,omitempty"`
	// SignIn is where requests go, and Certificates those of its keys, in PEM. Mail is the attribute
	// that holds an address which it verified (SAML).
	SignIn       string `json:"sign_in,omitempty"`
	Certificates string `json:"certificates,omitempty"`
	Mail         string `json:"mail_attribute,omitempty"`
	// MetadataURL is where SignIn and Certificates are read daily instead, signed by one of the
	// certificates in MetadataPins, each whole or by its SHA-256 (SAML).
	MetadataURL  string   `json:"metadata_url,omitempty"`
	MetadataPins []string `json:"metadata_pins,omitempty"`
}

// Fetched is where metadata is read of an upstream, and whether that is so.
func (u Upstream) Fetched() (metadata.Source, bool) {
	return metadata.Source{Party: "upstream/" + u.Name, Entity: u.Issuer, URL: u.MetadataURL, Pins: u.MetadataPins, Inside: u.Inside, Authority: u.Authority}, u.Protocol == SAML && u.MetadataURL != ""
}

// Upstream is an identity provider, as kept.
type Upstream struct {
	ID   int64  `json:"number"`
	Name string `json:"name"`
	Settings
	// Keys are the thumbprints of the keys that were accepted, and Strange those that were seen,
	// are not accepted, and were told of.
	Keys    []string  `json:"keys,omitempty"`
	Strange []string  `json:"strange_keys,omitempty"`
	Changed time.Time `json:"changed,omitzero"`
	Version int64     `json:"version"`
}

// Terms are those on which it is heard.
func (u Upstream) Terms() said.Terms {
	return said.Terms{Number: u.ID, Name: u.Name, Title: u.Title, Issuer: u.Issuer, Trust: u.Trust, Classes: u.Classes}
}

const (
	table   = "upstream"
	columns = `id, name, payload, version`
	again   = `select version from upstream where id = $1`
)

var numbers = store.Numbers{Table: table, Highest: "upstreams"}

// Catalogue keeps the upstreams. It is safe for concurrent use.
type Catalogue struct {
	db   *store.DB
	keys *keyring.Keyring
}

// NewCatalogue makes a Catalogue.
func NewCatalogue(db *store.DB, keys *keyring.Keyring) *Catalogue { return &Catalogue{db, keys} }

func aad(id int64, name string, version int64) keyring.AAD {
	return keyring.AAD{Table: table, Column: "payload", Row: id, Key: name + "\x00" + strconv.FormatInt(version, 10)}
}

// All lists the upstreams by name. One whose row is not as it was left is none.
func (c *Catalogue) All(ctx context.Context, r store.Reader) ([]Upstream, error) {
	rows, err := r.Query(ctx, `select `+columns+` from upstream order by name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Upstream
	for rows.Next() {
		u, believed, err := c.scan(ctx, rows)
		if err != nil {
			return nil, err
		}
		if believed {
			out = append(out, u)
		}
	}
	return out, rows.Err()
}

// Get returns the upstream of a name, or [ErrNone]. One whose row is not as it was left is none.
func (c *Catalogue) Get(ctx context.Context, r store.Reader, name string) (Upstream, error) {
	u, believed, err := c.scan(ctx, r.QueryRow(ctx, `select `+columns+` from upstream where name = $1`, name))
	if errors.Is(err, store.ErrNotFound) || err == nil && !believed {
		return Upstream{}, ErrNone
	}
	return u, err
}

// scan reads a row, and reports one that is not believed.
func (c *Catalogue) scan(ctx context.Context, row interface{ Scan(...any) error }) (u Upstream, believed bool, err error) {
	var sealed []byte
	var id, version int64
	var name string
	if err := row.Scan(&id, &name, &sealed, &version); err != nil {
		return u, false, err
	}
	plain, err := c.keys.Open(keyring.Upstream, aad(id, name, version), sealed)
	if err != nil || json.Unmarshal(plain, &u) != nil {
		c.db.Report(store.Finding{Table: table, Row: strconv.FormatInt(id, 10), Wrong: store.Altered})
		return Upstream{ID: id, Name: name}, false, nil
	}
	u.ID, u.Name, u.Version = id, name, version
	if !c.db.View().Older(ctx, table, id, version, again) {
		return u, true, nil
	}
	wrong := store.Older
	if c.db.Newest(table, id) == store.Gone {
		wrong = store.Returned
	}
	if c.db.View().Stands(ctx, table, id, again) {
		c.db.Report(store.Finding{Table: table, Row: strconv.FormatInt(id, 10), Wrong: wrong})
	}
	return u, false, nil
}

// SetTx adds an upstream, or replaces the settings of the one that has its name and number, inside a change
// that records it. The settings are checked before.
func (c *Catalogue) SetTx(ctx context.Context, tx *store.Tx, u Upstream) (Upstream, error) {
	if u.ID == 0 {
		if err := tx.QueryRow(ctx, `insert into upstream (name, payload, version) values ($1,$2,$3) returning id`, u.Name, []byte{}, 0).Scan(&u.ID); err != nil {
			if errors.Is(err, store.ErrConflict) {
				return u, failure.At("name", failure.New(failure.Conflict, "There is an identity provider %q already.", u.Name))
			}
			return u, err
		}
		if err := numbers.Fresh(c.db.View(), u.ID); err != nil {
			return u, err
		}
		u.Version = 0
	}
	u.Changed = tx.Now().UTC().Truncate(time.Microsecond)
	return c.keepTx(ctx, tx, u)
}

// keepTx writes an upstream that was read in the same change.
func (c *Catalogue) keepTx(ctx context.Context, tx *store.Tx, u Upstream) (Upstream, error) {
	was := u.Version
	u.Version++
	plain, err := json.Marshal(u)
	if err != nil {
		return u, err
	}
	sealed := c.keys.Seal(keyring.Upstream, aad(u.ID, u.Name, u.Version), plain)
	n, err := tx.Exec(ctx, `update upstream set payload = $1, version = $2 where id = $3 and name = $4 and version = $5`, sealed, u.Version, u.ID, u.Name, was)
	if err == nil && n != 1 {
		err = failure.New(failure.Conflict, "The identity provider was changed meanwhile; look at it as it is now, and try again.")
	}
	numbers.Anchor(tx, u.ID, u.Version)
	return u, err
}

// AcceptTx accepts a key of an upstream, inside a change that records it.
func (c *Catalogue) AcceptTx(ctx context.Context, tx *store.Tx, u Upstream, key string) error {
	if b, err := base64.RawURLEncoding.Strict().DecodeString(key); err != nil || len(b) != sha256.Size {
		return wrong("key", "That is no thumbprint of a key: 43 characters of base64url (RFC 7638, SHA-256).")
	}
	if slices.Contains(u.Keys, key) {
		return failure.At("key", failure.New(failure.Conflict, "The key is accepted already."))
	}
	u.Keys = newest(u.Keys, key)
	u.Strange = slices.DeleteFunc(slices.Clone(u.Strange), func(k string) bool { return k == key })
	_, err := c.keepTx(ctx, tx, u)
	return err
}

// RemoveTx removes an upstream, inside a change that records it. Links to it count no more,
// also for another one of the same name.
func (c *Catalogue) RemoveTx(ctx context.Context, tx *store.Tx, u Upstream) error {
	_, err := tx.Exec(ctx, `delete from upstream where id = $1`, u.ID)
	tx.Anchor(table, u.ID, store.Gone)
	return err
}

// Inspect reports rows that are altered, older or missing.
func (c *Catalogue) Inspect(ctx context.Context) error {
	rows, err := c.db.Query(ctx, `select `+columns+` from upstream order by id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	there := map[int64]bool{}
	for rows.Next() {
		u, _, err := c.scan(ctx, rows)
		if err != nil {
			return err
		}
		there[u.ID] = true
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return numbers.ReportMissing(ctx, c.db.View(), 0, numbers.Given(c.db.View()), there, again)
}

// Seals are what statements are sealed with.
func (c *Catalogue) Seals() said.Seals { return NewSeals(c.keys) }

// NewSeals makes Seals of a keyring.
func NewSeals(keys *keyring.Keyring) said.Seals { return seals{keys} }

type seals struct{ keys *keyring.Keyring }

func (seals) place(challenge string) keyring.AAD {
	return keyring.AAD{Table: "statement", Column: "upstream", Key: challenge}
}

func (s seals) Seal(challenge string, plain []byte) []byte {
	return s.keys.Seal(keyring.Upstream, s.place(challenge), plain)
}

func (s seals) Open(challenge string, sealed []byte) ([]byte, error) {
	return s.keys.OpenCurrent(keyring.Upstream, s.place(challenge), sealed)
}

// Package application is the catalogue of applications (relying parties): their
// protocol, kind, tier and settings.
//
// It owns the table application and its copy in memory. The protocols interpret the
// settings. Invariant: the row of every application that it returns passed its
// integrity check (MAC and seal), and is at most one second older than the store.
package application

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Tiers of an application. An application that administers others is control-plane.
const (
	Standard     = "standard"
	ControlPlane = "control-plane"
)

// VouchesPassword is for equipment that checks the password itself and sends only
// the code to Countersign.
const VouchesPassword = "password"

// Kinds are the kinds of applications; they relate it to the rows of ATT&CK's M1032.
var Kinds = []string{
	"web", "wiki", "vpn", "network-device", "ssh", "rdp", "mail", "webmail", "code",
	"cloud-console", "cloud-storage", "directory", "deployment", "wifi", "kubernetes", "other",
}

// Application is a relying party: something that people sign in to.
type Application struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Title    string `json:"title"`
	Kind     string `json:"kind"`
	Tier     string `json:"tier"`
	Protocol string `json:"protocol"`
	// Vouches is what the application checks by itself before it asks Countersign:
	// nothing, or VouchesPassword. Coverage lists that as a weakness.
	Vouches  string          `json:"vouches,omitempty"`
	Settings json.RawMessage `json:"settings"`
	// Bound says that it takes sessions alone that are bound to their device ([BoundSessions]). It
	// stands in the settings, and is read with them.
	Bound   bool      `json:"-"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
	// Version differs after each change. A change names the version that it is based on.
	Version string `json:"version,omitempty"`

	count int64 // of the changes, from 1
}

// Topic is the feed's topic for changed applications.
const Topic = "application"

// Catalogue holds all applications in memory.
type Catalogue struct {
	db    *store.DB
	keys  *keyring.Keyring
	cache atomic.Pointer[cached]
	gen   atomic.Uint64
}

// cached are the applications as they were read last.
type cached struct {
	gen    uint64
	all    []Application
	byName map[string]Application
}

// Open reads all applications and keeps them fresh by the store's feed.
func Open(ctx context.Context, db *store.DB, keys *keyring.Keyring) (*Catalogue, error) {
	c := &Catalogue{db: db, keys: keys}
	db.Feed().Subscribe(func(topic string) {
		if topic == Topic || topic == store.Missed {
			c.gen.Add(1)
		}
	})
	_, err := c.fresh(ctx)
	return c, err
}

// Changed returns a number that increases with each change of an application, so that
// a protocol knows when to refresh what it derived from the settings.
func (c *Catalogue) Changed() uint64 { return c.gen.Load() }

// Get returns the application of this name, or a NotFound failure.
func (c *Catalogue) Get(ctx context.Context, name string) (Application, error) {
	v, err := c.fresh(ctx)
	if err != nil {
		return Application{}, err
	}
	a, ok := v.byName[name]
	if !ok {
		return Application{}, failure.New(failure.NotFound, "There is no application named %q.", name)
	}
	return a, nil
}

// All returns all applications, sorted by name.
func (c *Catalogue) All(ctx context.Context) ([]Application, error) {
	v, err := c.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(v.all), nil
}

// AllIn is All inside a change, with what that wrote.
func (c *Catalogue) AllIn(ctx context.Context, r store.Reader) ([]Application, error) {
	if _, changing := r.(*store.Tx); !changing {
		return c.All(ctx)
	}
	v, err := c.read(ctx, r)
	if err != nil {
		return nil, err
	}
	return v.all, nil
}

// ByProtocol returns the applications of one protocol, sorted by name.
func (c *Catalogue) ByProtocol(ctx context.Context, protocol string) ([]Application, error) {
	all, err := c.All(ctx)
	return slices.DeleteFunc(all, func(a Application) bool { return a.Protocol != protocol }), err
}

// fresh returns applications that are not older than the last change of which this server
// was informed. While the feed cannot be confirmed it reads the store each time, so that a
// server which is cut off refuses instead of trusting its cache.
func (c *Catalogue) fresh(ctx context.Context) (*cached, error) {
	gen := c.gen.Load()
	if v := c.cache.Load(); v != nil && v.gen == gen && c.db.Feed().Fresh() {
		return v, nil
	}
	v, err := c.read(ctx, c.db)
	if err != nil {
		return nil, err
	}
	v.gen = gen
	c.cache.Store(v)
	return v, nil
}

// mostReads bounds how often the catalogue is read again because it was changed meanwhile.
const mostReads = 20

// read reads all applications. What was changed while it was read is read again, so that
// nobody finds it missing for a moment.
func (c *Catalogue) read(ctx context.Context, r store.Reader) (v *cached, err error) {
	for range mostReads {
		var overtaken bool
		if v, overtaken, err = c.readOnce(ctx, r); err != nil || !overtaken {
			break
		}
	}
	return v, err
}

func (c *Catalogue) readOnce(ctx context.Context, r store.Reader) (v *cached, overtaken bool, err error) {
	rows, err := r.Query(ctx, `select `+columns+` from application order by name`)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	v = &cached{byName: map[string]Application{}}
	for rows.Next() {
		a, wrong, err := c.scan(ctx, rows)
		if err != nil {
			return nil, false, err
		}
		if wrong != "" {
			overtaken = !c.report(ctx, a, wrong) || overtaken
			continue // an application that nobody believes is an unknown one: refused
		}
		a.Bound = demandsBound(a.Settings)
		v.all = append(v.all, a)
		v.byName[a.Name] = a
	}
	return v, overtaken, rows.Err()
}

// versionOf names a row by its MAC, which is another for each: settings are sealed
// anew each time.
func versionOf(mac []byte) string { return hex.EncodeToString(mac[:min(8, len(mac))]) }

// VersionIn returns the version of an application inside a transaction. It is empty if
// there is none of that name, or its row failed its integrity check.
func (c *Catalogue) VersionIn(ctx context.Context, r store.Reader, name string) (string, error) {
	a, wrong, err := c.named(ctx, r, name)
	if errors.Is(err, store.ErrNotFound) || err == nil && wrong != "" {
		return "", nil
	}
	return a.Version, err
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// Check returns an Invalid failure for an application that cannot be saved. It does not
// check the settings.
func (a Application) Check() error {
	switch {
	case !nameForm.MatchString(a.Name):
		return failure.At("name", failure.New(failure.Invalid, "Name the application with 1 to 63 of a-z, 0-9, dot and hyphen."))
	case !slices.Contains(Kinds, a.Kind):
		return failure.At("kind", failure.New(failure.Invalid, "Unknown kind %q; use one of %s.", a.Kind, strings.Join(Kinds, ", ")))
	case a.Tier != Standard && a.Tier != ControlPlane:
		return failure.At("tier", failure.New(failure.Invalid, "The tier is %s or %s.", Standard, ControlPlane))
	case a.Vouches != "" && a.Vouches != VouchesPassword:
		return failure.At("vouches", failure.New(failure.Invalid, "An application vouches for nothing, or for the %s.", VouchesPassword))
	case len(a.Title) > 120:
		return failure.At("title", failure.New(failure.Invalid, "The title may have 120 bytes at most."))
	case strings.ContainsFunc(a.Title, text.Blank):
		return failure.At("title", failure.New(failure.Invalid, "The title is one line, without characters that are not seen or that turn the line."))
	case len(a.Settings) > 1<<16:
		return failure.At("settings", failure.New(failure.Invalid, "The settings may have 64 KiB at most."))
	}
	return nil
}

// Set inserts or replaces the application of this name. The caller must have checked
// its settings with its protocol.
func (c *Catalogue) Set(ctx context.Context, tx *store.Tx, a Application) (Application, error) {
	if err := a.Check(); err != nil {
		return Application{}, err
	}
	a.Changed = tx.Now().Truncate(time.Microsecond)
	old, wrong, err := c.named(ctx, tx, a.Name)
	switch {
	case err == nil && wrong == "":
		a.ID, a.Created, a.count = old.ID, old.Created, old.count+1
	case err == nil:
		if err := c.removeTx(ctx, tx, old, wrong); err != nil { // nobody believes it: another takes its place
			return Application{}, err
		}
		fallthrough
	case errors.Is(err, store.ErrNotFound):
		if a, err = c.insert(ctx, tx, a); err != nil {
			return Application{}, err
		}
	default:
		return Application{}, err
	}
	sealed := c.keys.Seal("application", a.aad(), a.Settings)
	_, err = tx.Exec(ctx, `update application set title = $2, kind = $3, tier = $4, protocol = $5, settings = $6, changed = $7, mac = $8, vouches = $9, version = $10 where id = $1`,
		a.ID, a.Title, a.Kind, a.Tier, a.Protocol, sealed, store.Unix(a.Changed), c.keys.MAC("application", a.fields(sealed)), a.Vouches, a.count)
	numbers.Anchor(tx, a.ID, a.count)
	tx.Announce(Topic)
	return a, err
}

// Remove deletes the application of this name.
func (c *Catalogue) Remove(ctx context.Context, tx *store.Tx, name string) error {
	a, wrong, err := c.named(ctx, tx, name)
	if errors.Is(err, store.ErrNotFound) {
		return failure.New(failure.NotFound, "There is no application named %q.", name)
	}
	if err != nil {
		return err
	}
	tx.Announce(Topic)
	return c.removeTx(ctx, tx, a, wrong)
}

package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"sync/atomic"

	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/policy"
	"countersign/internal/store"
)

// PolicyTopic is the feed's word for a changed policy document.
const PolicyTopic = "policy"

// Rules holds the policy in force: the newest document of the store, compiled.
// A document that failed its integrity check (MAC) is ignored: the newest stays in force if
// this server has it in its cache, and otherwise nothing is decided.
type Rules struct {
	db    *store.DB
	keys  *keyring.Keyring
	known Known
	log   *slog.Logger

	gen     atomic.Uint64
	cache   atomic.Pointer[compiled]
	compile sync.Mutex
}

// Known are the names that a document may mention, read when it is compiled, and inside a
// change as that change leaves them.
type Known func(ctx context.Context, r store.Reader) (policy.Known, error)

// NewRules makes the rules of a database.
func NewRules(db *store.DB, keys *keyring.Keyring, known Known, log *slog.Logger) *Rules {
	return &Rules{db: db, keys: keys, known: known, log: log}
}

type compiled struct {
	gen     uint64
	version int64
	policy  *policy.Policy
}

// Watch keeps the rules fresh by the store's feed. Call it once.
func (r *Rules) Watch() {
	r.db.Feed().Subscribe(func(topic string) {
		if topic == PolicyTopic || topic == "group" || topic == application.Topic || topic == store.Missed {
			r.gen.Add(1)
		}
	})
}

// Document is one version of the policy as kept.
type Document struct {
	Version int64
	Body    string
	Author  string
	Created int64
}

func (d Document) fields() *keyring.Fields {
	return keyring.NewFields().Int(d.Version).String(d.Body).String(d.Author).Int(d.Created)
}

// ErrNoPolicy is an installation without any document: it denies everything.
var ErrNoPolicy = errors.New("signin: there is no policy")

// errPolicyGone is a policy of which the newest document was removed, or changed, by
// somebody else.
var errPolicyGone = fmt.Errorf("signin: the newest version of the policy is missing or failed its integrity check (MAC), and no older one is used instead: "+
	"save the policy again on a server that has been running since before, or restore the database from a backup: %w", directory.ErrTampered)

// Current returns the policy in force.
func (r *Rules) Current(ctx context.Context) (*policy.Policy, error) {
	gen := r.gen.Load()
	if c := r.cache.Load(); c != nil && c.gen == gen && r.db.Feed().Fresh() {
		return c.policy, nil
	}
	r.compile.Lock()
	defer r.compile.Unlock()
	last := r.cache.Load()
	doc, err := r.Latest(ctx, r.db)
	switch {
	case errors.Is(err, directory.ErrTampered) && last != nil && last.version >= r.newest():
		r.log.Error("the policy failed its integrity check (MAC); the last good version stays in force", "version", last.version)
		return last.policy, nil
	case err != nil:
		return nil, err
	case last != nil && last.version == doc.Version && last.gen == gen:
		return last.policy, nil
	}
	known, err := r.known(ctx, r.db)
	if err != nil {
		return nil, err
	}
	p, err := policy.Load([]byte(doc.Body), known)
	if gone := p.Gone(); len(gone) > 0 {
		r.log.Warn("the policy names things that no longer exist; its other rules stay in force: correct those that name them", "version", doc.Version, "gone", gone)
	}
	if err != nil {
		if last != nil {
			r.log.Error("the policy no longer compiles; the last good version stays in force", "version", doc.Version, "error", err)
			return last.policy, nil
		}
		return nil, err
	}
	r.cache.Store(&compiled{gen: gen, version: doc.Version, policy: p})
	return p, nil
}

// newest is the number of the newest document that this server knows of.
func (r *Rules) newest() int64 { return r.db.Newest(PolicyTopic, 0) }

// Latest returns the newest document. What somebody else added is passed over. Where the
// newest of ours is missing, or was changed, there is none: an older one is not in force.
func (r *Rules) Latest(ctx context.Context, from store.Reader) (Document, error) {
	d, passed, err := r.latest(ctx, from)
	if err != nil {
		return d, err
	}
	if newest := r.newest(); d.Version < newest {
		// It may have come since this was read, and what a transaction sees may be of before.
		if d, passed, err = r.latest(ctx, r.db); err != nil {
			return d, err
		}
		if d.Version < newest {
			return Document{}, errors.Join(errPolicyGone, r.reportMissing(ctx, newest))
		}
		r.db.View().Doubt(PolicyTopic, 0)
	}
	switch {
	case passed && (d.Version < r.newest() || !r.db.View().CaughtUp()):
		return Document{}, errPolicyGone // it may have been the newest
	case d.Version == 0:
		return d, ErrNoPolicy
	}
	return d, nil
}

// mostPassed bounds how many documents of somebody else are passed over.
const mostPassed = 100

// latest reads the newest document that is believed, the zero one where there is none,
// and says whether any were passed over.
func (r *Rules) latest(ctx context.Context, from store.Reader) (d Document, passed bool, err error) {
	rows, err := from.Query(ctx, `select `+documentColumns+` from policy order by version desc limit $1`, mostPassed)
	if err != nil {
		return d, false, err
	}
	defer rows.Close()
	for rows.Next() {
		d, err := r.document(rows)
		if err == nil {
			return d, passed, rows.Close()
		}
		if !errors.Is(err, directory.ErrTampered) {
			return d, false, err
		}
		passed = true
	}
	return Document{}, passed, rows.Err()
}

// reportMissing reports a document unless it is there, changed.
func (r *Rules) reportMissing(ctx context.Context, version int64) error {
	var n int64
	err := r.db.QueryRow(ctx, `select count(*) from policy where version = $1`, version).Scan(&n)
	if err == nil && n == 0 {
		r.db.Report(store.Finding{Table: "policy", Row: strconv.FormatInt(version, 10), Wrong: store.Missing})
	}
	return err
}

// Version returns one document by its number.
func (r *Rules) Version(ctx context.Context, from store.Reader, version int64) (Document, error) {
	return r.document(from.QueryRow(ctx, `select `+documentColumns+` from policy where version = $1`, version))
}

const documentColumns = `version, body, author, created, mac`

func (r *Rules) document(row interface{ Scan(...any) error }) (Document, error) {
	var d Document
	var mac []byte
	err := row.Scan(&d.Version, &d.Body, &d.Author, &d.Created, &mac)
	if errors.Is(err, store.ErrNotFound) {
		return d, ErrNoPolicy
	}
	if err != nil {
		return d, err
	}
	if !r.keys.VerifyMAC("policy", d.fields(), mac) {
		r.db.Report(store.Finding{Table: "policy", Row: strconv.FormatInt(d.Version, 10), Wrong: store.Altered})
		return d, directory.ErrTampered
	}
	return d, nil
}

var errNumbers = errors.New("signin: the database assigned a policy a number that was used before: it was changed from outside; restore it from a backup")

// Save keeps a new version. The caller has compiled it.
func (r *Rules) Save(ctx context.Context, tx *store.Tx, body, author string) (Document, error) {
	d := Document{Body: body, Author: author, Created: store.Unix(tx.Now())}
	err := tx.QueryRow(ctx, `insert into policy (body, author, created, mac) values ($1,$2,$3,$4) returning version`, body, author, d.Created, []byte{}).Scan(&d.Version)
	if err != nil {
		return d, err
	}
	if d.Version <= r.newest() {
		return d, errNumbers
	}
	tx.Announce(PolicyTopic)
	tx.Anchor(PolicyTopic, 0, d.Version)
	_, err = tx.Exec(ctx, `update policy set mac = $2 where version = $1`, d.Version, r.keys.MAC("policy", d.fields()))
	return d, err
}

// Versions returns documents, newest first: those before a version, or all where
// it is zero. Those that are not believed are left out.
func (r *Rules) Versions(ctx context.Context, from store.Reader, before int64, limit int) ([]Document, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	return r.documents(from.Query(ctx, `select `+documentColumns+` from policy where version < $1 order by version desc limit $2`, before, limit))
}

func (r *Rules) documents(rows *store.Rows, err error) ([]Document, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Document
	for rows.Next() {
		d, err := r.document(rows)
		if errors.Is(err, directory.ErrTampered) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}
